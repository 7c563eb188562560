//! Memory that a device and its driver both use.

use crate::access::DmaMemory;
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::{Error, Handle, Result};
use core::sync::atomic::{fence, Ordering};
use scheme::rt::lease::{pin_memory, Pin};
use scheme::rt::syscall;

/// One run of zeroed frames, mapped here and pinned for a device. When the driver dies, the frames stay
/// until the bus manager has stopped the device.
#[derive(Debug)]
pub struct DmaBuffer {
    address: usize,
    length: usize,
    device: u64,
    _pin: Pin,
}

impl DmaBuffer {
    /// Makes a buffer of at least `length` bytes for the device of `domain`. Errors: the kernel's.
    pub fn new(domain: Handle, length: usize) -> Result<DmaBuffer> {
        let bytes = (length as u64).checked_next_multiple_of(PAGE_SIZE).ok_or(Error::BadArgument)?;
        let flags = u64::from(MemoryFlags::CONTIGUOUS.bits());
        let protection = u64::from((Protection::READ | Protection::WRITE).bits());
        // SAFETY: (1) new memory, at an address that the kernel chooses; (2) the handle is closed, the mapping stays.
        let (memory, address) = unsafe {
            let memory = syscall::memory_create(Handle::SELF_QUOTA, bytes / PAGE_SIZE, flags, 0)?;
            (memory, syscall::space_map(Handle::SELF_SPACE, memory, 0, 0, bytes, protection)?)
        };
        let pin = pin_memory(domain, memory, 0, bytes)?;
        let device = match pin.ranges() {
            [(start, covered)] if *covered >= bytes => *start,
            _ => return Err(Error::Io),
        };
        Ok(DmaBuffer { address: address as usize, length: bytes as usize, device, _pin: pin })
    }

    fn check(&self, offset: usize, length: usize) -> Result<usize> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => Ok(self.address + offset),
            _ => Err(Error::BadArgument),
        }
    }
}

impl DmaMemory for DmaBuffer {
    fn length(&self) -> usize {
        self.length
    }
    fn device_address(&self, offset: usize) -> u64 {
        self.device.saturating_add(offset as u64)
    }
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<()> {
        let from = self.check(offset, out.len())? as *const u8;
        for (i, byte) in out.iter_mut().enumerate() {
            // SAFETY: (1) the range was checked and is mapped for good; (2) no reference to it exists; (3) the device may write
            // meanwhile: volatile, and whatever comes is checked by the caller.
            *byte = unsafe { from.add(i).read_volatile() };
        }
        Ok(())
    }
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<()> {
        let to = self.check(offset, data.len())? as *mut u8;
        for (i, byte) in data.iter().enumerate() {
            // SAFETY: as in `read`.
            unsafe { to.add(i).write_volatile(*byte) }
        }
        Ok(())
    }
    fn read_u16(&self, offset: usize) -> Result<u16> {
        let from = self.check(offset, 2)?;
        if from % 2 != 0 {
            return Err(Error::BadArgument);
        }
        // SAFETY: as in `read`; aligned, so it is one access that the device can't tear.
        Ok(unsafe { (from as *const u16).read_volatile() })
    }
    fn read_u32(&self, offset: usize) -> Result<u32> {
        let from = self.check(offset, 4)?;
        if from % 4 != 0 {
            return Err(Error::BadArgument);
        }
        // SAFETY: as in `read_u16`.
        Ok(unsafe { (from as *const u32).read_volatile() })
    }
    fn write_u16(&mut self, offset: usize, value: u16) -> Result<()> {
        let to = self.check(offset, 2)?;
        if to % 2 != 0 {
            return Err(Error::BadArgument);
        }
        // SAFETY: as in `read_u16`.
        unsafe { (to as *mut u16).write_volatile(value) };
        Ok(())
    }
    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}
