//! Calls on memory objects.

use super::cap::LOOK;
use super::{Answer, Context};
use crate::mm::fault::Access;
use crate::mm::user::{CopyError, COPY_LIMIT};
use crate::object::{Cap, Memory, Quota, Space};
use crate::{Field, FrameNumber, Id, Kernel, Machine};
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::{Error, Kind, Result, Rights};

/// What the maker of a memory object may do with it.
pub(super) const MAKER: Rights = LOOK.union(Rights::READ).union(Rights::WRITE).union(Rights::EXECUTE);

impl<M: Machine> Kernel<M> {
    /// The address space of the caller.
    pub(crate) fn own_space(&self, cx: &Context) -> Result<Id<Space>> {
        self.processes[cx.process].space.get().ok_or(Error::Closed)
    }

    /// The account of the caller.
    pub(crate) fn own_quota(&self, cx: &Context) -> Result<Id<Quota>> {
        self.processes[cx.process].quota.get().ok_or(Error::Closed)
    }

    /// Makes a memory object. Errors: `BadArgument` (no pages, unknown flags, `BELOW_4G` alone; half made: no such object),
    /// `OutOfQuota`, `OutOfMemory` (no such run), `TableFull`.
    ///
    /// The pages of a run are zeroed one by one. Where an interrupt is pending, the call is made again with the handle of what
    /// is half made, which allows nothing yet, in the last argument: a program passes 0 there, and finds 0 again.
    pub fn memory_create(&self, cx: &Context) -> Result<Answer> {
        let (cap, id) = match cx.arg(3) {
            0 => {
                let flags = u32::try_from(cx.arg(2)).ok().and_then(MemoryFlags::from_bits).ok_or(Error::BadArgument)?;
                self.cap_room(cx.process, 1)?;
                let id = self.memory_begin(cx.id(), cx.arg(1), flags)?;
                let handle = self.cap_insert(cx.process, Kind::Memory, id.raw(), Rights::empty(), None)?;
                (self.lookup(cx.process, handle, Kind::Memory, Rights::empty())?, id)
            }
            word => {
                let half = self.half_made(cx, word, |id| self.memory_is_begun(id));
                half.inspect_err(|_| cx.registers.r8.set(0))?
            }
        };
        self.make_in_steps(cap, &cx.registers.r8, || Ok(!self.memory_begin_step(id)))
    }

    /// Goes on making the object of a capability, which allows nothing before it is done. Where an interrupt is pending the
    /// handle goes along in the register of the last argument; else the caller finds 0 there. Errors: those of a step.
    pub(super) fn make_in_steps(
        &self,
        cap: Id<Cap>,
        register: &Field<u64>,
        step: impl FnMut() -> Result<bool>,
    ) -> Result<Answer> {
        let handle = self.caps[cap].handle().word();
        let answer = self.in_steps(step);
        register.set(if answer == Ok(Answer::Again) { handle } else { 0 });
        if answer != Ok(Answer::DONE) {
            return answer;
        }
        self.caps[cap].arm(MAKER);
        Ok(Answer::one(handle))
    }

    /// The capability and the object of a call that is half done, which it was given as its last argument. Errors: `BadArgument`
    /// (it isn't one).
    pub(super) fn half_made(
        &self,
        cx: &Context,
        word: u64,
        is_half: impl Fn(Id<Memory>) -> bool,
    ) -> Result<(Id<Cap>, Id<Memory>)> {
        let subject = self.resolve(cx, word, Kind::Memory, Rights::empty()).map_err(|_| Error::BadArgument)?;
        let id = subject.id::<Memory>();
        let cap = subject.cap.filter(|_| is_half(id));
        Ok((cap.ok_or(Error::BadArgument)?, id))
    }

    /// Tells an object's size. Errors: none of its own.
    pub fn memory_info(&self, cx: &Context) -> Result<Answer> {
        let memory = &self.memories[cx.id::<Memory>()];
        let resident = u64::from(memory.resident.get());
        Ok(Answer::Values([memory.length_pages.get(), resident, u64::from(memory.flags.get()), 0]))
    }

    /// Copies out of an object, at most 64 KiB; less (but something) when an interrupt is pending. Errors: `BadArgument` (outside
    /// the object), and with the bytes that were copied before: `BadAddress`, `OutOfQuota`, `OutOfMemory`, `LeaseFault` (a page
    /// that its pager has to supply).
    pub fn memory_read(&self, cx: &Context) -> Result<Answer> {
        self.memory_copy(cx, false)
    }

    /// Copies into an object, as [`Kernel::memory_read`]. Errors: besides, `Busy` (the pages are mapped executable).
    pub fn memory_write(&self, cx: &Context) -> Result<Answer> {
        self.memory_copy(cx, true)
    }

    fn memory_copy(&self, cx: &Context, write: bool) -> Result<Answer> {
        let (id, offset, address) = (cx.id::<Memory>(), cx.arg(1), cx.arg(2));
        let end = offset.checked_add(cx.arg(3)).ok_or(Error::BadArgument)?;
        Error::BadArgument.when(end > self.memories[id].length_pages.get().saturating_mul(PAGE_SIZE))?;
        let length = cx.arg(3).min(COPY_LIMIT);
        let space = self.own_space(cx)?;
        let user = |access: Access| {
            move |done: u64| -> Result<(FrameNumber, u64)> {
                let at = address.checked_add(done).ok_or(Error::BadAddress)?;
                Ok((self.user_frame(space, at, access)?, at))
            }
        };
        let access = if write { Access::Write } else { Access::Read };
        let object = |done: u64| -> Result<(FrameNumber, u64)> {
            let at = offset.saturating_add(done);
            // The object's pager may be the caller itself: nobody waits for it here.
            let frame = self.memory_bring(id, at / PAGE_SIZE, access).inspect_err(|_| self.wanted_forget())?;
            Ok((frame, at))
        };
        let (done, result) = if write {
            let pages = offset.saturating_add(length).div_ceil(PAGE_SIZE).saturating_sub(offset / PAGE_SIZE);
            Error::Busy.when(self.memory_alias(id, offset / PAGE_SIZE, pages, Protection::WRITE, None))?;
            self.copy_pages(length, user(Access::Read), object)
        } else {
            self.copy_pages(length, object, user(Access::Write))
        };
        Ok(match result {
            Ok(()) => Answer::one(done),
            Err(CopyError::From(error) | CopyError::To(error)) => Answer::Partial(error, [done, 0, 0, 0]),
        })
    }
}
