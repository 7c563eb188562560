//! Memory objects: pages that come on demand, runs for devices, and what came
//! with the boot.
//!
//! A demand-zero object finds its pages through a radix tree whose tables are frames; both are charged to
//! the object's account, and come when they are first needed. Only the end of the object takes pages away, a
//! few in a step of the reaper, so who holds a reference to the object can rely on its frames.

use crate::cap::reference::object;
use crate::list::InMemory;
use crate::mm::fault::Access;
use crate::object::{Mapping, Memory, Quota};
use crate::reaper::Reap;
use crate::{Field, FrameNumber, Id, Kernel, Link, Machine};
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE, USER_END};
use abi::{Error, Result};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The most pages in an object: more than fit in an address space have no use.
pub const MAX_PAGES: u64 = USER_END / PAGE_SIZE;
/// Frames that one step of the teardown lets go.
const STEP: u64 = 8;
/// Mappings of one object that are looked at for an alias; an object with more of them gets no new kind.
const ALIASES: usize = 256;

object!(Memory, Memory, |kernel, id| {
    kernel.pager_forget(id);
    kernel.refer(&kernel.memories[id].behind, None);
    kernel.reap_later(Reap::Memory(id));
});

impl Memory {
    /// Whether the object is one run of frames.
    pub fn is_run(&self) -> bool {
        self.flags.get() & MemoryFlags::CONTIGUOUS.bits() != 0
    }
}

/// A bit of an entry beside the frame's number.
const MARK: u64 = 1 << 32;

/// Where an object keeps the frame of a page; frame 0: it has none.
pub(crate) enum Place<'a> {
    /// An object of one page.
    Only(&'a Field<FrameNumber>),
    /// An entry of a table.
    Entry(&'a AtomicU64),
}

impl Place<'_> {
    pub(crate) fn get(&self) -> FrameNumber {
        match self {
            Place::Only(field) => field.get(),
            Place::Entry(entry) => FrameNumber(entry.load(Relaxed) as u32),
        }
    }

    pub(crate) fn set(&self, frame: FrameNumber) {
        match self {
            Place::Only(field) => field.set(frame),
            Place::Entry(entry) => entry.store(u64::from(frame.0), Relaxed),
        }
    }

    /// Whether an entry is marked. (What that means is the pager's.)
    pub(crate) fn is_marked(&self) -> bool {
        matches!(self, Place::Entry(entry) if entry.load(Relaxed) & MARK != 0)
    }

    /// Marks an entry, or not.
    pub(crate) fn mark(&self, marked: bool) {
        if let Place::Entry(entry) = self {
            let word = entry.load(Relaxed);
            entry.store(if marked { word | MARK } else { word & !MARK }, Relaxed);
        }
    }
}

/// Pages under one table of a height (1: its entries are pages).
fn span(height: u32) -> u64 {
    1u64.wrapping_shl(height.wrapping_mul(9))
}

/// The entry for a page in a table of a height.
fn index(page: u64, height: u32) -> usize {
    (page.wrapping_shr(height.saturating_sub(1).wrapping_mul(9)) & 511) as usize
}

impl<M: Machine> Kernel<M> {
    /// Makes an object without references. Errors: `BadArgument` (no pages, too many, flags that don't go
    /// together), `OutOfQuota`, `OutOfMemory` (no such run of frames).
    pub fn memory_new(&self, quota: Id<Quota>, length_pages: u64, flags: MemoryFlags) -> Result<Id<Memory>> {
        let id = self.memory_begin(quota, length_pages, flags)?;
        while self.memory_begin_step(id) {}
        Ok(id)
    }

    /// As [`Kernel::memory_new`], but the frames of a run are only set aside: it is of no use before
    /// [`Kernel::memory_begin_step`] answers that there is no more to do.
    pub(crate) fn memory_begin(&self, quota: Id<Quota>, length_pages: u64, flags: MemoryFlags) -> Result<Id<Memory>> {
        Error::BadArgument.when(length_pages == 0 || length_pages > MAX_PAGES || flags == MemoryFlags::BELOW_4G)?;
        let id = self.allocate_object::<Memory>(quota)?;
        let memory = &self.memories[id];
        memory.length_pages.set(length_pages);
        memory.flags.set(flags.bits());
        if flags.contains(MemoryFlags::CONTIGUOUS) {
            let low = flags.contains(MemoryFlags::BELOW_4G);
            let pages = u32::try_from(length_pages).map_err(|_| Error::OutOfMemory);
            let first = pages.and_then(|pages| self.frame_run_set_aside(quota, pages, low));
            memory.first.set(first.inspect_err(|_| self.free_object(id))?);
        } else if length_pages > 1 {
            let levels = (1..4).find(|&h| length_pages <= span(h)).unwrap_or(4);
            memory.levels.set(levels);
        }
        Ok(id)
    }

