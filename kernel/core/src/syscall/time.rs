//! Handlers of the clock, of sleeping and of yielding.

use super::{Answer, Context};
use crate::object::ThreadState;
use crate::{Kernel, Machine};
use abi::Result;

impl<M: Machine> Kernel<M> {
    /// Nanoseconds since boot. No errors.
    pub fn clock(&self, _cx: &Context) -> Result<Answer> {
        Ok(Answer::one(self.machine.now_ns()))
    }

    /// Waits until a time; one that has passed (0 too) is no wait. Errors: `Cancelled`, `Interrupted`
    /// (an upcall came).
    pub fn sleep(&self, cx: &Context) -> Result<Answer> {
        let deadline_ns = cx.arg(0);
        if deadline_ns == 0 || self.is_past(deadline_ns) {
            return Ok(Answer::DONE);
        }
        self.threads[cx.thread].state.set(ThreadState::Sleeping);
        self.deadline_set(cx.thread, deadline_ns);
        Ok(Answer::Written)
    }

    /// Lets other threads of the same priority run. No errors.
    pub fn thread_yield(&self, cx: &Context) -> Result<Answer> {
        self.threads[cx.thread].registers.rax.set(0);
        self.thread_yield_now(cx.thread);
        Ok(Answer::Written)
    }
}
