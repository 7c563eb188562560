//! Readiness of sessions, and queues that wait for that of many.
//!
//! A server says what each of its sessions is ready for ([`Scheme::readiness`](crate::scheme::Scheme::readiness)); a client
//! adds sessions to an [`EventQueue`] and waits for all of them in one call.

use crate::rt::{calls, event};
pub use abi::event::Mode;
use abi::event::BATCH;
use abi::{Handle, Result};

bitflags::bitflags! {
    /// What a session is ready for. Bits without a name are between a server and its clients.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Readiness: u32 {
        /// A read would not wait.
        const READ = abi::event::READ;
        /// A write would not wait.
        const WRITE = abi::event::WRITE;
        /// It has failed. Told whether it was asked for or not.
        const ERROR = abi::event::ERROR;
        /// The other side is gone. Told whether it was asked for or not.
        const HANG_UP = abi::event::HANG_UP;
        /// The server's own.
        const _ = !0;
    }
}

/// A session is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key it is watched under.
    pub key: u64,
    /// What for, of what was asked.
    pub ready: Readiness,
}

/// A queue of such events; closed when dropped.
#[derive(Debug)]
pub struct EventQueue(Handle);

impl EventQueue {
    /// A new one for at most `capacity` sessions, charged to this process. Errors: the kernel's.
    pub fn new(capacity: u64) -> Result<EventQueue> {
        event::queue_create(Handle::SELF_QUOTA, capacity).map(EventQueue)
    }

    /// One that was given; it is closed when dropped.
    pub fn from_handle(handle: Handle) -> EventQueue {
        EventQueue(handle)
    }

    /// Its handle.
    pub fn handle(&self) -> Handle {
        self.0
    }

    /// Watches a session under a key. What is ready already is told. Errors: `Exists`, the kernel's.
    pub fn add(&self, session: Handle, key: u64, interest: Readiness, mode: Mode) -> Result<()> {
        event::queue_add(self.0, session, key, interest.bits(), mode)
    }

    /// Changes what is watched under a key, and arms it again. Errors: `NotFound`.
    pub fn change(&self, key: u64, interest: Readiness, mode: Mode) -> Result<()> {
        event::queue_change(self.0, key, interest.bits(), mode)
    }

    /// Watches under a key no more. Needed after a hang-up too: closing the session does not do it. Errors: `NotFound`.
    pub fn remove(&self, key: u64) -> Result<()> {
        event::queue_remove(self.0, key)
    }

    /// Waits until something is ready, or a time (0: for ever; 1: not at all), and hands over what is, at most
    /// [`BATCH`] events; how many. Errors: `TimedOut`, `Cancelled`, the kernel's.
    pub fn wait(&self, deadline_ns: u64, mut each: impl FnMut(Event)) -> Result<usize> {
        let mut events = [[0; 2]; BATCH];
        let count = event::queue_wait(self.0, &mut events, deadline_ns)?;
        for [key, bits] in events.into_iter().take(count) {
            each(Event { key, ready: Readiness::from_bits_retain(bits as u32) });
        }
        Ok(count)
    }

    /// Sets bits in a notification whenever this comes to hold an event, so that a server hears of it in its loop.
    /// Errors: the kernel's.
    pub fn bind(&self, notification: Handle, bits: u64) -> Result<()> {
        event::queue_bind(self.0, notification, bits)
    }
}

impl Drop for EventQueue {
    fn drop(&mut self) {
        calls::close(self.0);
    }
}
