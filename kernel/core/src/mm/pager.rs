//! Memory whose pages a server supplies: what a mapped file is.
//!
//! An object with a pager asks for what is absent at the pager's endpoint ([`super::page_wait`]). A page that was supplied
//! readable is *clean*: no translation of it allows stores, and the first store asks for more. One that may be written is
//! *dirty*, bit 32 of its table's entry, until the pager has taken note of what is in it and made it clean again.
//! What somebody holds besides the object (a pin, a mapped lease) is neither made clean nor taken back.

use crate::list::{InPager, Paged};
use crate::mm::fault::Access;
use crate::object::{Endpoint, Memory, Quota};
use crate::{Field, FrameNumber, Id, Kernel, Link, Machine};
use abi::memory::{MemoryFlags, PagerFlags};
use abi::{Error, Result};

/// A page that somebody wanted and that is not there: left by whoever met it for whoever can wait.
#[derive(Default)]
pub struct Wanted {
    /// The object; none: nothing is wanted.
    pub memory: Field<Link<Memory>>,
    /// The page.
    pub page: Field<u64>,
    /// Whether it is to be written.
    pub write: Field<bool>,
    /// The account that had no page left for a frame; none: no frame was wanting.
    pub short: Field<Link<Quota>>,
    /// The account for which clean pages are being searched, and the number of the search: it ends when all have been looked at.
    pub round_for: Field<Link<Quota>>,
    /// See `round_for`.
    pub round: Field<u32>,
    /// The object and the page that were brought last: what was just asked for is not taken back to make room for what it needs.
    pub brought: Field<Link<Memory>>,
    /// The page of it.
    pub brought_page: Field<u64>,
}

impl<M: Machine> Kernel<M> {
    /// Makes an object with a pager, without references. Errors: `BadArgument` (no pages, too many), `OutOfQuota`,
    /// `OutOfMemory`.
    pub(crate) fn pager_new(
        &self,
        endpoint: Id<Endpoint>,
        quota: Id<Quota>,
        key: u64,
        pages: u64,
        flags: PagerFlags,
    ) -> Result<Id<Memory>> {
        let id = self.memory_new(quota, pages, MemoryFlags::empty())?;
        let memory = &self.memories[id];
        // Entries of a table have room for what is known of a page; a lone frame number has not.
        memory.levels.update(|levels| levels.max(1));
        memory.pager.set(Some(endpoint));
        memory.pager_key.set(key);
        memory.pager_grants.set(flags.contains(PagerFlags::GRANTS));
        self.memories.list::<InPager>(&self.endpoints[endpoint].paged).push_back(id);
        self.memories.list::<Paged>(&self.paged).push_back(id);
        Ok(id)
    }

    /// Whether an object's pages come from a pager, living or not.
    pub(crate) fn is_paged(&self, id: Id<Memory>) -> bool {
        let memory = &self.memories[id];
        memory.pager.get().is_some() || memory.pager_gone.get()
    }

    /// The pager of an object is gone: what is absent stays so.
    pub(crate) fn pager_lose(&self, id: Id<Memory>) {
        let memory = &self.memories[id];
        if let Some(endpoint) = memory.pager.replace(None) {
            memory.pager_gone.set(true);
            self.memories.list::<InPager>(&self.endpoints[endpoint].paged).remove(id);
        }
    }

    /// An object ends: it is in none of the lists any more, and what was noted of it is not for the next one in its place.
    pub(crate) fn pager_forget(&self, id: Id<Memory>) {
        if self.is_paged(id) {
            self.wanted.brought.update(|last| last.filter(|last| *last != id));
            self.pager_lose(id);
            self.memories.list::<Paged>(&self.paged).remove(id);
        }
    }

    /// The frame of a page of an object with a pager, for an access. Errors: `LeaseFault` (the pager has to be asked: it is
    /// noted what for), `BadAddress` (the pager is gone).
    pub(crate) fn pager_bring(&self, id: Id<Memory>, page: u64, access: Access) -> Result<FrameNumber> {
        let memory = &self.memories[id];
        let write = access == Access::Write;
        self.wanted.brought.set(Some(id));
        self.wanted.brought_page.set(page);
        if let Some(frame) = self.memory_frame(id, page) {
            if !write || self.page_is_dirty(id, page) {
                return Ok(frame);
            }
            if memory.pager_grants.get() {
                self.page_dirty_set(id, page, true);
                return Ok(frame);
            }
        }
        Error::BadAddress.when(memory.pager.get().is_none())?;
        self.wanted.memory.set(Some(id));
        self.wanted.page.set(page);
        self.wanted.write.set(write);
        Err(Error::LeaseFault)
    }

    /// What was wanted is not waited for: the lender of a lease sees to it.
    pub(crate) fn wanted_forget(&self) {
        self.wanted.memory.set(None);
    }

    /// Supplies a page: out of an ordinary object, whose page is absent then; its frame and the charge for it move. A page that
    /// is there already may be written from now on, if that is said. Answers whether all who waited were let go on, or the same is to
    /// be done again. Errors: `BadArgument` (outside either object, or the
    /// source is a run or has a pager), `Busy` (the source is pinned), `OutOfQuota`, `OutOfMemory`.
    pub(crate) fn page_supply(
        &self,
        id: Id<Memory>,
        page: u64,
        from: Id<Memory>,
        at: u64,
        write: bool,
    ) -> Result<bool> {
        Error::BadArgument.when(page >= self.memories[id].length_pages.get())?;
        if self.memory_frame(id, page).is_none() {
            self.page_move(id, page, from, at)?;
        }
        if write && !self.page_is_dirty(id, page) {
            self.page_dirty_set(id, page, true);
        }
        Ok(self.page_waiters_go_on(id, page))
    }

