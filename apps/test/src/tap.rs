//! What a test answers, and the lines that tell of it (Test Anything Protocol).

use abi::{Error, Result};
use alloc::format;
use alloc::string::String;
use core::fmt::Debug;
use scheme::client::File;
use scheme::rt::start;

/// How a test ended otherwise than well.
#[derive(Debug)]
pub enum Not {
    /// It failed.
    Ok(String),
    /// It can't be run here.
    Here(String),
}

/// What a test answers.
pub type Check<T = ()> = core::result::Result<T, Not>;

/// A test.
#[derive(Debug)]
pub struct Test {
    /// Its name.
    pub name: &'static str,
    /// Runs it.
    pub run: fn() -> Check,
}

/// Where the lines go: standard output, or the log.
pub struct Out(Option<File>);

impl Out {
    /// The output that was given.
    pub fn new() -> Out {
        Out(start::handle(abi::start::names::STDOUT).map(File::from_handle))
    }

    /// Writes a line.
    pub fn line(&self, text: &str) {
        match &self.0 {
            // Who does not listen does not hear.
            Some(out) => drop(out.write_all([text, "\n"].concat().as_bytes())),
            // A line of the log ends where a line does.
            None => text.lines().for_each(|line| log::info!("{line}")),
        }
    }
}

/// Runs tests; the exit status.
pub fn run(out: &Out, tests: &[&Test]) -> u64 {
    out.line(&format!("1..{}", tests.len()));
    let mut failed = 0;
    for (number, test) in (1..).zip(tests) {
        let number: u32 = number;
        match (test.run)() {
            Ok(()) => out.line(&format!("ok {number} - {}", test.name)),
            Err(Not::Here(why)) => out.line(&format!("ok {number} - {} # SKIP {why}", test.name)),
            Err(Not::Ok(why)) => {
                failed = 1;
                out.line(&format!("not ok {number} - {}\n# {why}", test.name));
            }
        }
    }
    failed
}

/// A failure with a reason.
pub fn fail<T>(why: impl Into<String>) -> Check<T> {
    Err(Not::Ok(why.into()))
}

/// Holds, or fails with a reason.
pub fn check(holds: bool, why: &str) -> Check {
    if holds {
        Ok(())
    } else {
        fail(why)
    }
}

/// What must be the same.
pub fn same<T: PartialEq + Debug>(what: &str, got: T, wanted: T) -> Check {
    if got == wanted {
        Ok(())
    } else {
        fail(format!("{what}: {got:?}, not {wanted:?}"))
    }
}

/// What must succeed.
pub fn works<T>(what: &str, result: Result<T>) -> Check<T> {
    result.or_else(|error| fail(format!("{what}: {}", error.name())))
}

/// What must be refused, and how.
pub fn refused<T>(what: &str, result: Result<T>, wanted: Error) -> Check {
    match result {
        Err(error) if error == wanted => Ok(()),
        Err(error) => fail(format!("{what}: {}, not {}", error.name(), wanted.name())),
        Ok(_) => fail(format!("{what}: it worked, and {} was to come", wanted.name())),
    }
}
