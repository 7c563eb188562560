//! The frames of physical memory: a buddy allocator over one info record a
//! frame.
//!
//! Free frames stand in lists by the size of the run they head, apart for memory below and above
//! 4 GiB, so that devices with 32 address bits find theirs. A frame in use counts its holders; the
//! account it is charged to is kept beside the count, because the last holder is often not the first.
//! Called by everything that needs memory; calls nothing but the machine (at boot and to zero).

use crate::address::FrameNumber;
use crate::arena::ArenaKind;
use crate::field::Field;
use crate::id::Id;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::mm::early::Early;
use crate::object::{FrameInfo, Quota};
use abi::boot::{Region, RegionKind, REGIONS};
use abi::{Error, Result};
use core::sync::atomic::Ordering::Relaxed;

/// Sizes of free runs: 2^0 to 2^18 frames (1 GiB), so that no run crosses 4 GiB.
pub const ORDERS: u32 = 19;
/// The first frame that 32 address bits don't reach.
const ABOVE_4G: u32 = 1 << 20;
/// Runs of this order fill a page of info records: their neighbours' records may not be backed.
const INFO_PAGE_ORDER: u32 = 7;

/// A range of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FrameRange {
    /// The first.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}

/// All frames.
pub struct Frames {
    infos: &'static [FrameInfo],
    /// RAM, the kernel's own image and initfs included: sorted, apart from each other. Info records exist for these.
    ram: [FrameRange; REGIONS],
    ram_count: usize,
    /// First free run of each order, below and above 4 GiB; 0 for none.
    heads: [[Field<u32>; ORDERS as usize]; 2],
    free: Field<u32>,
    total: u32,
}

/// The frames that lie wholly in a region (`inside`), or that it touches.
fn frames_of(region: &Region, inside: bool) -> FrameRange {
    let end = region.start.saturating_add(region.length);
    let up = |a: u64| a.div_ceil(abi::memory::PAGE_SIZE);
    let down = |a: u64| a / abi::memory::PAGE_SIZE;
    let (start, end) = if inside { (up(region.start), down(end)) } else { (down(region.start), up(end)) };
    // Frame 0 stands for "none" everywhere.
    let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    FrameRange { start: narrow(start).max(1), end: narrow(end) }
}

/// The usable frames of a region, none where it is of another kind.
pub(crate) fn usable(region: &Region) -> FrameRange {
    let of_kind = (region.kind == RegionKind::Usable as u32).then(|| frames_of(region, true));
    of_kind.unwrap_or_default()
}

/// The frames of a region that are RAM, usable or taken already.
fn in_ram(region: &Region) -> FrameRange {
    let taken = (region.kind == RegionKind::Taken as u32).then(|| frames_of(region, false));
    taken.unwrap_or_else(|| usable(region))
}

impl Frames {
    /// Takes over the memory that the loader told of; backs the info records with some of it.
    /// `None`: there is not even memory for these.
    pub fn new<M: Machine>(machine: &M, regions: &[Region]) -> Option<Frames> {
        let mut ram = [FrameRange::default(); REGIONS];
        let ram_count = gather(regions, &mut ram);
        let last = ram.get(ram_count.checked_sub(1)?)?.end;
        let infos = machine.reserve::<FrameInfo>(ArenaKind::FrameInfo, last as usize);
        let mut early = Early::new(machine, regions);
        let mut next_page = 0;
        for range in ram.iter().take(ram_count) {
            let first = (range.start >> INFO_PAGE_ORDER) as usize;
            let end = range.end.div_ceil(1 << INFO_PAGE_ORDER) as usize;
            for page in first.max(next_page)..end {
                let frame = early.take()?;
                machine.back(ArenaKind::FrameInfo, page, frame, &mut || early.take()).ok()?;
            }
            next_page = end;
        }
        let mut frames = Frames::over(infos, ram, ram_count);
        frames.total = early.managed();
        for region in regions {
            let all = in_ram(region);
            let left = early.left(region);
            for taken in left.end.max(all.start)..all.end {
                frames.entry(taken).references.set(1);
            }
            frames.put_back(left.start, left.end);
        }
        Some(frames)
    }

    fn over(infos: &'static [FrameInfo], ram: [FrameRange; REGIONS], ram_count: usize) -> Frames {
        let heads = core::array::from_fn(|_| core::array::from_fn(|_| Field::new(0)));
        Frames { infos, ram, ram_count, heads, free: Field::new(0), total: 0 }
    }

