//! Translations: what the page tables say, entered and taken out for the
//! mappings above them.
//!
//! Page tables are a cache of the mappings: any translation of memory or of device registers can be taken
//! out and comes back with the next fault. Those of leases can't: they hold their frames.

use crate::machine::{Flush, FlushBatch, Machine, Scan, Translation};
use crate::object::{MappingKind, Space};
use crate::{FrameNumber, Id, Kernel, VirtAddr};
use abi::memory::{Protection, LARGE_PAGE_SIZE, PAGE_SIZE};
use abi::{Error, Result};

/// Translations taken out in one step.
pub(crate) const STEP: usize = 32;
/// Empty tables passed over in one step.
const EMPTY: usize = 16;

/// Flushes of one root: one page alone is flushed alone, more of them all at once.
#[derive(Default)]
pub(crate) struct Flushes {
    one: Option<Flush>,
    many: FlushBatch,
    some: bool,
}

impl Flushes {
    pub(crate) fn add(&mut self, flush: Flush) {
        if !self.some {
            self.some = true;
            self.one = Some(flush);
        } else {
            if let Some(first) = self.one.take() {
                first.batch(&mut self.many);
            }
            flush.batch(&mut self.many);
        }
    }

    pub(crate) fn now<M: Machine>(self, machine: &M) {
        match self.one {
            Some(flush) => flush.now(machine),
            None => self.many.now(machine),
        }
    }
}

impl Translation {
    /// The frame behind an address that this translation is for.
    pub fn frame_of(&self, address: VirtAddr) -> Option<FrameNumber> {
        let inside = if self.large { address.page().0 & LARGE_PAGE_SIZE.wrapping_sub(1) } else { 0 };
        crate::address::PhysAddr(self.address.0.wrapping_add(inside)).frame()
    }
}

impl<M: Machine> Kernel<M> {
    /// Enters a translation where none is, with the tables it takes. Errors: `OutOfQuota`, `OutOfMemory`.
    pub(crate) fn translation_enter(&self, space: Id<Space>, page: VirtAddr, to: Translation) -> Result<()> {
        let space = &self.spaces[space];
        let quota = space.header.quota.get().expect("invariant: an object has an account");
        let root = space.root.get();
        // Below the root there are at most three tables.
        for _ in 0..4 {
            if self.machine.map(root, page, to).is_ok() {
                return Ok(());
            }
            let table = self.frame_allocate(quota)?;
            self.machine.install_table(root, page, table, to.large);
            space.tables.update(|n| n.saturating_add(1));
        }
        Err(Error::OutOfMemory)
    }

    /// Takes out the translations of a range of one mapping, a bounded number of them; answers how far it came.
    /// Flushed when it returns; frames that translations of leases held are let go after that.
    pub(crate) fn translations_clear(&self, space: Id<Space>, kind: MappingKind, from: u64, end: u64) -> u64 {
        let root = self.spaces[space].root.get();
        let mut held = [FrameNumber(0); STEP];
        let mut places = held.iter_mut();
        let mut flushes = Flushes::default();
        let mut empty = 0usize;
        let mut at = from;
        while at < end && empty < EMPTY {
            match self.machine.next_translation(root, VirtAddr(at), VirtAddr(end)) {
                Scan::Clear(to) => {
                    at = to.0.max(at.saturating_add(PAGE_SIZE));
                    empty = empty.saturating_add(1);
                }
                Scan::Found(page) => {
                    let Some(place) = places.next() else { break };
                    let mut size = PAGE_SIZE;
                    if let Some((translation, flush)) = self.machine.unmap(root, page) {
                        flushes.add(flush);
                        if translation.large {
                            size = LARGE_PAGE_SIZE;
                        }
                        if kind == MappingKind::Lease {
                            *place = translation.frame_of(page).expect("invariant: leases lead to frames");
                        }
                    }
                    at = (page.0 & !size.wrapping_sub(1)).saturating_add(size);
                }
            }
        }
        flushes.now(&self.machine);
        for frame in held.into_iter().filter(|frame| frame.0 != 0) {
            self.frame_release(frame);
        }
        at.min(end)
    }

    /// How far from `from` a bounded number of translations reaches: a quarter of those that are taken out in a step, since the
    /// mapping is looked up for each.
    pub(crate) fn translations_reach(&self, space: Id<Space>, from: u64, end: u64) -> u64 {
        let root = self.spaces[space].root.get();
        let (mut at, mut found, mut empty) = (from, 0usize, 0usize);
        while at < end && found < STEP / 4 && empty < EMPTY {
            match self.machine.next_translation(root, VirtAddr(at), VirtAddr(end)) {
                Scan::Clear(to) => {
                    at = to.0.max(at.saturating_add(PAGE_SIZE));
                    empty = empty.saturating_add(1);
                }
                Scan::Found(page) => {
                    let large = self.machine.translate(root, page).is_some_and(|t| t.large);
                    let size = if large { LARGE_PAGE_SIZE } else { PAGE_SIZE };
                    at = (page.0 & !size.wrapping_sub(1)).saturating_add(size);
                    found = found.saturating_add(1);
                }
            }
        }
        at.min(end)
    }

    /// Gives the translations of a range another protection. A large page that reaches out of the range, and
    /// whatever becomes inaccessible or executable, is taken out instead: the next fault looks at it anew.
    pub(crate) fn translations_protect(&self, space: Id<Space>, from: u64, end: u64, to: Protection) {
        let root = self.spaces[space].root.get();
        let mut flushes = Flushes::default();
        let mut at = from;
        while at < end {
            let page = match self.machine.next_translation(root, VirtAddr(at), VirtAddr(end)) {
                Scan::Clear(to) => {
                    at = to.0.max(at.saturating_add(PAGE_SIZE));
                    continue;
                }
                Scan::Found(page) => page,
            };
            let there = self.machine.translate(root, page);
            let large = there.is_some_and(|t| t.large);
            // A frame that other objects hold too is not written through any translation.
            let frame = there.filter(|t| !t.device).and_then(|t| t.frame_of(page));
            let to = match (frame, self.mapping_at(space, page.0)) {
                (Some(frame), Some(id)) => self.protection_within(id, page.0, frame, to),
                _ => to,
            };
            let size = if large { LARGE_PAGE_SIZE } else { PAGE_SIZE };
            let block = page.0 & !size.wrapping_sub(1);
            let whole = block >= from && block.saturating_add(size) <= end;
            if to.is_empty() || to.contains(Protection::EXECUTE) || !whole {
                if let Some((_, flush)) = self.machine.unmap(root, page) {
                    flushes.add(flush);
                }
            } else if let Some(flush) = self.machine.protect(root, page, to) {
                flushes.add(flush);
            }
            at = block.saturating_add(size);
        }
        flushes.now(&self.machine);
    }
}
