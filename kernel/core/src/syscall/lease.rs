//! Calls on what a caller lent.

use super::space::protection;
use super::{Answer, Context};
use crate::object::DmaDomain;
use crate::{Kernel, Machine};
use abi::{Kind, Result, Rights};

impl<M: Machine> Kernel<M> {
    /// Copies out of a lease, at most 64 KiB; less (but something) when an interrupt is pending. Errors: `WrongState`,
    /// `BadArgument` (no such lease), `Cancelled` (withdrawn), `LeaseRange`, `LeaseAccess`; with the bytes copied before:
    /// `LeaseFault`, `BadAddress`, `OutOfQuota`, `OutOfMemory`.
    pub fn lease_read(&self, cx: &Context) -> Result<Answer> {
        self.lease_bytes(cx, false)
    }

    /// Copies into a lease, as [`Kernel::lease_read`].
    pub fn lease_write(&self, cx: &Context) -> Result<Answer> {
        self.lease_bytes(cx, true)
    }

    fn lease_bytes(&self, cx: &Context, write: bool) -> Result<Answer> {
        let lease = self.reply_lease(cx.id(), cx.arg(1))?;
        let space = self.own_space(cx)?;
        let (done, result) = self.lease_copy(lease, cx.arg(2), space, cx.arg(3), cx.arg(4), write);
        match result {
            Ok(()) => Ok(Answer::one(done)),
            Err(error) => Ok(Answer::Partial(error, [done, 0, 0, 0])),
        }
    }

    /// Maps whole pages of a lease. Errors: `WrongState`, `BadArgument` (no such lease), `Cancelled`, and those of
    /// [`Kernel::lease_enter`].
    pub fn lease_map(&self, cx: &Context) -> Result<Answer> {
        let lease = self.reply_lease(cx.id(), cx.arg(1))?;
        let protection = protection(cx.arg(5))?;
        let space = self.own_space(cx)?;
        Ok(Answer::one(self.lease_enter(lease, cx.arg(2), cx.arg(3), space, cx.arg(4), protection)?))
    }

    /// Pins part of a lease. Errors: `WrongState`, `BadArgument` (no such lease), `Cancelled`; `BadHandle`, `WrongKind`,
    /// `NoRight` (the domain; `WRITE` is asked); `TableFull`; and those of [`Kernel::pin_lease`].
    pub fn lease_pin(&self, cx: &Context) -> Result<Answer> {
        let lease = self.reply_lease(cx.id(), cx.arg(1))?;
        let domain = self.resolve(cx, cx.arg(4), Kind::DmaDomain, Rights::WRITE)?.id::<DmaDomain>();
        self.cap_room(cx.process, 1)?;
        let (quota, buffer) = (self.own_quota(cx)?, self.threads[cx.thread].buffer.get());
        let (pin, ranges) = self.pin_lease(quota, domain, lease, cx.arg(2), cx.arg(3), buffer)?;
        let handle = self.cap_insert(cx.process, Kind::Pin, pin.raw(), Rights::INSPECT, None)?;
        Ok(Answer::Values([handle.word(), ranges as u64, 0, 0]))
    }
}
