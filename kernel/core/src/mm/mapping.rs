//! Mappings: the ranges of an address space, each with what it leads to.
//!
//! An intrusive tree a space, keyed by first address; no two overlap. A mapping holds a reference to its
//! memory object, stands in that object's list (so that W^X can be kept over all aliases), and in its
//! lease's list when it shows what a caller lent.

use crate::list::{InLease, InMemory};
use crate::object::{Lease, Mapping, MappingKind, Memory, Space};
use crate::tree::InSpace;
use crate::{Id, Kernel, Link, Machine};
use abi::memory::{Protection, LARGE_PAGE_SIZE, PAGE_SIZE};
use abi::start::layout::ANYWHERE;
use abi::{Error, Result};

/// One past the highest address that the kernel chooses by itself.
const ANYWHERE_END: u64 = 0x7000_0000_0000;
/// Mappings stepped over in search of room, before the search goes on behind the last of all.
const TRIES: usize = 32;

/// What a new mapping leads to.
#[derive(Clone, Copy, Debug)]
pub enum Backing {
    /// A memory object, from a page of it on.
    Memory(Id<Memory>, u64),
    /// Device registers, from a physical page on.
    Device(u64),
    /// Pages that were lent: they are those of a memory object, from a page of it on.
    Lease(Id<Lease>, Id<Memory>, u64),
}

impl Backing {
    /// The memory object and the first page of it.
    pub fn memory(self) -> Option<(Id<Memory>, u64)> {
        match self {
            Backing::Memory(id, page) | Backing::Lease(_, id, page) => Some((id, page)),
            Backing::Device(_) => None,
        }
    }
}

impl Mapping {
    /// The first address.
    pub fn start(&self) -> u64 {
        self.in_space.key.get()
    }
    /// One past the last address.
    pub fn end(&self) -> u64 {
        self.start().saturating_add(self.length_pages.get().saturating_mul(PAGE_SIZE))
    }
    /// What it allows now.
    pub fn protection(&self) -> Protection {
        Protection::from_bits_truncate(self.protection.get())
    }
    /// The most it may ever allow.
    pub fn limit(&self) -> Protection {
        Protection::from_bits_truncate(self.limit.get())
    }
    /// The space it is in.
    pub fn space(&self) -> Id<Space> {
        self.space.get().expect("invariant: a mapping is in a space")
    }
    /// Whether it leads to a page of its memory object.
    pub fn holds(&self, page: u64) -> bool {
        page.checked_sub(self.offset_pages.get()).is_some_and(|behind| behind < self.length_pages.get())
    }
    /// The address that leads to a page of its memory object.
    pub fn address_of(&self, page: u64) -> u64 {
        self.start().saturating_add(page.wrapping_sub(self.offset_pages.get()).saturating_mul(PAGE_SIZE))
    }
    /// The page of the memory object, or of physical address space, that an address in it leads to.
    pub fn page_at(&self, address: u64) -> u64 {
        self.offset_pages.get().saturating_add(address.saturating_sub(self.start()) / PAGE_SIZE)
    }
}

impl<M: Machine> Kernel<M> {
    /// The mapping that holds an address.
    pub fn mapping_at(&self, space: Id<Space>, address: u64) -> Option<Id<Mapping>> {
        self.mapping_last(space, address, address.checked_add(1)?)
    }

    /// The last mapping that has a page in a range.
    pub(crate) fn mapping_last(&self, space: Id<Space>, start: u64, end: u64) -> Option<Id<Mapping>> {
        let id = self.mappings.tree::<InSpace>(&self.spaces[space].mappings).floor(end.checked_sub(1)?)?;
        (self.mappings[id].end() > start).then_some(id)
    }

    /// Room for a mapping, with an unmapped page before and after it. `large`: where in a large page the first
    /// byte should stand. Errors: `OutOfMemory` (no room).
    pub(crate) fn mapping_room(&self, space: Id<Space>, pages: u64, large: Option<u64>) -> Result<u64> {
        let length = pages.checked_mul(PAGE_SIZE).filter(|&l| l < ANYWHERE_END).ok_or(Error::OutOfMemory)?;
        let hint = self.spaces[space].next_free.get().max(ANYWHERE);
        let behind = match self.mapping_last(space, ANYWHERE, ANYWHERE_END) {
            Some(last) => self.mappings[last].end().saturating_add(PAGE_SIZE),
            None => ANYWHERE,
        };
        for begin in [hint, behind, ANYWHERE] {
            let mut at = begin;
            for _ in 0..TRIES {
                if let Some(place) = large {
                    let lead = place.wrapping_sub(at) & LARGE_PAGE_SIZE.wrapping_sub(1);
                    at = at.saturating_add(lead);
                }
                let end = at.saturating_add(length);
                if end > ANYWHERE_END {
                    break;
                }
                match self.mapping_last(space, at.saturating_sub(PAGE_SIZE), end.saturating_add(PAGE_SIZE)) {
                    None => {
                        self.spaces[space].next_free.set(end.saturating_add(PAGE_SIZE));
                        return Ok(at);
                    }
                    Some(other) => at = self.mappings[other].end().saturating_add(PAGE_SIZE),
                }
            }
        }
        Err(Error::OutOfMemory)
    }