    /// Takes up and zeroes the next frame of a run that was begun; answers whether there is more to do.
    pub(crate) fn memory_begin_step(&self, id: Id<Memory>) -> bool {
        let memory = &self.memories[id];
        if !self.memory_is_begun(id) {
            return false;
        }
        let quota = memory.header.quota.get().expect("invariant: an object has an account");
        let next = memory.resident.get();
        self.frame_take_up(FrameNumber(memory.first.get().0.saturating_add(next)), quota);
        memory.resident.set(next.saturating_add(1));
        self.memory_is_begun(id)
    }

    /// Whether an object is still being made by a call that goes in steps.
    pub(crate) fn memory_is_half_made(&self, id: Id<Memory>) -> bool {
        self.memory_is_begun(id) || self.clone_is_begun(id)
    }

    /// Whether an object is a run whose frames have not all been taken up.
    pub(crate) fn memory_is_begun(&self, id: Id<Memory>) -> bool {
        let memory = &self.memories[id];
        memory.is_run() && u64::from(memory.resident.get()) < memory.length_pages.get()
    }

    /// Makes an object over frames that came with the boot: they are neither charged nor ever freed.
    /// Errors: `BadArgument`, `OutOfQuota` (the object itself), `OutOfMemory`.
    pub fn memory_foreign(&self, quota: Id<Quota>, first: FrameNumber, pages: u32) -> Result<Id<Memory>> {
        let fits = first.add(pages).is_some_and(|end| {
            first.0 > 0 && pages > 0 && self.frame_info(FrameNumber(end.0.saturating_sub(1))).is_some()
        });
        Error::BadArgument.when(!fits || !self.frames.touches_ram(u64::from(first.0), u64::from(pages)))?;
        let id = self.allocate_object::<Memory>(quota)?;
        let memory = &self.memories[id];
        memory.length_pages.set(u64::from(pages));
        memory.flags.set(MemoryFlags::CONTIGUOUS.bits());
        memory.first.set(first);
        memory.resident.set(pages);
        memory.foreign.set(1);
        Ok(id)
    }

    fn table_entry(&self, table: FrameNumber, index: usize) -> &AtomicU64 {
        self.machine.frame_words(table).get(index).expect("invariant: a table has 512 entries")
    }

    fn table_load(&self, table: FrameNumber, index: usize) -> FrameNumber {
        FrameNumber(self.table_entry(table, index).load(Relaxed) as u32)
    }

    /// The frame of a page that is in memory.
    pub fn memory_frame(&self, id: Id<Memory>, page: u64) -> Option<FrameNumber> {
        let memory = &self.memories[id];
        if page >= memory.length_pages.get() {
            return None;
        }
        if memory.is_run() {
            return memory.first.get().add(u32::try_from(page).ok()?);
        }
        self.memory_place_there(id, page).map(|place| place.get()).filter(|frame| frame.0 != 0)
    }

    /// The lowest table that a page lies under; where it has none, the first page after it that may have one.
    fn memory_table(&self, memory: &Memory, page: u64) -> core::result::Result<FrameNumber, u64> {
        let mut at = memory.first.get();
        if at.0 == 0 {
            return Err(memory.length_pages.get());
        }
        for height in (2..=memory.levels.get()).rev() {
            at = self.table_load(at, index(page, height));
            if at.0 == 0 {
                return Err((page | span(height.saturating_sub(1)).saturating_sub(1)).saturating_add(1));
            }
        }
        Ok(at)
    }

