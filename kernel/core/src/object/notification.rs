//! Notifications.

use super::{Endpoint, Header, ListHead, TreeLinks};
use crate::fields;
use crate::{CpuId, Field, Link};

fields! {
/// A word of bits. References: its capabilities, interrupts, watches, the endpoint and the event
/// queues it is bound to. Threads that
/// wait hold none: they are told `Closed` when it ends.
#[repr(C, align(128))]
pub struct Notification {
    /// Common to all objects.
    pub header: Header,
    /// The bits that are set.
    pub bits: Field<u64>,
    /// Threads that wait (`Thread::queue`).
    pub waiters: ListHead,
    /// The endpoint whose receivers get the bits too (not a reference: the endpoint unbinds).
    pub endpoint: Field<Link<Endpoint>>,
    /// The timer's place in the tree of timers, by the latest time it may fire; level 0: not armed.
    pub timer: TreeLinks,
    /// The processor whose tree that is.
    pub timer_cpu: Field<CpuId>,
    /// The earliest time it may fire.
    pub timer_from_ns: Field<u64>,
    /// Bits the timer sets.
    pub timer_bits: Field<u64>,
    /// The next one that the reaper ends.
    pub next_reap: Field<u32>,
}
}
