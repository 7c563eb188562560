//! What a file system or a partition server asks of the disk below it.
//!
//! Offsets and lengths are bytes; both are multiples of `BlockInfo::block_size`. The real device is
//! a session to a block scheme ([`SchemeDevice`](crate::block_client::SchemeDevice)); on the host it is a file, a vector
//! or a fault injector.

use abi::{Error, Result};

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

/// The control command of block schemes that answers a [`BlockInfo`]: [`INFO_LENGTH`] bytes of output.
pub const INFO: u64 = 1;
/// The control command by which a block driver tells what it counts: u64 little-endian: requests given to the device,
/// finished, failed; interrupts taken, those that found nothing finished; and requests that the device has now, which is
/// the value too.
pub const COUNTERS: u64 = 2;
/// Bytes of a [`BlockInfo`] on the wire.
pub const INFO_LENGTH: usize = 16;

impl BlockInfo {
    /// The answer to [`INFO`]: block size u32, flags u32 (bit 0: read-only), block count u64; little-endian.
    pub fn to_bytes(&self) -> [u8; INFO_LENGTH] {
        let shape = u64::from(self.block_size) | (u64::from(self.read_only) << 32);
        let mut out = [0; INFO_LENGTH];
        for (byte, value) in out.iter_mut().zip(shape.to_le_bytes().into_iter().chain(self.block_count.to_le_bytes())) {
            *byte = value;
        }
        out
    }

    /// The value from a server's answer. Errors: `Corrupt` for what no disk can be.
    pub fn from_bytes(bytes: &[u8]) -> Result<BlockInfo> {
        let word = |at: usize| bytes.get(at..).and_then(|b| b.first_chunk::<8>()).map(|b| u64::from_le_bytes(*b));
        let (shape, block_count) = word(0).zip(word(8)).ok_or(Error::Corrupt)?;
        let (block_size, flags) = (shape as u32, shape >> 32);
        let size_fits = block_count.checked_mul(u64::from(block_size)).is_some_and(|size| i64::try_from(size).is_ok());
        if !block_size.is_power_of_two() || !(512..=4096).contains(&block_size) || flags > 1 || !size_fits {
            return Err(Error::Corrupt);
        }
        Ok(BlockInfo { block_size, block_count, read_only: flags == 1 })
    }

    /// Checks that a request is whole blocks inside the device. Errors: `BadArgument`.
    pub fn check(&self, offset: u64, length: usize) -> Result<()> {
        let mask = u64::from(self.block_size).wrapping_sub(1);
        let end = offset.checked_add(length as u64).ok_or(Error::BadArgument)?;
        if offset & mask != 0 || end & mask != 0 || end > self.size_bytes() {
            return Err(Error::BadArgument);
        }
        Ok(())
    }
}
