//! Requests to operations on the volume: the scheme of a FAT file system.
//!
//! The volume is mounted when it is first asked for, and anew after an `Io` error at mounting; a disk that holds no sound
//! volume answers its error to every call. After a change the volume is committed at once (a crash loses
//! nothing that was answered) and marked clean once nothing more came for [`IDLE_NS`].

use crate::node::{Kind, NodeId};
use crate::volume::{Clock, Fat, MountOptions};
use abi::Error;
use alloc::boxed::Box;
use alloc::vec;
use scheme::block::BlockDevice;
use scheme::entry::Listing;
use scheme::lease::{Source, Target};
use scheme::path;
use scheme::scheme::{Caller, Opened, Outcome, Scheme};
use scheme::stat::{FileKind, Space, Stat};
use scheme::wire::{OpenFlags, LIST_END};

/// How long nothing must have changed before the volume is marked clean.
pub const IDLE_NS: u64 = 100_000_000;
/// The bit of the idle timer.
pub const IDLE_BIT: u64 = 1;
/// Bytes moved at a time between a caller and the volume.
const CHUNK: usize = 256 * 1024;

/// Opens the device, each time a mount is tried.
pub type Open<D> = Box<dyn FnMut() -> Result<D, Error>>;
/// Asks for [`IDLE_BIT`] after a while.
pub type Arm = Box<dyn FnMut()>;

/// The server of one volume.
pub struct FatServer<D: BlockDevice> {
    open: Open<D>,
    arm: Arm,
    clock: fn() -> u64,
    volume: Option<Fat<D>>,
    /// Why there is no volume, when trying again won't help.
    failed: Option<Error>,
    armed: bool,
    chunk: alloc::vec::Vec<u8>,
}

impl<D: BlockDevice> FatServer<D> {
    /// A server that has mounted nothing yet.
    pub fn new(open: Open<D>, arm: Arm, clock: fn() -> u64) -> FatServer<D> {
        FatServer { open, arm, clock, volume: None, failed: None, armed: false, chunk: vec![0; CHUNK] }
    }

    /// The volume, mounted if it can be.
    fn volume(&mut self) -> Result<&mut Fat<D>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.volume.is_none() {
            let clock = self.clock;
            let mounted =
                (self.open)().and_then(|device| Fat::mount(device, MountOptions::default(), Box::new(clock) as Clock));
            match mounted {
                Ok(volume) => self.volume = Some(volume),
                Err(error) => {
                    if error != Error::Io {
                        log::warn!("no FAT volume: {error}");
                        self.failed = Some(error);
                    }
                    return Err(error);
                }
            }
        }
        self.volume.as_mut().ok_or(Error::Io)
    }

    /// After a change: on the medium in a sound order, and clean soon.
    fn changed(&mut self) -> Result<(), Error> {
        if let Some(fat) = &mut self.volume {
            fat.volume.commit()?;
        }
        if !self.armed {
            self.armed = true;
            (self.arm)();
        }
        Ok(())
    }

    /// Does something in the directory that holds `path`, seen from node `base`, with the last name.
    fn in_parent<T>(
        &mut self,
        base: u64,
        path: &str,
        act: impl FnOnce(&mut Fat<D>, NodeId, &str) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (parent, name) = path::split(path).ok_or(Error::Busy)?;
        let fat = self.volume()?;
        let directory = fat.resolve(NodeId::from_number(base), parent)?;
        let outcome = match fat.stat(directory) {
            Ok(stat) if stat.kind == Kind::Directory => act(fat, directory, name),
            Ok(_) => Err(Error::NotDirectory),
            Err(error) => Err(error),
        };
        let closed = fat.close(directory);
        outcome.and_then(|value| closed.map(|()| value))
    }

    fn stat_of(&mut self, id: NodeId) -> Result<Stat, Error> {
        let read_only = self.volume()?.is_read_only();
        let stat = self.volume()?.stat(id)?;
        let (kind, permissions) = match stat.kind {
            Kind::Directory => (FileKind::Directory, 0o755),
            Kind::File => (FileKind::File, 0o755),
        };
        Ok(Stat {
            kind,
            permissions: if read_only { permissions & !0o222 } else { permissions },
            links: 1,
            size: u64::from(stat.size),
            id: stat.inode,
            modified_ns: stat.modified_ns,
            accessed_ns: stat.accessed_ns,
            created_ns: stat.created_ns,
        })
    }

    /// Opens or makes what `path` leads to; the node is counted open.
    fn open_node(&mut self, base: u64, path: &str, flags: OpenFlags) -> Result<NodeId, Error> {
        let found = self.volume()?.resolve(NodeId::from_number(base), path);
        match found {
            Ok(id) if flags.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) => {
                self.volume()?.close(id)?;
                Err(Error::Exists)
            }
            Err(Error::NotFound) if flags.contains(OpenFlags::CREATE) => {
                let made = self.in_parent(base, path, |fat, directory, name| {
                    if flags.contains(OpenFlags::DIRECTORY) {
                        fat.mkdir(directory, name)?;
                        fat.lookup(directory, name)
                    } else {
                        fat.create(directory, name)
                    }
                })?;
                self.changed()?;
                Ok(made)
            }
            other => other,
        }
    }
}

