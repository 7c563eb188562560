//! Endpoints, sessions and replies: the two sides of a call.

use super::{Header, Lease, ListHead, ListLinks, Notification, Process, Thread, TreeLinks};
use crate::field_enum;
use crate::fields;
use crate::lock::Gate;
use crate::{Field, Link};

fields! {
/// Where calls meet receivers. References: its capabilities alone; without one it is closed, queued callers are
/// told so, and it goes when its last session is gone.
#[repr(C, align(128))]
pub struct Endpoint {
    /// Common to all objects.
    pub header: Header,
    /// Threads that wait to receive, first come first served (`Thread::queue`).
    pub receivers: ListHead,
    /// Root of the tree of threads that wait to send (`Thread::sending`): key = (255 − priority) << 56
    /// | arrival, so that the smallest key is the most urgent, and the oldest of those.
    pub senders: Field<u32>,
    /// Root of the tree of its sessions (`Session::in_endpoint`), keyed by badge.
    pub sessions: Field<u32>,
    /// Sessions that ended and are not acknowledged (`Session::ended`).
    pub ended: ListHead,
    /// The ended session to tell of next in this round of telling (raw id); 0: all were told. A message
    /// delivered begins the next round, so that unacknowledged ends hide neither each other nor the calls.
    pub told: Field<u32>,
    /// Memory objects that it is the pager of (`Memory::in_pager`).
    pub paged: ListHead,
    /// Threads that ask for pages of these (`Thread::queue`), one for each page and access.
    pub requests: ListHead,
    /// The one to tell of next (raw id); 0: all were told.
    pub request_next: Field<u32>,
    /// The process that was told last, by object id.
    pub pager_process: Field<u64>,
    /// How urgent the most urgent of those is who wait for its pages: its server is no less.
    pub request_urgency: Field<u8>,
    /// Calls received from it that are not wanted any more, of which nobody was told yet (`Reply::in_cancelled`).
    pub cancelled: ListHead,
    /// Held by who goes the short way here beside other processors.
    pub gate: Gate,
    /// The thread that waits here in the plainest way, for the message path: alone, by `syscall`, without a deadline, owing no
    /// answer, inheriting from the queue, and no session has ended. None: it has to be looked at.
    pub short: Field<Link<Thread>>,
    /// The reply object of the last call that took the message path, if nothing has come since that a receive would bring.
    pub bound: Field<Link<Reply>>,
    /// The thread that received from it last: it inherits from the queue of senders (`Thread::serving`).
    pub server: Field<Link<Thread>>,
    /// Whether its last capability is gone.
    pub closed: Field<bool>,
    /// Whether all who waited at it when it was closed were told.
    pub reaped: Field<bool>,
    /// Closed: the last session whose interests were told of the hang-up, by its badge.
    pub hung_up: Field<u64>,
    /// The next endpoint to be reaped.
    pub next_reap: Field<u32>,
    /// The notification whose bits receivers get too (a reference).
    pub notification: Field<Link<Notification>>,
    /// The greatest badge ever used.
    pub last_badge: Field<u64>,
    /// The next arrival number.
    pub arrivals: Field<u64>,
}

/// A badged way into an endpoint. References: its capabilities, names bound to it, threads that send
/// through it. At 0 it has *ended*: it stays, with nothing needed to tell of it, until acknowledged.
#[repr(C, align(128))]
pub struct Session {
    /// Common to all objects.
    pub header: Header,
    /// The endpoint, which outlives its sessions.
    pub endpoint: Field<Link<Endpoint>>,
    /// The type that security rules know it by.
    pub object_type: Field<u32>,
    /// The subject label of the process that made it: inside it, no rules are asked.
    pub label: Field<u32>,
    /// What the server tells the kernel of it, unique in the endpoint: the key of this node.
    pub in_endpoint: TreeLinks,
    /// Its place in `Endpoint::ended`.
    pub ended: ListLinks,
    /// Whether it has ended.
    pub has_ended: Field<bool>,
    /// The readiness word its server sets.
    pub readiness: Field<u32>,
    /// What event queues want to know of it (`Interest::in_session`).
    pub interests: ListHead,
    /// How many that are.
    pub interest_count: Field<u32>,
    /// The threads whose faults it is told of (`Thread::in_faulters`).
    pub faulters: ListHead,
    /// How many they are.
    pub faulter_count: Field<u32>,
}
}

field_enum! {
    /// What a reply object is doing.
    pub enum ReplyState {
        /// Free: it can be given to a receive.
        Free = 0,
        /// A receiving thread holds it.
        Receiving = 1,
        /// Bound to a call that waits for its answer.
        Bound = 2,
        /// Its caller was cancelled or died: taken until the server answers or drops it.
        Cancelled = 3,
        /// Its server died or dropped it, and leases are still held below: the caller is told when they are gone.
        Dead = 4,
    }
}

fields! {
/// The right to answer one call at a time. References: its capabilities. It stays beyond the last of them
/// while leases of its call are held below (`Dead`).
#[repr(C, align(128))]
pub struct Reply {
    /// Common to all objects.
    pub header: Header,
    /// What it is doing.
    pub state: Field<ReplyState>,
    /// How many of `leases` are in use.
    pub lease_count: Field<u8>,
    /// The error number the caller is told if its server dies; 0: `Restarted`.
    pub end_error: Field<u16>,
    /// The endpoint, where its call came by the message path and nothing unusual has become of it: it lent nothing, its caller
    /// waits by `syscall` without a deadline, its receiver owes no other answer. None: it has to be looked at.
    pub short: Field<Link<Endpoint>>,
    /// The caller, while bound and alive.
    pub caller: Field<Link<Thread>>,
    /// The thread that receives with it, or received its call.
    pub receiver: Field<Link<Thread>>,
    /// The process whose end ends it: the last one that received with it, or made it.
    pub owner: Field<Link<Process>>,
    /// Receiving, bound or cancelled: the endpoint that the call is or was received from, and that one's object id (it may be gone).
    pub endpoint: Field<Link<Endpoint>>,
    /// See `endpoint`.
    pub endpoint_number: Field<u64>,
    /// Its call is not wanted any more, and nobody was told yet: why (an error number); 0: nothing to tell.
    pub cancel_reason: Field<u16>,
    /// Its place in `Endpoint::cancelled`.
    pub in_cancelled: ListLinks,
    /// Bound: its place in the receiver's tree of donors: key = (255 − caller's priority) << 56 | raw id.
    pub donating: TreeLinks,
    /// Its place in `Process::replies`.
    pub in_process: ListLinks,
    /// What the caller lent.
    pub leases: [Field<Link<Lease>>; 4],
}
}

impl Endpoint {
    /// Another thread, or none, inherits from the queue; answers who did.
    pub(crate) fn server_replace(&self, server: Link<Thread>) -> Link<Thread> {
        self.short.set(None);
        self.bound.set(None);
        self.server.replace(server)
    }
}
