//! User memory, read and written by the kernel without ever faulting.
//!
//! Every access walks the page tables first, brings in what the mappings allow and is not there yet, and
//! then copies between frames. Addresses come from user code and are believed in nothing.

use crate::mm::fault::Access;
use crate::object::{Process, Space};
use crate::{FrameNumber, Id, Kernel, Machine, VirtAddr};
use abi::memory::PAGE_SIZE;
use abi::{Error, Result};

/// The most bytes that one call copies.
pub const COPY_LIMIT: u64 = 64 * 1024;

/// Which side of a copy could not go on, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyError {
    /// The side read from.
    From(Error),
    /// The side written to.
    To(Error),
}

/// How many bytes were copied, and what stopped it if something did.
pub(crate) type Copied = (u64, core::result::Result<(), CopyError>);

/// Bytes from an address to the end of its page, at most `length`.
fn in_page(address: u64, length: u64) -> u64 {
    let offset = address & PAGE_SIZE.wrapping_sub(1);
    PAGE_SIZE.saturating_sub(offset).min(length)
}

impl<M: Machine> Kernel<M> {
    /// The frame behind an address that a thread of the space could access so itself. Errors: as
    /// [`Kernel::resolve_fault`]; `BadAddress` for device registers.
    pub fn user_frame(&self, space: Id<Space>, address: u64, access: Access) -> Result<FrameNumber> {
        let page = VirtAddr::try_user(address).ok_or(Error::BadAddress)?;
        let root = self.spaces[space].root.get();
        let there = |t: &crate::machine::Translation| access.allowed(t.protection);
        let translation = match self.machine.translate(root, page).filter(there) {
            Some(translation) => translation,
            None => {
                self.resolve_fault(space, address, access)?;
                self.machine.translate(root, page).filter(there).ok_or(Error::BadAddress)?
            }
        };
        Some(translation).filter(|to| !to.device).and_then(|to| to.frame_of(page)).ok_or(Error::BadAddress)
    }

    fn process_space(&self, process: Id<Process>) -> Result<Id<Space>> {
        self.processes[process].space.get().ok_or(Error::BadAddress)
    }

    /// Reads a process's memory. Errors: `BadAddress`, `OutOfQuota`, `OutOfMemory` (a page could not be brought in).
    pub fn user_read(&self, process: Id<Process>, address: u64, out: &mut [u8]) -> Result<()> {
        let space = self.process_space(process)?;
        let mut rest = out;
        let mut at = address;
        while !rest.is_empty() {
            let frame = self.user_frame(space, at, Access::Read)?;
            let here = in_page(at, rest.len() as u64);
            let (part, after) = rest.split_at_mut(here as usize);
            self.machine.read_frame(frame, VirtAddr(at).offset(), part);
            rest = after;
            at = at.checked_add(here).ok_or(Error::BadAddress)?;
        }
        Ok(())
    }

    /// Writes a process's memory; what comes before a bad page is written. Errors: as [`Kernel::user_read`].
    pub fn user_write(&self, process: Id<Process>, address: u64, data: &[u8]) -> Result<()> {
        let space = self.process_space(process)?;
        let mut rest = data;
        let mut at = address;
        while !rest.is_empty() {
            let frame = self.user_frame(space, at, Access::Write)?;
            let here = in_page(at, rest.len() as u64);
            let (part, after) = rest.split_at(here as usize);
            self.machine.write_frame(frame, VirtAddr(at).offset(), part);
            rest = after;
            at = at.checked_add(here).ok_or(Error::BadAddress)?;
        }
        Ok(())
    }

    /// Reads words (little-endian, aligned or not). Errors: as [`Kernel::user_read`].
    pub fn user_read_words(&self, process: Id<Process>, address: u64, out: &mut [u64]) -> Result<()> {
        let mut bytes = [0; 256];
        let mut at = address;
        for words in out.chunks_mut(bytes.len() / 8) {
            let part = bytes.get_mut(..words.len().saturating_mul(8)).unwrap_or(&mut []);
            self.user_read(process, at, part)?;
            for (word, b) in words.iter_mut().zip(part.chunks_exact(8)) {
                *word = u64::from_le_bytes(b.try_into().expect("invariant: eight bytes"));
            }
            at = at.checked_add(part.len() as u64).ok_or(Error::BadAddress)?;
        }
        Ok(())
    }

    /// Writes words. Errors: as [`Kernel::user_read`].
    pub fn user_write_words(&self, process: Id<Process>, address: u64, words: &[u64]) -> Result<()> {
        let mut bytes = [0; 256];
        let mut at = address;
        for words in words.chunks(bytes.len() / 8) {
            let part = bytes.get_mut(..words.len().saturating_mul(8)).unwrap_or(&mut []);
            for (word, b) in words.iter().zip(part.chunks_exact_mut(8)) {
                b.copy_from_slice(&word.to_le_bytes());
            }
            self.user_write(process, at, part)?;
            at = at.checked_add(part.len() as u64).ok_or(Error::BadAddress)?;
        }
        Ok(())
    }

    /// Copies from one space to another (or the same), at most [`COPY_LIMIT`] bytes, and no more than the first
    /// pages when an interrupt is pending; answers how many bytes, and what stopped it if something did.
    pub fn copy_between(
        &self,
        from: Id<Space>,
        from_address: u64,
        to: Id<Space>,
        to_address: u64,
        length: u64,
    ) -> Copied {
        self.copy_pages(
            length,
            |done| {
                let at = from_address.checked_add(done).ok_or(Error::BadAddress)?;
                Ok((self.user_frame(from, at, Access::Read)?, at))
            },
            |done| {
                let at = to_address.checked_add(done).ok_or(Error::BadAddress)?;
                Ok((self.user_frame(to, at, Access::Write)?, at))
            },
        )
    }

    /// Copies between what two closures name: the frame for the byte at a position, and an address with its offset.
    pub(crate) fn copy_pages(
        &self,
        length: u64,
        from: impl Fn(u64) -> Result<(FrameNumber, u64)>,
        to: impl Fn(u64) -> Result<(FrameNumber, u64)>,
    ) -> Copied {
        let length = length.min(COPY_LIMIT);
        let mut done = 0u64;
        while done < length {
            let (from_frame, from_at) = match from(done) {
                Ok(place) => place,
                Err(error) => return (done, Err(CopyError::From(error))),
            };
            let (to_frame, to_at) = match to(done) {
                Ok(place) => place,
                Err(error) => return (done, Err(CopyError::To(error))),
            };
            let here = in_page(to_at, in_page(from_at, length.saturating_sub(done)));
            let (a, b) = (VirtAddr(from_at).offset(), VirtAddr(to_at).offset());
            self.machine.copy(from_frame, a, to_frame, b, here as usize);
            done = done.saturating_add(here);
            if done >= PAGE_SIZE && self.machine.interrupt_pending() {
                break;
            }
        }
        (done, Ok(()))
    }
}
