//! Registers (and framebuffers) mapped into the driver.

use crate::access::Mmio;
use abi::memory::{Protection, PAGE_SIZE};
use abi::{Error, Handle, Result};
use scheme::rt::syscall;

/// A mapped range of device memory. It stays mapped for the life of the value.
#[derive(Debug)]
pub struct Window {
    /// Start of the mapped pages.
    pages: u64,
    /// Bytes mapped.
    mapped: u64,
    /// Where the range begins in them.
    base: usize,
    /// Bytes of the range.
    length: usize,
}

impl Window {
    /// Maps `length` bytes of a `DeviceMemory` from `offset` of its range; neither has to be aligned.
    /// Errors: `BadArgument` when empty, the kernel's.
    pub fn map(memory: Handle, offset: u64, length: usize, writable: bool) -> Result<Window> {
        let skew = offset % PAGE_SIZE;
        let first = offset.checked_sub(skew).ok_or(Error::BadArgument)?;
        let bytes = skew.checked_add(length as u64).ok_or(Error::BadArgument)?;
        let mapped = bytes.checked_next_multiple_of(PAGE_SIZE).ok_or(Error::BadArgument)?;
        if length == 0 {
            return Err(Error::BadArgument);
        }
        let protection = if writable { Protection::READ | Protection::WRITE } else { Protection::READ };
        // SAFETY: the kernel chooses the address, so nothing in use is replaced.
        let pages =
            unsafe { syscall::space_map(Handle::SELF_SPACE, memory, 0, first, mapped, u64::from(protection.bits())) }?;
        Ok(Window { pages, mapped, base: (pages + skew) as usize, length })
    }

    /// Gives the mapping up to whoever holds its address: address of the range, bytes from there to the end of
    /// the mapped pages. For the ACPI crate, which keeps mappings itself.
    #[cfg(target_os = "none")]
    pub(crate) fn leak(self) -> (usize, usize) {
        let window = core::mem::ManuallyDrop::new(self);
        (window.base, (window.pages + window.mapped) as usize - window.base)
    }

    /// Unmaps what [`Window::leak`] gave up.
    #[cfg(target_os = "none")]
    pub(crate) fn unleak(base: usize, to_end: usize) {
        let pages = base as u64 & !(PAGE_SIZE - 1);
        let mapped = (base + to_end) as u64 - pages;
        drop(Window { pages, mapped, base, length: 0 });
    }

    /// The address of `width` bytes at `offset`, if they lie inside and are aligned.
    fn at(&self, offset: usize, width: usize) -> Option<usize> {
        let end = offset.checked_add(width)?;
        (end <= self.length && (self.base + offset).is_multiple_of(width)).then_some(self.base + offset)
    }

    /// Writes 32-bit words one after another, as for pixels; what lies outside is dropped.
    pub fn write_words(&self, offset: usize, words: &[u32]) {
        let room = self.length.saturating_sub(offset) / 4;
        let Some(start) = self.at(offset, 4) else { return };
        for (i, word) in words.iter().take(room).enumerate() {
            // SAFETY: (1) `at` checked the first word and `room` bounds the rest; (2) the pages are mapped while self
            // lives; (3) device memory has no Rust references to it.
            unsafe { ((start + 4 * i) as *mut u32).write_volatile(*word) }
        }
    }

    /// Copies out, byte by byte; `false` when the range does not lie inside.
    pub fn copy_out(&self, offset: usize, out: &mut [u8]) -> bool {
        if offset.checked_add(out.len()).is_none_or(|end| end > self.length) {
            return false;
        }
        for (i, byte) in out.iter_mut().enumerate() {
            // SAFETY: as in `write_words`; the range was checked above.
            *byte = unsafe { ((self.base + offset + i) as *const u8).read_volatile() };
        }
        true
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `map`, and nothing refers to it after this value is gone.
        let _ = unsafe { syscall::space_unmap(Handle::SELF_SPACE, self.pages, self.mapped) };
    }
}

macro_rules! accesses {
    ($($read:ident $write:ident $type:ty,)+) => {
        impl Mmio for Window {
            fn length(&self) -> usize {
                self.length
            }
            $(
                fn $read(&self, offset: usize) -> $type {
                    match self.at(offset, size_of::<$type>()) {
                        // SAFETY: `at` checked range and alignment; the pages are mapped while self lives.
                        Some(address) => unsafe { (address as *const $type).read_volatile() },
                        None => <$type>::MAX,
                    }
                }
                fn $write(&self, offset: usize, value: $type) {
                    if let Some(address) = self.at(offset, size_of::<$type>()) {
                        // SAFETY: as in the read.
                        unsafe { (address as *mut $type).write_volatile(value) }
                    }
                }
            )+
        }
    };
}
accesses! { read8 write8 u8, read16 write16 u16, read32 write32 u32, }
