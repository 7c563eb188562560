//! Names to nodes: look up, list, make, remove; and what is told of a node.
//!
//! Every operation names a directory by its node and an entry by its name. Errors of lookups:
//! `NotFound`, `NotDirectory`, `Corrupt` (the entry leads nowhere sound), `Io`; changes add
//! `ReadOnly`, `NoSpace`, `InvalidName`, `NameTooLong`.

use crate::boot_sector::Width;
use crate::cache::Change;
use crate::chain::ChainMap;
use crate::directory::{Dir, Found};
use crate::entry::{attribute, ShortEntry, SLOT};
use crate::names;
use crate::node::{Kind, Node, NodeId, Place, Stat};
use crate::time::Stamp;
use crate::volume::{Fat, Volume};
use abi::error::{Error, Result};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use scheme::block::BlockDevice;

/// One entry of a directory, as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name.
    pub name: String,
    /// What is known of it.
    pub stat: Stat,
    /// The cursor with which the listing goes on after this entry.
    pub next: u64,
}

/// A name that is looked up: what could not be stored can't be found.
pub(crate) fn sought(name: &str) -> Result<Vec<u16>> {
    names::parse(name).map_err(|error| if error == Error::InvalidName { Error::NotFound } else { error })
}

impl<D: BlockDevice> Volume<D> {
    pub(crate) fn stat_of(&self, entry: &ShortEntry, place: Option<&Place>) -> Stat {
        let kind = if entry.is_directory() { Kind::Directory } else { Kind::File };
        let size = if kind == Kind::File { entry.size() } else { 0 };
        let slots = u64::from(self.shape.sector_size) / SLOT as u64;
        Stat {
            kind,
            size,
            allocated: u64::from(self.shape.clusters_for(u64::from(size))) * u64::from(self.shape.cluster_bytes()),
            attributes: entry.attributes(),
            inode: place.map_or(1, |place| u64::from(place.sector) * slots + (place.offset / SLOT) as u64),
            created_ns: entry.created().to_unix_ns(),
            modified_ns: entry.modified().to_unix_ns(),
            accessed_ns: entry.accessed().to_unix_ns(),
        }
    }

    /// Frees the clusters of a removed node.
    pub(crate) fn release(&mut self, node: &mut Node) -> Result<()> {
        self.begin()?;
        let runs = self.runs_from(node.entry.cluster(), &mut node.map, 0)?;
        self.table.free_later(&runs);
        Ok(())
    }

    /// A cluster with `.` and `..`, on the disk, that nothing leads to yet.
    fn make_directory(&mut self, parent: u32, now: Stamp) -> Result<crate::table::Run> {
        let runs = self.allocate(1, None, 1)?;
        let run = *runs.first().ok_or(Error::NoSpace)?;
        let mut first = vec![0u8; self.cache.sector_size()];
        for (name, cluster, at) in [(b".          ", run.start, 0), (b"..         ", parent, SLOT)] {
            let entry = ShortEntry::new(name, 0, attribute::DIRECTORY, cluster, 0, now);
            first[at..at + SLOT].copy_from_slice(&entry.0);
        }
        let written = self.shape.cluster_sector(run.start).and_then(|sector| {
            self.cache.zero_run(sector, self.shape.cluster_sectors)?;
            self.cache.write_run(sector, &first)
        });
        if let Err(error) = written {
            self.table.give_back(&mut self.cache, &runs);
            return Err(error);
        }
        Ok(run)
    }
}

impl<D: BlockDevice> Fat<D> {
    /// The entry of this name in a directory.
    pub(crate) fn find(&mut self, dir: NodeId, name: &[u16]) -> Result<Option<Found>> {
        let node = self.nodes.get(dir)?;
        let id = node.as_directory()?;
        self.volume.find(&mut Dir { id, map: &mut node.map }, name)
    }

    fn open_found(&mut self, found: &Found) -> Result<NodeId> {
        let id = self.nodes.open(found.entry, found.place)?;
        let node = self.nodes.get(id)?;
        if node.kind() == Kind::File {
            // Reads need no table from here on. A chain that is not sound is told by the reads.
            let _ = self.volume.finish(node);
        }
        self.nodes.trim(id);
        Ok(id)
    }

    /// Opens the entry of this name; `close` it again. Names compare without case.
    pub fn lookup(&mut self, dir: NodeId, name: &str) -> Result<NodeId> {
        let found = self.find(dir, &sought(name)?)?.ok_or(Error::NotFound)?;
        self.open_found(&found)
    }

