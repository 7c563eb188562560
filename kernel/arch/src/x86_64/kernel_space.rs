//! The kernel's half of every address space: built at boot, then fixed at the
//! top level.
//!
//! [`Builder`] makes the final tables while the first 4 GiB are still mapped one to one, from frames
//! taken from the memory map; [`Builder::switch`] turns them on. From then on tables are reached
//! through the direct map ([`Direct`]).

use super::layout::{page_down, page_up, ARENAS, DEVICES, DIRECT, LARGE, PAGE};
use super::paging::{self, Tables, DIRTY, GLOBAL, LEAF, NO_EXECUTE, PRESENT, ROOT, THROUGH, UNCACHED, WRITE};
use super::{early, memory_map, per_cpu};
use abi::boot::BootInfo;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use kernel_core::address::FrameNumber;
use kernel_core::machine::FrameWords;

/// The root that holds the kernel's half and nothing else; loaded while no process runs.
static KERNEL_ROOT: AtomicU32 = AtomicU32::new(0);
/// Bytes of device mappings made so far.
static DEVICES_USED: AtomicU64 = AtomicU64::new(0);

extern "C" {
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_start: u8;
    static __rodata_end: u8;
    static __data_start: u8;
    static __data_end: u8;
    static __guard_main: u8;
    static __guard_nmi: u8;
    static __guard_double_fault: u8;
    static __guard_machine_check: u8;
}

/// The kernel's own root.
pub fn kernel_root() -> FrameNumber {
    FrameNumber(KERNEL_ROOT.load(Relaxed))
}

/// Frames through the direct map.
#[derive(Clone, Copy)]
pub struct Direct;

impl Direct {
    /// Where a frame's first byte is seen.
    #[inline(always)]
    pub fn pointer(frame: FrameNumber) -> *mut u8 {
        (DIRECT | frame.address().0) as *mut u8
    }
}

impl Tables for Direct {
    #[inline(always)]
    fn table(&self, frame: FrameNumber) -> &FrameWords {
        // SAFETY: 1. every frame of RAM outside the kernel's image is in the direct map, for good;
        // 2. the address is a multiple of the page size; 3. words are atomics, so that sharing them
        // with the processor, user threads and devices is no data race.
        unsafe { &*Direct::pointer(frame).cast::<FrameWords>() }
    }
}

/// Frames one to one, before [`Builder::switch`].
struct OneToOne;

impl Tables for OneToOne {
    fn table(&self, frame: FrameNumber) -> &FrameWords {
        // SAFETY: as for `Direct`, with the one-to-one mapping of the first 4 GiB, where the builder
        // takes its frames from.
        unsafe { &*(frame.address().0 as *const FrameWords) }
    }
}

/// Makes the final tables.
pub struct Builder<'a> {
    info: &'a mut BootInfo,
    root: FrameNumber,
    huge: bool,
}

