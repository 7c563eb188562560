//! A disk in memory.

use abi::{Error, Result};
use scheme::block::{BlockDevice, BlockInfo};

/// A disk in memory.
pub struct Ram {
    pub bytes: Vec<u8>,
    pub block: u32,
    pub read_only: bool,
}

impl Ram {
    pub fn new(bytes: Vec<u8>) -> Ram {
        Ram { bytes, block: 512, read_only: false }
    }
}

impl BlockDevice for Ram {
    fn info(&self) -> BlockInfo {
        let block_count = (self.bytes.len() / self.block as usize) as u64;
        BlockInfo { block_size: self.block, block_count, read_only: self.read_only }
    }
    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.info().check(offset, out.len())?;
        out.copy_from_slice(&self.bytes[offset as usize..][..out.len()]);
        Ok(())
    }
    fn write(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        self.info().check(offset, data.len())?;
        if self.read_only {
            return Err(Error::ReadOnly);
        }
        self.bytes[offset as usize..][..data.len()].copy_from_slice(data);
        Ok(())
    }
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