    /// Opens what a path leads to from a directory: `/` separates, `.` is nothing, `..` takes back
    /// the name before it and stops at `dir`.
    pub fn resolve(&mut self, dir: NodeId, path: &str) -> Result<NodeId> {
        let mut trail = vec![dir];
        let mut outcome = Ok(dir);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let here = trail.last().copied().unwrap_or(dir);
            let step = match name {
                "." | ".." => self.nodes.get(here).and_then(|node| node.as_directory()).map(|_| here),
                _ => self.lookup(here, name),
            };
            match step {
                Ok(_) if name == "." => {}
                Ok(_) if name == ".." => {
                    if trail.len() > 1 {
                        trail.pop();
                        self.close(here)?;
                    }
                }
                Ok(next) => trail.push(next),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        let wants_directory = path.ends_with('/');
        let last = trail.pop().unwrap_or(dir);
        if outcome.is_ok() {
            let is_directory = self.nodes.get(last)?.kind() == Kind::Directory;
            outcome = if wants_directory && !is_directory { Err(Error::NotDirectory) } else { Ok(last) };
        }
        if outcome.is_err() {
            trail.push(last);
        } else if trail.is_empty() {
            // The start itself: one more open of it.
            return self.reopen(last);
        }
        for id in trail.into_iter().skip(1) {
            self.close(id)?;
        }
        outcome
    }

    /// Counts one more open of an open node.
    pub fn reopen(&mut self, id: NodeId) -> Result<NodeId> {
        let node = self.nodes.get(id)?;
        if id != NodeId::ROOT {
            node.opens = node.opens.checked_add(1).ok_or(Error::TooManyOpen)?;
        }
        Ok(id)
    }

    /// Ends one open. The last one frees the clusters of what was removed meanwhile.
    pub fn close(&mut self, id: NodeId) -> Result<()> {
        match self.nodes.close(id)? {
            Some(mut node) if node.removed => self.volume.release(&mut node),
            _ => Ok(()),
        }
    }

    pub(crate) fn close_all(&mut self) -> Result<()> {
        for mut node in self.nodes.drain() {
            if node.removed {
                self.volume.release(&mut node)?;
            }
        }
        Ok(())
    }

    /// Nodes that are open, the root aside.
    pub fn open_count(&self) -> usize {
        self.nodes.open_count()
    }

    /// What is known of an open node.
    pub fn stat(&mut self, id: NodeId) -> Result<Stat> {
        let node = self.nodes.get(id)?;
        Ok(self.volume.stat_of(&node.entry, node.place.as_ref()))
    }

    /// Up to `most` entries from a cursor on; 0 is the beginning. Empty at the end. A listing goes on
    /// soundly while entries come and go: one that stays is told exactly once.
    pub fn list(&mut self, dir: NodeId, cursor: u64, most: usize) -> Result<Vec<DirEntry>> {
        let node = self.nodes.get(dir)?;
        let id = node.as_directory()?;
        let mut entries = Vec::new();
        let Ok(from) = u32::try_from(cursor) else { return Ok(entries) };
        let mut found = Vec::new();
        self.volume.entries(&mut Dir { id, map: &mut node.map }, from, &mut |entry| {
            if found.len() < most {
                found.push(entry);
            }
            found.len() >= most
        })?;
        for one in found {
            // An open node may know more than the disk: nothing here, entries are always current.
            let stat = self.volume.stat_of(&one.entry, Some(&one.place));
            entries.push(DirEntry { name: names::text(&one.name), stat, next: u64::from(one.place.slot) + 1 });
        }
        Ok(entries)
    }

    /// Puts a new entry into a directory. The name must not be there.
    fn add(&mut self, dir: NodeId, name: &[u16], attributes: u8, directory: bool) -> Result<(ShortEntry, Place)> {
        let now = self.now();
        let node = self.nodes.get(dir)?;
        let id = node.as_directory()?;
        let mut dir = Dir { id, map: &mut node.map };
        if self.volume.find(&mut dir, name)?.is_some() {
            return Err(Error::Exists);
        }
        self.volume.begin()?;
        let spot = self.volume.prepare_insert(&mut dir, name, None)?;
        let run = if directory { Some(self.volume.make_directory(id, now)?) } else { None };
        let cluster = run.map_or(0, |run| run.start);
        let entry = ShortEntry::new(&spot.name, spot.case, attributes, cluster, 0, now);
        match self.volume.insert(&mut dir, &spot, name, &entry) {
            Ok(place) => Ok((entry, place)),
            Err(error) => {
                if let Some(run) = run {
                    self.volume.table.give_back(&mut self.volume.cache, &[run]);
                }
                Err(error)
            }
        }
    }

    /// Makes an empty file and opens it. Errors: `Exists`, and those of changes.
    pub fn create(&mut self, dir: NodeId, name: &str) -> Result<NodeId> {
        let (entry, place) = self.add(dir, &names::parse(name)?, attribute::ARCHIVE, false)?;
        self.nodes.open(entry, place)
    }

    /// Makes an empty directory. Errors: `Exists`, and those of changes.
    pub fn mkdir(&mut self, dir: NodeId, name: &str) -> Result<()> {
        self.add(dir, &names::parse(name)?, attribute::DIRECTORY, true).map(|_| ())
    }

    /// Removes a file. Opens of it go on; its clusters are freed after the last close.
    /// Errors: `NotFound`, `IsDirectory`.
    pub fn unlink(&mut self, dir: NodeId, name: &str) -> Result<()> {
        self.remove_entry(dir, name, Kind::File)
    }

    /// Removes an empty directory. Errors: `NotFound`, `NotDirectory`, `NotEmpty`.
    pub fn rmdir(&mut self, dir: NodeId, name: &str) -> Result<()> {
        self.remove_entry(dir, name, Kind::Directory)
    }

    fn remove_entry(&mut self, dir: NodeId, name: &str, kind: Kind) -> Result<()> {
        let found = self.find(dir, &sought(name)?)?.ok_or(Error::NotFound)?;
        match (kind, found.entry.is_directory()) {
            (Kind::File, true) => return Err(Error::IsDirectory),
            (Kind::Directory, false) => return Err(Error::NotDirectory),
            _ => {}
        }
        self.volume.begin()?;
        let runs = self.removable(&found)?;
        let node = self.nodes.get(dir)?;
        let id = node.as_directory()?;
        self.volume.remove(&mut Dir { id, map: &mut node.map }, &found.place)?;
        self.forget_entry(&found, &runs);
        Ok(())
    }

    /// Checks that an entry may go, and answers its clusters. Errors: `NotEmpty`, `Corrupt`.
    pub(crate) fn removable(&mut self, found: &Found) -> Result<Vec<crate::table::Run>> {
        let cluster = found.entry.cluster();
        let mut map = ChainMap::default();
        if found.entry.is_directory() && !self.volume.is_empty(&mut Dir { id: cluster, map: &mut map })? {
            return Err(Error::NotEmpty);
        }
        self.volume.runs_from(cluster, &mut map, 0)
    }

    /// After an entry left its directory: its clusters go now, or when its node is closed.
    pub(crate) fn forget_entry(&mut self, found: &Found, runs: &[crate::table::Run]) {
        if !self.nodes.remove(found.place.directory, found.place.slot) {
            self.volume.table.free_later(runs);
        }
    }

    /// Sets the read-only, hidden, system and archive bits of a node.
    pub fn set_attributes(&mut self, id: NodeId, bits: u8) -> Result<()> {
        const OURS: u8 = attribute::READ_ONLY | attribute::HIDDEN | attribute::SYSTEM | attribute::ARCHIVE;
        self.change_entry(id, |entry| entry.0[11] = entry.0[11] & !OURS | bits & OURS)
    }

    /// Sets the modification time of a node, in nanoseconds since 1970; the disk keeps two seconds.
    pub fn set_modified(&mut self, id: NodeId, unix_ns: u64) -> Result<()> {
        self.change_entry(id, |entry| entry.set_modified(Stamp::from_unix_ns(unix_ns)))
    }

    fn change_entry(&mut self, id: NodeId, change: impl FnOnce(&mut ShortEntry)) -> Result<()> {
        self.volume.begin()?;
        let node = self.nodes.get(id)?;
        let mut entry = node.entry;
        change(&mut entry);
        match &node.place {
            Some(place) => self.volume.update_entry(place, &entry, Change::Update)?,
            None if id == NodeId::ROOT => return Err(Error::NotSupported),
            None => {}
        }
        node.entry = entry;
        Ok(())
    }

    /// The volume's label, if it has one in the root directory.
    pub fn label(&mut self) -> Result<Option<String>> {
        let node = self.nodes.get(NodeId::ROOT)?;
        let label = self.volume.label(&mut Dir { id: 0, map: &mut node.map })?;
        Ok(label.map(|entry| {
            let bytes = entry.name();
            let plain: String =
                bytes.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { ' ' }).collect();
            String::from(plain.trim_end())
        }))
    }

    /// The width of the table's cells.
    pub fn width(&self) -> Width {
        self.volume.shape.width
    }
}
