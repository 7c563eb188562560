//! Copy-on-write: memory objects that share frames until one of them is
//! written.
//!
//! A clone's tables name the frames of its source. `FrameInfo::sharers` counts the objects that hold a frame beside the
//! first; while there are any, no translation of it allows stores, and [`Kernel::memory_bring`] for a store gives the
//! writing object a frame of its own, at its own account's cost. What a device or another process may write without asking
//! (pinned, mapped by a lease, an IPC buffer) is copied at once, and so is a run, whose frames are its own for good.
//! Cloning goes in steps: a clone that is not done yet has its later pages absent, and what is touched there before its turn
//! stays as it is.
//!
//! An object with a pager shares no frames: its pages come and go as the pager likes. Its clone keeps it *behind* itself, and a
//! page that the clone does not have is copied from there when it is first touched, or asked for.

use crate::list::InMemory;
use crate::mm::fault::Access;
use crate::object::{Mapping, MappingKind, Memory, Quota};
use crate::{FrameNumber, Id, Kernel, Machine, VirtAddr};
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::{Error, Result};

/// Pages looked at in one step; the tables of the source are passed over a table at a time.
const STEP: u64 = 16;
/// Pages of those that are copied in one step at most.
const COPIES: u32 = 2;

impl<M: Machine> Kernel<M> {
    /// A fresh object, without references, to become the clone of part of another. Errors: `BadArgument` (not inside the
    /// source, no pages), `OutOfQuota`, `OutOfMemory`.
    pub(crate) fn clone_new(&self, source: Id<Memory>, quota: Id<Quota>, first: u64, pages: u64) -> Result<Id<Memory>> {
        let object = &self.memories[source];
        let end = first.checked_add(pages).ok_or(Error::BadArgument)?;
        Error::BadArgument.when(end > object.length_pages.get())?;
        let id = self.memory_new(quota, pages, MemoryFlags::empty())?;
        let clone = &self.memories[id];
        clone.cloned_from.set(object.header.object_id.get());
        clone.clone_first.set(first);
        let (behind, before) = if self.is_paged(source) {
            (Some(source), 0)
        } else {
            clone.clone_next.set(first.saturating_add(1));
            (object.behind.get(), object.behind_first.get())
        };
        if let Some(behind) = behind {
            self.refer(&clone.behind, Some(behind));
            clone.behind_first.set(before.saturating_add(first));
        }
        Ok(id)
    }

    /// A page of an object that it does not have: a copy of the one behind it, or an empty one. Errors: `OutOfQuota`,
    /// `OutOfMemory`, those of [`Kernel::pager_bring`].
    pub(crate) fn page_fresh(&self, id: Id<Memory>, page: u64) -> Result<FrameNumber> {
        let memory = &self.memories[id];
        let quota = memory.header.quota.get().expect("invariant: an object has an account");
        let Some(behind) = memory.behind.get() else { return self.frame_allocate(quota) };
        let from = self.pager_bring(behind, memory.behind_first.get().saturating_add(page), Access::Read)?;
        self.frame_copy(id, from)
    }

    /// A frame of an object's own with the same bytes. Errors: `OutOfQuota`, `OutOfMemory`.
    fn frame_copy(&self, id: Id<Memory>, from: FrameNumber) -> Result<FrameNumber> {
        let quota = self.memories[id].header.quota.get().expect("invariant: an object has an account");
        let copy = self.frame_allocate(quota)?;
        self.machine.copy(from, 0, copy, 0, PAGE_SIZE as usize);
        Ok(copy)
    }

    /// Whether an object is a clone that is still being made.
    pub(crate) fn clone_is_begun(&self, id: Id<Memory>) -> bool {
        self.memories[id].clone_next.get() != 0
    }

    /// A step of cloning; answers whether it is done. Errors: `OutOfQuota`, `OutOfMemory` (tables and copies are the clone's).
    pub(crate) fn clone_step(&self, source: Id<Memory>, clone: Id<Memory>) -> Result<bool> {
        let target = &self.memories[clone];
        let Some(from) = target.clone_next.get().checked_sub(1) else { return Ok(true) };
        let first = target.clone_first.get();
        let end = first.saturating_add(target.length_pages.get());
        let stop = from.saturating_add(STEP).min(end);
        let copies_all = self.memories[source].is_run() || self.memories[source].pins.get() > 0;
        if !copies_all {
            self.writes_stop(source, from, stop);
        }
        let mut copied = 0;
        let mut at = from;
        while at < stop {
            let page = at;
            at = at.saturating_add(1);
            let Some(frame) = self.memory_frame(source, page) else { continue };
            let own = copies_all
                || self.frame_info(frame).is_some_and(|info| info.written.get() > 0)
                || self.is_lent(source, page);
            if own && copied == COPIES {
                at = page;
                break;
            }
            let place = self.memory_place(clone, page.saturating_sub(first))?;
            if place.get().0 != 0 {
                continue;
            }
            if own {
                copied = copied.saturating_add(1);
                place.set(self.frame_copy(clone, frame)?);
            } else {
                self.frame_retain(frame);
                self.sharers_change(frame, 1);
                place.set(frame);
            }
            target.resident.update(|n| n.saturating_add(1));
        }
        let done = at >= end;
        target.clone_next.set(if done { 0 } else { at.saturating_add(1) });
        Ok(done)
    }

