//! Readiness: what a session is ready for, and how event queues tell of it.
//!
//! A session's readiness word belongs to its server, which sets and clears bits with `session_ready`. These four mean
//! the same for every scheme; the rest is between a server and its clients. An event queue tells (key, bits) pairs.

/// A read would not wait.
pub const READ: u32 = 1;
/// A write would not wait.
pub const WRITE: u32 = 2;
/// The session has failed. Told whether it was asked for or not.
pub const ERROR: u32 = 4;
/// The other side is gone: the server's decision, or the kernel's when the session has ended or its endpoint is closed
/// for good. Told whether it was asked for or not.
pub const HANG_UP: u32 = 8;

/// The most events that one `queue_wait` brings.
pub const BATCH: usize = 64;
/// The most sessions that one queue can watch.
pub const MAX_CAPACITY: u64 = 1 << 20;
/// The most interests that one session can have: a change of its readiness looks at all of them at once.
pub const INTERESTS: u32 = 256;

/// When an event queue tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// At each wait, while a bit that is asked for is set.
    Level = 0,
    /// Once for each time that such a bit is set, even if it was set before; what was not told yet is told in one.
    Edge = 1,
    /// As level, but only once: then not again until `queue_change`.
    Once = 2,
}

impl Mode {
    /// The mode with this number, if there is one.
    pub const fn from_number(number: u64) -> Option<Mode> {
        match number {
            0 => Some(Mode::Level),
            1 => Some(Mode::Edge),
            2 => Some(Mode::Once),
            _ => None,
        }
    }
}
