//! What a file system or a partition server asks of the disk below it.
//!
//! Offsets and lengths are bytes; both are multiples of `BlockInfo::block_size`. The real device is
//! a session to a block scheme; on the host it is a file, a vector or a fault injector.

use abi::error::Result;

/// The shape of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// Bytes in a block: a power of two from 512 to 4096.
    pub block_size: u32,
    /// Blocks on the device.
    pub block_count: u64,
    /// Whether writes are refused.
    pub read_only: bool,
}

impl BlockInfo {
    /// The device's size in bytes, saturating.
    pub const fn size_bytes(&self) -> u64 {
        self.block_count.saturating_mul(self.block_size as u64)
    }
}

/// A disk, or a part of one.
pub trait BlockDevice {
    /// The device's shape; it does not change while the device is open.
    fn info(&self) -> BlockInfo;
    /// Fills `out` from `offset`. Errors: `BadArgument` unaligned or past the end, `Io`.
    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()>;
    /// Writes `data` at `offset`. Errors: as `read`, and `ReadOnly`.
    fn write(&mut self, offset: u64, data: &[u8]) -> Result<()>;
    /// Returns when everything written before is on the medium.
    fn flush(&mut self) -> Result<()>;
}

impl<D: BlockDevice + ?Sized> BlockDevice for &mut D {
    fn info(&self) -> BlockInfo {
        (**self).info()
    }
    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        (**self).read(offset, out)
    }
    fn write(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        (**self).write(offset, data)
    }
    fn flush(&mut self) -> Result<()> {
        (**self).flush()
    }
}
