//! Memory held in place for a device, and a device's view of memory.
//!
//! A pin holds the memory object, or each lent frame, by a reference. Its holder gives it up by closing it; when the
//! holder dies instead, nobody knows whether the device still writes, so the pin stays in quarantine in its domain until
//! the bus manager has stopped the device and releases the domain. Without an IOMMU device addresses are physical ones.

use crate::cap::reference::object;
use crate::list::InDomain;
use crate::machine::{FrameWords, Machine};
use crate::mm::fault::Access;
use crate::mm::lease::needed;
use crate::mm::space::UserRange;
use crate::object::{DmaDomain, Lease, Memory, Pin, Quota};
use crate::tree::ByTag;
use crate::{FrameNumber, Id, Kernel};
use abi::memory::{Protection, PAGE_SIZE};
use abi::message::{buffer, LeaseAccess, RANGES};
use abi::{Error, Result};
use core::sync::atomic::Ordering::Relaxed;

/// The most pages in a pin of a lease, or of memory that is not one run.
pub const PIN_PAGES: u64 = 256;
/// In the first word of the list of frames held: a device may write them.
const WRITTEN: u64 = 1 << 32;

object!(DmaDomain, DmaDomain, |kernel, id| {
    // Pins hold references to it: there are none left.
    if kernel.domains[id].by_tag.key.get() != 0 {
        kernel.domains.tree::<ByTag>(&kernel.domains_by_tag).remove(id);
    }
    kernel.free_object(id);
});

object!(Pin, Pin, |kernel, id| {
    if !kernel.pins[id].quarantined.get() {
        kernel.pin_free(id);
    }
});

/// The device ranges of a pin, written to an IPC buffer as they are found; neighbours are joined.
struct Ranges<'a> {
    words: &'a FrameWords,
    count: usize,
    next: u64,
    length: u64,
}

impl Ranges<'_> {
    fn add(&mut self, address: u64, length: u64) -> Result<()> {
        if self.count > 0 && address == self.next {
            self.length = self.length.saturating_add(length);
        } else {
            Error::BadArgument.when(self.count == RANGES)?;
            self.count = self.count.saturating_add(1);
            self.put(0, address);
            self.length = length;
        }
        self.next = address.saturating_add(length);
        self.put(1, self.length);
        Ok(())
    }

    fn put(&self, which: usize, value: u64) {
        let at = buffer::RANGES.saturating_add(self.count.saturating_sub(1).saturating_mul(2)).saturating_add(which);
        if let Some(word) = self.words.get(at) {
            word.store(value, Relaxed);
        }
    }
}

