//! Futexes: threads that wait at a word of memory.

use crate::id::Id;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::object::Thread;

impl<M: Machine> Kernel<M> {
    /// Takes a thread out of the queue at the word it waits at.
    pub(crate) fn futex_wait_end(&self, _id: Id<Thread>) {}
}
