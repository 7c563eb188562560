//! Endpoints, sessions and replies: the two sides of a call.

use super::{Header, Lease, ListHead, ListLinks, Notification, Process, Quota, Thread, TreeLinks};
use crate::field::Field;
use crate::field_enum;
use crate::id::Link;

/// Where calls meet receivers. References: its capabilities, its sessions, threads that wait at it.
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
    /// The ended session to tell of next, so that an unacknowledged one doesn't hide the others.
    pub told: Field<u32>,
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
    /// The endpoint (a reference).
    pub endpoint: Field<Link<Endpoint>>,
    /// The type that security rules know it by.
    pub object_type: Field<u32>,
    /// What the server tells the kernel of it, unique in the endpoint: the key of this node.
    pub in_endpoint: TreeLinks,
    /// Its place in `Endpoint::ended`.
    pub ended: ListLinks,
    /// Whether it has ended.
    pub has_ended: Field<bool>,
    /// The readiness word its server sets.
    pub readiness: Field<u32>,
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

/// The right to answer one call at a time. References: its capabilities, the thread that receives with it,
/// the call it is bound to.
#[repr(C, align(128))]
pub struct Reply {
    /// Common to all objects.
    pub header: Header,
    /// What it is doing.
    pub state: Field<ReplyState>,
    /// How many of `leases` are in use.
    pub lease_count: Field<u8>,
    /// `Dead`: the error number the caller is told.
    pub end_error: Field<u16>,
    /// The caller, while bound (a reference).
    pub caller: Field<Link<Thread>>,
    /// Receiving: the thread.
    pub receiver: Field<Link<Thread>>,
    /// The process whose end ends it: the one that made it, or it was moved to.
    pub owner: Field<Link<Process>>,
    /// Its place in `Process::replies`.
    pub in_process: ListLinks,
    /// What the caller lent.
    pub leases: [Field<Link<Lease>>; 4],
    /// Who paid for the leases' bookkeeping: the caller's quota, which may be gone before them.
    pub lease_quota: Field<Link<Quota>>,
}
