//! Address spaces and the mappings in them.

use super::{Header, Lease, ListLinks, Memory, TreeLinks};
use crate::{field_enum, fields};
use crate::{Field, FrameNumber, Link};

field_enum! {
    /// What a mapping leads to.
    pub enum MappingKind {
        /// A memory object of the mapper's own.
        Memory = 0,
        /// Device registers.
        Device = 1,
        /// Pages that a caller lent: the translation of each holds its frame by a reference.
        Lease = 2,
    }
}

fields! {
/// An address space. References: its capabilities, its process, leases out of it.
#[repr(C, align(128))]
pub struct Space {
    /// Common to all objects; the quota pays for the page tables too.
    pub header: Header,
    /// The page-table root.
    pub root: Field<FrameNumber>,
    /// Page-table frames below the root.
    pub tables: Field<u32>,
    /// Root of the tree of mappings (`Mapping::in_space`), keyed by start address.
    pub mappings: Field<u32>,
    /// How many they are.
    pub mapping_count: Field<u32>,
    /// Where the search for room begins when a mapping's address is left to the kernel; 0 stands for the lowest.
    pub next_free: Field<u64>,
    /// The next one that the reaper ends.
    pub next_reap: Field<u32>,
    /// Whether its end has begun: nothing more is mapped.
    pub ending: Field<bool>,
}

/// One mapped range.
#[repr(C, align(256))]
pub struct Mapping {
    /// Its place in its space; the key is its first address.
    pub in_space: TreeLinks,
    /// The space.
    pub space: Field<Link<Space>>,
    /// Pages.
    pub length_pages: Field<u64>,
    /// What is mapped (a reference); none for device registers.
    pub memory: Field<Link<Memory>>,
    /// First page in the memory object; for device registers, the first physical page.
    pub offset_pages: Field<u64>,
    /// What it allows now.
    pub protection: Field<u8>,
    /// What it may allow at most (the rights of the capability it was mapped with).
    pub limit: Field<u8>,
    /// What it leads to.
    pub kind: Field<MappingKind>,
    /// What a clone of the space gets: `abi::memory::Inherit`.
    pub inherit: Field<u8>,
    /// The capability it was made with (raw id; 0: none, or it ended): its place there is `in_via`.
    pub via: Field<u32>,
    /// Whether it came to that capability from a child that was closed.
    pub via_inherited: Field<bool>,
    /// Its place in `Cap::uses`.
    pub in_via: ListLinks,
    /// The lease mapped.
    pub lease: Field<Link<Lease>>,
    /// Its place in `Memory::mappings` (not of device registers).
    pub in_memory: ListLinks,
    /// Its place in `Lease::mappings` .
    pub in_lease: ListLinks,
}
}
