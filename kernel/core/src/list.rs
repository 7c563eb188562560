//! Doubly linked lists of kernel objects, their links in the objects.
//!
//! A list is a view: the arena of its nodes and its two ends. Every operation is a few stores.

use crate::arena::{Arena, ArenaItem};
use crate::id::Id;
use crate::object::{
    Interest, ListHead, ListLinks, Mapping, Memory, Name, Pin, Process, Quota, Reply, Session, Thread,
};
use core::marker::PhantomData;

/// An object that can be in a list of the sort that `Which` names.
pub trait ListNode<Which>: ArenaItem {
    /// Its links for that list.
    fn links(&self) -> &ListLinks;
}

macro_rules! list_nodes {
    ($($(#[$doc:meta])* $which:ident: $($node:ident.$field:ident),+;)+) => { $(
        $(#[$doc])*
        pub struct $which;
        $(impl ListNode<$which> for $node {
            #[inline(always)]
            fn links(&self) -> &ListLinks { &self.$field }
        })+
    )+ };
}

list_nodes! {
    /// The processes charged to an account.
    InQuota: Process.in_quota;
    /// The threads, and the replies, of a process.
    InProcess: Thread.in_process, Reply.in_process;
    /// A run queue, an endpoint's receivers, a notification's waiters.
    Queue: Thread.queue;
    /// Calls that their servers are to be told of as cancelled.
    Cancelled: Reply.in_cancelled;
    /// The ended sessions of an endpoint.
    Ended: Session.ended;
    /// The mappings of a memory object.
    InMemory: Mapping.in_memory;
    /// The mappings of a lease.
    InLease: Mapping.in_lease;
    /// The pins in a device's view of memory.
    InDomain: Pin.in_domain;
    /// The interests in a session.
    InSession: Interest.in_session;
    /// The interests of a queue that have something to tell.
    Pending: Interest.pending;
    /// The threads whose faults a session is told of.
    InFaulters: Thread.in_faulters;
    /// What stems from a capability beside other capabilities.
    InVia: Mapping.in_via, Thread.in_via, Name.in_via;
    /// The memory objects of one pager.
    InPager: Memory.in_pager;
    /// Memory objects with a pager.
    Paged: Memory.in_paged;
    /// Threads that an event queue woke.
    Woken: Thread.woken;
    /// The children of an account.
    Siblings: Quota.siblings;
}

/// A list: a view of its nodes' arena and its ends.
pub struct List<'a, T: ArenaItem, Which> {
    arena: &'a Arena<T>,
    head: &'a ListHead,
    which: PhantomData<Which>,
}

impl<T: ArenaItem> Arena<T> {
    /// The list of the sort `Which` with these ends.
    pub fn list<'a, Which>(&'a self, head: &'a ListHead) -> List<'a, T, Which>
    where
        T: ListNode<Which>,
    {
        List { arena: self, head, which: PhantomData }
    }
}

impl<'a, T: ListNode<Which>, Which> List<'a, T, Which> {
    #[inline(always)]
    fn at(&self, raw: u32) -> &'a ListLinks {
        self.arena.items.get(raw as usize).expect("invariant: links stay inside their arena").links()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.head.first.get() == 0
    }

    /// The first node.
    pub fn first(&self) -> Option<Id<T>> {
        Id::try_new(self.head.first.get() as usize)
    }

    /// The last node.
    pub fn last(&self) -> Option<Id<T>> {
        Id::try_new(self.head.last.get() as usize)
    }

    /// The node after one that is in the list.
    pub fn next(&self, id: Id<T>) -> Option<Id<T>> {
        Id::try_new(self.at(id.raw()).next.get() as usize)
    }

    /// Whether a node is in this list. Only for a node that is in this list or in none of its sort.
    pub fn contains(&self, id: Id<T>) -> bool {
        self.at(id.raw()).prev.get() != 0 || self.head.first.get() == id.raw()
    }

    /// Puts a node, which is in no list of this sort, at the end.
    pub fn push_back(&self, id: Id<T>) {
        self.put(id, false);
    }

    /// Puts a node, which is in no list of this sort, at the front.
    pub fn push_front(&self, id: Id<T>) {
        self.put(id, true);
    }

    /// Puts a node, which is in no list of this sort, at the front (`first`) or at the end.
    #[inline(always)]
    pub fn put(&self, id: Id<T>, first: bool) {
        let (links, ListHead { first: front, last: back }) = (self.at(id.raw()), self.head);
        let (here, there) = if first { (front, back) } else { (back, front) };
        let neighbour = here.replace(id.raw());
        links.next.set(if first { neighbour } else { 0 });
        links.prev.set(if first { 0 } else { neighbour });
        match neighbour {
            0 => there.set(id.raw()),
            other if first => self.at(other).prev.set(id.raw()),
            other => self.at(other).next.set(id.raw()),
        }
    }

    /// Takes a node of this list out.
    pub fn remove(&self, id: Id<T>) {
        let links = self.at(id.raw());
        let (next, prev) = (links.next.replace(0), links.prev.replace(0));
        match prev {
            0 => self.head.first.set(next),
            prev => self.at(prev).next.set(next),
        }
        match next {
            0 => self.head.last.set(prev),
            next => self.at(next).prev.set(prev),
        }
    }

    /// Takes the first node out.
    pub fn pop_front(&self) -> Option<Id<T>> {
        let first = self.first()?;
        self.remove(first);
        Some(first)
    }

    /// The nodes in order. The node last answered may be removed meanwhile; no other.
    pub fn iter(&self) -> impl Iterator<Item = Id<T>> + use<'a, T, Which> {
        let (arena, mut at) = (self.arena, self.head.first.get());
        core::iter::from_fn(move || {
            let id = Id::try_new(at as usize)?;
            at = arena.items.get(id.index())?.links().next.get();
            Some(id)
        })
    }
}

#[cfg(test)]
mod tests;
