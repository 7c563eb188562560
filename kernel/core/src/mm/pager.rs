//! Memory whose pages a server supplies.

use crate::id::Id;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::object::Thread;

impl<M: Machine> Kernel<M> {
    /// Takes a thread out of whatever it waits in for a page.
    pub(crate) fn page_wait_end(&self, _id: Id<Thread>) {}
}