    /// Makes a mapping in a range that is free. Errors: `OutOfQuota`, `OutOfMemory`.
    pub(crate) fn mapping_new(
        &self,
        space: Id<Space>,
        start: u64,
        pages: u64,
        backing: Backing,
        protection: Protection,
        limit: Protection,
    ) -> Result<Id<Mapping>> {
        let quota = self.spaces[space].header.quota.get().expect("invariant: an object has an account");
        let id = self.allocate::<Mapping>(quota)?;
        let mapping = &self.mappings[id];
        mapping.space.set(Some(space));
        mapping.length_pages.set(pages);
        mapping.protection.set(protection.bits());
        mapping.limit.set(limit.bits());
        let (kind, memory, lease, page) = match backing {
            Backing::Memory(memory, page) => (MappingKind::Memory, Some(memory), None, page),
            Backing::Device(page) => (MappingKind::Device, None, None, page),
            Backing::Lease(lease, memory, page) => (MappingKind::Lease, Some(memory), Some(lease), page),
        };
        mapping.kind.set(kind);
        mapping.memory.set(memory);
        mapping.lease.set(lease);
        mapping.offset_pages.set(page);
        self.mapping_link(id, start);
        Ok(id)
    }

    fn mapping_link(&self, id: Id<Mapping>, start: u64) {
        let mapping = &self.mappings[id];
        let space = &self.spaces[mapping.space()];
        self.mappings.tree::<InSpace>(&space.mappings).insert(id, start);
        space.mapping_count.update(|n| n.saturating_add(1));
        if let Some(memory) = mapping.memory.get() {
            self.retain(memory);
            self.mappings.list::<InMemory>(&self.memories[memory].mappings).push_back(id);
            self.mapping_count_protection(memory, Protection::empty(), mapping.protection());
        }
        if let Some(lease) = mapping.lease.get() {
            self.mappings.list::<InLease>(&self.leases[lease].mappings).push_back(id);
            self.lease_hold(lease);
        }
    }

    /// There is room from an address on: the kernel's next choice may be there. (Were it always further up, a server that
    /// maps one lease after another would need page tables without end.)
    pub(crate) fn mapping_room_freed(&self, space: Id<Space>, start: u64) {
        let hint = &self.spaces[space].next_free;
        if start >= ANYWHERE && start < hint.get() {
            hint.set(start);
        }
    }

    /// Forgets a mapping whose translations are out and flushed.
    pub(crate) fn mapping_remove(&self, id: Id<Mapping>) {
        self.mapping_via_set(id, None, false);
        let mapping = &self.mappings[id];
        self.mapping_room_freed(mapping.space(), mapping.start());
        let space = &self.spaces[mapping.space()];
        self.mappings.tree::<InSpace>(&space.mappings).remove(id);
        space.mapping_count.update(|n| n.saturating_sub(1));
        let (memory, lease) = (mapping.memory.replace(None), mapping.lease.replace(None));
        let protection = mapping.protection();
        if let Some(memory) = memory {
            self.mappings.list::<InMemory>(&self.memories[memory].mappings).remove(id);
            self.mapping_count_protection(memory, protection, Protection::empty());
        }
        if let Some(lease) = lease {
            self.mappings.list::<InLease>(&self.leases[lease].mappings).remove(id);
        }
        self.free(id);
        if let Some(memory) = memory {
            self.release(memory);
        }
        if let Some(lease) = lease {
            self.lease_unhold(lease);
        }
    }