impl<M: Machine> Kernel<M> {
    fn ranges(&self, ipc_buffer: FrameNumber) -> Result<Ranges<'_>> {
        Error::BadAddress.when(ipc_buffer.0 == 0)?;
        Ok(Ranges { words: self.machine.frame_words(ipc_buffer), count: 0, next: 0, length: 0 })
    }

    /// Calls `each` with the physical address and length of every part of a page, between two byte positions.
    fn pin_pages(
        start: u64,
        end: u64,
        mut frame: impl FnMut(u64) -> Result<FrameNumber>,
        mut each: impl FnMut(u64, u64) -> Result<()>,
    ) -> Result<()> {
        let mut at = start;
        while at < end {
            let offset = at & PAGE_SIZE.wrapping_sub(1);
            let here = PAGE_SIZE.saturating_sub(offset).min(end.saturating_sub(at));
            each(frame(at / PAGE_SIZE)?.address().0.saturating_add(offset), here)?;
            at = at.saturating_add(here);
        }
        Ok(())
    }

    /// Pins part of a memory object; the ranges go to the IPC buffer. Answers the pin, without references, and the number of
    /// ranges. Errors: `BadArgument` (outside the object, empty, more than [`PIN_PAGES`] pages of memory that is not
    /// one run, more ranges than fit the buffer, the root domain, an object with a pager), `Busy` (mapped executable somewhere), `BadAddress` (no IPC
    /// buffer), `OutOfQuota`, `OutOfMemory`.
    pub fn pin_memory(
        &self,
        quota: Id<Quota>,
        domain: Id<DmaDomain>,
        memory: Id<Memory>,
        offset: u64,
        length: u64,
        ipc_buffer: FrameNumber,
    ) -> Result<(Id<Pin>, usize)> {
        let object = &self.memories[memory];
        let end = offset.checked_add(length).ok_or(Error::BadArgument)?;
        let inside = end <= object.length_pages.get().saturating_mul(PAGE_SIZE);
        Error::BadArgument
            .when(length == 0 || !inside || self.domains[domain].is_root.get() != 0 || self.is_paged(memory))?;
        let first = offset / PAGE_SIZE;
        let pages = end.div_ceil(PAGE_SIZE).saturating_sub(first);
        Error::BadArgument.when(!object.is_run() && pages > PIN_PAGES)?;
        Error::Busy.when(self.memory_alias(memory, first, pages, Protection::WRITE, None))?;
        let mut ranges = self.ranges(ipc_buffer)?;
        if object.is_run() {
            let base = object.first.get().address().0;
            ranges.add(base.saturating_add(offset), length)?;
        } else {
            Self::pin_pages(
                offset,
                end,
                |page| self.memory_bring(memory, page, Access::Write),
                |a, l| ranges.add(a, l),
            )?;
        }
        let id = self.allocate_object::<Pin>(quota)?;
        let pin = &self.pins[id];
        self.refer(&pin.memory, Some(memory));
        object.pins.update(|n| n.saturating_add(1));
        self.pin_link(id, domain, offset, length);
        Ok((id, ranges.count))
    }

    fn pin_link(&self, id: Id<Pin>, domain: Id<DmaDomain>, offset: u64, length: u64) {
        let pin = &self.pins[id];
        pin.offset.set(offset);
        pin.length.set(length);
        self.refer(&pin.domain, Some(domain));
        self.pins.list::<InDomain>(&self.domains[domain].pins).push_back(id);
    }

    /// Pins part of a lease for what it was lent for. Answers as [`Kernel::pin_memory`]. Errors: `LeaseRange`,
    /// `LeaseAccess` (registers or borrowed pages), `LeaseFault`; `BadArgument` (empty, more than [`PIN_PAGES`] pages, more
    /// ranges than fit the buffer, the root domain), `BadAddress` (no IPC buffer), `OutOfQuota`, `OutOfMemory`.
    pub fn pin_lease(
        &self,
        quota: Id<Quota>,
        domain: Id<DmaDomain>,
        lease: Id<Lease>,
        offset: u64,
        length: u64,
        ipc_buffer: FrameNumber,
    ) -> Result<(Id<Pin>, usize)> {
        let lent = self.leases[lease].part(offset, length)?;
        let end = lent.saturating_add(length);
        let pages = end.div_ceil(PAGE_SIZE).saturating_sub(lent / PAGE_SIZE);
        Error::BadArgument.when(length == 0 || pages > PIN_PAGES || self.domains[domain].is_root.get() != 0)?;
        let access = self.leases[lease].access();
        Error::LeaseAccess.when(needed(access).is_empty())?;
        let mut ranges = self.ranges(ipc_buffer)?;
        let id = self.allocate_object::<Pin>(quota)?;
        let table = self.frame_allocate(quota).inspect_err(|_| self.free_object(id))?;
        self.pin_lease_frames(lease, UserRange { start: lent, end }, table, &mut ranges).inspect_err(|_| {
            self.held_free(table);
            self.free_object(id);
        })?;
        let pin = &self.pins[id];
        pin.held.set(table.0);
        pin.lease.set(Some(lease));
        self.leases[lease].pins.update(|n| n.saturating_add(1));
        self.lease_hold(lease);
        self.pin_link(id, domain, offset, length);
        Ok((id, ranges.count))
    }

    fn pin_lease_frames(
        &self,
        lease: Id<Lease>,
        lent: UserRange,
        table: FrameNumber,
        ranges: &mut Ranges,
    ) -> Result<()> {
        let lease = &self.leases[lease];
        let space = lease.space.get().expect("invariant: a lease names its lender's space");
        let need = needed(lease.access());
        let written = lease.access().contains(LeaseAccess::WRITE);
        let words = self.machine.frame_words(table);
        let mut places = words.iter();
        let count = places.next().expect("invariant: a frame has words");
        count.store(if written { WRITTEN } else { 0 }, Relaxed);
        let mut at = lent.start;
        while at < lent.end {
            let part = self.lease_segment(space, at, lent.end, need)?;
            let stop = part.end;
            // Positions in the object, so that the pages are the object's.
            let start = part.page.saturating_mul(PAGE_SIZE).saturating_add(at & PAGE_SIZE.wrapping_sub(1));
            let finish = start.saturating_add(stop.saturating_sub(at));
            let hold = |page: u64| {
                let frame = self.lent_frame(part.memory, page, written)?;
                let place = places.next().expect("invariant: no more pages than places");
                place.store(u64::from(frame.0), Relaxed);
                count.store(count.load(Relaxed).saturating_add(1), Relaxed);
                self.frame_retain(frame);
                if written {
                    self.frame_written(frame, true);
                }
                Ok(frame)
            };
            Self::pin_pages(start, finish, hold, |a, l| ranges.add(a, l))?;
            at = stop;
        }
        Ok(())
    }

    /// Something writes a frame without asking the page tables, or does so no more.
    pub(crate) fn frame_written(&self, frame: FrameNumber, more: bool) {
        if let Some(info) = self.frame_info(frame) {
            info.written.update(|n| if more { n.saturating_add(1) } else { n.saturating_sub(1) });
        }
    }

    /// Lets go of the frames in a list, and of the list.
    fn held_free(&self, table: FrameNumber) {
        let words = self.machine.frame_words(table);
        let head = words.first().map_or(0, |w| w.load(Relaxed));
        let frames = words.iter().skip(1).take((head & WRITTEN.wrapping_sub(1)) as usize);
        for frame in frames.map(|w| FrameNumber(w.load(Relaxed) as u32)) {
            if head & WRITTEN != 0 {
                self.frame_written(frame, false);
            }
            self.frame_release(frame);
        }
        self.frame_release(table);
    }

    /// Ends a pin: its frames may be used for something else from now on.
    fn pin_free(&self, id: Id<Pin>) {
        let pin = &self.pins[id];
        let domain = pin.domain.replace(None);
        if let Some(domain) = domain {
            self.pins.list::<InDomain>(&self.domains[domain].pins).remove(id);
        }
        if pin.held.get() != 0 {
            self.held_free(FrameNumber(pin.held.replace(0)));
        }
        if let Some(memory) = pin.memory.replace(None) {
            self.memories[memory].pins.update(|n| n.saturating_sub(1));
            self.release(memory);
        }
        let lease = pin.lease.replace(None);
        self.free_object(id);
        if let Some(lease) = lease {
            self.leases[lease].pins.update(|n| n.saturating_sub(1));
            self.lease_unhold(lease);
        }
        if let Some(domain) = domain {
            self.release(domain);
        }
    }

    /// The process that holds a pin is dead: the pin is in quarantine from now on.
    pub fn pin_holder_died(&self, id: Id<Pin>) {
        let pin = &self.pins[id];
        if !pin.quarantined.replace(true) {
            if let Some(domain) = pin.domain.get() {
                self.domains[domain].quarantined.update(|n| n.saturating_add(1));
            }
        }
    }

    /// Frees the pins in quarantine that nobody names any more, until an interrupt is pending; answers whether it is done.
    pub fn domain_let_go(&self, domain: Id<DmaDomain>) -> bool {
        let list = self.pins.list::<InDomain>(&self.domains[domain].pins);
        let mut at = list.first();
        while let Some(id) = at {
            at = list.next(id);
            let pin = &self.pins[id];
            if pin.quarantined.get() && pin.header.references.get() == 0 {
                self.domains[domain].quarantined.update(|n| n.saturating_sub(1));
                self.pin_free(id);
                if at.is_some() && self.machine.interrupt_pending() {
                    return false;
                }
            }
        }
        true
    }

    /// Makes a device's view of memory, without references. Errors: `OutOfQuota`, `OutOfMemory`.
    pub fn domain_new(&self, quota: Id<Quota>, is_root: bool) -> Result<Id<DmaDomain>> {
        let id = self.allocate_object::<DmaDomain>(quota)?;
        self.domains[id].is_root.set(u32::from(is_root));
        Ok(id)
    }

    /// The device's view of memory that has a tag. Errors: `NotFound`.
    pub(crate) fn domain_tagged(&self, tag: u64) -> Result<Id<DmaDomain>> {
        self.domains.tree::<ByTag>(&self.domains_by_tag).find(tag).filter(|_| tag != 0).ok_or(Error::NotFound)
    }

    /// Gives a fresh one a tag that none has; 0 is none.
    pub(crate) fn domain_tag(&self, id: Id<DmaDomain>, tag: u64) {
        if tag != 0 {
            self.domains.tree::<ByTag>(&self.domains_by_tag).insert(id, tag);
        }
    }
}
