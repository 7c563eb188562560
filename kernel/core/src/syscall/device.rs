//! Calls on interrupts and ports.

use super::cap::MAKER;
use super::{Answer, Context};
use crate::mm::fault::Access;
use crate::object::{Interrupt, IoPorts};
use crate::{Kernel, Machine};
use abi::memory::PAGE_SIZE;
use abi::{Error, Handle, Kind, Result};

/// Bytes moved between a port and user memory at a time.
const CHUNK: u64 = 256;

impl<M: Machine> Kernel<M> {
    /// One interrupt from the range: a line, or (line −1) a message. Errors: `BadArgument` (not the root, unknown flags),
    /// `NotFound` (no such line), `Exists` (somebody has the line), `NotSupported` (no messages here), `Retry` (the root is being
    /// revoked), `TableFull`, `OutOfQuota`, `OutOfMemory` (no id is left).
    pub fn interrupt_allocate(&self, cx: &Context) -> Result<Answer> {
        let (line, flags) = (cx.arg(1), cx.arg(2));
        Error::BadArgument.when(!self.interrupts[cx.id::<Interrupt>()].is_root.get() || flags > 3)?;
        self.cap_room(cx.process, 1)?;
        self.check_not_revoked(cx)?;
        let quota = self.own_quota(cx)?;
        let (id, address, data) = if line == u64::MAX {
            let (id, message) = self.interrupt_message(quota)?;
            (id, message.address, message.data)
        } else {
            let line = u32::try_from(line).map_err(|_| Error::NotFound)?;
            (self.interrupt_line(quota, line, flags & 1 != 0, flags & 2 != 0)?, 0, 0)
        };
        let handle = self.cap_insert(cx.process, Kind::Interrupt, id.raw(), MAKER, cx.subject.cap)?;
        Ok(Answer::Values([handle.word(), address, u64::from(data), 0]))
    }

    /// Has a notification told of each interrupt; handle 0: nobody. Errors: `BadArgument` (the root, no bits);
    /// `BadHandle`, `WrongKind`, `NoRight` (the notification; `SEND` is asked).
    pub fn interrupt_bind(&self, cx: &Context) -> Result<Answer> {
        let id = cx.id::<Interrupt>();
        Error::BadArgument.when(self.interrupts[id].is_root.get())?;
        if cx.arg(1) == Handle::NONE.word() {
            self.interrupt_unbind(id);
            return Ok(Answer::DONE);
        }
        let to = self.resolve_bits(cx, cx.arg(1), cx.arg(2))?;
        self.interrupt_attach(id, to, cx.arg(2));
        Ok(Answer::DONE)
    }

    /// Lets a level-triggered line interrupt again. Errors: none of its own.
    pub fn interrupt_acknowledge(&self, cx: &Context) -> Result<Answer> {
        self.interrupt_rearm(cx.id());
        Ok(Answer::DONE)
    }

    fn port(&self, cx: &Context, port: u64, width: u64) -> Result<u16> {
        self.ports[cx.id::<IoPorts>()].check(port, width)
    }

    /// Reads a port. Errors: `BadArgument` (outside the range, or not 1, 2 or 4 bytes).
    pub fn port_read(&self, cx: &Context) -> Result<Answer> {
        let port = self.port(cx, cx.arg(1), cx.arg(2))?;
        Ok(Answer::one(u64::from(self.machine.port_read(port, cx.arg(2) as u8))))
    }

    /// Writes a port. Errors: as [`Kernel::port_read`].
    pub fn port_write(&self, cx: &Context) -> Result<Answer> {
        let port = self.port(cx, cx.arg(1), cx.arg(2))?;
        self.machine.port_write(port, cx.arg(2) as u8, cx.arg(3) as u32);
        Ok(Answer::DONE)
    }

    /// Reads bytes from one port. Errors: `BadArgument` (outside the range, more than a page), `BadAddress`,
    /// `OutOfQuota`, `OutOfMemory`: found before the port is touched.
    pub fn port_read_bytes(&self, cx: &Context) -> Result<Answer> {
        self.port_bytes(cx, Access::Write, |port, at, part| {
            self.machine.port_read_bytes(port, part);
            self.user_write(cx.process, at, part)
        })
    }

    /// Writes bytes to one port. Errors: as [`Kernel::port_read_bytes`].
    pub fn port_write_bytes(&self, cx: &Context) -> Result<Answer> {
        self.port_bytes(cx, Access::Read, |port, at, part| {
            self.user_read(cx.process, at, part)?;
            self.machine.port_write_bytes(port, part);
            Ok(())
        })
    }

    fn port_bytes(
        &self,
        cx: &Context,
        access: Access,
        each: impl Fn(u16, u64, &mut [u8]) -> Result<()>,
    ) -> Result<Answer> {
        let port = self.port(cx, cx.arg(1), 1)?;
        let (address, length) = (cx.arg(2), cx.arg(3));
        Error::BadArgument.when(length > PAGE_SIZE)?;
        let end = address.checked_add(length).ok_or(Error::BadAddress)?;
        if length > 0 {
            self.range_check(cx, address, length, access)?;
        }
        let mut bytes = [0; CHUNK as usize];
        let mut at = address;
        while at < end {
            let here = end.saturating_sub(at).min(CHUNK);
            each(port, at, bytes.get_mut(..here as usize).unwrap_or(&mut []))?;
            at = at.saturating_add(here);
        }
        Ok(Answer::DONE)
    }
}
