//! Requests to operations: a directory of partitions, each a block device that
//! forwards to the disk.
//!
//! What a caller lent goes on to the disk as it is: no byte is copied here.

use crate::table::{Partition, Table};
use abi::{Error, Result};
use alloc::format;
use scheme::block::{BlockDevice, BlockInfo};
use scheme::block_client::SchemeDevice;
use scheme::block_server::{clip, control, stat};
use scheme::entry::Listing;
use scheme::lease::{Source, Target};
use scheme::message::Connection;
use scheme::scheme::{Caller, Control, Controlled, Opened, Outcome, Scheme};
use scheme::session::Session;
use scheme::stat::{FileKind, Space, Stat};
use scheme::wire::{OpenFlags, LIST_END};

/// On the root: the table as text ([`Table::to_text`]) into the output; value: its length.
pub const TABLE: u64 = 2;

/// The identity of the root; a partition's is its number and one.
const ROOT: u64 = 0;

/// A disk and its table.
#[derive(Debug)]
pub struct PartitionServer<C: Connection = Session> {
    disk: SchemeDevice<C>,
    table: Option<Table>,
}

impl<C: Connection> PartitionServer<C> {
    /// Serves the partitions of a disk. The table is read when it is first asked for; a disk that can't be read, or
    /// whose table is corrupt, answers so, each time.
    pub fn new(disk: SchemeDevice<C>) -> PartitionServer<C> {
        PartitionServer { disk, table: None }
    }

    fn table(&mut self) -> Result<&Table> {
        if self.table.is_none() {
            self.table = Some(Table::read(&mut self.disk)?);
        }
        self.table.as_ref().ok_or(Error::Io)
    }

    fn partition(&mut self, id: u64) -> Result<Partition> {
        let number = id.checked_sub(1).and_then(|number| u32::try_from(number).ok()).ok_or(Error::IsDirectory)?;
        self.table()?.get(number).cloned().ok_or(Error::NotFound)
    }

    /// A partition as the device it looks like.
    fn info(&mut self, id: u64) -> Result<(BlockInfo, u64)> {
        let partition = self.partition(id)?;
        let disk = self.disk.info();
        let start = partition.first.saturating_mul(u64::from(disk.block_size));
        Ok((BlockInfo { block_count: partition.count, ..disk }, start))
    }

    /// What a path names, seen from a session. Errors: `NotFound`, `NotDirectory`.
    fn find(&mut self, base: u64, path: &str) -> Result<u64> {
        match (base, path) {
            (_, "") => Ok(base),
            (ROOT, name) => {
                let number: u32 = name.parse().map_err(|_| Error::NotFound)?;
                // `01` and `+1` are no names of partition 1.
                let found = self.table()?.get(number).filter(|_| format!("{number}") == name);
                found.map(|_| u64::from(number).saturating_add(1)).ok_or(Error::NotFound)
            }
            _ => Err(Error::NotDirectory),
        }
    }
}

impl<C: Connection> Scheme for PartitionServer<C> {
    fn root(&mut self, _: u64) -> Outcome<u64> {
        Ok(ROOT)
    }

    fn open(&mut self, caller: &Caller, path: &str, flags: OpenFlags) -> Outcome<Opened> {
        let id = self.find(caller.id, path)?;
        if flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::APPEND) {
            return Err(Error::NotSupported.into());
        }
        if id == ROOT {
            return Ok(Opened::new(id));
        }
        if flags.contains(OpenFlags::DIRECTORY) {
            return Err(Error::NotDirectory.into());
        }
        if flags.contains(OpenFlags::WRITE) && self.disk.info().read_only {
            return Err(Error::ReadOnly.into());
        }
        Ok(Opened::new(id))
    }

    fn read(&mut self, caller: &Caller, offset: u64, target: &mut Target<'_>) -> Outcome<usize> {
        let (info, start) = self.info(caller.id)?;
        let length = clip(&info, offset, target.len())?;
        if length > 0 {
            self.disk.read_lent(start.saturating_add(offset), target, 0, length)?;
        }
        Ok(length)
    }

    fn write(&mut self, caller: &Caller, offset: u64, source: &mut Source<'_>) -> Outcome<usize> {
        let (info, start) = self.info(caller.id)?;
        if info.read_only {
            return Err(Error::ReadOnly.into());
        }
        let length = clip(&info, offset, source.len())?;
        if length > 0 {
            self.disk.write_lent(start.saturating_add(offset), source, 0, length)?;
        } else if !source.is_empty() {
            return Err(Error::NoSpace.into());
        }
        Ok(length)
    }

    fn stat(&mut self, caller: &Caller, path: &str) -> Outcome<Stat> {
        let id = self.find(caller.id, path)?;
        if id == ROOT {
            let links = 1;
            return Ok(Stat { kind: FileKind::Directory, permissions: 0o500, links, id: 1, ..Stat::default() });
        }
        let (info, _) = self.info(id)?;
        Ok(stat(&info, id.saturating_add(1)))
    }

    fn list(&mut self, caller: &Caller, cursor: u64, listing: &mut Listing<'_, '_>) -> Outcome<u64> {
        if caller.id != ROOT {
            return Err(Error::NotDirectory.into());
        }
        let block = u64::from(self.disk.info().block_size);
        let start = usize::try_from(cursor).unwrap_or(usize::MAX);
        for (place, partition) in self.table()?.partitions.iter().enumerate().skip(start) {
            let (name, size) = (format!("{}", partition.number), partition.count.saturating_mul(block));
            if !listing.push(&name, FileKind::Block, size, u64::from(partition.number).saturating_add(2)) {
                return Ok(place as u64);
            }
        }
        Ok(LIST_END)
    }

    fn control(&mut self, caller: &Caller, request: &mut Control<'_, '_>) -> Outcome<Controlled> {
        if caller.id != ROOT {
            let (info, _) = self.info(caller.id)?;
            return control(&info, request);
        }
        if request.command != TABLE {
            return Err(Error::NotSupported.into());
        }
        let text = self.table()?.to_text();
        let length = request.output.fill(text.as_bytes())?;
        Ok(Controlled::output(text.len() as u64, length))
    }

    fn sync(&mut self, _: &Caller) -> Outcome<()> {
        Ok(self.disk.flush()?)
    }

    fn space(&mut self, caller: &Caller) -> Outcome<Space> {
        let info = if caller.id == ROOT { self.disk.info() } else { self.info(caller.id)?.0 };
        let (total, block_size, read_only) = (info.size_bytes(), info.block_size, info.read_only);
        Ok(Space { total, free: 0, block_size, longest_name: 3, read_only })
    }
}
