//! Other threads, stopped and looked at.

use super::syscall;
use abi::thread::{Registers, REGISTER_WORDS};
use abi::{Handle, Result};

/// The registers of a thread that is suspended, or whose fault is with its handler. Errors: the kernel's.
pub fn registers(thread: Handle) -> Result<Registers> {
    let mut words = [0u64; REGISTER_WORDS];
    // SAFETY: the kernel writes as many words as there are.
    unsafe { syscall::thread_registers(thread, words.as_mut_ptr() as u64) }?;
    Ok(Registers::from_words(words))
}

/// Sets them.
///
/// # Safety
///
/// A thread of the caller's own process must be able to go on with them.
pub unsafe fn set_registers(thread: Handle, registers: &Registers) -> Result<()> {
    let words = registers.to_words();
    // SAFETY: the kernel reads as many words as there are; the rest is the caller's promise.
    unsafe { syscall::thread_set_registers(thread, words.as_ptr() as u64) }
}
