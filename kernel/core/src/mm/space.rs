//! Address spaces: map, unmap, protect, and their end.
//!
//! Mapping is lazy: a mapping is one record, translations come with faults, so `space_map` is short whatever
//! the length. Unmapping and protecting work in steps and can be run again. No page is ever writable and executable, nor
//! writable through one mapping and executable through another, of whatever space.

use crate::cap::reference::object;
use crate::mm::mapping::Backing;
use crate::object::{MappingKind, Quota, Space};
use crate::reaper::Reap;
use crate::{Id, Kernel, Machine};
use abi::memory::{Protection, LARGE_PAGE_SIZE, PAGE_SIZE, USER_END, USER_START};
use abi::{Error, Result};

object!(Space, AddressSpace, |kernel, id| {
    kernel.spaces[id].ending.set(true);
    kernel.reap_later(Reap::Space(id));
});

impl Space {
    /// One step of a space's end; answers whether it is gone.
    pub fn reap_step<M: Machine>(kernel: &mut Kernel<M>, id: Id<Space>) -> bool {
        if !kernel.space_empty_step(id) {
            return false;
        }
        let space = &kernel.spaces[id];
        let root = space.root.get();
        if let Some(table) = kernel.machine.take_table(root) {
            space.tables.update(|n| n.saturating_sub(1));
            kernel.frame_release(table);
            return false;
        }
        kernel.machine.space_release(root);
        kernel.machine.flush(root, None);
        kernel.frame_release(root);
        kernel.free_object(id);
        true
    }
}

/// A range of the user half, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRange {
    /// The first address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
}

impl UserRange {
    /// Whole pages. Errors: `BadArgument` (not aligned, or empty), `BadAddress` (not in the user half).
    pub fn pages(address: u64, length: u64) -> Result<UserRange> {
        Error::BadArgument.when(length == 0 || (address | length) & PAGE_SIZE.wrapping_sub(1) != 0)?;
        let end = address.checked_add(length).ok_or(Error::BadAddress)?;
        Error::BadAddress.when(address < USER_START || end > USER_END)?;
        Ok(UserRange { start: address, end })
    }
}

impl<M: Machine> Kernel<M> {
    /// Makes an empty address space without references. Errors: `OutOfQuota`, `OutOfMemory`.
    pub fn space_create(&self, quota: Id<Quota>) -> Result<Id<Space>> {
        let root = self.frame_allocate(quota)?;
        let id = self.allocate_object::<Space>(quota).inspect_err(|_| self.frame_release(root))?;
        self.machine.space_create(root);
        self.spaces[id].root.set(root);
        Ok(id)
    }

    /// Maps whole pages at an address, or (0) where there is room; answers the address. Errors: `BadArgument`
    /// (writable and executable, unaligned, empty), `BadAddress` (not in the user half), `NoRight` (more than
    /// `limit`), `Exists`, `Busy` (would alias writable and executable), `Closed` (the space is ending),
    /// `OutOfQuota`, `OutOfMemory`.
    pub fn space_enter(
        &self,
        space: Id<Space>,
        address: u64,
        pages: u64,
        backing: Backing,
        protection: Protection,
        limit: Protection,
    ) -> Result<u64> {
        Error::BadArgument.when(protection.contains(Protection::WRITE | Protection::EXECUTE) || pages == 0)?;
        Error::NoRight.when(!limit.contains(protection))?;
        Error::Closed.when(self.spaces[space].ending.get())?;
        if let Some((memory, first)) = backing.memory() {
            Error::Busy.when(self.memory_alias(memory, first, pages, protection, None))?;
        }
        let start = self.space_place(space, address, pages, backing)?;
        self.mapping_new(space, start, pages, backing, protection, limit)?;
        Ok(start)
    }

