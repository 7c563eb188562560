//! The targets by name, for those who run them on a file or a corpus.

use crate::{calls, messages};

/// One way to read the fuzzer's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// [`calls`].
    Calls,
    /// [`messages`].
    Messages,
}

impl Target {
    /// All of them.
    pub const ALL: [Target; 2] = [Target::Calls, Target::Messages];

    /// The name of its corpus; its binary has `fuzz-` before it.
    pub fn name(self) -> &'static str {
        match self {
            Target::Calls => "calls",
            Target::Messages => "messages",
        }
    }

    /// Runs one input, on a core with this fault planted (0: none). Panics if something is wrong.
    pub fn run<const FAULT: u8>(self, bytes: &[u8]) {
        match self {
            Target::Calls => calls::run::<FAULT>(bytes),
            Target::Messages => messages::run::<FAULT>(bytes),
        }
    }
}
