//! A [`BlockDevice`] as a scheme: what a simple disk driver or a disk in
//! memory serves.
//!
//! The root session is the disk; `open("")` gives more sessions to it. Reads and writes are whole blocks at
//! an offset; a read past the end answers 0 bytes, a write there `NoSpace`. Data goes through a buffer here: a driver that pins
//! leases for its device writes its own [`Scheme`].

use crate::block::{BlockDevice, BlockInfo, INFO};
use crate::lease::{Source, Target};
use crate::scheme::{Caller, Control, Controlled, Opened, Outcome, Scheme};
use crate::stat::{FileKind, Space, Stat};
use crate::wire::OpenFlags;
use abi::{Error, Result};
use alloc::vec;

/// The most bytes buffered for one call; more is done in parts.
const BUFFER: usize = 256 * 1024;

/// A device served as a scheme.
#[derive(Debug)]
pub struct BlockScheme<D: BlockDevice>(D);

impl<D: BlockDevice> BlockScheme<D> {
    /// Serves a device.
    pub fn new(device: D) -> BlockScheme<D> {
        BlockScheme(device)
    }

    /// The device.
    pub fn device(&mut self) -> &mut D {
        &mut self.0
    }
}

/// The bytes of a request that lie on the device: none past its end. Errors: `BadArgument` when they are not whole blocks.
pub fn clip(info: &BlockInfo, offset: u64, length: usize) -> Result<usize> {
    let left = info.size_bytes().saturating_sub(offset);
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(length);
    if length > 0 {
        info.check(offset, length)?;
    }
    Ok(length)
}

/// What `stat` tells of a block device.
pub fn stat(info: &BlockInfo, id: u64) -> Stat {
    let permissions = if info.read_only { 0o400 } else { 0o600 };
    Stat { kind: FileKind::Block, permissions, links: 1, size: info.size_bytes(), id, ..Stat::default() }
}

/// Answers [`INFO`]. Errors: `NotSupported` for other commands.
pub fn control(info: &BlockInfo, control: &mut Control<'_, '_>) -> Outcome<Controlled> {
    if control.command != INFO {
        return Err(Error::NotSupported.into());
    }
    Ok(Controlled::output(0, control.output.fill(&info.to_bytes())?))
}

impl<D: BlockDevice> Scheme for BlockScheme<D> {
    fn open(&mut self, _: &Caller, path: &str, flags: OpenFlags) -> Outcome<Opened> {
        if !path.is_empty() {
            return Err(Error::NotFound.into());
        }
        if flags.contains(OpenFlags::WRITE) && self.0.info().read_only {
            return Err(Error::ReadOnly.into());
        }
        Ok(Opened::new(0))
    }

    fn read(&mut self, _: &Caller, offset: u64, target: &mut Target<'_>) -> Outcome<usize> {
        let length = clip(&self.0.info(), offset, target.len())?;
        let mut buffer = vec![0; length.min(BUFFER)];
        let mut done = 0usize;
        while done < length {
            let count = length.saturating_sub(done).min(BUFFER);
            let part = buffer.get_mut(..count).ok_or(Error::Io)?;
            self.0.read(offset.saturating_add(done as u64), part)?;
            target.write(done, part)?;
            done = done.saturating_add(count);
        }
        Ok(length)
    }

    fn write(&mut self, _: &Caller, offset: u64, source: &mut Source<'_>) -> Outcome<usize> {
        let info = self.0.info();
        if info.read_only {
            return Err(Error::ReadOnly.into());
        }
        let length = clip(&info, offset, source.len())?;
        if length == 0 && !source.is_empty() {
            return Err(Error::NoSpace.into());
        }
        let mut buffer = vec![0; length.min(BUFFER)];
        let mut done = 0usize;
        while done < length {
            let count = length.saturating_sub(done).min(BUFFER);
            let part = buffer.get_mut(..count).ok_or(Error::Io)?;
            source.read(done, part)?;
            self.0.write(offset.saturating_add(done as u64), part)?;
            done = done.saturating_add(count);
        }
        Ok(length)
    }

    fn stat(&mut self, caller: &Caller, path: &str) -> Outcome<Stat> {
        if !path.is_empty() {
            return Err(Error::NotFound.into());
        }
        Ok(stat(&self.0.info(), caller.id))
    }

    fn control(&mut self, _: &Caller, request: &mut Control<'_, '_>) -> Outcome<Controlled> {
        control(&self.0.info(), request)
    }

    fn sync(&mut self, _: &Caller) -> Outcome<()> {
        Ok(self.0.flush()?)
    }

    fn space(&mut self, _: &Caller) -> Outcome<Space> {
        let info = self.0.info();
        let (total, block_size, read_only) = (info.size_bytes(), info.block_size, info.read_only);
        Ok(Space { total, free: 0, block_size, longest_name: 0, read_only })
    }
}