    /// Where a mapping goes: the address asked for if it is free, or (0) one of the kernel's choice.
    pub(crate) fn space_place(&self, space: Id<Space>, address: u64, pages: u64, backing: Backing) -> Result<u64> {
        if address == 0 {
            let physical = match backing {
                Backing::Device(page) => Some(page),
                Backing::Memory(id, page) if self.memories[id].is_run() => {
                    Some(page.saturating_add(u64::from(self.memories[id].first.get().0)))
                }
                _ => None,
            };
            let large = physical.filter(|_| pages >= LARGE_PAGE_SIZE / PAGE_SIZE);
            return self.mapping_room(space, pages, large.map(|page| page.wrapping_mul(PAGE_SIZE)));
        }
        let length = pages.checked_mul(PAGE_SIZE).ok_or(Error::BadAddress)?;
        let range = UserRange::pages(address, length)?;
        match self.mapping_last(space, range.start, range.end) {
            Some(_) => Err(Error::Exists),
            None => Ok(range.start),
        }
    }

    /// Removes whatever is mapped in a range, until an interrupt is pending; answers whether it is done (if not:
    /// the same again). Errors: `OutOfQuota`, `OutOfMemory` (to take the middle out of a mapping makes two of it).
    pub fn space_clear(&self, space: Id<Space>, range: UserRange) -> Result<bool> {
        if let Some(id) = self.mapping_at(space, range.start) {
            let mapping = &self.mappings[id];
            if mapping.start() < range.start && mapping.end() > range.end {
                self.mapping_split(id, range.end)?;
            }
        }
        while self.space_clear_step(space, range) {
            if self.machine.interrupt_pending() {
                return Ok(false);
            }
        }
        self.mapping_room_freed(space, range.start);
        Ok(true)
    }

    /// A bounded part of [`Kernel::space_clear`]; answers whether there may be more. No mapping reaches out of the
    /// range on both sides.
    fn space_clear_step(&self, space: Id<Space>, range: UserRange) -> bool {
        let Some(id) = self.mapping_last(space, range.start, range.end) else { return false };
        let mapping = &self.mappings[id];
        let (start, end, kind) = (mapping.start(), mapping.end(), mapping.kind.get());
        if start < range.start {
            // What is behind the range's start goes; the record changes only when all of it is out.
            let mut at = range.start;
            while at < end {
                at = self.translations_clear(space, kind, at, end);
                if at < end && self.machine.interrupt_pending() {
                    return true;
                }
            }
            mapping.length_pages.set(range.start.saturating_sub(start) / PAGE_SIZE);
            return true;
        }
        let to = self.translations_clear(space, kind, start, end.min(range.end));
        self.mapping_take_front(id, to);
        true
    }

    /// Changes the protection of a range from its front on, a bounded number of pages of one mapping at a time; answers how far it
    /// came. What is done stays done: on an error too, as with `mprotect` (POSIX). Errors: `BadArgument` (writable and executable;
    /// none for borrowed pages), `BadAddress` (a hole), `NoRight` (more than the mapping's limit), `Busy` (would alias writable
    /// and executable), `OutOfQuota`, `OutOfMemory` (mappings are split at the edges).
    pub fn space_change_step(&self, space: Id<Space>, range: UserRange, to: Protection) -> Result<u64> {
        Error::BadArgument.when(to.contains(Protection::WRITE | Protection::EXECUTE))?;
        let id = self.mapping_at(space, range.start).ok_or(Error::BadAddress)?;
        let mapping = &self.mappings[id];
        let end = mapping.end().min(range.end);
        Error::NoRight.when(!mapping.limit().contains(to))?;
        Error::BadArgument.when(to.is_empty() && mapping.kind.get() == MappingKind::Lease)?;
        if mapping.protection() == to {
            return Ok(end);
        }
        let end = self.translations_reach(space, range.start, end);
        if let Some(memory) = mapping.memory.get() {
            let pages = end.saturating_sub(range.start) / PAGE_SIZE;
            Error::Busy.when(self.memory_alias(memory, mapping.page_at(range.start), pages, to, Some(id)))?;
        }
        self.mapping_give(id, range.start, end, to)?;
        self.translations_protect(space, range.start, end, to);
        Ok(end)
    }

    /// A step of emptying a space that no thread runs in any more, references or not; answers whether it is empty.
    pub fn space_empty_step(&self, space: Id<Space>) -> bool {
        self.spaces[space].ending.set(true);
        let all = UserRange { start: USER_START, end: USER_END };
        !self.space_clear_step(space, all)
    }
}