    /// The place in an object's tables that says which frame is behind a page, with the tables down to it. Not for runs.
    /// Errors: `OutOfQuota`, `OutOfMemory`.
    pub(crate) fn memory_place(&self, id: Id<Memory>, page: u64) -> Result<Place<'_>> {
        let memory = &self.memories[id];
        let quota = memory.header.quota.get().expect("invariant: an object has an account");
        let levels = memory.levels.get();
        if levels == 0 {
            return Ok(Place::Only(&memory.first));
        }
        let mut at = memory.first.get();
        if at.0 == 0 {
            at = self.frame_allocate(quota)?;
            memory.first.set(at);
        }
        // A table that was put in stays when one below it can't be had: it is charged, and the end finds it.
        for height in (2..=levels).rev() {
            let entry = self.table_entry(at, index(page, height));
            at = FrameNumber(entry.load(Relaxed) as u32);
            if at.0 == 0 {
                at = self.frame_allocate(quota)?;
                entry.store(u64::from(at.0), Relaxed);
            }
        }
        Ok(Place::Entry(self.table_entry(at, index(page, 1))))
    }

    /// The place of a page whose tables are there. Not for runs.
    pub(crate) fn memory_place_there(&self, id: Id<Memory>, page: u64) -> Option<Place<'_>> {
        let memory = &self.memories[id];
        if memory.levels.get() == 0 {
            return Some(Place::Only(&memory.first));
        }
        let table = self.memory_table(memory, page).ok()?;
        Some(Place::Entry(self.table_entry(table, index(page, 1))))
    }

    /// The page after a page, or, where that has no table, the first that may have one again.
    pub(crate) fn memory_next_table(&self, id: Id<Memory>, page: u64) -> u64 {
        self.memory_table(&self.memories[id], page).map_or_else(|next| next, |_| page.saturating_add(1))
    }

    /// The frame of a page, brought in if it isn't there; for a store, one that no other object has. Errors: `BadArgument`
    /// (no such page), `OutOfQuota`, `OutOfMemory`, and those of [`Kernel::pager_bring`].
    pub fn memory_bring(&self, id: Id<Memory>, page: u64, access: Access) -> Result<FrameNumber> {
        let memory = &self.memories[id];
        Error::BadArgument.when(page >= memory.length_pages.get())?;
        if memory.is_run() {
            return memory.first.get().add(page as u32).ok_or(Error::BadArgument);
        }
        if self.is_paged(id) {
            return self.pager_bring(id, page, access);
        }
        let place = self.memory_place(id, page)?;
        let there = place.get();
        if there.0 == 0 {
            let fresh = self.page_fresh(id, page)?;
            place.set(fresh);
            memory.resident.update(|n| n.saturating_add(1));
            return Ok(fresh);
        }
        if access == Access::Write && self.is_shared(there) {
            return self.page_unshare(id, page, there);
        }
        Ok(there)
    }

    /// One step of an object's end; answers whether it is gone.
    pub(crate) fn memory_reap_step(&self, id: Id<Memory>) -> bool {
        let memory = &self.memories[id];
        let (length, at) = (memory.length_pages.get(), memory.teardown.get());
        let first = memory.first.get();
        if memory.foreign.get() != 0 || first.0 == 0 {
            self.free_object(id);
            return true;
        }
        if memory.levels.get() == 0 {
            if self.memory_is_begun(id) {
                self.memory_put_back(id);
                return false;
            }
            let end = at.saturating_add(STEP).min(length);
            for page in at..end {
                self.memory_frame_release(FrameNumber(first.0.saturating_add(page as u32)));
            }
            memory.teardown.set(end);
            if end == length {
                self.free_object(id);
            }
            return end == length;
        }
        let table = match self.memory_table(memory, at) {
            Ok(table) => table,
            Err(next) => return self.memory_pass(id, at, next),
        };
        let end = at.saturating_add(STEP).min((at | 511).saturating_add(1)).min(length);
        for page in at..end {
            let frame = self.table_load(table, index(page, 1));
            if frame.0 != 0 {
                self.memory_frame_release(frame);
            }
        }
        self.memory_pass(id, at, end)
    }

    /// Gives back the frames of a run that were not taken up: it is as long as what was.
    fn memory_put_back(&self, id: Id<Memory>) {
        let memory = &self.memories[id];
        let (first, length, taken) = (memory.first.get().0, memory.length_pages.get(), memory.resident.get());
        self.frames.put_back(first.saturating_add(taken), first.saturating_add(length as u32));
        let quota = memory.header.quota.get().expect("invariant: an object has an account");
        self.uncharge(quota, length.saturating_sub(u64::from(taken)));
        memory.length_pages.set(u64::from(taken));
    }

    /// The teardown has dealt with the pages from `from` to `to`: tables it has left behind go.
    fn memory_pass(&self, id: Id<Memory>, from: u64, to: u64) -> bool {
        let memory = &self.memories[id];
        let done = to >= memory.length_pages.get();
        let levels = memory.levels.get();
        memory.teardown.set(to);
        for height in 1..levels {
            if !done && to & span(height).saturating_sub(1) != 0 {
                break;
            }
            // The table of this height that page `from` lies under, if there is one.
            let mut above = memory.first.get();
            for h in (height.saturating_add(2)..=levels).rev() {
                if above.0 != 0 {
                    above = self.table_load(above, index(from, h));
                }
            }
            if above.0 != 0 {
                let entry = self.table_entry(above, index(from, height.saturating_add(1)));
                let table = FrameNumber(entry.swap(0, Relaxed) as u32);
                if table.0 != 0 {
                    self.frame_release(table);
                }
            }
        }
        if done {
            self.frame_release(memory.first.get());
            self.free_object(id);
        }
        done
    }

    /// Whether giving pages of an object a protection would make some page writable through one mapping and
    /// executable through another. `except` is not looked at.
    pub fn memory_alias(&self, id: Id<Memory>, first: u64, pages: u64, to: Protection, except: Link<Mapping>) -> bool {
        let memory = &self.memories[id];
        let against = if to.contains(Protection::WRITE) && memory.executable.get() > 0 {
            Protection::EXECUTE
        } else if to.contains(Protection::EXECUTE) && memory.writable.get() > 0 {
            Protection::WRITE
        } else {
            return false;
        };
        let end = first.saturating_add(pages);
        let mut looked = 0usize;
        self.mappings.list::<InMemory>(&memory.mappings).iter().any(|other| {
            let mapping = &self.mappings[other];
            let start = mapping.offset_pages.get();
            let apart = start >= end || start.saturating_add(mapping.length_pages.get()) <= first;
            looked = looked.saturating_add(1);
            looked > ALIASES || (Some(other) != except && !apart && mapping.protection.get() & against.bits() != 0)
        })
    }
}
