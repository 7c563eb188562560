//! Interrupts: delivered as bits of a notification.

use abi::{Handle, Result};
use scheme::rt::syscall;

/// One interrupt that is held.
#[derive(Debug)]
pub struct Interrupt {
    handle: Handle,
}

impl Interrupt {
    /// The interrupt that `handle` names.
    pub fn new(handle: Handle) -> Interrupt {
        Interrupt { handle }
    }

    /// Sets `bits` in `notification` at each interrupt. Errors: the kernel's.
    pub fn bind(&self, notification: Handle, bits: u64) -> Result<()> {
        // SAFETY: no address of ours is named.
        unsafe { syscall::interrupt_bind(self.handle, notification, bits) }
    }

    /// Lets a line interrupt again. Errors: the kernel's.
    pub fn acknowledge(&self) -> Result<()> {
        // SAFETY: no address of ours is named.
        unsafe { syscall::interrupt_acknowledge(self.handle) }
    }
}

/// The range that interrupts are allocated from: the bus manager's.
#[derive(Clone, Copy, Debug)]
pub struct InterruptRoot(pub Handle);

impl InterruptRoot {
    /// A message interrupt: the capability, the address to write to and the word to write. Errors: the kernel's.
    pub fn message(&self) -> Result<(Handle, u64, u32)> {
        // SAFETY: no address of ours is named.
        let (handle, address, data) = unsafe { syscall::interrupt_allocate(self.0, u64::MAX, 0) }?;
        Ok((handle, address, data as u32))
    }
}