    fn page_move(&self, id: Id<Memory>, page: u64, from: Id<Memory>, at: u64) -> Result<()> {
        let source = &self.memories[from];
        Error::BadArgument.when(
            source.is_run() || self.is_paged(from) || source.behind.get().is_some() || at >= source.length_pages.get(),
        )?;
        Error::Busy.when(source.pins.get() > 0)?;
        let place = self.memory_place(id, page)?;
        // As if to write: then it is the source's own.
        let frame = self.memory_bring(from, at, Access::Write)?;
        Error::Busy.when(self.frame_info(frame).is_some_and(|info| info.references.get() > 1))?;
        let payer = self.memories[id].header.quota.get().expect("invariant: an object has an account");
        self.frame_move(frame, payer)?;
        self.page_unmap(from, at);
        self.memory_place(from, at).expect("invariant: its tables are there").set(FrameNumber(0));
        source.resident.update(|n| n.saturating_sub(1));
        place.set(frame);
        self.memories[id].resident.update(|n| n.saturating_add(1));
        Ok(())
    }

    /// Whether a page may have been written since it was clean.
    pub(crate) fn page_is_dirty(&self, id: Id<Memory>, page: u64) -> bool {
        self.memory_place_there(id, page).is_some_and(|place| place.is_marked())
    }

    fn page_dirty_set(&self, id: Id<Memory>, page: u64, dirty: bool) {
        if let Some(place) = self.memory_place_there(id, page) {
            place.mark(dirty);
            self.memories[id].dirty.update(|n| if dirty { n.saturating_add(1) } else { n.saturating_sub(1) });
        }
    }

    /// Makes a page clean: no store goes through from now on, but is asked for. Answers whether it was dirty. What somebody
    /// else may be writing stays dirty.
    pub(crate) fn page_clean(&self, id: Id<Memory>, page: u64) -> bool {
        let Some(frame) = self.memory_frame(id, page) else { return false };
        if !self.page_is_dirty(id, page) {
            return false;
        }
        if self.frame_info(frame).is_some_and(|info| info.references.get() == 1) {
            self.page_dirty_set(id, page, false);
            self.page_unmap(id, page);
        }
        true
    }

    /// Takes a clean page back that nobody else holds; answers whether it went.
    pub(crate) fn page_discard(&self, id: Id<Memory>, page: u64) -> bool {
        let Some(frame) = self.memory_frame(id, page) else { return false };
        let held = self.frame_info(frame).is_none_or(|info| info.references.get() > 1);
        if held || self.page_is_dirty(id, page) {
            return false;
        }
        self.page_unmap(id, page);
        if let Some(place) = self.memory_place_there(id, page) {
            place.set(FrameNumber(0));
        }
        self.memories[id].resident.update(|n| n.saturating_sub(1));
        self.frame_release(frame);
        true
    }

    /// After a frame could not be charged, and what it was for has been given up: makes room in the account by discarding clean
    /// pages, which their pagers have still. Answers whether to try again. Never in the midst of anything: a page that is
    /// being copied or mapped has no other holder that says so.
    #[cold]
    pub(crate) fn make_room(&self) -> bool {
        let Some(quota) = self.wanted.short.replace(None) else { return false };
        loop {
            if let Some(found) = self.discard_step(quota) {
                self.wanted.round_for.set(None);
                return found;
            }
            if self.machine.interrupt_pending() {
                // The search goes on when the account is short again.
                return true;
            }
        }
    }

    /// A step of searching for clean pages of objects that an account pays for, and discarding them: whether any went; `None`: not
    /// all were looked at. A clock hand goes round in each object, and the objects take turns.
    fn discard_step(&self, quota: Id<Quota>) -> Option<bool> {
        const LOOK: u32 = 256;
        let wanted = &self.wanted;
        if wanted.round_for.get() != Some(quota) {
            wanted.round_for.set(Some(quota));
            wanted.round.update(|round| round.wrapping_add(1));
        }
        let list = self.memories.list::<Paged>(&self.paged);
        let (mut looked, mut gone) = (0u32, 0u32);
        while looked < LOOK {
            let Some(id) = list.first() else { return Some(false) };
            let memory = &self.memories[id];
            if memory.hand_round.replace(wanted.round.get()) != wanted.round.get() {
                let pays = memory.header.quota.get() == Some(quota) && memory.resident.get() != memory.dirty.get();
                memory.hand_left.set(if pays { memory.length_pages.get() } else { 0 });
            } else if memory.hand_left.get() == 0 {
                // It is the first that was looked at: once round.
                return Some(gone > 0);
            }
            while memory.hand_left.get() > 0 && looked < LOOK {
                looked = looked.saturating_add(1);
                gone = gone.saturating_add(u32::from(self.discard_next(id)));
                if gone == 8 {
                    break;
                }
            }
            if memory.hand_left.get() == 0 || gone > 0 {
                list.remove(id);
                list.push_back(id);
                looked = looked.saturating_add(4);
            }
            if gone > 0 {
                return Some(true);
            }
        }
        None
    }

    /// Looks at the next page of an object for discarding, or passes over those that have no table; whether it went.
    fn discard_next(&self, id: Id<Memory>) -> bool {
        let memory = &self.memories[id];
        let (page, length) = (memory.hand.get(), memory.length_pages.get());
        let next = self.memory_next_table(id, page).min(length);
        memory.hand.set(if next >= length { 0 } else { next });
        memory.hand_left.update(|left| left.saturating_sub(next.saturating_sub(page)));
        let asked_for = self.wanted.brought.get() == Some(id) && self.wanted.brought_page.get() == page;
        !asked_for && self.page_discard(id, page)
    }
}
