//! Mapping Memory objects into the own address space.
//!
//! A [`Mapping`] is shared memory: others may change it at any time, so it is read and written by copying,
//! never lent out as a slice. [`fixed_bytes`] is for memory that nobody changes any more (initfs).

use super::{calls, syscall};
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::{Error, Handle, Result};

/// Part of a Memory, mapped until this is dropped.
#[derive(Debug)]
pub struct Mapping {
    address: usize,
    length: usize,
    writable: bool,
}

/// Rounds up to whole pages. Errors: `BadArgument` past the address space.
pub fn page_align(length: u64) -> Result<u64> {
    length.checked_next_multiple_of(PAGE_SIZE).ok_or(Error::BadArgument)
}

/// Maps part of a Memory where the kernel chooses. Errors: the kernel's.
pub fn map(memory: Handle, offset: u64, length: u64, access: Protection) -> Result<Mapping> {
    let length = page_align(length)?;
    let bits = u64::from(access.bits());
    // SAFETY: the kernel chooses a free place.
    let address = unsafe { syscall::space_map(Handle::SELF_SPACE, memory, 0, offset, length, bits) }?;
    Ok(Mapping { address: address as usize, length: length as usize, writable: access.contains(Protection::WRITE) })
}

/// Makes a Memory of `length` bytes (rounded up) and maps it for reading and writing. Errors: the kernel's.
pub fn create(quota: Handle, length: u64, flags: MemoryFlags) -> Result<(Handle, Mapping)> {
    let memory = calls::memory_create(quota, page_align(length)? / PAGE_SIZE, flags)?;
    match map(memory, 0, length, Protection::READ | Protection::WRITE) {
        Ok(mapping) => Ok((memory, mapping)),
        Err(error) => {
            calls::close(memory);
            Err(error)
        }
    }
}

impl Mapping {
    /// Bytes mapped.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where it is mapped: for `hal`, which turns it into registers and rings.
    pub fn address(&self) -> usize {
        self.address
    }

    /// Leaves it mapped for ever; where it is.
    pub fn leak(self) -> usize {
        let address = self.address;
        core::mem::forget(self);
        address
    }

    /// A word of it, for atomic use together with others who map it. Errors: `BadArgument` outside or not aligned,
    /// `NoRight` when mapped for reading only.
    pub fn word(&self, offset: usize) -> Result<&core::sync::atomic::AtomicU32> {
        self.check(offset, 4)?;
        if !offset.is_multiple_of(4) {
            return Err(Error::BadArgument);
        }
        if !self.writable {
            return Err(Error::NoRight);
        }
        // SAFETY: (1) four bytes there are mapped readable and writable while `self` lives, and aligned, since mappings
        // begin at pages; (2) no reference to them exists but such as this.
        Ok(unsafe { core::sync::atomic::AtomicU32::from_ptr((self.address + offset) as *mut u32) })
    }

    fn check(&self, offset: usize, length: usize) -> Result<()> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(Error::BadArgument),
        }
    }

    /// Copies out. Errors: `BadArgument` outside.
    pub fn read(&self, offset: usize, out: &mut [u8]) -> Result<()> {
        self.check(offset, out.len())?;
        // SAFETY: (1) the range is mapped readable while `self` lives; (2) no reference into it exists; (3) a writer
        // elsewhere gives mixed bytes and no more.
        unsafe { core::ptr::copy_nonoverlapping((self.address + offset) as *const u8, out.as_mut_ptr(), out.len()) };
        core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
        Ok(())
    }

    /// Copies in. Errors: `BadArgument` outside, `NoRight` when mapped for reading only.
    pub fn write(&mut self, offset: usize, data: &[u8]) -> Result<()> {
        self.check(offset, data.len())?;
        if !self.writable {
            return Err(Error::NoRight);
        }
        // SAFETY: as in `read`, and it is mapped writable.
        unsafe { core::ptr::copy_nonoverlapping(data.as_ptr(), (self.address + offset) as *mut u8, data.len()) };
        // What is written here is seen in this order by whoever takes up after a crash of this process.
        core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: no reference into the mapping was ever handed out.
        let _ = unsafe { syscall::space_unmap(Handle::SELF_SPACE, self.address as u64, self.length as u64) };
    }
}

/// A Memory that nobody changes, mapped for reading for the life of the process, as a slice.
///
/// It is for what came with the boot image: init gives its holders READ and EXECUTE alone, and nobody has WRITE. A
/// Memory whose capability here allows writing is refused. Errors: `NoRight`, the kernel's.
pub fn fixed_bytes(memory: Handle, length: u64) -> Result<&'static [u8]> {
    if let Ok((_, rights, _, _)) = calls::inspect(memory) {
        if rights.contains(abi::Rights::WRITE) {
            return Err(Error::NoRight);
        }
    }
    let mapping = map(memory, 0, length, Protection::READ)?;
    let address = mapping.leak();
    // SAFETY: (1) mapped readable, never unmapped; (2) its contents don't change, as argued above.
    Ok(unsafe { core::slice::from_raw_parts(address as *const u8, usize::try_from(length).unwrap_or(0)) })
}
