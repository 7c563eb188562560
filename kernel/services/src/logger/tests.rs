//! Records as lines: cut, timed, and handed on.

use super::{line, EarlyLog, LINE};
use log::Level;
use std::sync::Mutex;

static SEEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());
fn keep(bytes: &[u8]) {
    *SEEN.lock().unwrap() = bytes.to_vec();
}

#[test]
fn lines_have_a_time_and_one_end_and_are_cut() {
    line(1_234_567_890, Level::Info, format_args!("two\nlines\x1b[2J"), keep);
    assert_eq!(SEEN.lock().unwrap().as_slice(), b"[    1.234567] two lines [2J\n");
    line(0, Level::Error, format_args!("{}", "x".repeat(2000)), keep);
    let seen = SEEN.lock().unwrap();
    assert_eq!(seen.len(), LINE);
    assert!(seen.starts_with(b"[    0.000000] error: x") && seen.ends_with(b"x\n"));
}

#[test]
fn early_lines_are_kept_whole_until_they_are_handed_over() {
    let mut early = EarlyLog::new();
    early.push(b"one\n");
    early.push(&[b'x'; 5000]);
    early.push(b"two\n");
    let mut got = Vec::new();
    early.hand_over(|lines| got.extend_from_slice(lines));
    early.push(b"three\n");
    early.hand_over(|lines| got.extend_from_slice(lines));
    assert_eq!(got, b"one\ntwo\n");
}
