//! Requests, answers, and what the dispatcher asks of whoever delivers them.

use crate::event::Readiness;
use crate::lease::Lease;
use crate::message::{Caps, SendCap};
use crate::scheme::CallId;
use abi::message::{LEASES, WORDS};
use abi::{Error, Handle, Result};
use alloc::vec::Vec;

/// What the dispatcher asks of the kernel (or of the harness that plays it).
pub trait Endpoint {
    /// Makes a session with a badge never used before. Errors: `BadArgument` or `Exists` for a used one.
    fn create(&mut self, badge: u64, object_type: u64) -> Result<Handle>;
    /// Acknowledges the end of a session.
    fn acknowledge(&mut self, badge: u64);
    /// The session with the next higher badge, and whether it has ended. Errors: `NotFound` at the end.
    fn next(&mut self, after: u64) -> Result<(u64, bool)>;
    /// Closes a capability.
    fn close(&mut self, handle: Handle);
    /// A time that never goes back, also over restarts, in nanoseconds.
    fn now_ns(&mut self) -> u64;
    /// Clears and then sets bits of a session's readiness.
    fn ready(&mut self, badge: u64, set: Readiness, clear: Readiness);
}

/// A request as it came.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// The badge of the session that was called.
    pub badge: u64,
    /// The caller's account.
    pub account: u64,
    /// The tag.
    pub tag: u64,
    /// The words.
    pub words: [u64; WORDS],
    /// Capabilities that came.
    pub caps: Caps,
    /// Leases.
    pub leases: [Lease<'a>; LEASES],
    /// Set by the dispatcher when the request is first seen; kept with it while it is parked.
    pub ticket: Option<Ticket>,
}

/// What stays with a call that is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Its number.
    pub call: CallId,
    /// It was begun before a restart.
    pub(super) redo: bool,
    /// It was done before a restart, and only its answer is wanted again.
    pub(super) made: bool,
    /// Where it was begun before a restart.
    pub(super) start: Option<u64>,
}

/// An answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub tag: u64,
    /// The words.
    pub words: [u64; WORDS],
    /// Capabilities; `true`: ours is closed once they are sent.
    pub caps: Vec<(SendCap, bool)>,
}

impl Reply {
    pub(super) fn words(words: [u64; WORDS]) -> Reply {
        Reply { words, ..Reply::default() }
    }
    pub(super) fn one(word: u64) -> Reply {
        Reply::words([word, 0, 0, 0, 0, 0])
    }
    pub(super) fn error(error: Error) -> Reply {
        Reply { tag: u64::from(error.number()), ..Reply::default() }
    }
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Answer it so.
    Answer(Reply),
    /// Keep it, and ask again when something happened.
    Parked,
}
