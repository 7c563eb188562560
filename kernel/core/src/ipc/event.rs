//! Event queues: interests in sessions, and those who wait.

use crate::id::Id;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::object::{EventQueue, Header, Object, Thread};
use abi::Kind;

impl Object for EventQueue {
    const CAP_KIND: Kind = Kind::EventQueue;
    fn header(&self) -> &Header {
        &self.header
    }
    fn end<M: Machine>(kernel: &Kernel<M>, id: Id<EventQueue>) {
        kernel.free_object(id);
    }
}

impl<M: Machine> Kernel<M> {
    /// Takes a thread out of the queue of those who wait on an event queue.
    pub(crate) fn poll_end(&self, _id: Id<Thread>) {}
}