    /// The records of all frames. Those of frames that are no RAM may not be backed.
    pub fn infos(&self) -> &'static [FrameInfo] {
        self.infos
    }

    /// Info on a frame of RAM. Anything else may have no record behind it: see [`Frames::touches_ram`].
    #[inline(always)]
    pub fn info(&self, frame: FrameNumber) -> Option<&FrameInfo> {
        self.infos.get(frame.0 as usize)
    }

    #[inline(always)]
    fn entry(&self, frame: u32) -> &FrameInfo {
        self.infos.get(frame as usize).expect("invariant: frame numbers in use are RAM")
    }

    /// Whether any of these pages of physical address space is memory that the kernel looks after.
    pub fn touches_ram(&self, first_page: u64, pages: u64) -> bool {
        let end = first_page.saturating_add(pages);
        let ram = self.ram.get(..self.ram_count).unwrap_or(&[]);
        let at = ram.partition_point(|r| u64::from(r.end) <= first_page);
        ram.get(at).is_some_and(|r| u64::from(r.start) < end)
    }

    /// Free frames.
    pub fn free(&self) -> u32 {
        self.free.get()
    }

    /// Frames that were usable at boot, those that hold the info records included.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// One frame with one holder, not zeroed. Those above 4 GiB go first.
    pub fn take(&self) -> Option<FrameNumber> {
        let frame = self.pop(1, 0).or_else(|| self.pop(0, 0))?;
        self.entry(frame).references.set(1);
        Some(FrameNumber(frame))
    }

    /// Frames in a row, the first aligned to the next power of two of their number, in a time that does not depend on it: they
    /// are not free any more and nobody holds them yet. Each is taken up by [`Kernel::frame_take_up`] or put back by
    /// [`Frames::put_back`].
    pub(crate) fn set_aside(&self, pages: u32, below_4g: bool) -> Option<FrameNumber> {
        let order = pages.checked_next_power_of_two().filter(|_| pages > 0)?.trailing_zeros();
        let above = if below_4g { None } else { self.pop(1, order) };
        let first = above.or_else(|| self.pop(0, order))?;
        self.put_back(first.saturating_add(pages), first.saturating_add(1u32.wrapping_shl(order)));
        Some(FrameNumber(first))
    }

    /// Another holder of a frame in use.
    pub fn retain(&self, frame: FrameNumber) {
        let references = &self.entry(frame.0).references;
        references.set(references.get().checked_add(1).expect("invariant: fewer holders than 2^32"));
    }

    /// One holder less; answers whether it was the last, and the frame is free now.
    pub fn release(&self, frame: FrameNumber) -> bool {
        let references = &self.entry(frame.0).references;
        let left = references.get().checked_sub(1).expect("invariant: a frame let go has a holder");
        references.set(left);
        if left == 0 {
            self.push(frame.0, 0);
        }
        left == 0
    }

    fn head(&self, zone: usize, order: u32) -> &Field<u32> {
        self.heads.get(zone).and_then(|h| h.get(order as usize)).expect("invariant: zones and orders are bounded")
    }

    fn link(&self, frame: u32, order: u32) {
        self.entry(frame).order.set(order.saturating_add(1) as u8);
        chain(self.head(usize::from(frame >= ABOVE_4G), order), frame, |frame| self.entry(frame));
    }

    fn unlink(&self, frame: u32, order: u32) {
        unchain(self.head(usize::from(frame >= ABOVE_4G), order), frame, |frame| self.entry(frame));
        self.entry(frame).order.set(0);
    }

    /// Takes a run of an order out of the lists; a greater one is halved until it fits.
    fn pop(&self, zone: usize, order: u32) -> Option<u32> {
        let (first, found) = (order..ORDERS).find_map(|o| match self.head(zone, o).get() {
            0 => None,
            first => Some((first, o)),
        })?;
        self.unlink(first, found);
        for half in (order..found).rev() {
            self.link(first | 1u32.wrapping_shl(half), half);
        }
        self.free.update(|n| n.saturating_sub(1u32.wrapping_shl(order)));
        Some(first)
    }

    /// Puts a run into the lists, together with its free neighbours.
    fn push(&self, first: u32, order: u32) {
        self.free.update(|n| n.saturating_add(1u32.wrapping_shl(order)));
        let (mut first, mut order) = (first, order);
        while order.saturating_add(1) < ORDERS {
            let buddy = first ^ 1u32.wrapping_shl(order);
            if order >= INFO_PAGE_ORDER && !self.touches_ram(u64::from(buddy), 1) {
                break;
            }
            match self.info(FrameNumber(buddy)) {
                Some(info) if u32::from(info.order.get()) == order.saturating_add(1) => {}
                _ => break,
            }
            self.unlink(buddy, order);
            first &= !1u32.wrapping_shl(order);
            order = order.saturating_add(1);
        }
        self.link(first, order);
    }

    /// Frees frames that nobody holds, from `start` to the one before `end`: set aside and not taken up, too.
    pub(crate) fn put_back(&self, start: u32, end: u32) {
        let mut at = start;
        while at < end {
            let fits = end.saturating_sub(at).ilog2();
            let order = at.trailing_zeros().min(fits).min(ORDERS.saturating_sub(1));
            self.push(at, order);
            at = at.saturating_add(1u32.wrapping_shl(order));
        }
    }
}

