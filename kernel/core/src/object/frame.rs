//! What the kernel knows of each frame of physical memory.

use super::Quota;
use crate::fields;
use crate::{Field, Link};

fields! {
/// One frame. Free frames are linked in the buddy lists of `mm::frames`. All zero: not RAM.
#[repr(C, align(32))]
pub struct FrameInfo {
    /// Who holds it: memory objects, page tables, leases mapped or pinned, IPC buffers. 0: free, or not RAM.
    pub references: Field<u32>,
    /// Free: the order of the run it heads, plus one. 0: not the head of a free run.
    pub order: Field<u8>,
    /// The account it is charged to (a reference), until its last holder lets go. None: the kernel's own.
    pub quota: Field<Link<Quota>>,
    /// Free heads: the next of the same order.
    pub next: Field<u32>,
    /// Free heads: the previous of the same order.
    pub prev: Field<u32>,
    /// Leases pinned writable, and threads whose IPC buffer it is: while there are any it is neither executed nor shared.
    pub written: Field<u32>,
    /// Memory objects that hold it beside the first: while there are any it is copied before it is written.
    pub sharers: Field<u32>,
    /// Behind an arena page: one bit for each item in use. (`next` and `prev` are its neighbours in the account's list of
    /// pages of this kind with room: page number + 1.)
    pub used: Field<u32>,
}
}
