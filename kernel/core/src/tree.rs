//! Ordered sets of kernel objects: an AVL tree whose links live in the objects.
//!
//! A tree is a view: the arena of its nodes and the field that holds the root. Keys are unique `u64`s
//! that the owner of the tree defines. Nothing allocates, nothing recurses; every operation is a walk
//! of at most 1.44 log2 n nodes, whatever keys user code chooses (that is why it is not a treap).

use crate::arena::{Arena, ArenaItem};
use crate::field::{Clear, Field};
use crate::id::Id;
use crate::object::{DmaDomain, Interest, Mapping, Notification, Process, Session, Thread, TreeLinks};
use core::marker::PhantomData;

/// An object that can be in a tree of the sort that `Which` names.
pub trait TreeNode<Which>: ArenaItem {
    /// Its links for that tree.
    fn links(&self) -> &TreeLinks;
}

macro_rules! tree_nodes {
    ($($(#[$doc:meta])* $which:ident: $($node:ident.$field:ident),+;)+) => { $(
        $(#[$doc])*
        pub struct $which;
        $(impl TreeNode<$which> for $node {
            #[inline(always)]
            fn links(&self) -> &TreeLinks { &self.$field }
        })+
    )+ };
}

tree_nodes! {
    /// All processes, by object id.
    All: Process.all;
    /// The sessions of an endpoint, by badge.
    InEndpoint: Session.in_endpoint;
    /// Threads that wait to send to an endpoint, by urgency and arrival.
    Sending: Thread.sending;
    /// Threads that wait with a deadline.
    Deadline: Thread.deadline;
    /// Armed timers.
    Timer: Notification.timer;
    /// The mappings of an address space, by first address.
    InSpace: Mapping.in_space;
    /// Devices' views of memory, by tag.
    ByTag: DmaDomain.by_tag;
    /// The interests of an event queue, by key.
    InQueue: Interest.in_queue;
}

/// A tree: a view of its nodes' arena and its root.
pub struct Tree<'a, T: ArenaItem, Which> {
    arena: &'a Arena<T>,
    root: &'a Field<u32>,
    which: PhantomData<Which>,
}

impl<T: ArenaItem> Arena<T> {
    /// The tree of the sort `Which` with this root.
    pub fn tree<'a, Which>(&'a self, root: &'a Field<u32>) -> Tree<'a, T, Which>
    where
        T: TreeNode<Which>,
    {
        Tree { arena: self, root, which: PhantomData }
    }
}

impl<T: TreeNode<Which>, Which> Tree<'_, T, Which> {
    #[inline(always)]
    fn at(&self, raw: u32) -> &TreeLinks {
        self.arena.items.get(raw as usize).expect("invariant: links stay inside their arena").links()
    }
    fn height(&self, raw: u32) -> u32 {
        Self::id(raw).map_or(0, |_| self.at(raw).level.get())
    }
    /// The link to a node's child with smaller keys (`left`), or with greater ones.
    #[inline(always)]
    fn child(&self, raw: u32, left: bool) -> &Field<u32> {
        let node = self.at(raw);
        match left {
            true => &node.left,
            false => &node.right,
        }
    }
    fn id(raw: u32) -> Option<Id<T>> {
        Id::try_new(raw as usize)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.root.get() == 0
    }

    /// Puts a node in. The key must not be in the tree: then the answer is `false` and nothing changes.
    pub fn insert(&self, id: Id<T>, key: u64) -> bool {
        let (mut parent, mut at, mut less) = (0, self.root.get(), false);
        while at != 0 {
            let node = self.at(at);
            if node.key.get() == key {
                return false;
            }
            less = key < node.key.get();
            parent = at;
            at = self.child(at, less).get();
        }
        let node = self.at(id.raw());
        node.left.set(0);
        node.right.set(0);
        node.parent.set(parent);
        node.level.set(1);
        node.key.set(key);
        let place = if parent == 0 { self.root } else { self.child(parent, less) };
        place.set(id.raw());
        self.rebalance(parent);
        true
    }

    /// Takes a node out, which must be in. Its links and its key are zeroed.
    pub fn remove(&self, id: Id<T>) {
        let node = self.at(id.raw());
        let (left, right, parent) = (node.left.get(), node.right.get(), node.parent.get());
        let start;
        if left == 0 || right == 0 {
            let child = left | right;
            self.replace_child(parent, id.raw(), child);
            start = parent;
        } else {
            let mut heir = right;
            while self.at(heir).left.get() != 0 {
                heir = self.at(heir).left.get();
            }
            let h = self.at(heir);
            if heir == right {
                start = heir;
            } else {
                let above = h.parent.get();
                let below = h.right.get();
                self.at(above).left.set(below);
                if below != 0 {
                    self.at(below).parent.set(above);
                }
                h.right.set(right);
                self.at(right).parent.set(heir);
                start = above;
            }
            h.left.set(left);
            self.at(left).parent.set(heir);
            h.level.set(node.level.get());
            self.replace_child(parent, id.raw(), heir);
        }
        self.rebalance(start);
        node.clear();
    }

    /// Whether a node is in a tree.
    pub fn contains(&self, id: Id<T>) -> bool {
        self.at(id.raw()).level.get() != 0
    }

    /// The node with this key.
    pub fn find(&self, key: u64) -> Option<Id<T>> {
        self.ceiling(key).filter(|id| self.at(id.raw()).key.get() == key)
    }

    /// The node with the smallest key.
    pub fn first(&self) -> Option<Id<T>> {
        self.ceiling(0)
    }

    /// The node with the greatest key that is not above `key`.
    pub fn floor(&self, key: u64) -> Option<Id<T>> {
        self.nearest(|other| other <= key, false)
    }

    /// The node with the smallest key that is not below `key`.
    pub fn ceiling(&self, key: u64) -> Option<Id<T>> {
        self.nearest(|other| other >= key, true)
    }

    /// Of the nodes whose keys fit, the one with the smallest key (`left`), or with the greatest.
    #[inline(always)]
    fn nearest(&self, fits: impl Fn(u64) -> bool, left: bool) -> Option<Id<T>> {
        let (mut at, mut best) = (self.root.get(), 0);
        while at != 0 {
            let fit = fits(self.at(at).key.get());
            best = if fit { at } else { best };
            at = self.child(at, fit == left).get();
        }
        Self::id(best)
    }

    /// The node with the next greater key.
    pub fn next(&self, id: Id<T>) -> Option<Id<T>> {
        self.ceiling(self.at(id.raw()).key.get().checked_add(1)?)
    }

    /// Puts `new` (or nothing) where `old` hung under `parent` (or was the root).
    fn replace_child(&self, parent: u32, old: u32, new: u32) {
        match parent {
            0 => self.root.set(new),
            _ => self.child(parent, self.at(parent).left.get() == old).set(new),
        }
        if new != 0 {
            self.at(new).parent.set(parent);
        }
    }

    fn update(&self, raw: u32) {
        let node = self.at(raw);
        let height = self.height(node.left.get()).max(self.height(node.right.get()));
        node.level.set(height.wrapping_add(1));
    }

    /// Lifts the right child (`left`: the left child) of a node over it; answers the child.
    fn rotate(&self, raw: u32, left: bool) -> u32 {
        let node = self.at(raw);
        let up = self.child(raw, left).get();
        let middle = self.child(up, !left).get();
        self.replace_child(node.parent.get(), raw, up);
        self.child(raw, left).set(middle);
        self.child(up, !left).set(raw);
        if middle != 0 {
            self.at(middle).parent.set(raw);
        }
        node.parent.set(up);
        self.update(raw);
        self.update(up);
        up
    }

    /// Brings heights and balance in order from a node up, until nothing changes.
    fn rebalance(&self, mut raw: u32) {
        while raw != 0 {
            let node = self.at(raw);
            let before = node.level.get();
            let (left, right) = (node.left.get(), node.right.get());
            let (high, low) = (self.height(left), self.height(right));
            if high.abs_diff(low) <= 1 {
                self.update(raw);
            } else {
                let heavy_left = high > low;
                let heavy = if heavy_left { left } else { right };
                let height = |left: bool| self.height(self.child(heavy, left).get());
                if height(!heavy_left) > height(heavy_left) {
                    self.rotate(heavy, !heavy_left);
                }
                raw = self.rotate(raw, heavy_left);
            }
            let node = self.at(raw);
            if node.level.get() == before {
                return;
            }
            raw = node.parent.get();
        }
    }
}

#[cfg(test)]
mod tests;
