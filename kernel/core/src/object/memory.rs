//! Memory objects.

use super::{Header, ListHead};
use crate::address::FrameNumber;
use crate::field::Field;
use crate::fields;

fields! {
/// Pages. References: its capabilities, mappings, pins.
///
/// Frames are found through a radix tree of frames used as tables (512 entries of a frame number a
/// table, 0 for none), `levels` deep; a contiguous object needs none: frame = `first` + page. Nor does
/// one of a single page. A page once in memory stays until the object ends.
#[repr(C, align(128))]
pub struct Memory {
    /// Common to all objects; the quota pays for the frames too.
    pub header: Header,
    /// Size in pages.
    pub length_pages: Field<u64>,
    /// `abi::memory::MemoryFlags` bits.
    pub flags: Field<u32>,
    /// Depth of the table tree: 0 for contiguous objects and for single pages.
    pub levels: Field<u32>,
    /// The root table, the first frame of a contiguous object, or the only page; 0 while there is none.
    pub first: Field<FrameNumber>,
    /// Pages in memory.
    pub resident: Field<u32>,
    /// Pins on it: while there are any its frames stay.
    pub pins: Field<u32>,
    /// Where it is mapped, through leases too (`Mapping::in_memory`).
    pub mappings: ListHead,
    /// How many of these allow stores now.
    pub writable: Field<u32>,
    /// How many of these allow instruction fetches now.
    pub executable: Field<u32>,
    /// The next page its teardown looks at.
    pub teardown: Field<u64>,
    /// The next one that the reaper ends.
    pub next_reap: Field<u32>,
    /// 1 for frames that were not allocated but came with boot (initfs): never freed, never charged.
    pub foreign: Field<u32>,
}
}
