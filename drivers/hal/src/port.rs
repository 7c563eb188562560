//! I/O ports through the kernel: every access names the capability.

use crate::access::Ports;
use abi::{Error, Handle, Result};
use scheme::rt::syscall;

/// A range of ports that is held; numbers are relative to its first.
#[derive(Clone, Copy, Debug)]
pub struct PortRange {
    handle: Handle,
    first: u16,
}

impl PortRange {
    /// The range that `handle` names and that begins at port `first`.
    pub fn new(handle: Handle, first: u16) -> PortRange {
        PortRange { handle, first }
    }

    fn port(&self, port: u16) -> Result<u64> {
        self.first.checked_add(port).map(u64::from).ok_or(Error::BadArgument)
    }

    /// Reads `width` (1, 2 or 4) bytes. Errors: `BadArgument` outside the range.
    pub fn read(&self, port: u16, width: u8) -> Result<u32> {
        // SAFETY: no address of ours is named.
        let value = unsafe { syscall::port_read(self.handle, self.port(port)?, u64::from(width)) }?;
        Ok(value as u32)
    }

    /// Writes `width` (1, 2 or 4) bytes. Errors: `BadArgument` outside the range.
    pub fn write(&self, port: u16, width: u8, value: u32) -> Result<()> {
        // SAFETY: no address of ours is named.
        unsafe { syscall::port_write(self.handle, self.port(port)?, u64::from(width), u64::from(value)) }
    }

    /// Reads bytes from one port, one after another. Errors: as [`PortRange::read`].
    pub fn read_bytes(&self, port: u16, out: &mut [u8]) -> Result<()> {
        let port = self.port(port)?;
        for part in out.chunks_mut(4096) {
            // SAFETY: the range is a slice borrowed for writing.
            unsafe { syscall::port_read_bytes(self.handle, port, part.as_mut_ptr() as u64, part.len() as u64) }?;
        }
        Ok(())
    }

    /// Writes bytes to one port, one after another. Errors: as [`PortRange::read`].
    pub fn write_bytes(&self, port: u16, data: &[u8]) -> Result<()> {
        let port = self.port(port)?;
        for part in data.chunks(4096) {
            // SAFETY: the range is a slice borrowed for reading.
            unsafe { syscall::port_write_bytes(self.handle, port, part.as_ptr() as u64, part.len() as u64) }?;
        }
        Ok(())
    }
}

impl Ports for PortRange {
    fn read8(&self, port: u16) -> Result<u8> {
        self.read(port, 1).map(|v| v as u8)
    }
    fn write8(&self, port: u16, value: u8) -> Result<()> {
        self.write(port, 1, u32::from(value))
    }
    fn write_burst(&self, port: u16, data: &[u8]) -> Result<()> {
        self.write_bytes(port, data)
    }
}
