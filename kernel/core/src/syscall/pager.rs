//! Calls of pagers: memory whose pages a server supplies; pressure.

use super::memory::MAKER;
use super::{Answer, Context};
use crate::object::{Endpoint, Memory, Quota};
use crate::{Kernel, Machine};
use abi::memory::PagerFlags;
use abi::{Error, Kind, Result, Rights};

/// Pages that one `pager_take` looks at.
const TAKE: u64 = 64;
/// Pages that one `pager_supply` moves.
const SUPPLY: u64 = 64;

impl<M: Machine> Kernel<M> {
    /// `pager_create`. Errors: `BadHandle`, `WrongKind`, `NoRight` (the account; `MANAGE` is asked), `BadArgument` (no pages, too
    /// many, unknown flags), `TableFull`, `OutOfQuota`, `OutOfMemory`.
    pub fn pager_create(&self, cx: &Context) -> Result<Answer> {
        let quota = self.resolve(cx, cx.arg(1), Kind::Quota, Rights::MANAGE)?.id::<Quota>();
        let flags = u32::try_from(cx.arg(4)).ok().and_then(PagerFlags::from_bits).ok_or(Error::BadArgument)?;
        self.cap_room(cx.process, 1)?;
        let id = self.pager_new(cx.id::<Endpoint>(), quota, cx.arg(2), cx.arg(3), flags)?;
        self.give(cx, id, MAKER | Rights::MANAGE)
    }

    /// The object, if it has a pager, and a range in it. Errors: `NotSupported`, `BadArgument`.
    fn paged_range(&self, cx: &Context) -> Result<(crate::id::Id<Memory>, u64, u64)> {
        let id = cx.id::<Memory>();
        Error::NotSupported.when(!self.is_paged(id))?;
        let end = cx.arg(1).checked_add(cx.arg(2)).ok_or(Error::BadArgument)?;
        Error::BadArgument.when(cx.arg(2) == 0 || end > self.memories[id].length_pages.get())?;
        Ok((id, cx.arg(1), end))
    }

    /// `pager_supply`: at most 64 pages; it tells how many. Errors: `BadHandle`, `WrongKind`, `NoRight` (the source; `WRITE` is
    /// asked), `NotSupported` (the object has no pager), `BadArgument` (outside either object, an access that is none, a
    /// source that is a run or has a pager), and if not even the first could be supplied `Busy` (the source is pinned or
    /// lent), `OutOfQuota`, `OutOfMemory`.
    pub fn pager_supply(&self, cx: &Context) -> Result<Answer> {
        let source = self.resolve(cx, cx.arg(3), Kind::Memory, Rights::WRITE)?.id::<Memory>();
        let (id, first, end) = self.paged_range(cx)?;
        let write = match cx.arg(5) {
            1 => false,
            3 => true,
            _ => return Err(Error::BadArgument),
        };
        let mut done = 0u64;
        while first.saturating_add(done) < end && done < SUPPLY {
            let at = cx.arg(4).checked_add(done).ok_or(Error::BadArgument)?;
            match self.page_supply(id, first.saturating_add(done), source, at, write) {
                Ok(true) => done = done.saturating_add(1),
                // Some wait still: the pages that were moved are there, and the call goes on with them.
                Ok(false) => return Ok(Answer::Again),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            if self.machine.interrupt_pending() {
                break;
            }
        }
        Ok(Answer::one(done))
    }

    /// `pager_fail`. Errors: `NotSupported` (the object has no pager), `BadArgument` (outside it, or no such error).
    pub fn pager_fail(&self, cx: &Context) -> Result<Answer> {
        let (id, first, end) = self.paged_range(cx)?;
        u16::try_from(cx.arg(3)).ok().and_then(Error::from_number).ok_or(Error::BadArgument)?;
        self.in_steps(|| Ok(!self.page_wait_fail(id, first, end)))
    }

    /// `pager_take`: at most 64 pages; it tells how many it looked at. With `what` 0, bit n of the second result says that page n
    /// of these was dirty; with 1, that it is still there. Errors: `NotSupported` (the object has no pager), `BadArgument` (outside
    /// it, or no such `what`).
    pub fn pager_take(&self, cx: &Context) -> Result<Answer> {
        let (id, first, end) = self.paged_range(cx)?;
        let what = cx.arg(3);
        Error::BadArgument.when(what > 1)?;
        let (mut done, mut bits) = (0u64, 0u64);
        while first.saturating_add(done) < end && done < TAKE {
            let page = first.saturating_add(done);
            let set = if what == 0 {
                self.page_clean(id, page)
            } else {
                !self.page_discard(id, page) && self.memory_frame(id, page).is_some()
            };
            bits |= u64::from(set).wrapping_shl(done as u32);
            done = done.saturating_add(1);
            if self.machine.interrupt_pending() {
                break;
            }
        }
        Ok(Answer::Values([done, bits, 0, 0]))
    }

    /// `pressure_watch`; handle 0: nobody watches any more. Errors: those of a look-up of the notification (`SEND` asked, and
    /// its badge must have the bits), `BadArgument` (no bits, or no pages).
    pub fn pressure_watch(&self, cx: &Context) -> Result<Answer> {
        let (bits, free_pages) = (cx.arg(2), cx.arg(3));
        let to = (cx.arg(1) != 0).then(|| self.resolve_bits(cx, cx.arg(1), bits)).transpose()?;
        Error::BadArgument.when(to.is_some() && free_pages == 0)?;
        self.pressure_set(cx.id::<Quota>(), to, bits, free_pages);
        Ok(Answer::DONE)
    }
}
