//! Requests to operations: reading, and the refusal of everything else.

use crate::tree::{Node, Tree, ROOT};
use abi::initfs::{Archive, EXECUTABLE};
use abi::{Error, Result};
use scheme::entry::Listing;
use scheme::lease::Target;
use scheme::path::MAX_NAME;
use scheme::scheme::{Caller, Opened, Outcome, Scheme};
use scheme::stat::{FileKind, Space, Stat};
use scheme::wire::{OpenFlags, LIST_END};

/// An archive, served. A session's identity is its node's number, which every start finds the same.
#[derive(Debug)]
pub struct InitFs<'a> {
    tree: Tree<'a>,
    total: u64,
}

impl<'a> InitFs<'a> {
    /// Serves an archive. Errors: `Corrupt`.
    pub fn new(archive: Archive<'a>) -> Result<InitFs<'a>> {
        let total = archive.entries().map(|entry| entry.length).sum();
        Ok(InitFs { tree: Tree::new(&archive)?, total })
    }

    fn stat_of(&self, id: u64) -> Result<Stat> {
        let (kind, permissions, size) = match self.tree.get(id)? {
            Node::Directory(_) => (FileKind::Directory, 0o555, 0),
            Node::File(entry) if entry.mode & EXECUTABLE != 0 => (FileKind::File, 0o555, entry.length),
            Node::File(entry) => (FileKind::File, 0o444, entry.length),
        };
        // Numbers start at 1 for those who take 0 for "none".
        Ok(Stat { kind, permissions, links: 1, size, id: id.saturating_add(1), ..Stat::default() })
    }
}

impl Scheme for InitFs<'_> {
    fn root(&mut self, _: u64) -> Outcome<u64> {
        Ok(ROOT)
    }

    fn open(&mut self, caller: &Caller, path: &str, flags: OpenFlags) -> Outcome<Opened> {
        let id = match self.tree.find(caller.id, path) {
            Err(Error::NotFound) if flags.contains(OpenFlags::CREATE) => return Err(Error::ReadOnly.into()),
            Ok(_) if flags.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) => return Err(Error::Exists.into()),
            found => found?,
        };
        let directory = matches!(self.tree.get(id)?, Node::Directory(_));
        if flags.contains(OpenFlags::DIRECTORY) && !directory {
            return Err(Error::NotDirectory.into());
        }
        // A directory may be a base for names, though none can be made: that is refused when it is tried.
        if flags.intersects(OpenFlags::WRITE | OpenFlags::TRUNCATE | OpenFlags::APPEND) && !directory {
            return Err(Error::ReadOnly.into());
        }
        Ok(Opened::new(id))
    }

    fn read(&mut self, caller: &Caller, offset: u64, target: &mut Target<'_>) -> Outcome<usize> {
        match self.tree.get(caller.id)? {
            Node::File(entry) => Ok(target.fill_from(entry.data, offset)?),
            Node::Directory(_) => Err(Error::IsDirectory.into()),
        }
    }

    fn stat(&mut self, caller: &Caller, path: &str) -> Outcome<Stat> {
        Ok(self.stat_of(self.tree.find(caller.id, path)?)?)
    }

    fn list(&mut self, caller: &Caller, cursor: u64, listing: &mut Listing<'_, '_>) -> Outcome<u64> {
        let Node::Directory(names) = self.tree.get(caller.id)? else {
            return Err(Error::NotDirectory.into());
        };
        let start = usize::try_from(cursor).unwrap_or(usize::MAX);
        for (place, (name, id)) in names.iter().enumerate().skip(start) {
            let stat = self.stat_of(*id)?;
            if !listing.push(name, stat.kind, stat.size, stat.id) {
                return Ok(place as u64);
            }
        }
        Ok(LIST_END)
    }

    fn rename(&mut self, _: &Caller, _: &str, _: &str) -> Outcome<()> {
        Err(Error::ReadOnly.into())
    }

    fn unlink(&mut self, _: &Caller, _: &str, _: bool) -> Outcome<()> {
        Err(Error::ReadOnly.into())
    }

    fn space(&mut self, _: &Caller) -> Outcome<Space> {
        Ok(Space { total: self.total, free: 0, block_size: 4096, longest_name: MAX_NAME as u32, read_only: true })
    }
}
