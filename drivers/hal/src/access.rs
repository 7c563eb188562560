//! Registers and device-visible memory as traits, so that drivers run on the
//! host against fakes.

use abi::error::{Error, Result};

/// A window of device registers. Offsets are bytes from the window's start; accesses are aligned and
/// volatile, in program order. Outside the window reads give all ones and writes go nowhere, as on a bus.
pub trait Mmio {
    /// Bytes in the window.
    fn length(&self) -> usize;
    /// Reads 1 byte.
    fn read8(&self, offset: usize) -> u8;
    /// Reads 2 bytes.
    fn read16(&self, offset: usize) -> u16;
    /// Reads 4 bytes.
    fn read32(&self, offset: usize) -> u32;
    /// Writes 1 byte.
    fn write8(&self, offset: usize, value: u8);
    /// Writes 2 bytes.
    fn write16(&self, offset: usize, value: u16);
    /// Writes 4 bytes.
    fn write32(&self, offset: usize, value: u32);
    /// Writes 8 bytes as two halves, the low one first (as virtio 4.1.3.1 allows).
    fn write64(&self, offset: usize, value: u64) {
        self.write32(offset, value as u32);
        self.write32(offset.saturating_add(4), (value >> 32) as u32);
    }
}

/// Memory that a device reads and writes too. The device is not trusted: what is read is checked.
pub trait DmaMemory {
    /// Bytes.
    fn length(&self) -> usize;
    /// The device's address of a byte.
    fn device_address(&self, offset: usize) -> u64;
    /// Copies out.
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<()>;
    /// Copies in.
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<()>;
    /// Reads a word once.
    fn read_u16(&self, offset: usize) -> Result<u16> {
        let mut bytes = [0; 2];
        self.read(offset, &mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }
    /// Reads a word once.
    fn read_u32(&self, offset: usize) -> Result<u32> {
        let mut bytes = [0; 4];
        self.read(offset, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
    /// Writes a word.
    fn write_u16(&mut self, offset: usize, value: u16) -> Result<()> {
        self.write(offset, &value.to_le_bytes())
    }
    /// Orders everything before against everything after, for the device too.
    fn fence(&self);
}

/// I/O ports, by number relative to the range that is held.
pub trait Ports {
    /// Reads 1 byte.
    fn read8(&self, port: u16) -> Result<u8>;
    /// Writes 1 byte.
    fn write8(&self, port: u16, value: u8) -> Result<()>;
    /// Writes bytes to one port, one after another.
    fn write_burst(&self, port: u16, data: &[u8]) -> Result<()> {
        data.iter().try_for_each(|byte| self.write8(port, *byte))
    }
}

/// Memory of the host that plays device memory in tests: addresses start at 0x10_0000.
#[derive(Clone, Default)]
pub struct FakeDma {
    /// The bytes, shared with the fake device.
    pub bytes: alloc::rc::Rc<core::cell::RefCell<alloc::vec::Vec<u8>>>,
}

/// The device address of the first byte of a [`FakeDma`].
pub const FAKE_BASE: u64 = 0x10_0000;

impl FakeDma {
    /// Zeroed memory.
    pub fn new(length: usize) -> FakeDma {
        FakeDma { bytes: alloc::rc::Rc::new(core::cell::RefCell::new(alloc::vec![0; length])) }
    }
}

impl DmaMemory for FakeDma {
    fn length(&self) -> usize {
        self.bytes.borrow().len()
    }
    fn device_address(&self, offset: usize) -> u64 {
        FAKE_BASE.saturating_add(offset as u64)
    }
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<()> {
        let bytes = self.bytes.borrow();
        let end = offset.checked_add(out.len()).ok_or(Error::BadArgument)?;
        out.copy_from_slice(bytes.get(offset..end).ok_or(Error::BadArgument)?);
        Ok(())
    }
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<()> {
        let mut bytes = self.bytes.borrow_mut();
        let end = offset.checked_add(data.len()).ok_or(Error::BadArgument)?;
        bytes.get_mut(offset..end).ok_or(Error::BadArgument)?.copy_from_slice(data);
        Ok(())
    }
    fn fence(&self) {}
}