impl<'a> Builder<'a> {
    /// An empty kernel half. `huge`: the processor knows 1 GiB pages.
    pub fn new(info: &'a mut BootInfo, huge: bool) -> Builder<'a> {
        let mut builder = Builder { info, root: FrameNumber(0), huge };
        builder.root = builder.take();
        builder
    }

    /// A zeroed frame, taken for good.
    fn take(&mut self) -> FrameNumber {
        let Some(address) = memory_map::take_high(self.info, PAGE, early::MAPPED) else {
            early::refuse("no memory below 4 GiB for the kernel's page tables");
        };
        let frame = FrameNumber((address / PAGE) as u32);
        for word in OneToOne.table(frame) {
            word.store(0, Relaxed);
        }
        frame
    }

    fn enter(&mut self, virt: u64, level: u32, entry: u64) {
        while paging::enter(&OneToOne, self.root, virt, level, entry).is_err() {
            let table = self.take();
            if !paging::install(&OneToOne, self.root, virt, level, table, false) {
                early::refuse("two parts of the kernel's address space overlap");
            }
        }
    }

    fn map(&mut self, virt: u64, phys: u64, length: u64, bits: u64) {
        let mut done = 0;
        while done < length {
            let (at, to) = (virt.wrapping_add(done), phys.wrapping_add(done));
            let (level, size) = paging::fitting(at, to, length.wrapping_sub(done), self.huge);
            let leaf = if level > 0 { LEAF } else { 0 };
            self.enter(at, level, to | PRESENT | paging::ACCESSED | DIRTY | GLOBAL | leaf | bits);
            done = done.wrapping_add(size);
        }
    }

    /// All memory that the map knows, except the kernel's own image, which has mappings of its own
    /// with less rights.
    pub fn direct_map(&mut self) {
        let kernel = page_down(self.info.kernel_start);
        let kernel_end = page_up(self.info.kernel_start.wrapping_add(self.info.kernel_length));
        let mut at = 0;
        while let Some((start, stop)) = memory_map::next_memory(self.info, at) {
            // The frames that the builder takes meanwhile split regions, but they stay memory.
            for (first, last) in [(start, stop.min(kernel)), (start.max(kernel_end), stop)] {
                if first < last {
                    self.map(DIRECT | first, first, last.wrapping_sub(first), WRITE | NO_EXECUTE);
                }
            }
            at = stop;
        }
    }

    /// The kernel's image: each part with its own rights, guard pages and the start code left out.
    pub fn image(&mut self) {
        let base = super::start::image().0;
        let parts = [
            (&raw const __text_start, &raw const __text_end, 0),
            (&raw const __rodata_start, &raw const __rodata_end, NO_EXECUTE),
            (&raw const __data_start, &raw const __data_end, NO_EXECUTE | WRITE),
        ];
        let guards =
            [&raw const __guard_main, &raw const __guard_nmi, &raw const __guard_double_fault, &raw const __guard_machine_check];
        for (start, end, bits) in parts {
            let (mut at, end) = (start as u64, end as u64);
            while at < end {
                if !guards.iter().any(|guard| *guard as u64 == at) {
                    let phys = self.info.kernel_start.wrapping_add(at.wrapping_sub(base));
                    self.enter(at, 0, phys | PRESENT | paging::ACCESSED | DIRTY | GLOBAL | bits);
                }
                at = at.wrapping_add(PAGE);
            }
        }
    }

    /// The top-level entries of the arenas and of device registers, so that all address spaces share
    /// what comes below them later.
    pub fn roots(&mut self) {
        for address in [ARENAS, DEVICES] {
            let table = self.take();
            paging::install(&OneToOne, self.root, address, ROOT.wrapping_sub(1), table, false);
        }
    }

    /// Maps a device's registers, uncached; answers where they are seen.
    pub fn device(&mut self, phys: u64, length: u64) -> u64 {
        let first = page_down(phys);
        let pages = phys.wrapping_add(length).wrapping_sub(first).div_ceil(PAGE);
        // A large page further on each time: no two devices share a table by chance of rounding.
        let virt = DEVICES.wrapping_add(DEVICES_USED.fetch_add(LARGE, Relaxed));
        for page in 0..pages {
            let offset = page.wrapping_mul(PAGE);
            let entry = first.wrapping_add(offset) | PRESENT | WRITE | NO_EXECUTE | UNCACHED | THROUGH | GLOBAL;
            self.enter(virt.wrapping_add(offset), 0, entry);
        }
        virt.wrapping_add(phys.wrapping_sub(first))
    }

    /// The stacks of a processor after the first, each between pages that are not there.
    pub fn stacks(&mut self, cpu: usize) {
        for (which, pages) in super::layout::STACK_PAGES.into_iter().enumerate() {
            let top = super::layout::stack_top(cpu, which);
            for page in 1..=pages {
                let entry = self.take().address().0 | PRESENT | WRITE | NO_EXECUTE | GLOBAL | paging::ACCESSED | DIRTY;
                self.enter(top.wrapping_sub(page.wrapping_mul(PAGE)), 0, entry);
            }
        }
    }

    /// Tables for a processor that starts: the kernel's half, and one page of low memory where it lies. Made last.
    pub fn low(&mut self, page: u64) -> FrameNumber {
        let (kernel, low) = (self.root, self.take());
        for (to, from) in OneToOne.table(low).iter().zip(OneToOne.table(kernel)) {
            to.store(from.load(Relaxed), Relaxed);
        }
        self.root = low;
        self.enter(page, 0, page | PRESENT | WRITE);
        self.root = kernel;
        low
    }

    /// Turns the tables on. The one-to-one mapping ends here.
    pub fn switch(self) {
        KERNEL_ROOT.store(self.root.0, Relaxed);
        early::end();
        per_cpu::load_root(self.root);
    }
}
