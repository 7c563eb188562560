//! What the kernel answered in host tests: each call with each of its errors.
//!
//! Every pair is written once a process, into a file of its own in the folder that `LIMITLESS_PAIRS` names; without it
//! nothing is kept. `mk-pairs` holds the files against the documented pairs of [`abi::refusal`].

use abi::call::{Call, FIRST};
use abi::Error;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::Mutex;

/// Calls and errors that there is room for: more than have numbers.
const CALLS: usize = 0x100;
const ERRORS: usize = 128;

static SEEN: [[AtomicU64; ERRORS / 64]; CALLS] = [const { [const { AtomicU64::new(0) }; ERRORS / 64] }; CALLS];
static FILE: Mutex<()> = Mutex::new(());
static STRICT: AtomicBool = AtomicBool::new(false);

/// From now on, an answer that is not documented is a panic.
pub fn be_strict() {
    STRICT.store(true, Relaxed);
}

/// Notes that the call with this number was answered with an error. What is no call's number is left out.
pub fn note(number: u64, error: Error) {
    let Some(call) = Call::from_number(number) else { return };
    let bit = error.number() as usize;
    let place = SEEN.get(number.wrapping_sub(FIRST) as usize).and_then(|row| row.get(bit / 64));
    let Some(place) = place else { return };
    let mask = 1 << (bit % 64);
    if place.fetch_or(mask, Relaxed) & mask == 0 {
        let documented = || abi::refusal::pairs(call).any(|known| known == error);
        assert!(!STRICT.load(Relaxed) || documented(), "not documented: {} {error:?}", call.name());
        write(call, error);
    }
}

#[cold]
fn write(call: Call, error: Error) {
    let Some(folder) = std::env::var_os("LIMITLESS_PAIRS") else { return };
    let _alone = FILE.lock();
    let path = std::path::Path::new(&folder).join(std::process::id().to_string());
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{} {}", call.name(), error.name()));
    written.expect("the folder that LIMITLESS_PAIRS names can be written");
}
