//! Event queues: what many sessions are ready for, in one place.

use super::{Header, ListHead, ListLinks, Notification, Session, TreeLinks};
use crate::fields;
use crate::{Field, Link};

fields! {
/// A bounded queue of readiness events. References: its capabilities. Threads that wait, or were woken and have not
/// come back yet, hold none: it lets go of them when it ends.
#[repr(C, align(128))]
pub struct EventQueue {
    /// Common to all objects.
    pub header: Header,
    /// The most interests it can have.
    pub capacity: Field<u32>,
    /// How many it has.
    pub count: Field<u32>,
    /// Root of the tree of its interests (`Interest::in_queue`), by key.
    pub interests: Field<u32>,
    /// Interests with something to tell (`Interest::pending`), first come first served.
    pub pending: ListHead,
    /// Threads that wait (`Thread::queue`).
    pub waiters: ListHead,
    /// Threads that were woken for an event and have not come back for it yet (`Thread::woken`).
    pub woken: ListHead,
    /// Whether its last reference is gone.
    pub ending: Field<bool>,
    /// The notification that is told when it comes to hold an event (a reference).
    pub notification: Field<Link<Notification>>,
    /// The next one that the reaper ends.
    pub next_reap: Field<u32>,
    /// The bits to set.
    pub bits: Field<u64>,
}

/// What a queue wants to know of one session. It keeps no session alive: a session that ends lets go of it and has it
/// tell of the hang-up.
#[repr(C, align(128))]
pub struct Interest {
    /// Its place in the queue's tree; the key is the holder's.
    pub in_queue: TreeLinks,
    /// The queue.
    pub event_queue: Field<Link<EventQueue>>,
    /// The session (not a reference); none: it has ended.
    pub session: Field<Link<Session>>,
    /// The capability that it was made with (raw id; 0: none, or that one ended).
    pub via: Field<u32>,
    /// Whether it came to that capability from a child that was closed.
    pub via_inherited: Field<bool>,
    /// Its place in `Session::interests`.
    pub in_session: ListLinks,
    /// Its place in `EventQueue::pending`.
    pub pending: ListLinks,
    /// Whether it is in that list.
    pub is_pending: Field<bool>,
    /// `abi::event::Mode`.
    pub mode: Field<u8>,
    /// Once: whether it has yet to tell.
    pub armed: Field<bool>,
    /// The bits it wants to hear of.
    pub mask: Field<u32>,
    /// Edges that were not told yet.
    pub edges: Field<u32>,
}
}
