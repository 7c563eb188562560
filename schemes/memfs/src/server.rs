//! Requests to operations on the tree.

use crate::tree::{Body, Tree, ROOT};
use abi::Error;
use scheme::entry::Listing;
use scheme::lease::{Source, Target};
use scheme::path::MAX_NAME;
use scheme::scheme::{Caller, Opened, Outcome, Scheme};
use scheme::stat::{Space, Stat};
use scheme::wire::{OpenFlags, LIST_END};

/// A memory file system. A session's identity is its node's number.
#[derive(Debug)]
pub struct MemFs {
    tree: Tree,
    now_ns: fn() -> u64,
}

impl MemFs {
    /// An empty one that holds at most `limit` bytes, bookkeeping included.
    pub fn new(limit: u64, now_ns: fn() -> u64) -> MemFs {
        MemFs { tree: Tree::new(limit, now_ns()), now_ns }
    }

    /// Bytes used, nodes there are: what a test checks for leaks.
    pub fn usage(&self) -> (u64, usize) {
        (self.tree.budget.used(), self.tree.count())
    }
}

impl Scheme for MemFs {
    fn root(&mut self, _: u64) -> Outcome<u64> {
        Ok(ROOT)
    }

    fn open(&mut self, caller: &Caller, path: &str, flags: OpenFlags) -> Outcome<Opened> {
        let wants_directory = flags.contains(OpenFlags::DIRECTORY);
        let id = match self.tree.find(caller.id, path) {
            Ok(_) if flags.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) => return Err(Error::Exists.into()),
            Err(Error::NotFound) if flags.contains(OpenFlags::CREATE) => {
                self.tree.create(caller.id, path, wants_directory, (self.now_ns)())?
            }
            found => found?,
        };
        let now_ns = (self.now_ns)();
        let (node, budget) = self.tree.get_mut(id)?;
        match &mut node.body {
            Body::File(_) if wants_directory => return Err(Error::NotDirectory.into()),
            Body::File(contents) if flags.contains(OpenFlags::TRUNCATE | OpenFlags::WRITE) => {
                contents.truncate(0, budget)?;
                node.modified_ns = now_ns;
            }
            Body::File(_) => {}
            // A directory is opened for writing only as one: to be a base for new names.
            Body::Directory(_) if flags.contains(OpenFlags::WRITE) && !wants_directory => {
                return Err(Error::IsDirectory.into());
            }
            Body::Directory(_) => {}
        }
        self.tree.hold(id)?;
        Ok(Opened::new(id))
    }

    fn read(&mut self, caller: &Caller, offset: u64, target: &mut Target<'_>) -> Outcome<usize> {
        match &self.tree.get(caller.id)?.body {
            Body::File(contents) => Ok(contents.read(offset, target)?),
            Body::Directory(_) => Err(Error::IsDirectory.into()),
        }
    }

    fn write(&mut self, caller: &Caller, offset: u64, source: &mut Source<'_>) -> Outcome<usize> {
        let now_ns = (self.now_ns)();
        let (node, budget) = self.tree.get_mut(caller.id)?;
        match &mut node.body {
            Body::File(contents) => {
                let count = contents.write(offset, source, budget)?;
                node.modified_ns = now_ns;
                Ok(count)
            }
            Body::Directory(_) => Err(Error::IsDirectory.into()),
        }
    }

    fn truncate(&mut self, caller: &Caller, length: u64) -> Outcome<()> {
        let now_ns = (self.now_ns)();
        let (node, budget) = self.tree.get_mut(caller.id)?;
        match &mut node.body {
            Body::File(contents) => {
                contents.truncate(length, budget)?;
                node.modified_ns = now_ns;
                Ok(())
            }
            Body::Directory(_) => Err(Error::IsDirectory.into()),
        }
    }

    fn stat(&mut self, caller: &Caller, path: &str) -> Outcome<Stat> {
        Ok(self.tree.stat(self.tree.find(caller.id, path)?)?)
    }

    fn list(&mut self, caller: &Caller, cursor: u64, listing: &mut Listing<'_, '_>) -> Outcome<u64> {
        for (at, name, node) in self.tree.directory(caller.id)?.from(cursor) {
            let stat = self.tree.stat(node)?;
            if !listing.push(name, stat.kind, stat.size, node) {
                return Ok(at);
            }
        }
        Ok(LIST_END)
    }

    fn rename(&mut self, caller: &Caller, old: &str, new: &str) -> Outcome<()> {
        Ok(self.tree.rename(caller.id, old, new, (self.now_ns)())?)
    }

    fn unlink(&mut self, caller: &Caller, path: &str, directory: bool) -> Outcome<()> {
        Ok(self.tree.remove(caller.id, path, directory, (self.now_ns)())?)
    }

    fn space(&mut self, _: &Caller) -> Outcome<Space> {
        let budget = &self.tree.budget;
        let (total, free) = (budget.limit(), budget.free());
        Ok(Space { total, free, block_size: 512, longest_name: MAX_NAME as u32, read_only: false })
    }

    fn set(&mut self, caller: &Caller, modified_ns: Option<u64>, accessed_ns: Option<u64>) -> Outcome<()> {
        let (node, _) = self.tree.get_mut(caller.id)?;
        node.modified_ns = modified_ns.unwrap_or(node.modified_ns);
        node.accessed_ns = accessed_ns.unwrap_or(node.accessed_ns);
        Ok(())
    }

    fn close(&mut self, caller: &Caller) {
        // Root sessions were never opened, and the root is never swept.
        if caller.id != ROOT {
            self.tree.let_go(caller.id);
        }
    }
}
