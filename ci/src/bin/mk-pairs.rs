//! `mk-pairs FOLDER`: which documented errors no host test provoked.
//!
//! Ends with "N passed, N failed"; a pair is a test.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

use ci::pairs::{documented, faults, recorded, STUBS};

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: mk-pairs FOLDER");
        return ExitCode::FAILURE;
    };
    let (rows, seen) = match recorded(Path::new(&folder)) {
        Ok(seen) => (documented(STUBS), seen),
        Err(error) => {
            eprintln!("mk-pairs: {error}");
            return ExitCode::FAILURE;
        }
    };
    let faults = faults(&rows, &seen, STUBS);
    for fault in &faults {
        println!("{fault}");
    }
    println!("{} passed, {} failed", rows.intersection(&seen).count(), faults.len());
    if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
