//! What a server does with memory that its caller lent: copy, and map whole
//! pages.
//!
//! A mapped lease is a mapping of the lender's own memory object, limited to what was lent; all of its pages are
//! there from the start, each translation holds its frame by a reference, and all go, flushed, before the caller
//! runs again. Nothing here waits: what can't be had on the lender's side is `LeaseFault`, for the lender to see to.

use crate::list::InLease;
use crate::machine::{Machine, Translation};
use crate::mm::fault::Access;
use crate::mm::mapping::Backing;
use crate::mm::space::UserRange;
use crate::mm::user::CopyError;
use crate::object::{Lease, MappingKind, Memory, Space};
use crate::{FrameNumber, Id, Kernel, VirtAddr};
use abi::memory::{Protection, PAGE_SIZE};
use abi::message::LeaseAccess;
use abi::{Error, Result};

/// The most pages mapped by one call: they are entered at once.
pub const MAP_PAGES: u64 = 1024;

/// Part of a lender's range that lies in one memory object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) memory: Id<Memory>,
    /// The first page in the object.
    pub(crate) page: u64,
    /// Pages, partial ones at the range's edges included.
    pub(crate) pages: u64,
    /// The first address after it, at most the range's end.
    pub(crate) end: u64,
}

/// The protection that a mapping needs for an access.
pub(crate) fn needed(access: LeaseAccess) -> Protection {
    let mut protection = Protection::empty();
    protection.set(Protection::READ, access.contains(LeaseAccess::READ));
    protection.set(Protection::WRITE, access.contains(LeaseAccess::WRITE));
    protection
}

impl Lease {
    /// What was lent for.
    pub fn access(&self) -> LeaseAccess {
        LeaseAccess::from_bits_truncate(self.access.get())
    }
    /// The address, in the lender's space, of a part of the lease. Errors: `LeaseRange`.
    pub(crate) fn part(&self, offset: u64, length: u64) -> Result<u64> {
        let inside = offset.checked_add(length).is_some_and(|end| end <= self.length.get());
        Error::LeaseRange.when(!inside)?;
        self.address.get().checked_add(offset).ok_or(Error::LeaseRange)
    }
}

impl<M: Machine> Kernel<M> {
    fn lender(&self, lease: Id<Lease>) -> Id<Space> {
        self.leases[lease].space.get().expect("invariant: a lease names its lender's space")
    }

    /// Copies out of a lease (`write`: into it). Answers the bytes copied and what stopped it. Errors: `LeaseRange`, `LeaseAccess`,
    /// `LeaseFault` (the lender's page can't be had), `BadAddress`, `OutOfQuota`, `OutOfMemory` (the server's side).
    pub fn lease_copy(
        &self,
        lease: Id<Lease>,
        offset: u64,
        server: Id<Space>,
        address: u64,
        length: u64,
        write: bool,
    ) -> (u64, Result<()>) {
        let lent = match self.leases[lease].part(offset, length) {
            Ok(lent) => lent,
            Err(error) => return (0, Err(error)),
        };
        let want = if write { LeaseAccess::WRITE } else { LeaseAccess::READ };
        if !self.leases[lease].access().contains(want) {
            return (0, Err(Error::LeaseAccess));
        }
        let lender = self.lender(lease);
        let (done, result) = if write {
            self.copy_between(server, address, lender, lent, length)
        } else {
            self.copy_between(lender, lent, server, address, length)
        };
        let result = result.map_err(|error| match (error, write) {
            (CopyError::From(_), false) | (CopyError::To(_), true) => {
                // The lender brings it in; nobody waits here.
                self.wanted_forget();
                Error::LeaseFault
            }
            (CopyError::From(own), true) | (CopyError::To(own), false) => own,
        });
        (done, result)
    }

    /// The part of a lender's range that lies in the mapping at `at`. Errors: `LeaseFault` (not mapped, or not for
    /// this), `LeaseAccess` (registers, or pages that are borrowed themselves: these are passed on, not lent).
    pub(crate) fn lease_segment(&self, space: Id<Space>, at: u64, end: u64, need: Protection) -> Result<Segment> {
        let mapping = &self.mappings[self.mapping_at(space, at).ok_or(Error::LeaseFault)?];
        let memory = match (mapping.kind.get(), mapping.memory.get()) {
            (MappingKind::Memory, Some(memory)) => memory,
            _ => return Err(Error::LeaseAccess),
        };
        let has = mapping.protection();
        Error::LeaseFault
            .when(has.is_empty() || (need.contains(Protection::WRITE) && !has.contains(Protection::WRITE)))?;
        let stop = mapping.end().min(end);
        let page = mapping.page_at(at);
        let last = mapping.page_at(stop.saturating_sub(1));
        Ok(Segment { memory, page, pages: last.saturating_sub(page).saturating_add(1), end: stop })
    }

