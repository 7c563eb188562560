//! The tree of an archive: its files, and the directories that their names
//! imply.

use abi::initfs::{Archive, Entry};
use abi::{Error, Result};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use scheme::path;

/// The root directory's number.
pub const ROOT: u64 = 0;

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node<'a> {
    /// A file of the archive.
    File(Entry<'a>),
    /// A directory: names and the numbers of their nodes, by name.
    Directory(Vec<(String, u64)>),
}

/// All of them; a node's number is its place.
#[derive(Clone, Debug)]
pub struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    by_path: BTreeMap<String, u64>,
}

impl<'a> Tree<'a> {
    /// The tree of an archive. Errors: `Corrupt` for a name that is no path, or names both a file and a directory.
    pub fn new(archive: &Archive<'a>) -> Result<Tree<'a>> {
        let root = Node::Directory(Vec::new());
        let mut tree = Tree { nodes: alloc::vec![root], by_path: BTreeMap::from([(String::new(), ROOT)]) };
        for entry in archive.entries() {
            if path::normalise(entry.name).map_err(|_| Error::Corrupt)? != entry.name {
                return Err(Error::Corrupt);
            }
            let (parent, _) = path::split(entry.name).ok_or(Error::Corrupt)?;
            let mut at = String::new();
            for part in parent.split('/').filter(|part| !part.is_empty()) {
                at = path::join(&at, part).map_err(|_| Error::Corrupt)?;
                if !tree.by_path.contains_key(&at) {
                    tree.add(&at, Node::Directory(Vec::new()))?;
                }
            }
            tree.add(entry.name, Node::File(entry))?;
        }
        for node in &mut tree.nodes {
            if let Node::Directory(names) = node {
                names.sort();
            }
        }
        Ok(tree)
    }

    fn add(&mut self, path: &str, node: Node<'a>) -> Result<()> {
        let id = self.nodes.len() as u64;
        let (parent, name) = path::split(path).ok_or(Error::Corrupt)?;
        let parent = *self.by_path.get(parent).ok_or(Error::Corrupt)?;
        match self.nodes.get_mut(parent as usize) {
            Some(Node::Directory(names)) => names.push((name.into(), id)),
            _ => return Err(Error::Corrupt),
        }
        if self.by_path.insert(path.into(), id).is_some() {
            return Err(Error::Corrupt);
        }
        self.nodes.push(node);
        Ok(())
    }

    /// The node with this number. Errors: `NotFound`.
    pub fn get(&self, id: u64) -> Result<&Node<'a>> {
        usize::try_from(id).ok().and_then(|at| self.nodes.get(at)).ok_or(Error::NotFound)
    }

    /// What a path leads to from a node. Errors: `NotFound`, `NotDirectory`.
    pub fn find(&self, base: u64, path: &str) -> Result<u64> {
        path.split('/').filter(|part| !part.is_empty()).try_fold(base, |at, part| match self.get(at)? {
            Node::File(_) => Err(Error::NotDirectory),
            Node::Directory(names) => {
                let place = names.binary_search_by(|(name, _)| name.as_str().cmp(part));
                place.ok().and_then(|place| names.get(place)).map(|(_, id)| *id).ok_or(Error::NotFound)
            }
        })
    }
}
