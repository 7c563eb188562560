//! What tests ask of the kernel and the kernel itself never does.

use crate::address::FrameNumber;
use crate::arena::{Arena, ArenaItem};
use crate::id::Id;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::mm::frames::Frames;
use crate::mm::space::UserRange;
use crate::object::{Process, Space};
use abi::memory::Protection;
use abi::{Handle, Kind, Result, Rights};

impl<M: Machine> Kernel<M> {
    /// All steps of [`Kernel::space_change_step`] at once. Errors: the same.
    pub fn space_change(&self, space: Id<Space>, range: UserRange, to: Protection) -> Result<()> {
        let mut at = range.start;
        while at < range.end {
            at = self.space_change_step(space, UserRange { start: at, end: range.end }, to)?;
        }
        Ok(())
    }

    /// The root of a space's page tables.
    pub fn space_root(&self, space: Id<Space>) -> FrameNumber {
        self.spaces[space].root.get()
    }

    /// Passes a capability on for whoever has it. Errors: those of `cap_transfer_asked`.
    pub fn cap_transfer(
        &self,
        from: Id<Process>,
        handle: Handle,
        mask: Rights,
        to: Id<Process>,
    ) -> Result<(Handle, Kind, Rights)> {
        self.cap_transfer_asked(from, handle, mask, to, from)
    }
}

impl Frames {
    /// Frames in a row, one holder each, not zeroed; the first is aligned to the next power of two of their number.
    pub fn take_run(&self, pages: u32, below_4g: bool) -> Option<FrameNumber> {
        let first = self.set_aside(pages, below_4g)?;
        for frame in first.0..first.0.saturating_add(pages) {
            self.info(FrameNumber(frame)).expect("it is RAM").references.set(1);
        }
        Some(first)
    }
}

impl<T: ArenaItem> Arena<T> {
    /// The items in use, in order of their index. For tests and inspection: it looks at every page.
    pub fn iter_used(&self) -> impl Iterator<Item = Id<T>> + '_ {
        let pages = self.pages.iter().enumerate().filter(|(_, slot)| slot.frame().is_some());
        let items = pages.flat_map(|(page, _)| {
            let first = page.saturating_mul(Self::PER_PAGE);
            first..first.saturating_add(Self::PER_PAGE)
        });
        items.filter_map(Id::try_new).filter(|id| self.is_used(*id))
    }
}
