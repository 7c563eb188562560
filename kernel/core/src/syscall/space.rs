//! Calls on address spaces.

use super::{Answer, Context};
use crate::mm::mapping::Backing;
use crate::mm::space::UserRange;
use crate::object::{DeviceMemory, Memory, Space};
use crate::{Kernel, Machine};
use abi::memory::{Inherit, Protection, PAGE_SIZE};
use abi::{Error, Kind, Result, Rights};

/// A protection in a register. Errors: `BadArgument`.
pub(super) fn protection(word: u64) -> Result<Protection> {
    u8::try_from(word).ok().and_then(Protection::from_bits).ok_or(Error::BadArgument)
}

/// A protection, and what a clone of the space is to get of the mapping. Errors: `BadArgument`.
fn inheritance(word: u64) -> Result<(Protection, Inherit)> {
    let number = u8::try_from(word >> Inherit::SHIFT).map_err(|_| Error::BadArgument)?;
    let inherit = Inherit::from_number(number).ok_or(Error::BadArgument)?;
    Ok((protection(word & 0xff)?, inherit))
}

/// What the rights of a capability let a mapping allow.
fn limit(rights: Rights) -> Protection {
    let mut limit = Protection::empty();
    limit.set(Protection::READ, rights.contains(Rights::READ));
    limit.set(Protection::WRITE, rights.contains(Rights::WRITE));
    limit.set(Protection::EXECUTE, rights.contains(Rights::EXECUTE));
    limit
}

impl<M: Machine> Kernel<M> {
    /// Maps whole pages of a Memory or DeviceMemory. Errors: `BadHandle`, `WrongKind` (of the second handle); `BadArgument` (not
    /// whole pages, outside the object, writable and executable); `BadAddress` (not in the user half); `NoRight` (more than the
    /// capability allows, or registers that are RAM or the kernel's own); `Exists`; `Busy` (another mapping of these pages is executable, or
    /// writable); `Closed`; `OutOfQuota`; `OutOfMemory`.
    pub fn space_map(&self, cx: &Context) -> Result<Answer> {
        let (word, address, offset, length) = (cx.arg(1), cx.arg(2), cx.arg(3), cx.arg(4));
        let memory = self.resolve(cx, word, Kind::Memory, Rights::empty());
        let (subject, is_memory) = match memory {
            Err(Error::WrongKind) => (self.resolve(cx, word, Kind::DeviceMemory, Rights::empty())?, false),
            other => (other?, true),
        };
        let (protection, inherit) = inheritance(cx.arg(5))?;
        Error::BadArgument.when((offset | length) & PAGE_SIZE.wrapping_sub(1) != 0 || length == 0)?;
        let (first, pages) = (offset / PAGE_SIZE, length / PAGE_SIZE);
        let end = first.saturating_add(pages);
        let mut limit = limit(subject.rights);
        let backing = if is_memory {
            let id = subject.id::<Memory>();
            Error::BadArgument.when(end > self.memories[id].length_pages.get())?;
            Backing::Memory(id, first)
        } else {
            let range = &self.device_memories[subject.id::<DeviceMemory>()];
            Error::BadArgument.when(end > range.pages.get())?;
            let physical = range.first_page.get().saturating_add(first);
            Error::NoRight.when(!self.device_pages_are_free(physical, pages))?;
            limit.remove(Protection::EXECUTE);
            Backing::Device(physical)
        };
        let space = cx.id::<Space>();
        let start = self.space_enter(space, address, pages, backing, protection, limit)?;
        let mapping = self.mapping_at(space, start).expect("invariant: it was made a moment ago");
        self.mappings[mapping].inherit.set(inherit as u8);
        self.mapping_via_set(mapping, subject.cap, false);
        Ok(Answer::one(start))
    }

    /// Removes whatever is mapped in a range. Errors: `BadArgument` (not whole pages), `BadAddress` (not in the user
    /// half), `OutOfQuota`, `OutOfMemory` (the middle of a mapping).
    pub fn space_unmap(&self, cx: &Context) -> Result<Answer> {
        let range = UserRange::pages(cx.arg(1), cx.arg(2))?;
        Ok(if self.space_clear(cx.id(), range)? { Answer::DONE } else { Answer::Again })
    }

    /// Changes the protection of a mapped range. Errors: as [`Kernel::space_change_step`] and of the range: `BadArgument`,
    /// `BadAddress`. Where an interrupt is pending, the call is made again for the part of the range that is left.
    pub fn space_protect(&self, cx: &Context) -> Result<Answer> {
        let mut range = UserRange::pages(cx.arg(1), cx.arg(2))?;
        let to = protection(cx.arg(3))?;
        loop {
            range.start = self.space_change_step(cx.id(), range, to)?;
            if range.start >= range.end {
                return Ok(Answer::DONE);
            }
            if self.machine.interrupt_pending() {
                cx.registers.rsi.set(range.start);
                cx.registers.rdx.set(range.end.saturating_sub(range.start));
                return Ok(Answer::Again);
            }
        }
    }
}
