//! Address spaces and the mappings in them.

use super::{Header, Lease, ListLinks, Memory, Process, TreeLinks};
use crate::address::FrameNumber;
use crate::field::Field;
use crate::id::Link;

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
    /// The process that runs in it.
    pub process: Field<Link<Process>>,
    /// Where the next mapping without an address goes.
    pub next_free: Field<u64>,
    /// Whether its end has begun: nothing more is mapped.
    pub ending: Field<bool>,
}

/// One mapped range.
#[repr(C, align(128))]
pub struct Mapping {
    /// Its place in its space; the key is its first address.
    pub in_space: TreeLinks,
    /// The space.
    pub space: Field<Link<Space>>,
    /// Pages.
    pub length_pages: Field<u64>,
    /// What is mapped (a reference); none for device registers and leases.
    pub memory: Field<Link<Memory>>,
    /// First page in the memory object; for device registers, the first physical page.
    pub offset_pages: Field<u64>,
    /// What it allows now.
    pub protection: Field<u8>,
    /// What it may allow at most (the rights of the capability it was mapped with).
    pub limit: Field<u8>,
    /// 0: memory, 1: device registers, 2: a lease (each page's frame is held by a reference).
    pub kind: Field<u8>,
    /// The lease mapped, for kind 2.
    pub lease: Field<Link<Lease>>,
    /// Its place in `Memory::mappings` (kind 0).
    pub in_memory: ListLinks,
    /// Its place in `Lease::mappings` (kind 2).
    pub in_lease: ListLinks,
}
