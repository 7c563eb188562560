//! Pages, protections and the user half of an address space.

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;
/// Bytes in a large page.
pub const LARGE_PAGE_SIZE: u64 = 2 << 20;
/// The lowest address that can be mapped: null and its neighbourhood never are.
pub const USER_START: u64 = 0x1_0000;
/// One past the highest user address (the last page below the canonical hole stays unmapped, so
/// that a `syscall` at the very end can't return to a non-canonical address; SDM 4.3.3, AMD 24593).
pub const USER_END: u64 = 0x7fff_ffff_f000;

bitflags::bitflags! {
    /// What a mapping allows. Writable and executable together is refused (W^X).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Protection: u8 {
        /// Loads.
        const READ = 1;
        /// Stores; implies loads on this architecture.
        const WRITE = 2;
        /// Instruction fetches.
        const EXECUTE = 4;
    }
}

bitflags::bitflags! {
    /// How a Memory with a pager behaves.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct PagerFlags: u32 {
        /// The kernel lets pages be written without asking, and only notes that they are dirty.
        const GRANTS = 1;
    }
}

/// What a clone of an address space gets of a mapping: bits 8 and 9 of `space_map`'s protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Inherit {
    /// A copy-on-write copy.
    Copy = 0,
    /// The same memory.
    Share = 1,
    /// Nothing.
    Nothing = 2,
}

impl Inherit {
    /// Where it stands in a protection word.
    pub const SHIFT: u32 = 8;
    /// From its number.
    pub const fn from_number(number: u8) -> Option<Inherit> {
        match number {
            0 => Some(Inherit::Copy),
            1 => Some(Inherit::Share),
            2 => Some(Inherit::Nothing),
            _ => None,
        }
    }
}

bitflags::bitflags! {
    /// How the pages of a new memory object come to be.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct MemoryFlags: u32 {
        /// One run of frames, allocated now and zeroed: for devices. Else pages come on demand.
        const CONTIGUOUS = 1;
        /// Frames below 4 GiB: for devices with 32 address bits. Only with `CONTIGUOUS`.
        const BELOW_4G = 2;
    }
}
