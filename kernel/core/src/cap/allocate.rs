//! Objects out of arenas: each arena page belongs to one account and is
//! charged whole.
//!
//! An account keeps, for each kind, the list of its pages with room (`Quota::partial`). A page whose last
//! item ends is taken from behind the arena and its frame goes back to the pool, so nothing a process
//! made of one kind stays behind to starve another kind.

use crate::address::FrameNumber;
use crate::arena::{Arena, ArenaKind, PageSlot};
use crate::id::Id;
use crate::kernel::{InKernel, Kernel};
use crate::machine::Machine;
use crate::mm::frames::{chain, unchain};
use crate::object::{FrameInfo, Object, Quota};
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// A zeroed item, charged to an account. Errors: `OutOfQuota`, `OutOfMemory`.
    pub fn allocate<T: InKernel>(&self, quota: Id<Quota>) -> Result<Id<T>> {
        let arena = self.arena::<T>();
        let partial = self.partial::<T>(quota);
        let page = match partial.get() {
            0 => self.page_take(arena, quota)?,
            head => head.wrapping_sub(1),
        };
        let info = page_info(arena, page);
        let bit = free_bit(info, Arena::<T>::PER_PAGE).expect("invariant: a page in the list has room");
        set_bit(info, bit, true);
        if free_bit(info, Arena::<T>::PER_PAGE).is_none() {
            self.partial_remove(arena, quota, page);
        }
        self.objects_count::<T>(quota).update(|n| n.saturating_add(1));
        let index = (page as usize).wrapping_mul(Arena::<T>::PER_PAGE).wrapping_add(bit as usize);
        let id = Id::try_new(index).expect("invariant: page 0 is never used");
        arena[id].clear();
        Ok(id)
    }

    /// Gives an item back, and its page when it was the last one there.
    pub fn free<T: InKernel>(&self, id: Id<T>) {
        let arena = self.arena::<T>();
        let (page, bit) = Arena::place(id);
        let (page, bit) = (page as u32, bit as u32);
        let info = page_info(arena, page);
        let quota = info.quota.get().expect("invariant: a page in use is charged to an account");
        if free_bit(info, Arena::<T>::PER_PAGE).is_none() {
            self.partial_add(arena, quota, page);
        }
        set_bit(info, bit, false);
        self.objects_count::<T>(quota).update(|n| n.saturating_sub(1));
        if info.used.get() == 0 {
            self.partial_remove(arena, quota, page);
            self.page_give(arena, page);
        }
    }

    /// A zeroed object with a number of its own and no reference yet, charged to an account, which it keeps
    /// alive. Errors: `OutOfQuota`, `OutOfMemory`.
    pub fn allocate_object<T: Object>(&self, quota: Id<Quota>) -> Result<Id<T>> {
        let id = self.allocate::<T>(quota)?;
        let header = self.arena::<T>()[id].header();
        header.object_id.set(self.fresh_object_id());
        header.quota.set(Some(quota));
        self.retain(quota);
        Ok(id)
    }

    /// Gives an object back that nothing names any more, and lets its account go.
    pub fn free_object<T: Object>(&self, id: Id<T>) {
        let header = self.arena::<T>()[id].header();
        header.object_id.set(0);
        let quota = header.quota.replace(None);
        self.free(id);
        if let Some(quota) = quota {
            self.release(quota);
        }
    }

    fn partial<T: InKernel>(&self, quota: Id<Quota>) -> &crate::field::Field<u32> {
        self.quotas[quota].partial.get(T::KIND as usize).expect("invariant: one list a kind")
    }

    fn objects_count<T: InKernel>(&self, quota: Id<Quota>) -> &crate::field::Field<u32> {
        self.quotas[quota].objects.get(T::KIND as usize).expect("invariant: one count a kind")
    }

    fn partial_add<T: InKernel>(&self, arena: &Arena<T>, quota: Id<Quota>, page: u32) {
        chain(self.partial::<T>(quota), page.wrapping_add(1), |number| page_info(arena, number.wrapping_sub(1)));
    }

    fn partial_remove<T: InKernel>(&self, arena: &Arena<T>, quota: Id<Quota>, page: u32) {
        unchain(self.partial::<T>(quota), page.wrapping_add(1), |number| page_info(arena, number.wrapping_sub(1)));
    }

    /// Backs a page with a frame of the account's. The frame keeps the account alive.
    fn page_take<T: InKernel>(&self, arena: &Arena<T>, quota: Id<Quota>) -> Result<u32> {
        let given_back = arena.given_back.get();
        let page = if given_back != 0 { given_back.wrapping_sub(1) } else { arena.fresh.get() };
        Error::OutOfMemory.when(page as usize >= arena.pages.len())?;
        let frame = self.page_back(T::KIND, page as usize, quota)?;
        let before = page_slot(arena, page).word.replace(PageSlot::IN_USE | frame.0);
        if given_back != 0 {
            arena.given_back.set(before);
        } else {
            arena.fresh.set(page.wrapping_add(1));
        }
        self.partial_add(arena, quota, page);
        Ok(page)
    }

    /// Puts a frame of an account's behind a page of an arena. Errors: `OutOfQuota`, `OutOfMemory`.
    pub(super) fn page_back(&self, kind: ArenaKind, page: usize, quota: Id<Quota>) -> Result<FrameNumber> {
        let frame = self.frame_allocate(quota)?;
        if self.machine.back(kind, page, frame, &mut || self.spare_table()).is_err() {
            self.frame_release(frame);
            return Err(Error::OutOfMemory);
        }
        Ok(frame)
    }

    fn page_give<T: InKernel>(&self, arena: &Arena<T>, page: u32) {
        page_slot(arena, page).word.set(arena.given_back.replace(page.wrapping_add(1)));
        let frame = self.machine.unback(T::KIND, page as usize);
        self.frame_release(frame.expect("invariant: a page in use is backed"));
    }

    /// Puts a frame behind the first page of the accounts' arena, for the root account.
    pub(crate) fn first_quota_page(&self) -> Result<Id<Quota>> {
        let frame: FrameNumber = self.frames.take().ok_or(Error::OutOfMemory)?;
        self.machine.zero_frame(frame);
        let page = self.quotas.fresh.get();
        let kind = ArenaKind::Quota;
        self.machine.back(kind, page as usize, frame, &mut || self.spare_table()).map_err(|_| Error::OutOfMemory)?;
        self.quotas.fresh.set(page.wrapping_add(1));
        let id = Id::try_new((page as usize).wrapping_mul(Arena::<Quota>::PER_PAGE));
        let id = id.expect("invariant: page 0 is never used");
        page_slot(&self.quotas, page).word.set(PageSlot::IN_USE | frame.0);
        let info = page_info(&self.quotas, page);
        info.quota.set(Some(id));
        set_bit(info, 0, true);
        self.partial_add(&self.quotas, id, page);
        Ok(id)
    }
}

fn page_slot<T: InKernel>(arena: &Arena<T>, page: u32) -> &PageSlot {
    arena.pages.get(page as usize).expect("invariant: arena pages have their bookkeeping")
}

/// The record of the frame behind a page: its account, its items, its place in a list.
fn page_info<T: InKernel>(arena: &Arena<T>, page: u32) -> &'static FrameInfo {
    arena.info(page as usize).expect("invariant: a page in use is backed")
}

fn set_bit(info: &FrameInfo, bit: u32, used: bool) {
    let mask = 1u32.wrapping_shl(bit);
    info.used.update(|w| if used { w | mask } else { w & !mask });
}

/// The lowest free place in a page of `items`.
fn free_bit(info: &FrameInfo, items: usize) -> Option<u32> {
    let bit = info.used.get().trailing_ones();
    ((bit as usize) < items).then_some(bit)
}
