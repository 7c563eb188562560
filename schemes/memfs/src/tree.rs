//! Names and nodes: which name leads to which file or directory, and which
//! nodes are still needed.
//!
//! A node lives while a name leads to it or a session has it open. Directories keep their entries in the order they were
//! made, so that reading one while names come and go skips nothing that stays and tells nothing twice.

use crate::budget::Budget;
use crate::contents::Contents;
use abi::{Error, Result};
use alloc::collections::BTreeMap;
use alloc::string::String;
use scheme::path;
use scheme::stat::{FileKind, Stat};

/// The root directory's number.
pub const ROOT: u64 = 1;
/// What a node costs beside its contents and name.
pub const NODE: u64 = 512;

/// What a node is.
#[derive(Debug)]
pub enum Body {
    /// Bytes.
    File(Contents),
    /// Names.
    Directory(Directory),
}

/// A directory's names.
#[derive(Debug, Default)]
pub struct Directory {
    by_name: BTreeMap<String, (u64, u64)>,
    by_age: BTreeMap<u64, (String, u64)>,
    next: u64,
}

impl Directory {
    /// The node with this name.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.by_name.get(name).map(|(node, _)| *node)
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
    /// Names made at or after `cursor`: each with its own cursor and node.
    pub fn from(&self, cursor: u64) -> impl Iterator<Item = (u64, &str, u64)> {
        self.by_age.range(cursor..).map(|(age, (name, node))| (*age, name.as_str(), *node))
    }
    fn insert(&mut self, name: &str, node: u64) {
        self.by_name.insert(name.into(), (node, self.next));
        self.by_age.insert(self.next, (name.into(), node));
        self.next += 1;
    }
    fn remove(&mut self, name: &str) {
        if let Some((_, age)) = self.by_name.remove(name) {
            self.by_age.remove(&age);
        }
    }
}

/// A file or a directory.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub body: Body,
    /// When its contents changed.
    pub modified_ns: u64,
    /// When it was read last, as told by `set`.
    pub accessed_ns: u64,
    created_ns: u64,
    named: bool,
    sessions: u64,
}

/// All of them.
#[derive(Debug)]
pub struct Tree {
    nodes: BTreeMap<u64, Node>,
    /// What they may take.
    pub budget: Budget,
    last: u64,
}

fn name_cost(name: &str) -> u64 {
    // Kept twice, with the bookkeeping of two maps.
    (name.len() as u64).saturating_mul(2).saturating_add(128)
}

impl Tree {
    /// An empty root directory.
    pub fn new(limit: u64, now_ns: u64) -> Tree {
        let mut tree = Tree { nodes: BTreeMap::new(), budget: Budget::new(limit), last: ROOT };
        let root = Tree::node(Body::Directory(Directory::default()), now_ns);
        tree.nodes.insert(ROOT, root);
        tree
    }

    fn node(body: Body, now_ns: u64) -> Node {
        Node { body, modified_ns: now_ns, accessed_ns: now_ns, created_ns: now_ns, named: true, sessions: 0 }
    }

    /// A node. Errors: `NotFound`.
    pub fn get(&self, id: u64) -> Result<&Node> {
        self.nodes.get(&id).ok_or(Error::NotFound)
    }

    /// A node and the budget it grows from. Errors: `NotFound`.
    pub fn get_mut(&mut self, id: u64) -> Result<(&mut Node, &mut Budget)> {
        Ok((self.nodes.get_mut(&id).ok_or(Error::NotFound)?, &mut self.budget))
    }

    /// A directory that still has a name. Errors: `NotDirectory`, `NotFound`.
    pub fn directory(&self, id: u64) -> Result<&Directory> {
        let node = self.get(id)?;
        match &node.body {
            Body::Directory(directory) if node.named => Ok(directory),
            Body::Directory(_) => Err(Error::NotFound),
            Body::File(_) => Err(Error::NotDirectory),
        }
    }

    fn directory_mut(&mut self, id: u64) -> Result<(&mut Directory, &mut u64)> {
        let node = self.nodes.get_mut(&id).ok_or(Error::NotFound)?;
        match &mut node.body {
            Body::Directory(directory) => Ok((directory, &mut node.modified_ns)),
            Body::File(_) => Err(Error::NotDirectory),
        }
    }

    /// The node that a normalised path leads to from `base`. Errors: `NotFound`, `NotDirectory`.
    pub fn find(&self, base: u64, path: &str) -> Result<u64> {
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.into_iter().try_fold(base, |at, part| self.directory(at)?.get(part).ok_or(Error::NotFound))
    }

