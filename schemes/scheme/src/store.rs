//! Bytes that outlive a server: what a keepsake is written to.

use crate::rt::memory::Mapping;
use abi::{Error, Result};

/// A run of bytes, written in the order of the calls and never buffered: after the death of the process, all that
/// was written before is there, and nothing that comes after.
pub trait Store {
    /// Bytes.
    fn size(&self) -> usize;
    /// Copies out. Errors: `BadArgument` outside.
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<()>;
    /// Copies in. Errors: `BadArgument` outside.
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<()>;
}

impl Store for Mapping {
    fn size(&self) -> usize {
        self.len()
    }
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<()> {
        Mapping::read(self, offset, out)
    }
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<()> {
        Mapping::write(self, offset, data)
    }
}

/// No keepsake: nothing is kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Store for Nothing {
    fn size(&self) -> usize {
        0
    }
    fn read(&self, _: usize, _: &mut [u8]) -> Result<()> {
        Err(Error::BadArgument)
    }
    fn write(&mut self, _: usize, _: &[u8]) -> Result<()> {
        Err(Error::BadArgument)
    }
}

impl Store for alloc::vec::Vec<u8> {
    fn size(&self) -> usize {
        self.len()
    }
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(out.len()).ok_or(Error::BadArgument)?;
        out.copy_from_slice(self.get(offset..end).ok_or(Error::BadArgument)?);
        Ok(())
    }
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<()> {
        let end = offset.checked_add(data.len()).ok_or(Error::BadArgument)?;
        self.get_mut(offset..end).ok_or(Error::BadArgument)?.copy_from_slice(data);
        Ok(())
    }
}

impl<S: Store + ?Sized> Store for alloc::boxed::Box<S> {
    fn size(&self) -> usize {
        (**self).size()
    }
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<()> {
        (**self).read(offset, out)
    }
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<()> {
        (**self).write(offset, data)
    }
}