    fn sharers_change(&self, frame: FrameNumber, by: i32) {
        if let Some(info) = self.frame_info(frame) {
            info.sharers.update(|n| n.saturating_add_signed(by));
        }
    }

    /// Whether several objects hold a frame.
    pub(crate) fn is_shared(&self, frame: FrameNumber) -> bool {
        self.frame_info(frame).is_some_and(|info| info.sharers.get() > 0)
    }

    /// An object lets go of a frame.
    pub(crate) fn memory_frame_release(&self, frame: FrameNumber) {
        if self.is_shared(frame) {
            self.sharers_change(frame, -1);
        }
        self.frame_release(frame);
    }

    /// Whether a server has a page mapped that was lent to it: it is to go on seeing what the lender writes, and the lender
    /// what it writes.
    fn is_lent(&self, memory: Id<Memory>, page: u64) -> bool {
        self.mappings.list::<InMemory>(&self.memories[memory].mappings).iter().any(|id| {
            let mapping = &self.mappings[id];
            mapping.holds(page) && mapping.kind.get() == MappingKind::Lease
        })
    }

    /// Takes the permission to store out of all translations of some pages of an object; flushed when it returns.
    fn writes_stop(&self, memory: Id<Memory>, from: u64, end: u64) {
        for id in self.mappings.list::<InMemory>(&self.memories[memory].mappings).iter() {
            let mapping = &self.mappings[id];
            let first = mapping.offset_pages.get();
            let (a, b) = (from.max(first), end.min(first.saturating_add(mapping.length_pages.get())));
            if a >= b || mapping.kind.get() != MappingKind::Memory || !mapping.protection().contains(Protection::WRITE)
            {
                continue;
            }
            let weaker = mapping.protection().difference(Protection::WRITE);
            self.translations_protect(mapping.space(), mapping.address_of(a), mapping.address_of(b), weaker);
        }
    }

    /// A frame of its own for a page of an object that is about to be written, in place of one it shares: the same bytes; no
    /// translation leads to the old one any more. Errors: `OutOfQuota`, `OutOfMemory`.
    pub(crate) fn page_unshare(&self, id: Id<Memory>, page: u64, shared: FrameNumber) -> Result<FrameNumber> {
        let own = self.frame_copy(id, shared)?;
        self.memory_place(id, page).expect("invariant: its tables are there").set(own);
        self.page_unmap(id, page);
        self.memory_frame_release(shared);
        Ok(own)
    }

    /// Takes the translations of one page of an object out of all spaces; flushed when it returns. Leases keep theirs: these
    /// hold their frames themselves.
    pub(crate) fn page_unmap(&self, id: Id<Memory>, page: u64) {
        for mapping in self.mappings.list::<InMemory>(&self.memories[id].mappings).iter() {
            let mapping = &self.mappings[mapping];
            if !mapping.holds(page) || mapping.kind.get() != MappingKind::Memory {
                continue;
            }
            let root = self.spaces[mapping.space()].root.get();
            if let Some((_, flush)) = self.machine.unmap(root, VirtAddr(mapping.address_of(page))) {
                flush.now(&self.machine);
            }
        }
    }

    /// What a translation of a page of an object may allow: stores only where the frame is its own, and, with a pager, where
    /// the pager lets it be written.
    pub(crate) fn page_protection(&self, id: Id<Memory>, page: u64, frame: FrameNumber, to: Protection) -> Protection {
        let is_clean = self.is_paged(id) && !self.page_is_dirty(id, page);
        if !is_clean && !self.is_shared(frame) {
            return to;
        }
        // What can be written can be read: a mapping for stores alone is one for loads now.
        to.difference(Protection::WRITE) | Protection::READ
    }

    /// The same for a page of a mapping.
    pub(crate) fn protection_within(&self, id: Id<Mapping>, at: u64, frame: FrameNumber, to: Protection) -> Protection {
        let mapping = &self.mappings[id];
        match mapping.memory.get().filter(|_| mapping.kind.get() == MappingKind::Memory) {
            Some(memory) if !to.is_empty() => self.page_protection(memory, mapping.page_at(at), frame, to),
            _ => to,
        }
    }
}
