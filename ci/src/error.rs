//! What can go wrong in the harness itself, apart from a test that fails.
//!
//! A variant says who is to blame: this host, the emulator, or what the guest sent.

use std::fmt;
use std::io;

/// Result of the harness's own operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation of the harness did not work.
#[derive(Debug)]
pub enum Error {
    /// The host refused something: a missing file, no room, no such program.
    Host {
        /// What was tried, in words.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The emulator did not start, or ended before it should have.
    Emulator(String),
    /// The awaited thing did not happen before the deadline.
    TimedOut(String),
    /// Bytes on a channel that the protocol does not allow.
    Protocol(String),
}

impl Error {
    /// Wraps an input/output error with what was tried; for `map_err`.
    pub fn host(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Host { what, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { what, source } => write!(f, "{what}: {source}"),
            Self::Emulator(text) => write!(f, "emulator: {text}"),
            Self::TimedOut(text) => write!(f, "timed out waiting for {text}"),
            Self::Protocol(text) => write!(f, "protocol: {text}"),
        }
    }
}

impl std::error::Error for Error {}
