//! Open files and directories, with an identity that survives a rename.
//!
//! A node stands for a directory entry by the entry's place; renaming moves the place and keeps the
//! node. Two opens of one entry are one node. A removed entry's node keeps its clusters until the
//! last close.

use crate::chain::ChainMap;
use crate::entry::{attribute, ShortEntry};
use abi::error::{Error, Result};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The most nodes open at once.
pub const MAX_OPEN: usize = 4096;
/// The most extents all maps together hold.
const MAP_BUDGET: usize = 262_144;

/// Names an open node; never reused for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u64);

impl NodeId {
    /// The root directory, which is always open.
    pub const ROOT: NodeId = NodeId(0);

    /// The id as a number, e.g. for a session's badge.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The id with this number; using one that was never given out fails with `BadArgument`.
    pub const fn from_number(number: u64) -> NodeId {
        NodeId(number)
    }
}

/// File or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
}

/// What is known of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// File or directory.
    pub kind: Kind,
    /// Bytes; 0 for a directory.
    pub size: u32,
    /// Bytes taken on the disk as the size implies, in whole clusters.
    pub allocated: u64,
    /// Attribute bits as on disk.
    pub attributes: u8,
    /// A number that tells files apart while they are not moved: the entry's place on the disk in
    /// slots, 1 for the root.
    pub inode: u64,
    /// Nanoseconds since 1970; 0 where the disk says nothing.
    pub created_ns: u64,
    /// Nanoseconds since 1970.
    pub modified_ns: u64,
    /// Nanoseconds since 1970, whole days.
    pub accessed_ns: u64,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory it is in, by first cluster; 0 is the root.
    pub directory: u32,
    /// The slot where the entry's long name begins, or its own.
    pub start: u32,
    /// The slot of the short entry.
    pub slot: u32,
    /// The sector of the short entry.
    pub sector: u32,
    /// The short entry's offset in that sector.
    pub offset: usize,
}

/// An open file or directory.
pub struct Node {
    /// The entry as last written.
    pub entry: ShortEntry,
    /// Where it is; `None` for the root and for what was removed.
    pub place: Option<Place>,
    /// Clusters known.
    pub map: ChainMap,
    /// Opens not yet closed.
    pub opens: u32,
    /// Whether the entry was removed.
    pub removed: bool,
}

impl Node {
    /// File or directory.
    pub const fn kind(&self) -> Kind {
        if self.entry.is_directory() {
            Kind::Directory
        } else {
            Kind::File
        }
    }

    /// Errors: `NotDirectory`; `NotFound` for a directory that was removed.
    pub fn as_directory(&self) -> Result<u32> {
        match self.kind() {
            Kind::File => Err(Error::NotDirectory),
            Kind::Directory if self.removed => Err(Error::NotFound),
            Kind::Directory => Ok(self.entry.cluster()),
        }
    }
}

/// The table of open nodes.
pub struct Nodes {
    nodes: BTreeMap<NodeId, Node>,
    by_place: BTreeMap<(u32, u32), NodeId>,
    next: u64,
}

impl Nodes {
    /// A table that holds the root alone.
    pub fn new() -> Nodes {
        let mut entry = ShortEntry([0; 32]);
        entry.0[11] = attribute::DIRECTORY;
        let root = Node { entry, place: None, map: ChainMap::default(), opens: 1, removed: false };
        let mut nodes = BTreeMap::new();
        nodes.insert(NodeId::ROOT, root);
        Nodes { nodes, by_place: BTreeMap::new(), next: 1 }
    }

    /// The node of this id. Errors: `BadArgument` for one that is not open.
    pub fn get(&mut self, id: NodeId) -> Result<&mut Node> {
        self.nodes.get_mut(&id).ok_or(Error::BadArgument)
    }

    /// The open node of the entry at a place.
    pub fn at(&self, directory: u32, slot: u32) -> Option<NodeId> {
        self.by_place.get(&(directory, slot)).copied()
    }

    /// Opens an entry, or counts one more open of it. Errors: `TooManyOpen`.
    pub fn open(&mut self, entry: ShortEntry, place: Place) -> Result<NodeId> {
        if let Some(id) = self.at(place.directory, place.slot) {
            let node = self.get(id)?;
            node.opens = node.opens.checked_add(1).ok_or(Error::TooManyOpen)?;
            return Ok(id);
        }
        if self.nodes.len() >= MAX_OPEN {
            return Err(Error::TooManyOpen);
        }
        let id = NodeId(self.next);
        self.next += 1;
        let map = if entry.cluster() == 0 { ChainMap::empty() } else { ChainMap::default() };
        self.nodes.insert(id, Node { entry, place: Some(place), map, opens: 1, removed: false });
        self.by_place.insert((place.directory, place.slot), id);
        Ok(id)
    }

