//! `mk-reference`: writes the reference of the kernel's calls.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use ci::reference::{page, PATH};

fn main() -> ExitCode {
    match std::fs::write(PATH, page()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mk-reference: {PATH}: {error}");
            ExitCode::FAILURE
        }
    }
}