impl<D: BlockDevice> Scheme for FatServer<D> {
    fn open(&mut self, caller: &Caller, path: &str, flags: OpenFlags) -> Outcome<Opened> {
        let id = self.open_node(caller.id, path, flags)?;
        let checked = self.volume()?.stat(id).and_then(|stat| match stat.kind {
            Kind::Directory if flags.contains(OpenFlags::WRITE) && !flags.contains(OpenFlags::DIRECTORY) => {
                Err(Error::IsDirectory)
            }
            Kind::File if flags.contains(OpenFlags::DIRECTORY) => Err(Error::NotDirectory),
            Kind::File if flags.contains(OpenFlags::WRITE) && self.volume()?.is_read_only() => Err(Error::ReadOnly),
            Kind::File if flags.contains(OpenFlags::WRITE | OpenFlags::TRUNCATE) && stat.size > 0 => {
                self.volume()?.truncate(id, 0)?;
                self.changed()
            }
            _ => Ok(()),
        });
        if let Err(error) = checked {
            self.volume()?.close(id)?;
            return Err(error.into());
        }
        Ok(Opened::new(id.number()))
    }

    fn read(&mut self, caller: &Caller, offset: u64, target: &mut Target<'_>) -> Outcome<usize> {
        let mut chunk = core::mem::take(&mut self.chunk);
        let id = NodeId::from_number(caller.id);
        let mut done = 0usize;
        let outcome = loop {
            let left = target.len().saturating_sub(done);
            let part = chunk.len().min(left);
            let read = self.volume().and_then(|fat| {
                let room = chunk.get_mut(..part).unwrap_or(&mut []);
                fat.read(id, offset.saturating_add(done as u64), room)
            });
            match read {
                Ok(0) => break Ok(done),
                Ok(count) => match target.write(done, chunk.get(..count).unwrap_or(&[])) {
                    Ok(()) => done = done.saturating_add(count),
                    Err(error) => break Err(error),
                },
                // What was read before the error is told first; the error comes again.
                Err(_) if done > 0 => break Ok(done),
                Err(error) => break Err(error),
            }
        };
        self.chunk = chunk;
        Ok(outcome?)
    }

    fn write(&mut self, caller: &Caller, offset: u64, source: &mut Source<'_>) -> Outcome<usize> {
        let mut chunk = core::mem::take(&mut self.chunk);
        let id = NodeId::from_number(caller.id);
        let mut done = 0usize;
        let outcome = loop {
            let left = source.len().saturating_sub(done);
            let part = chunk.len().min(left);
            if part == 0 {
                break Ok(done);
            }
            let room = chunk.get_mut(..part).unwrap_or(&mut []);
            let step = source.read(done, room).and_then(|()| {
                let data = chunk.get(..part).unwrap_or(&[]);
                self.volume()?.write(id, offset.saturating_add(done as u64), data)
            });
            match step {
                Ok(0) => break Ok(done),
                Ok(count) => done = done.saturating_add(count),
                Err(_) if done > 0 => break Ok(done),
                Err(error) => break Err(error),
            }
        };
        self.chunk = chunk;
        let done = outcome?;
        self.changed()?;
        Ok(done)
    }