    /// Counts one open less. Answers the node if that was the last and it is gone.
    pub fn close(&mut self, id: NodeId) -> Result<Option<Node>> {
        if id == NodeId::ROOT {
            return Ok(None);
        }
        let node = self.get(id)?;
        node.opens -= 1;
        if node.opens > 0 {
            return Ok(None);
        }
        let node = self.nodes.remove(&id);
        if let Some(place) = node.as_ref().and_then(|node| node.place) {
            self.by_place.remove(&(place.directory, place.slot));
        }
        Ok(node)
    }

    /// Marks the entry at a place as removed. Answers whether a node holds on to its clusters.
    pub fn remove(&mut self, directory: u32, slot: u32) -> bool {
        let Some(id) = self.by_place.remove(&(directory, slot)) else { return false };
        if let Some(node) = self.nodes.get_mut(&id) {
            node.place = None;
            node.removed = true;
        }
        true
    }

    /// Follows an entry to its new place, and to its new name.
    pub fn moved(&mut self, directory: u32, slot: u32, place: Place, entry: ShortEntry) {
        let Some(id) = self.by_place.remove(&(directory, slot)) else { return };
        self.by_place.insert((place.directory, place.slot), id);
        if let Some(node) = self.nodes.get_mut(&id) {
            node.place = Some(place);
            node.entry = entry;
        }
    }

    /// Takes all nodes out, the root aside.
    pub fn drain(&mut self) -> Vec<Node> {
        self.by_place.clear();
        let rest = self.nodes.split_off(&NodeId(1));
        rest.into_values().collect()
    }

    /// Nodes that are open beside the root.
    pub fn open_count(&self) -> usize {
        self.nodes.len() - 1
    }

    /// Lets go of maps other than this node's when all together are too large.
    pub fn trim(&mut self, keep: NodeId) {
        let total: usize = self.nodes.values().map(|node| node.map.weight()).sum();
        if total > MAP_BUDGET {
            for (_, node) in self.nodes.iter_mut().filter(|(id, _)| **id != keep) {
                node.map.forget();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NodeId, Nodes, Place, MAX_OPEN};
    use crate::entry::ShortEntry;
    use abi::error::Error;

    fn place(slot: u32) -> Place {
        Place { directory: 5, start: slot, slot, sector: 100, offset: 0 }
    }

    #[test]
    fn one_entry_is_one_node_and_its_id_is_not_reused() {
        let mut nodes = Nodes::new();
        let id = nodes.open(ShortEntry([0; 32]), place(1)).unwrap();
        assert_eq!(nodes.open(ShortEntry([0; 32]), place(1)), Ok(id));
        assert!(nodes.close(id).unwrap().is_none());
        assert!(nodes.close(id).unwrap().is_some());
        assert_eq!(nodes.close(id).err(), Some(Error::BadArgument));
        assert_ne!(nodes.open(ShortEntry([0; 32]), place(1)), Ok(id));
    }

    #[test]
    fn identity_survives_a_move_and_a_removal() {
        let mut nodes = Nodes::new();
        let id = nodes.open(ShortEntry([0; 32]), place(1)).unwrap();
        nodes.moved(5, 1, place(9), ShortEntry([1; 32]));
        assert_eq!((nodes.at(5, 1), nodes.at(5, 9)), (None, Some(id)));
        assert!(nodes.remove(5, 9));
        assert!(nodes.get(id).unwrap().removed);
        // Another entry may take the place while the removed one is open.
        assert_ne!(nodes.open(ShortEntry([0; 32]), place(9)), Ok(id));
        assert!(nodes.close(id).unwrap().unwrap().removed);
    }

    #[test]
    fn the_table_is_bounded_and_the_root_stays() {
        let mut nodes = Nodes::new();
        for slot in 1..MAX_OPEN as u32 {
            nodes.open(ShortEntry([0; 32]), place(slot)).unwrap();
        }
        assert_eq!(nodes.open(ShortEntry([0; 32]), place(0)), Err(Error::TooManyOpen));
        assert!(nodes.close(NodeId::ROOT).unwrap().is_none());
        assert!(nodes.get(NodeId::ROOT).is_ok());
    }
}