    /// Makes two of one, which nobody can tell from one. Errors: `OutOfQuota`, `OutOfMemory`.
    pub(crate) fn mapping_split(&self, id: Id<Mapping>, at: u64) -> Result<()> {
        let left = &self.mappings[id];
        let pages = left.end().saturating_sub(at) / PAGE_SIZE;
        let page = left.page_at(at);
        let backing = match (left.memory.get(), left.lease.get()) {
            (Some(memory), Some(lease)) => Backing::Lease(lease, memory, page),
            (Some(memory), None) => Backing::Memory(memory, page),
            _ => Backing::Device(page),
        };
        // The new one lies inside the old for the moment; the tree goes by first addresses alone.
        let right = self.mapping_new(left.space(), at, pages, backing, left.protection(), left.limit())?;
        self.mappings[right].inherit.set(left.inherit.get());
        self.mapping_via_set(right, Id::try_new(left.via.get() as usize), left.via_inherited.get());
        left.length_pages.update(|n| n.saturating_sub(pages));
        Ok(())
    }

    /// Gives part of a mapping another protection: it becomes a mapping of its own, or part of the one before it, where the two
    /// can't be told apart then. The translations are the caller's to change. Errors: `OutOfQuota`, `OutOfMemory`.
    pub(crate) fn mapping_give(&self, id: Id<Mapping>, from: u64, end: u64, to: Protection) -> Result<()> {
        if self.mappings[id].start() < from {
            // Part of it is left behind; what follows is the new one's.
            self.mapping_split(id, from)?;
            let id =
                self.mapping_at(self.mappings[id].space(), from).expect("invariant: it was split there a moment ago");
            return self.mapping_give(id, from, end, to);
        }
        match self.mapping_before(id, to) {
            Some(before) => {
                let pages = end.saturating_sub(from) / PAGE_SIZE;
                self.mapping_take_front(id, end);
                self.mappings[before].length_pages.update(|n| n.saturating_add(pages));
            }
            None => {
                if end < self.mappings[id].end() {
                    self.mapping_split(id, end)?;
                }
                self.mapping_set_protection(id, to);
            }
        }
        Ok(())
    }

    /// The mapping right before one that would be the same with it, if the other had this protection.
    fn mapping_before(&self, id: Id<Mapping>, protection: Protection) -> Link<Mapping> {
        let mapping = &self.mappings[id];
        let other = self.mapping_at(mapping.space(), mapping.start().checked_sub(1)?)?;
        let before = &self.mappings[other];
        let pages = before.length_pages.get();
        let same = before.kind.get() == mapping.kind.get()
            && before.memory.get() == mapping.memory.get()
            && before.lease.get() == mapping.lease.get()
            && before.offset_pages.get().saturating_add(pages) == mapping.offset_pages.get()
            && before.limit.get() == mapping.limit.get()
            && before.inherit.get() == mapping.inherit.get()
            && before.via.get() == mapping.via.get()
            && before.via_inherited.get() == mapping.via_inherited.get();
        (same && before.protection() == protection).then_some(other)
    }

    /// A bounded part of removing a mapping.
    pub(crate) fn mapping_end_step(&self, id: Id<Mapping>) {
        let mapping = &self.mappings[id];
        let to = self.translations_clear(mapping.space(), mapping.kind.get(), mapping.start(), mapping.end());
        self.mapping_take_front(id, to);
    }

    /// Takes the front off a mapping, up to an address inside it, or all of it; its translations there are out.
    pub(crate) fn mapping_take_front(&self, id: Id<Mapping>, to: u64) {
        let mapping = &self.mappings[id];
        if to == mapping.end() {
            return self.mapping_remove(id);
        }
        let pages = to.saturating_sub(mapping.start()) / PAGE_SIZE;
        self.mapping_room_freed(mapping.space(), mapping.start());
        let tree = self.mappings.tree::<InSpace>(&self.spaces[mapping.space()].mappings);
        tree.remove(id);
        mapping.offset_pages.update(|n| n.saturating_add(pages));
        mapping.length_pages.update(|n| n.saturating_sub(pages));
        tree.insert(id, to);
    }

    /// Changes what a mapping allows; the translations are the caller's to change.
    pub(crate) fn mapping_set_protection(&self, id: Id<Mapping>, to: Protection) {
        let mapping = &self.mappings[id];
        if let Some(memory) = mapping.memory.get() {
            self.mapping_count_protection(memory, mapping.protection(), to);
        }
        mapping.protection.set(to.bits());
    }

    fn mapping_count_protection(&self, memory: Id<Memory>, from: Protection, to: Protection) {
        let memory = &self.memories[memory];
        for (count, bit) in [(&memory.writable, Protection::WRITE), (&memory.executable, Protection::EXECUTE)] {
            match (from.contains(bit), to.contains(bit)) {
                (false, true) => count.update(|n| n.saturating_add(1)),
                (true, false) => count.update(|n| n.saturating_sub(1)),
                _ => {}
            }
        }
    }
}