/// Puts a number in front of a list that is linked through the records of frames; 0 ends it.
pub(crate) fn chain<'a>(head: &Field<u32>, number: u32, info: impl Fn(u32) -> &'a FrameInfo) {
    let next = head.replace(number);
    info(number).next.set(next);
    info(number).prev.set(0);
    if next != 0 {
        info(next).prev.set(number);
    }
}

/// Takes a number out of such a list.
pub(crate) fn unchain<'a>(head: &'a Field<u32>, number: u32, info: impl Fn(u32) -> &'a FrameInfo) {
    let own = info(number);
    let (next, prev) = (own.next.replace(0), own.prev.replace(0));
    let before = if prev == 0 { head } else { &info(prev).next };
    before.set(next);
    if next != 0 {
        info(next).prev.set(prev);
    }
}

/// The RAM among regions, touching ranges joined; answers how many ranges there are.
fn gather(regions: &[Region], ram: &mut [FrameRange]) -> usize {
    let mut count = 0usize;
    for region in regions {
        let range = in_ram(region);
        if range.start >= range.end {
            continue;
        }
        let last = count.checked_sub(1).and_then(|i| ram.get_mut(i));
        match last {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => {
                if let Some(slot) = ram.get_mut(count) {
                    *slot = range;
                    count = count.saturating_add(1);
                }
            }
        }
    }
    count
}

impl<M: Machine> Kernel<M> {
    /// A zeroed frame with one holder, charged to an account. Errors: `OutOfQuota`, `OutOfMemory`.
    pub fn frame_allocate(&self, quota: Id<Quota>) -> Result<FrameNumber> {
        self.charge(quota, 1).inspect_err(|_| self.wanted.short.set(Some(quota)))?;
        let Some(frame) = self.frames.take() else {
            self.uncharge(quota, 1);
            return Err(Error::OutOfMemory);
        };
        self.frame_own(frame, quota);
        Ok(frame)
    }

    /// Zeroes a frame that was just taken, and has an account pay for it.
    fn frame_own(&self, frame: FrameNumber, quota: Id<Quota>) {
        self.machine.zero_frame(frame);
        self.frames.entry(frame.0).quota.set(Some(quota));
        self.retain(quota);
    }

    /// Zeroed frames in a row, one holder each, charged to an account. Errors: `OutOfQuota`, `OutOfMemory`
    /// (no such run is free).
    pub fn frame_run(&self, quota: Id<Quota>, pages: u32, below_4g: bool) -> Result<FrameNumber> {
        let first = self.frame_run_set_aside(quota, pages, below_4g)?;
        for frame in first.0..first.0.saturating_add(pages) {
            self.frame_take_up(FrameNumber(frame), quota);
        }
        Ok(first)
    }

    /// Frames in a row, charged to an account, for the caller to take up one by one ([`Kernel::frame_take_up`]). Errors:
    /// `OutOfQuota`, `OutOfMemory` (no such run is free).
    pub(crate) fn frame_run_set_aside(&self, quota: Id<Quota>, pages: u32, below_4g: bool) -> Result<FrameNumber> {
        self.charge(quota, u64::from(pages)).inspect_err(|_| self.wanted.short.set(Some(quota)))?;
        self.frames.set_aside(pages, below_4g).ok_or_else(|| {
            self.uncharge(quota, u64::from(pages));
            Error::OutOfMemory
        })
    }

    /// Gives a frame that was set aside its first holder, zeroed; it was charged before.
    pub(crate) fn frame_take_up(&self, frame: FrameNumber, quota: Id<Quota>) {
        self.frames.entry(frame.0).references.set(1);
        self.frame_own(frame, quota);
    }

    /// Stores words in a frame of the kernel's own, from a place in it on.
    pub(crate) fn frame_store(&self, frame: FrameNumber, at: usize, words: &[u64]) {
        for (place, word) in self.machine.frame_words(frame).iter().skip(at).zip(words) {
            place.store(*word, Relaxed);
        }
    }

    /// The words from a place in a frame of the kernel's own on.
    pub(crate) fn frame_load<const N: usize>(&self, frame: FrameNumber, at: usize) -> [u64; N] {
        let words = self.machine.frame_words(frame).get(at..).and_then(|words| words.first_chunk::<N>());
        words.expect("invariant: they are inside the frame").each_ref().map(|word| word.load(Relaxed))
    }

    /// Another holder of a frame in use.
    pub fn frame_retain(&self, frame: FrameNumber) {
        self.frames.retain(frame);
    }

    /// One holder less; with the last one the frame is free and the account it was charged to is told.
    pub fn frame_release(&self, frame: FrameNumber) {
        let payer = self.frames.entry(frame.0).quota.get();
        if self.frames.release(frame) {
            if let Some(quota) = payer {
                self.frames.entry(frame.0).quota.set(None);
                self.uncharge(quota, 1);
                self.release(quota);
            }
        }
    }
}

#[cfg(test)]
mod tests;
