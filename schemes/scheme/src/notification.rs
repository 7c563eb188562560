//! A notification of one's own: bits that others set, waited for here.

use crate::rt::calls;
use abi::{Handle, Result};

/// A notification; closed when dropped.
#[derive(Debug)]
pub struct Notification(Handle);

impl Notification {
    /// A new one, charged to this process. Errors: the kernel's.
    pub fn new() -> Result<Notification> {
        calls::notification_create(Handle::SELF_QUOTA).map(Notification)
    }

    /// One that was given; it is closed when dropped.
    pub fn from_handle(handle: Handle) -> Notification {
        Notification(handle)
    }

    /// Its handle.
    pub fn handle(&self) -> Handle {
        self.0
    }

    /// Sets bits. Errors: the kernel's.
    pub fn signal(&self, bits: u64) -> Result<()> {
        calls::notify(self.0, bits)
    }

    /// Waits until bits are set, takes and clears them. Errors: the kernel's.
    pub fn wait(&self) -> Result<u64> {
        calls::wait(self.0, 0)
    }

    /// The same until a time. Errors: `TimedOut`, the kernel's.
    pub fn wait_until(&self, deadline_ns: u64) -> Result<u64> {
        calls::wait(self.0, deadline_ns)
    }

    /// Sets `bits` at a time; one timer a notification, 0 disarms. Errors: the kernel's.
    pub fn timer(&self, bits: u64, deadline_ns: u64) -> Result<()> {
        calls::timer_set(self.0, bits, deadline_ns, 0)
    }
}

impl Drop for Notification {
    fn drop(&mut self) {
        calls::close(self.0);
    }
}