    fn stat(&mut self, caller: &Caller, path: &str) -> Outcome<Stat> {
        let id = self.volume()?.resolve(NodeId::from_number(caller.id), path)?;
        let stat = self.stat_of(id);
        self.volume()?.close(id)?;
        Ok(stat?)
    }

    fn list(&mut self, caller: &Caller, cursor: u64, listing: &mut Listing<'_, '_>) -> Outcome<u64> {
        let mut cursor = cursor;
        loop {
            let some = self.volume()?.list(NodeId::from_number(caller.id), cursor, 32)?;
            if some.is_empty() {
                return Ok(LIST_END);
            }
            for entry in some {
                let kind = match entry.stat.kind {
                    Kind::Directory => FileKind::Directory,
                    Kind::File => FileKind::File,
                };
                if !listing.push(&entry.name, kind, u64::from(entry.stat.size), entry.stat.inode) {
                    return Ok(cursor);
                }
                cursor = entry.next;
            }
        }
    }

    fn rename(&mut self, caller: &Caller, old: &str, new: &str) -> Outcome<()> {
        let (old_parent, old_name) = path::split(old).ok_or(Error::Busy)?;
        let (new_parent, new_name) = path::split(new).ok_or(Error::Busy)?;
        let base = NodeId::from_number(caller.id);
        let fat = self.volume()?;
        let from = fat.resolve(base, old_parent)?;
        let outcome = match fat.resolve(base, new_parent) {
            Ok(to) => {
                let renamed = fat.rename(from, old_name, to, new_name);
                // Begun before a restart, and done: the old name is gone and the new one is there.
                let renamed = match renamed {
                    Err(Error::NotFound) if caller.redo => fat.lookup(to, new_name).and_then(|id| fat.close(id)),
                    other => other,
                };
                fat.close(to).and(renamed)
            }
            Err(error) => Err(error),
        };
        fat.close(from)?;
        outcome?;
        Ok(self.changed()?)
    }

    fn unlink(&mut self, caller: &Caller, path: &str, directory: bool) -> Outcome<()> {
        let removed =
            self.in_parent(
                caller.id,
                path,
                |fat, parent, name| {
                    if directory {
                        fat.rmdir(parent, name)
                    } else {
                        fat.unlink(parent, name)
                    }
                },
            );
        match removed {
            Err(Error::NotFound) if caller.redo => {}
            other => other?,
        }
        Ok(self.changed()?)
    }

    fn truncate(&mut self, caller: &Caller, length: u64) -> Outcome<()> {
        self.volume()?.truncate(NodeId::from_number(caller.id), length)?;
        Ok(self.changed()?)
    }

    fn sync(&mut self, _caller: &Caller) -> Outcome<()> {
        match &mut self.volume {
            Some(fat) => Ok(fat.sync()?),
            None => Ok(()),
        }
    }

    fn space(&mut self, _caller: &Caller) -> Outcome<Space> {
        let fat = self.volume()?;
        let space = fat.space()?;
        let bytes = |clusters: u32| u64::from(clusters).saturating_mul(u64::from(space.cluster_bytes));
        Ok(Space {
            total: bytes(space.total_clusters),
            free: bytes(space.free_clusters),
            block_size: space.cluster_bytes,
            longest_name: 255,
            read_only: fat.is_read_only(),
        })
    }

    fn set(&mut self, caller: &Caller, modified_ns: Option<u64>, _accessed_ns: Option<u64>) -> Outcome<()> {
        if let Some(modified) = modified_ns {
            self.volume()?.set_modified(NodeId::from_number(caller.id), modified)?;
            self.changed()?;
        }
        Ok(())
    }

    fn close(&mut self, caller: &Caller) {
        if let Some(fat) = &mut self.volume {
            if let Err(error) = fat.close(NodeId::from_number(caller.id)) {
                log::warn!("closing a file: {error}");
            }
        }
    }

    fn event(&mut self, bits: u64) {
        if bits & IDLE_BIT != 0 {
            self.armed = false;
            if let Some(Err(error)) = self.volume.as_mut().map(Fat::sync) {
                log::warn!("marking the volume clean: {error}");
            }
        }
    }
}
