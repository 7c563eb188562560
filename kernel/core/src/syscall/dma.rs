//! Calls on devices' views of memory.

use super::cap::MAKER;
use super::{Answer, Context};
use crate::object::{DmaDomain, Memory, Quota};
use crate::{Kernel, Machine};
use abi::{Error, Kind, Result, Rights};

/// The rights of whoever makes a view of memory, or finds one again.
const DOMAIN: Rights = MAKER.union(Rights::WRITE);

impl<M: Machine> Kernel<M> {
    /// Makes a device's view of memory. Errors: `BadArgument` (not the root); `BadHandle`, `WrongKind`, `NoRight` (the account;
    /// `MANAGE` is asked); `Exists` (one has this tag); `Retry` (the root is being revoked); `TableFull`; `OutOfQuota`; `OutOfMemory`.
    pub fn domain_create(&self, cx: &Context) -> Result<Answer> {
        Error::BadArgument.when(self.domains[cx.id::<DmaDomain>()].is_root.get() == 0)?;
        let quota = self.resolve(cx, cx.arg(1), Kind::Quota, Rights::MANAGE)?.id::<Quota>();
        let tag = cx.arg(2);
        Error::Exists.when(self.domain_tagged(tag).is_ok())?;
        self.cap_room(cx.process, 1)?;
        self.check_not_revoked(cx)?;
        let id = self.domain_new(quota, false)?;
        self.domain_tag(id, tag);
        let handle = self.cap_insert(cx.process, Kind::DmaDomain, id.raw(), DOMAIN, cx.subject.cap)?;
        Ok(Answer::one(handle.word()))
    }

    /// `domain_open`. Errors: `BadArgument` (not the root), `NotFound`, `Retry`, `TableFull`, `OutOfQuota`, `OutOfMemory`.
    pub fn domain_open(&self, cx: &Context) -> Result<Answer> {
        Error::BadArgument.when(self.domains[cx.id::<DmaDomain>()].is_root.get() == 0)?;
        let id = self.domain_tagged(cx.arg(1))?;
        self.give_below(cx, id, DOMAIN)
    }

    /// Pins part of a memory object. Errors: `BadHandle`, `WrongKind`, `NoRight` (the memory; `READ` and `WRITE` are asked);
    /// `TableFull`; and those of [`Kernel::pin_memory`].
    pub fn domain_pin(&self, cx: &Context) -> Result<Answer> {
        let subject = self.resolve(cx, cx.arg(1), Kind::Memory, Rights::READ | Rights::WRITE)?;
        let memory = subject.id::<Memory>();
        self.cap_room(cx.process, 1)?;
        let (quota, buffer) = (self.own_quota(cx)?, self.threads[cx.thread].buffer.get());
        let (pin, ranges) = self.pin_memory(quota, cx.id(), memory, cx.arg(2), cx.arg(3), buffer)?;
        let handle = self.cap_insert(cx.process, Kind::Pin, pin.raw(), Rights::INSPECT, subject.cap)?;
        Ok(Answer::Values([handle.word(), ranges as u64, 0, 0]))
    }

    /// Lets the frames in quarantine go: the device is stopped. Errors: none of its own.
    pub fn domain_release(&mut self, cx: &Context) -> Result<Answer> {
        Ok(if self.domain_let_go(cx.id()) { Answer::DONE } else { Answer::Again })
    }
}
