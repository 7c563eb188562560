//! Calls that make copies: of memory, of spaces, of capability tables.
//!
//! All of them work in steps. Where an interrupt is pending the call is made again with one more argument, which says how far
//! it came: a program passes 0 there, and finds 0 in that register again where it is none of the results'.

use super::{Answer, Context};
use crate::object::{Memory, Process, Quota, Space};
use crate::{Kernel, Machine};
use abi::{Error, Kind, Result, Rights};

impl<M: Machine> Kernel<M> {
    /// `memory_clone`. Errors: `BadHandle`, `WrongKind`, `NoRight` (the account; `MANAGE` is asked), `BadArgument` (no pages, or
    /// not inside the object), `TableFull`, `OutOfQuota`, `OutOfMemory`. One that
    /// fails half-way leaves nothing.
    pub fn memory_clone(&self, cx: &Context) -> Result<Answer> {
        let source = cx.id::<Memory>();
        let (cap, clone) = match cx.arg(4) {
            0 => {
                let quota = self.resolve(cx, cx.arg(1), Kind::Quota, Rights::MANAGE)?.id::<Quota>();
                self.cap_room(cx.process, 1)?;
                let clone = self.clone_new(source, quota, cx.arg(2), cx.arg(3))?;
                // It allows nothing before it is done.
                let handle = self.cap_give(cx, Kind::Memory, clone.raw(), Rights::empty());
                (self.lookup(cx.process, handle, Kind::Memory, Rights::empty())?, clone)
            }
            // Half made: it is in the caller's table already.
            word => self.half_made(cx, word, |clone| {
                let from = self.memories[clone].cloned_from.get();
                self.clone_is_begun(clone) && from == self.memories[source].header.object_id.get()
            })?,
        };
        let handle = self.caps[cap].handle();
        let made = self.make_in_steps(cap, &cx.registers.r9, || self.clone_step(source, clone));
        made.inspect_err(|_| {
            // It was put in a moment ago.
            let _ = self.cap_close(cx.process, handle);
        })
    }

    /// `space_clone`. Errors: `BadHandle`, `WrongKind`, `NoRight` (the second space; `MANAGE` is asked), `BadArgument` (the same
    /// space), `Busy` (the second is not empty), `Exists` (it was mapped into meanwhile), `Closed`,
    /// `OutOfQuota`, `OutOfMemory`. What was cloned by then stays in the second space.
    pub fn space_clone(&self, cx: &Context) -> Result<Answer> {
        let source = cx.id::<Space>();
        let into = self.resolve(cx, cx.arg(1), Kind::AddressSpace, Rights::MANAGE)?.id::<Space>();
        Error::BadArgument.when(source == into)?;
        let mut from = cx.arg(2);
        Error::Busy.when(from == 0 && self.spaces[into].mapping_count.get() != 0)?;
        while let Some(next) = self.space_clone_step(source, into, from)? {
            from = next;
            if self.machine.interrupt_pending() {
                cx.registers.rdx.set(from);
                return Ok(Answer::Again);
            }
        }
        Ok(Answer::DONE)
    }

    /// `table_clone`. Errors: `Closed` (the process has ended), `Busy` (its table is not empty, it has threads, or it is the
    /// caller's own), `Retry` (a capability is being revoked), `OutOfQuota`, `OutOfMemory`.
    pub fn table_clone(&self, cx: &Context) -> Result<Answer> {
        let to = cx.id::<Process>();
        let mut page = u32::try_from(cx.arg(1)).map_err(|_| Error::Busy)?;
        while self.table_clone_step(cx.process, to, page)? {
            page = page.saturating_add(1);
            if self.machine.interrupt_pending() {
                cx.registers.rsi.set(u64::from(page));
                return Ok(Answer::Again);
            }
        }
        Ok(Answer::DONE)
    }
}
