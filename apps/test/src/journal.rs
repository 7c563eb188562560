//! The kernel's log: what is written is read, by whoever may.

use crate::tap::{check, fail, refused, same, works, Check, Test};
use abi::{Error, Handle};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use scheme::rt::{calls, start};

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "a-line-in-the-log-is-read-with-its-writers-name", run: written },
    Test { name: "a-line-in-the-log-forges-no-other", run: harmless },
    Test { name: "the-log-is-read-and-written-by-right", run: by_right },
];

/// The shell's, which it passes on: one to write, one to read.
const READER: &str = "log-reader";
/// The longest line (`log_write`).
const LINE: usize = 512;

fn writer() -> Check<Handle> {
    start::handle(abi::start::names::LOG).map_or_else(|| fail("no log was given"), Ok)
}

fn reader() -> Check<Handle> {
    start::handle(READER).map_or_else(|| fail("no log to read was given"), Ok)
}

/// The log from a position to its end, and where that is. What falls between two pieces is read once.
fn read(from: u64) -> Check<(String, u64)> {
    let (log, mut all, mut at) = (reader()?, Vec::new(), from);
    loop {
        let mut part = [0; 512];
        let (length, next) = works("reading", calls::log_read(log, at, &mut part))?;
        if length == 0 {
            same("the end", next, at)?;
            return Ok((String::from_utf8_lossy(&all).into_owned(), next));
        }
        check(next >= at + length as u64, "the next position is no further")?;
        all.extend_from_slice(part.get(..length).unwrap_or(&[]));
        at = next;
    }
}

/// The lines that come of writing one.
fn lines_of(text: &[u8]) -> Check<Vec<String>> {
    let (_, end) = read(0)?;
    works("writing", calls::log_write(writer()?, text))?;
    let (new, _) = read(end)?;
    Ok(new.lines().filter(|line| line.contains("] app-test: ")).map(String::from).collect())
}

fn written() -> Check {
    let mark = format!("a mark of {} ns", scheme::time::now_ns());
    let lines = lines_of(mark.as_bytes())?;
    same("lines", lines.len(), 1)?;
    check(lines[0].ends_with(&format!("] app-test: {mark}")), &format!("the line is {:?}", lines[0]))?;
    // The oldest that is kept comes before it, and is not read again from the end.
    let (all, end) = read(0)?;
    check(all.contains(&mark), "it is not among all")?;
    same("from the end on", read(end)?.0.contains(&mark), false)
}

fn harmless() -> Check {
    let escape = lines_of(b"one\x1b[2Jtwo\rthree\x7f\xc2\x9bfour")?;
    same("control characters", escape.len(), 1)?;
    check(escape[0].ends_with("app-test: one?[2Jtwo?three?\u{fffd}?four"), &format!("they are {:?}", escape[0]))?;
    let two = lines_of(b"a line\n[    0.000000] init: another")?;
    same("a line in a line", two.len(), 1)?;
    check(two[0].ends_with("app-test: a line"), &format!("it is {:?}", two[0]))?;
    let long = lines_of(&[b'x'; 2 * LINE])?;
    same("a long line", long.len(), 1)?;
    same("what is kept of it", long[0].chars().filter(|c| *c == 'x').count(), LINE)
}

fn by_right() -> Check {
    refused("reading with what writes", calls::log_read(writer()?, 0, &mut [0; 8]), Error::NoRight)?;
    refused("writing with what reads", calls::log_write(reader()?, b"forged"), Error::NoRight)?;
    refused("reading with something else", calls::log_read(Handle::SELF_PROCESS, 0, &mut [0; 8]), Error::WrongKind)?;
    check(!read(0)?.0.contains("forged"), "it was written all the same")
}
