//! Where things are: the kernel's half of every address space, and the
//! interrupt vectors.
//!
//! | from | what |
//! | --- | --- |
//! | 0xffff_8000_0000_0000 | all RAM, writable, never executable (the kernel's own image left out) |
//! | 0xffff_c000_0000_0000 | arenas of kernel objects, backed page by page |
//! | 0xffff_e000_0000_0000 | device registers the kernel uses, uncached |
//! | 0xffff_e040_0000_0000 | stacks of the processors after the first |
//! | 0xffff_ffff_8000_0000 | the kernel's image |
//!
//! Each of the four has one fixed entry in the top-level table, made at boot and copied to every
//! address space; only what is below those entries ever changes.

/// Bytes in a page.
pub const PAGE: u64 = 4096;
/// Bytes in a large page.
pub const LARGE: u64 = 2 << 20;
/// Bytes in a huge page.
pub const HUGE: u64 = 1 << 30;

/// Where physical address 0 is seen.
pub const DIRECT: u64 = 0xffff_8000_0000_0000;
/// Memory from here on is left alone: frame numbers have 31 bits (8 TiB; `PageSlot`).
pub const MEMORY_END: u64 = 8 << 40;
/// Where the arenas begin.
pub const ARENAS: u64 = 0xffff_c000_0000_0000;
/// Bytes of all arenas: one top-level entry.
pub const ARENAS_LENGTH: u64 = 512 << 30;
/// Where device registers are mapped.
pub const DEVICES: u64 = 0xffff_e000_0000_0000;
/// Where the stacks of the processors after the first are: behind the devices, a large page of addresses each.
pub const STACKS: u64 = DEVICES + (256 << 30);
/// Pages of a processor's stacks: main, NMI, double fault, machine check. Each lies above a page that is not there.
pub const STACK_PAGES: [u64; 4] = [16, 4, 4, 4];

/// One past the highest byte of stack `which` of a processor after the first.
pub fn stack_top(cpu: usize, which: usize) -> u64 {
    let pages = STACK_PAGES
        .iter()
        .take(which.wrapping_add(1))
        .fold(0u64, |sum, pages| sum.wrapping_add(*pages).wrapping_add(1));
    STACKS.wrapping_add((cpu as u64).wrapping_mul(LARGE)).wrapping_add(pages.wrapping_mul(PAGE))
}
/// Virtual address less physical address of the kernel's image as linked.
pub const IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;
/// One past the highest address user code can have (the lower canonical half).
pub const USER_LIMIT: u64 = 0x8000_0000_0000;

/// Vectors 32 to 47: where the old interrupt controllers are put out of the way.
pub const PIC_FIRST: u8 = 32;
/// Vector of interrupt id 0.
pub const INTERRUPT_FIRST: u8 = 48;
/// Interrupt ids.
pub const INTERRUPTS: usize = 160;
/// The local APIC's timer.
pub const TIMER_VECTOR: u8 = 0xf0;
/// What processors send each other.
pub const KICK_VECTOR: u8 = 0xf1;
/// The local APIC's own errors.
pub const ERROR_VECTOR: u8 = 0xfe;
/// The local APIC's spurious vector (low four bits set; SDM 3A, 11.9).
pub const SPURIOUS_VECTOR: u8 = 0xff;

/// The first byte of the page that holds an address.
pub const fn page_down(address: u64) -> u64 {
    address & !PAGE.wrapping_sub(1)
}

/// The first page border at or after an address; the last one below 2^64 for what lies past it.
pub const fn page_up(address: u64) -> u64 {
    page_down(address.saturating_add(PAGE.wrapping_sub(1)))
}
