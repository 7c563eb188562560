//! A PCI device as its driver holds it: the driver's side of
//! [`bus`](crate::bus).

use crate::bus;
use crate::interrupt::Interrupt;
use crate::virtio::transport::{structures, Structure, Transport};
use crate::window::Window;
use abi::{Error, Handle, Result};
use alloc::vec::Vec;
use scheme::client::File;
use scheme::wire::OpenFlags;

/// A claimed device. Dropping it (or dying) gives the device back to the bus manager, which stops it.
pub struct PciDevice {
    claim: File,
}

impl PciDevice {
    /// Claims the device that `path` leads to; waits while another has it. Errors: the bus manager's.
    pub fn claim(path: &str) -> Result<PciDevice> {
        Ok(PciDevice { claim: File::open(path, OpenFlags::READ | OpenFlags::WRITE)? })
    }

    /// What the device is. Errors: the bus manager's.
    pub fn info(&self) -> Result<bus::Info> {
        let mut bytes = [0; bus::INFO_LENGTH];
        self.claim.control(bus::INFO, 0, &[], &mut bytes)?;
        Ok(bus::Info::from_bytes(&bytes))
    }

    /// Reads 4 bytes of the device's configuration space. Errors: the bus manager's.
    pub fn config(&self, offset: u16) -> Result<u32> {
        Ok(self.claim.control(bus::CONFIG_READ, u64::from(offset), &[], &mut [])?.0 as u32)
    }

    /// The first `count` message interrupts. Errors: `NotSupported`, the bus manager's.
    pub fn interrupts(&self, count: u64) -> Result<Vec<Interrupt>> {
        let (_, _, mut caps) = self.claim.control_with(bus::INTERRUPTS, count, &[], &mut [], &[])?;
        let all: Vec<Interrupt> = caps.drain().map(Interrupt::new).collect();
        if all.len() as u64 == count {
            Ok(all)
        } else {
            Err(Error::TableFull)
        }
    }

    /// Lets the device master the bus; its view of memory. Errors: the bus manager's.
    pub fn start(&self) -> Result<Handle> {
        let (_, _, mut caps) = self.claim.control_with(bus::START, 0, &[], &mut [], &[])?;
        caps.take(0).ok_or(Error::TableFull)
    }

    /// A part of a BAR, mapped: `length` bytes from `offset`. Errors: the bus manager's.
    pub fn window(&self, bar: u8, offset: u64, length: u64) -> Result<Window> {
        const PAGE: u64 = abi::memory::PAGE_SIZE;
        let first = offset / PAGE;
        let end = offset.checked_add(length).ok_or(Error::BadArgument)?.div_ceil(PAGE);
        if length == 0 || first >= 1 << 24 {
            return Err(Error::BadArgument);
        }
        let pages = end.checked_sub(first).ok_or(Error::BadArgument)?;
        let argument = u64::from(bar) | (first << 8) | (pages << 32);
        let (_, _, mut caps) = self.claim.control_with(bus::BAR_PART, argument, &[], &mut [], &[])?;
        let memory = caps.take(0).ok_or(Error::TableFull)?;
        Window::map(memory, offset % PAGE, usize::try_from(length).map_err(|_| Error::BadArgument)?, true)
    }

    /// The device as a virtio device, its structures mapped. Errors: `NotSupported` without the modern interface.
    pub fn virtio(&self) -> Result<Transport<Window>> {
        let found = structures(&mut |offset| self.config(offset))?;
        let map = |s: Structure| self.window(s.bar, u64::from(s.offset), u64::from(s.length));
        let device = map(found.device.ok_or(Error::NotSupported)?)?;
        Ok(Transport::new(map(found.common)?, map(found.notify)?, device, found.notify_multiplier))
    }
}