    /// Maps whole pages of a lease into the server's space; answers the address. Errors: `LeaseRange`; `LeaseAccess` (not lent
    /// for this, not whole pages, never executable); `LeaseFault`; `BadArgument` (nothing, or more than
    /// [`MAP_PAGES`]); those of the address: `BadArgument`, `BadAddress`, `Exists`; `OutOfQuota`, `OutOfMemory`.
    pub fn lease_enter(
        &self,
        lease: Id<Lease>,
        offset: u64,
        length: u64,
        server: Id<Space>,
        address: u64,
        protection: Protection,
    ) -> Result<u64> {
        let lent = self.leases[lease].part(offset, length)?;
        Error::LeaseAccess.when(!needed(self.leases[lease].access()).contains(protection))?;
        Error::LeaseAccess.when((lent | length) & PAGE_SIZE.wrapping_sub(1) != 0)?;
        let pages = length / PAGE_SIZE;
        Error::BadArgument.when(pages == 0 || pages > MAP_PAGES || protection.is_empty())?;
        Error::Closed.when(self.spaces[server].ending.get())?;
        let lender = self.lender(lease);
        let end = lent.saturating_add(length);
        let first = self.lease_segment(lender, lent, end, protection)?;
        let backing = Backing::Lease(lease, first.memory, first.page);
        let start = self.space_place(server, address, pages, backing)?;
        // Enters what lies in one mapping of the lender's; answers how far that reaches.
        let enter = |at: u64| -> Result<u64> {
            let part = self.lease_segment(lender, at, end, protection)?;
            Error::LeaseAccess.when(self.memory_alias(part.memory, part.page, part.pages, protection, None))?;
            let to = start.saturating_add(at.saturating_sub(lent));
            let backing = Backing::Lease(lease, part.memory, part.page);
            self.mapping_new(server, to, part.pages, backing, protection, protection)?;
            for n in 0..part.pages {
                let page = part.page.saturating_add(n);
                // As if to write, for reading too: then it is the lender's own frame, whatever the lender does meanwhile.
                let frame = self.lent_frame(part.memory, page, protection.contains(Protection::WRITE))?;
                let entry = Translation { address: frame.address(), protection, large: false, device: false };
                let page = VirtAddr(to.saturating_add(n.saturating_mul(PAGE_SIZE)));
                self.frame_retain(frame);
                self.translation_enter(server, page, entry).inspect_err(|_| self.frame_release(frame))?;
            }
            Ok(part.end)
        };
        let mut at = lent;
        while at < end {
            at = enter(at).inspect_err(|_| {
                let range = UserRange { start, end: start.saturating_add(length) };
                // What was entered is whole mappings: taking them out needs no memory and can't fail.
                while self.space_clear(server, range) == Ok(false) {}
            })?;
        }
        Ok(start)
    }

    /// The frame of a lent page that is to be held. As if to write, for reading too: then it is the lender's own, whatever the
    /// lender does meanwhile; but of an object with a pager, whose clean pages are nobody else's either. Errors: `LeaseFault`.
    pub(crate) fn lent_frame(&self, memory: Id<Memory>, page: u64, write: bool) -> Result<FrameNumber> {
        let access = if write || !self.is_paged(memory) { Access::Write } else { Access::Read };
        self.memory_bring(memory, page, access).map_err(|_| {
            self.wanted_forget();
            Error::LeaseFault
        })
    }

    /// Takes out every mapping of a lease, flushed, and lets the frames go.
    pub fn lease_end_pages(&self, lease: Id<Lease>) {
        while let Some(id) = self.mappings.list::<InLease>(&self.leases[lease].mappings).first() {
            let mapping = &self.mappings[id];
            let (mut at, end) = (mapping.start(), mapping.end());
            while at < end {
                at = self.translations_clear(mapping.space(), MappingKind::Lease, at, end);
            }
            self.mapping_remove(id);
        }
    }
}
