//! Calls on upcalls and on foreign call numbers.

use super::{Answer, Context};
use crate::object::Thread;
use crate::{Kernel, Machine, VirtAddr};
use abi::thread::UPCALL_FAULT;
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// `thread_upcall`. Bits stay with a thread that has no handler, or has it masked, until it can be told. Errors:
    /// `BadArgument` (no bits, or that of faults), `Closed` (it has ended).
    pub fn thread_upcall(&self, cx: &Context) -> Result<Answer> {
        let (id, bits) = (cx.id::<Thread>(), cx.arg(1));
        Error::BadArgument.when(bits == 0 || bits & UPCALL_FAULT != 0)?;
        let thread = &self.threads[id];
        self.process_running(thread.process.get().ok_or(Error::Closed)?)?;
        thread.upcall_bits.update(|set| set | bits);
        // The caller's registers have to be final: it may be the thread itself.
        cx.registers.rax.set(0);
        self.upcall_interrupt(id);
        Ok(Answer::Written)
    }

    /// `upcall_handler`. Errors: those of [`Kernel::upcall_set`].
    pub fn upcall_handler(&self, cx: &Context) -> Result<Answer> {
        self.upcall_set(cx, [cx.arg(0), cx.arg(1), cx.arg(2), cx.arg(3)])?;
        cx.registers.rax.set(0);
        self.upcall_interrupt(cx.thread);
        Ok(Answer::Written)
    }

    /// `upcall_return`. Errors: those of [`Kernel::upcall_leave`].
    pub fn upcall_return(&self, cx: &Context) -> Result<Answer> {
        self.upcall_leave(cx, cx.arg(0))?;
        Ok(Answer::Written)
    }

    /// `upcall_mask`. Errors: `BadArgument` (neither 0 nor 1).
    pub fn upcall_mask(&self, cx: &Context) -> Result<Answer> {
        let masked = match cx.arg(0) {
            0 => false,
            1 => true,
            _ => return Err(Error::BadArgument),
        };
        let before = self.threads[cx.thread].upcall_masked.replace(masked);
        cx.registers.rax.set(0);
        cx.registers.rdi.set(u64::from(before));
        self.upcall_interrupt(cx.thread);
        Ok(Answer::Written)
    }

    /// `foreign_handler`. Errors: `BadAddress` (not in the user half), `Closed` (the process has ended).
    pub fn foreign_handler(&self, cx: &Context) -> Result<Answer> {
        let entry = cx.arg(1);
        if entry != 0 {
            VirtAddr::try_user(entry).ok_or(Error::BadAddress)?;
        }
        self.process_running(cx.id())?.foreign_handler.set(entry);
        Ok(Answer::DONE)
    }
}
