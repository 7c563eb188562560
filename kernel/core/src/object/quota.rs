//! Accounts.

use super::{Header, ListHead, ListLinks};
use crate::arena::ArenaKind;
use crate::field::Field;
use crate::id::Link;

/// An account of pages. A child's limit is charged to its parent whole. References: its capabilities,
/// processes, children, and the objects charged to it.
///
/// When its last reference goes, its limit goes back to its parent.
#[repr(C, align(256))]
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
    /// Arena pages of each kind that are charged to it and have room: page number + 1.
    pub partial: [Field<u32>; ArenaKind::COUNT],
}
