//! What the kernel knows of each frame of physical memory.

use crate::field::Field;

/// One frame. Free frames are linked in the buddy lists of `mm::frames`.
#[repr(C, align(32))]
pub struct FrameInfo {
    /// Who holds it: memory objects, page tables, leases mapped or pinned, IPC buffers. 0: free, or not RAM.
    pub references: Field<u32>,
    /// Free: the order of the run it heads. 0xff: not a head, or not managed.
    pub order: Field<u8>,
    /// Whether the kernel manages it.
    pub managed: Field<bool>,
    /// Free heads: the next of the same order.
    pub next: Field<u32>,
    /// Free heads: the previous of the same order.
    pub prev: Field<u32>,
    /// Spare.
    pub reserved: [Field<u32>; 3],
}
