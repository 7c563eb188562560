//! A disk behind a block scheme, as a [`BlockDevice`].

use crate::block::{BlockDevice, BlockInfo, INFO, INFO_LENGTH};
use crate::client::File;
use crate::lease::{Source, Target};
use crate::message::Connection;
use crate::session::Session;
use crate::wire::OpenFlags;
use abi::{Error, Result};

/// A session to a block scheme.
#[derive(Debug)]
pub struct SchemeDevice<C: Connection = Session> {
    file: File<C>,
    info: BlockInfo,
}

impl SchemeDevice<Session> {
    /// Opens a disk by its path. Errors: the server's; `Corrupt` when it says nonsense of itself.
    pub fn open(path: &str, flags: OpenFlags) -> Result<SchemeDevice> {
        SchemeDevice::new(File::open(path, flags)?)
    }
}

impl<C: Connection> SchemeDevice<C> {
    /// A disk behind a session that is open. Errors: as [`SchemeDevice::open`].
    pub fn new(file: File<C>) -> Result<SchemeDevice<C>> {
        let mut bytes = [0; INFO_LENGTH];
        let (_, length) = file.control(INFO, 0, &[], &mut bytes)?;
        let info = BlockInfo::from_bytes(bytes.get(..length).unwrap_or(&[]))?;
        Ok(SchemeDevice { file, info })
    }

    /// The session.
    pub fn file(&self) -> &File<C> {
        &self.file
    }

    /// Reads straight into what a caller lent, without a copy here. Errors: as [`BlockDevice::read`], `LeaseFault`.
    pub fn read_lent(&mut self, offset: u64, target: &mut Target<'_>, at: usize, length: usize) -> Result<()> {
        self.info.check(offset, length)?;
        let mut done = 0usize;
        while done < length {
            let left = length.saturating_sub(done);
            let lend = target.lend(at.saturating_add(done), left)?;
            done = done.saturating_add(progress(self.file.read_into(offset.saturating_add(done as u64), lend)?)?);
        }
        Ok(())
    }

    /// Writes straight from what a caller lent. Errors: as [`BlockDevice::write`], `LeaseFault`.
    pub fn write_lent(&mut self, offset: u64, source: &mut Source<'_>, at: usize, length: usize) -> Result<()> {
        self.info.check(offset, length)?;
        let mut done = 0usize;
        while done < length {
            let left = length.saturating_sub(done);
            let lend = source.lend(at.saturating_add(done), left)?;
            done = done.saturating_add(progress(self.file.write_from(offset.saturating_add(done as u64), lend)?)?);
        }
        Ok(())
    }
}

/// A disk that moves nothing inside its bounds has failed. Errors: `Io`.
fn progress(count: usize) -> Result<usize> {
    if count == 0 {
        Err(Error::Io)
    } else {
        Ok(count)
    }
}

impl<C: Connection> BlockDevice for SchemeDevice<C> {
    fn info(&self) -> BlockInfo {
        self.info
    }

    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        let length = out.len();
        self.read_lent(offset, &mut Target::from_slice(out), 0, length)
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        if self.info.read_only {
            return Err(Error::ReadOnly);
        }
        self.write_lent(offset, &mut Source::from_slice(data), 0, data.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.file.sync()
    }
}
