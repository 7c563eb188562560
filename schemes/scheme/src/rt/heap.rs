//! The heap: a two-level segregated fit (crate `rlsf`) that grows by Memory
//! objects.
//!
//! It begins at `layout::HEAP` and grows upward in steps, each a new Memory charged to the process's
//! account, so a server that keeps little holds little. Freed memory stays with the heap.

use super::{calls, syscall};
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::start::layout;
use abi::Handle;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use rlsf::Tlsf;
use spin::Mutex;

/// The least the heap grows by.
const STEP: usize = 64 * 1024;

struct Heap {
    pool: Tlsf<'static, u32, u32, 30, 16>,
    end: u64,
}

struct Shared(Mutex<Heap>);

#[global_allocator]
static HEAP: Shared = Shared(Mutex::new(Heap { pool: Tlsf::new(), end: layout::HEAP }));

impl Heap {
    /// Adds at least `length` bytes to the pool.
    fn grow(&mut self, length: usize) -> Option<()> {
        // The pool looks for a block among those of the next greater size class, up to a sixteenth above what is asked
        // for, and needs room for its own headers.
        let length = length
            .checked_add(length / 8)?
            .checked_add(PAGE_SIZE as usize)?
            .max(STEP)
            .checked_next_multiple_of(PAGE_SIZE as usize)?;
        let pages = length as u64 / PAGE_SIZE;
        let memory = calls::memory_create(Handle::SELF_QUOTA, pages, MemoryFlags::empty()).ok()?;
        let access = u64::from((Protection::READ | Protection::WRITE).bits());
        // SAFETY: the range from `end` up is the heap's alone; the kernel refuses one that is taken.
        let at = unsafe { syscall::space_map(Handle::SELF_SPACE, memory, self.end, 0, length as u64, access) };
        calls::close(memory);
        let at = at.ok()?;
        let block = NonNull::slice_from_raw_parts(NonNull::new(at as *mut u8)?, length);
        // SAFETY: the block is fresh memory of ours, never unmapped; it lies right behind the last one, which is no
        // matter: `append_free_block_ptr` is not used, each block stands alone.
        unsafe { self.pool.insert_free_block_ptr(block) };
        self.end += length as u64;
        Some(())
    }
}

// SAFETY: (1) the pool is locked for each operation; (2) it hands out blocks of its own memory that fit the layout.
unsafe impl GlobalAlloc for Shared {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut heap = self.0.lock();
        if let Some(block) = heap.pool.allocate(layout) {
            return block.as_ptr();
        }
        let grown = layout.size().checked_add(layout.align()).and_then(|length| heap.grow(length));
        match grown.and_then(|()| heap.pool.allocate(layout)) {
            Some(block) => block.as_ptr(),
            None => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(pointer) = NonNull::new(pointer) {
            // SAFETY: it came from `alloc` with this layout.
            unsafe { self.0.lock().pool.deallocate(pointer, layout.align()) }
        }
    }
}