    /// The directory a path's last name is in, and that name. Errors: `BadArgument` for the base itself, as [`Tree::find`].
    fn parent<'p>(&self, base: u64, path: &'p str) -> Result<(u64, &'p str)> {
        let (parent, name) = path::split(path).ok_or(Error::BadArgument)?;
        let parent = self.find(base, parent)?;
        self.directory(parent)?;
        Ok((parent, name))
    }

    /// Makes an empty file or directory. Errors: `Exists`, `NoSpace`, as [`Tree::find`].
    pub fn create(&mut self, base: u64, path: &str, directory: bool, now_ns: u64) -> Result<u64> {
        let (parent, name) = self.parent(base, path)?;
        if self.directory(parent)?.get(name).is_some() {
            return Err(Error::Exists);
        }
        self.budget.take(NODE + name_cost(name))?;
        self.last += 1;
        let id = self.last;
        let body = if directory { Body::Directory(Directory::default()) } else { Body::File(Contents::default()) };
        self.nodes.insert(id, Tree::node(body, now_ns));
        self.link(parent, name, id, now_ns)?;
        Ok(id)
    }

    fn link(&mut self, parent: u64, name: &str, id: u64, now_ns: u64) -> Result<()> {
        let (directory, modified_ns) = self.directory_mut(parent)?;
        directory.insert(name, id);
        *modified_ns = now_ns;
        Ok(())
    }

    fn cut(&mut self, parent: u64, name: &str, now_ns: u64) -> Result<()> {
        let (directory, modified_ns) = self.directory_mut(parent)?;
        directory.remove(name);
        *modified_ns = now_ns;
        self.budget.give(name_cost(name));
        Ok(())
    }

    /// Removes a name. Errors: `IsDirectory`, `NotDirectory`, `NotEmpty`, as [`Tree::find`].
    pub fn remove(&mut self, base: u64, path: &str, directory: bool, now_ns: u64) -> Result<()> {
        let (parent, name) = self.parent(base, path)?;
        let id = self.directory(parent)?.get(name).ok_or(Error::NotFound)?;
        match (&self.get(id)?.body, directory) {
            (Body::File(_), true) => return Err(Error::NotDirectory),
            (Body::Directory(_), false) => return Err(Error::IsDirectory),
            (Body::Directory(entries), true) if !entries.is_empty() => return Err(Error::NotEmpty),
            _ => {}
        }
        self.cut(parent, name, now_ns)?;
        self.unname(id);
        Ok(())
    }

    /// Gives a node another name; what has that name gives way, if POSIX lets it. Errors: as [`Tree::remove`], `NoSpace`,
    /// `BadArgument` for a directory into itself.
    pub fn rename(&mut self, base: u64, old: &str, new: &str, now_ns: u64) -> Result<()> {
        let (from, old_name) = self.parent(base, old)?;
        let id = self.directory(from)?.get(old_name).ok_or(Error::NotFound)?;
        let (to, new_name) = self.parent(base, new)?;
        let moves_directory = matches!(self.get(id)?.body, Body::Directory(_));
        if moves_directory && path::below(new, old).is_some_and(|rest| !rest.is_empty()) {
            return Err(Error::BadArgument);
        }
        let replaced = self.directory(to)?.get(new_name);
        if replaced == Some(id) {
            return Ok(());
        }
        if let Some(other) = replaced {
            match (&self.get(other)?.body, moves_directory) {
                (Body::File(_), true) => return Err(Error::NotDirectory),
                (Body::Directory(_), false) => return Err(Error::IsDirectory),
                (Body::Directory(entries), true) if !entries.is_empty() => return Err(Error::NotEmpty),
                _ => {}
            }
        }
        // The new name is paid for before anything changes; what it replaces is paid back by `cut`.
        self.budget.take(name_cost(new_name))?;
        if let Some(other) = replaced {
            self.cut(to, new_name, now_ns)?;
            self.unname(other);
        }
        self.cut(from, old_name, now_ns)?;
        self.link(to, new_name, id, now_ns)
    }

    /// A session has the node open. Errors: `NotFound`.
    pub fn hold(&mut self, id: u64) -> Result<()> {
        let (node, _) = self.get_mut(id)?;
        node.sessions += 1;
        Ok(())
    }

    /// A session has it open no more.
    pub fn let_go(&mut self, id: u64) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.sessions = node.sessions.saturating_sub(1);
        }
        self.sweep(id);
    }

    fn unname(&mut self, id: u64) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.named = false;
        }
        self.sweep(id);
    }

    /// Ends a node that nothing leads to.
    fn sweep(&mut self, id: u64) {
        if self.nodes.get(&id).is_some_and(|node| !node.named && node.sessions == 0) {
            if let Some(Node { body: Body::File(mut contents), .. }) = self.nodes.remove(&id) {
                let _ = contents.truncate(0, &mut self.budget);
            }
            self.budget.give(NODE);
        }
    }

    /// What a node is. Errors: `NotFound`.
    pub fn stat(&self, id: u64) -> Result<Stat> {
        let node = self.get(id)?;
        let (kind, permissions, size) = match &node.body {
            Body::File(contents) => (FileKind::File, 0o755, contents.length()),
            Body::Directory(_) => (FileKind::Directory, 0o755, 0),
        };
        let links = u32::from(node.named);
        let Node { modified_ns, accessed_ns, created_ns, .. } = *node;
        Ok(Stat { kind, permissions, links, size, id, modified_ns, accessed_ns, created_ns })
    }

    /// Nodes there are.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }
}
