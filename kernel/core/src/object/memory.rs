//! Memory objects.

use super::{Header, ListHead};
use crate::address::FrameNumber;
use crate::field::Field;

/// Pages. References: its capabilities, mappings, pins.
///
/// Frames are found through a radix tree of frames used as tables (512 entries of a frame number a
/// table, 0 for none), `levels` deep; a contiguous object needs none: frame = `first` + page.
#[repr(C, align(128))]
pub struct Memory {
    /// Common to all objects; the quota pays for the frames too.
    pub header: Header,
    /// Size in pages.
    pub length_pages: Field<u64>,
    /// `abi::memory::MemoryFlags` bits.
    pub flags: Field<u32>,
    /// Depth of the table tree: 0 for contiguous objects.
    pub levels: Field<u32>,
    /// The root table, or the first frame of a contiguous object.
    pub first: Field<FrameNumber>,
    /// Pages in memory.
    pub resident: Field<u32>,
    /// Pins on it: while there are any its frames stay.
    pub pins: Field<u32>,
    /// Where it is mapped (`Mapping::in_memory`).
    pub mappings: ListHead,
    /// The next page its teardown looks at.
    pub teardown: Field<u64>,
    /// 1 for frames that were not allocated but came with boot (initfs): never freed, never charged.
    pub foreign: Field<u32>,
}
