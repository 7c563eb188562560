//! Copying, mapping and pinning what a caller lent.

use super::{buffer, syscall};
use crate::message::Lend;
use abi::call::Call;
use abi::memory::Protection;
use abi::message::buffer::RANGES;
use abi::message::{LeaseAccess, RANGES as MAX_RANGES};
use abi::{error, Error, Handle, Result};
use alloc::vec::Vec;

fn copy(call: Call, reply: Handle, index: u8, offset: usize, address: u64, length: usize) -> Result<()> {
    let mut done = 0;
    // The kernel copies at most 64 KiB a call, and stops early when an interrupt is pending.
    loop {
        let left = length - done;
        let args = [reply.word(), u64::from(index), (offset + done) as u64, address + done as u64, left as u64, 0];
        // SAFETY: the callers pass the address and length of a slice they borrow as the call needs it.
        let (status, [count, ..]) = unsafe { syscall::raw(call, args) };
        done += usize::try_from(count).unwrap_or(usize::MAX).min(left);
        error::check(status)?;
        if done == length {
            return Ok(());
        }
        if count == 0 {
            return Err(Error::Io);
        }
    }
}

/// Copies out of a lease. Errors: `LeaseRange`, `LeaseAccess`, `LeaseFault`, `WrongState`.
pub fn read(reply: Handle, index: u8, offset: usize, out: &mut [u8]) -> Result<()> {
    copy(Call::LeaseRead, reply, index, offset, out.as_mut_ptr() as u64, out.len())
}

/// Copies into a lease. Errors: as [`read`].
pub fn write(reply: Handle, index: u8, offset: usize, data: &[u8]) -> Result<()> {
    copy(Call::LeaseWrite, reply, index, offset, data.as_ptr() as u64, data.len())
}

/// The most bytes of a lease the kernel maps at once.
pub const MAP_LIMIT: usize = 4 << 20;

/// Whole pages of a lease, mapped here until the call is answered; then the kernel takes them away.
#[derive(Debug)]
pub struct MappedPages {
    address: usize,
    length: usize,
}

/// Maps `length` bytes (whole pages) of a lease from `offset`. Errors: `LeaseAccess` when they are not whole pages
/// of the lender's, `LeaseRange`, the kernel's.
pub fn map(reply: Handle, index: u8, offset: usize, length: usize, access: LeaseAccess) -> Result<MappedPages> {
    // Exactly what was lent: to ask for more is refused.
    let protection = if access.contains(LeaseAccess::WRITE) { Protection::WRITE } else { Protection::READ };
    // SAFETY: the kernel chooses the address, so nothing in use is replaced.
    let address = unsafe {
        syscall::lease_map(reply, u64::from(index), offset as u64, length as u64, 0, u64::from(protection.bits()))
    }?;
    Ok(MappedPages { address: address as usize, length })
}

impl MappedPages {
    /// Bytes mapped.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Copies out from `offset`; what lies outside is left as it was.
    pub fn read(&self, offset: usize, out: &mut [u8]) {
        let count = out.len().min(self.length.saturating_sub(offset));
        // SAFETY: (1) the range lies in pages that stay mapped until the reply, and this value is dropped before it; (2) no
        // reference to them exists here; the lender may write them meanwhile, which gives mixed bytes and no more.
        unsafe { core::ptr::copy_nonoverlapping((self.address + offset) as *const u8, out.as_mut_ptr(), count) }
    }

    /// Copies in at `offset`; what would lie outside is dropped.
    pub fn write(&self, offset: usize, data: &[u8]) {
        let count = data.len().min(self.length.saturating_sub(offset));
        // SAFETY: as in `read`; the pages were mapped writable, or the kernel faults us, never corrupts.
        unsafe { core::ptr::copy_nonoverlapping(data.as_ptr(), (self.address + offset) as *mut u8, count) }
    }
}

/// Memory held in place for a device, until this is dropped.
#[derive(Debug)]
pub struct Pin {
    handle: Handle,
    ranges: Vec<(u64, u64)>,
}

impl Pin {
    /// A pin just made: reads its ranges from the IPC buffer.
    pub(crate) fn new(handle: Handle, count: u64) -> Pin {
        let count = usize::try_from(count).unwrap_or(0).min(MAX_RANGES);
        let range = |i: usize| (buffer::get(RANGES + 2 * i), buffer::get(RANGES + 2 * i + 1));
        Pin { handle, ranges: (0..count).map(range).collect() }
    }

    /// Device addresses and lengths, in order.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// The capability.
    pub fn handle(&self) -> Handle {
        self.handle
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        super::calls::close(self.handle);
    }
}

/// Pins a part of a lease for the device of `domain`. Errors: `LeaseRange`, `LeaseAccess`, the kernel's.
pub fn pin(reply: Handle, index: u8, offset: usize, length: usize, domain: Handle) -> Result<Pin> {
    // SAFETY: no address of ours is named.
    let (pin, ranges) = unsafe { syscall::lease_pin(reply, u64::from(index), offset as u64, length as u64, domain) }?;
    Ok(Pin::new(pin, ranges))
}

/// Pins a part of a Memory object. Errors: the kernel's.
pub fn pin_memory(domain: Handle, memory: Handle, offset: u64, length: u64) -> Result<Pin> {
    // SAFETY: no address of ours is named.
    let (pin, ranges) = unsafe { syscall::domain_pin(domain, memory, offset, length) }?;
    Ok(Pin::new(pin, ranges))
}

/// Reads a byte of every page of what is lent (and writes it back where the callee may write), so that each page
/// is in memory. What is passed on is not ours to bring in.
pub fn touch(lend: &mut Lend<'_>) {
    let (address, length, write) = match lend {
        Lend::Read(data) => (data.as_ptr().cast_mut(), data.len(), false),
        Lend::Write(data) => (data.as_mut_ptr(), data.len(), true),
        Lend::PassOn { .. } => return,
    };
    let mut at = 0;
    while at < length {
        let byte = address.wrapping_add(at);
        // SAFETY: `at` lies in a slice that `lend` borrows, exclusively where it is written; the byte keeps its value.
        unsafe {
            let value = byte.read_volatile();
            if write {
                byte.write_volatile(value);
            }
        }
        at = ((address as usize + at) & !0xfff) + 0x1000 - address as usize;
    }
}
