//! Accounts.

use super::{Header, ListHead, ListLinks, Notification};
use crate::arena::ArenaKind;
use crate::fields;
use crate::{Field, Link};

fields! {
/// An account of pages. A child's limit is charged to its parent whole. References: its capabilities,
/// processes, children, and the objects charged to it.
///
/// When its last reference goes, its limit goes back to its parent.
#[repr(C, align(512))]
pub struct Quota {
    /// Common to all objects; `header.quota` is the parent.
    pub header: Header,
    /// Pages it may use.
    pub limit_pages: Field<u64>,
    /// Pages it uses, its children's limits included.
    pub used_pages: Field<u64>,
    /// Its processes (`Process::in_quota`).
    pub processes: ListHead,
    /// How many they are.
    pub process_count: Field<u32>,
    /// Its children (`Quota::siblings`).
    pub children: ListHead,
    /// Its place among its parent's children.
    pub siblings: ListLinks,
    /// Who it is, unforgeable: told to servers with each message.
    pub account: Field<u64>,
    /// The first quota above it, cached for moving charges.
    pub parent: Field<Link<Quota>>,
    /// Capabilities and live processes it has. At 0 nobody can spend from it any more: it gives what it doesn't use
    /// back, and from then on its charges are its nearest living ancestor's.
    pub owners: Field<u32>,
    /// Whether that has happened.
    pub orphaned: Field<bool>,
    /// How many accounts are above it.
    pub depth: Field<u8>,
    /// Threads that it and those below it may have; 0: no limit of its own.
    pub thread_limit: Field<u32>,
    /// Threads that they have.
    pub threads: Field<u32>,
    /// Processes that it and those below it may have; 0: no limit of its own.
    pub process_limit: Field<u32>,
    /// Processes that they have.
    pub processes_below: Field<u32>,
    /// Who is told when it runs short (a reference).
    pub pressure: Field<Link<Notification>>,
    /// The bits to set.
    pub pressure_bits: Field<u64>,
    /// Below how many free pages; 0: nobody watches.
    pub pressure_free: Field<u64>,
    /// Whether that was told already.
    pub pressure_told: Field<bool>,
    /// Whether it waits for the reaper to tell that (a reference).
    pub pressed: Field<bool>,
    /// The next one that does.
    pub next_reap: Field<u32>,
    /// Objects of each kind that are charged to it.
    pub objects: [Field<u32>; ArenaKind::COUNT],
    /// Arena pages of each kind that are charged to it and have room: page number + 1.
    pub partial: [Field<u32>; ArenaKind::COUNT],
}
}
