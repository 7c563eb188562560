//! Runs of physical pages that stay when the firmware goes.
//!
//! They are told to the kernel as taken, one by one, because the firmware's map calls them loader
//! data like everything else of ours. Never given back: a loader that fails returns to firmware
//! that is about to start something else or to be reset.
#![allow(unsafe_code, reason = "pages come from the firmware as bare addresses")]

use super::failure::Failure;
use ::boot::tables::Table;
use ::boot::{IDENTITY_END, LARGE_PAGE, PAGE};
use abi::boot::BootInfo;
use core::ptr::NonNull;
use core::slice;
use uefi::boot::{self, AllocateType, MemoryType};

/// A run of pages below [`IDENTITY_END`], zeroed, owned by this value alone.
pub struct Pages {
    start: NonNull<u8>,
    count: u64,
}

/// Bytes in `count` pages; counts come from checked lengths of at most 1 GiB.
const fn bytes_of(count: u64) -> usize {
    count.saturating_mul(PAGE) as usize
}

fn allocate(how: AllocateType, count: u64) -> uefi::Result<NonNull<u8>> {
    boot::allocate_pages(how, MemoryType::LOADER_DATA, count as usize)
}

impl Pages {
    /// Takes over a run the firmware just allocated.
    ///
    /// # Safety
    ///
    /// `count` pages from `start` on were allocated by the firmware, below [`IDENTITY_END`], and
    /// nothing else refers to them.
    unsafe fn take(start: NonNull<u8>, count: u64) -> Pages {
        // SAFETY: 1. the run is ours (this function's contract); 2. the firmware maps all memory one
        // to one and writable while boot services run (UEFI 2.10, 2.3.4).
        unsafe { start.as_ptr().write_bytes(0, bytes_of(count)) };
        Pages { start, count }
    }

    /// Any pages.
    pub fn new(count: u64) -> Result<Pages, Failure> {
        let how = AllocateType::MaxAddress(IDENTITY_END.saturating_sub(1));
        let start = allocate(how, count).map_err(|e| Failure::firmware("memory for the kernel", &e))?;
        // SAFETY: just allocated, with this count, below the limit.
        Ok(unsafe { Pages::take(start, count) })
    }

    /// Pages for the kernel's image: where it wants to lie, or as far into a large page elsewhere.
    pub fn for_kernel(physical: u64, count: u64) -> Result<Pages, Failure> {
        // Address 0 can't be told from "anywhere", and page 0 is not for kernels anyway.
        let wanted = Some(physical).filter(|&p| p != 0 && p.saturating_add(bytes_of(count) as u64) <= IDENTITY_END);
        if let Some(Ok(start)) = wanted.map(|physical| allocate(AllocateType::Address(physical), count)) {
            // SAFETY: just allocated, with this count, below the limit.
            return Ok(unsafe { Pages::take(start, count) });
        }
        let spare = LARGE_PAGE / PAGE;
        let run = Pages::new(count.saturating_add(spare))?;
        let inside = LARGE_PAGE.wrapping_sub(1);
        let skip = (physical & inside).wrapping_sub(run.address() & inside) & inside;
        // SAFETY: 1. `skip` is below a large page, and the run is a large page longer than `count`;
        // 2. the rest of the run is never referred to again.
        Ok(unsafe { Pages::take(run.start.add(skip as usize), count) })
    }

    /// Where the run begins.
    pub fn address(&self) -> u64 {
        self.start.as_ptr() as u64
    }

    /// Pages in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// One past its last byte.
    pub fn end(&self) -> u64 {
        self.address().saturating_add(bytes_of(self.count) as u64)
    }

    /// Its memory.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: 1. the run belongs to this value alone, which is borrowed as long as the slice;
        // 2. it was initialised by `take`; 3. it is shorter than `isize::MAX`.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), bytes_of(self.count)) }
    }

    /// Its memory as page tables.
    pub fn tables(&mut self) -> &mut [Table] {
        // SAFETY: as in `bytes`; and 4. a table is exactly a page, and pages are aligned for it;
        // 5. every pattern of bits is a table.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.count as usize) }
    }

    /// Its memory as an empty boot information, for good.
    pub fn boot_info(self) -> Result<&'static mut BootInfo, Failure> {
        if bytes_of(self.count) < size_of::<BootInfo>() {
            return Err(Failure::because("the boot information", "does not fit its pages"));
        }
        let place = self.start.cast::<BootInfo>().as_ptr();
        // SAFETY: 1. the run is long enough (just checked) and page-aligned; 2. it is ours alone, and
        // this call consumes the only value that refers to it; 3. it is never given back.
        unsafe {
            place.write(BootInfo::EMPTY);
            Ok(&mut *place)
        }
    }
}
