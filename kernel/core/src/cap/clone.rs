//! Cloning a capability table: what `fork` hands to a child.
//!
//! Page by page; each entry of the clone is a child of the entry it was made of and has the same handle. What is not handed on
//! (replies, threads, pins; memory that is still being made; sessions that the policy keeps back) leaves an entry that is free, under the next
//! generation, so that handles to it stay stale.

use crate::cap::table::{PER_PAGE, RETIRED};
use crate::object::{Cap, Process};
use crate::{Id, Kernel, Machine};
use abi::{Error, Kind, Result};

/// Whether a clone of a table gets such a capability.
fn is_handed_on(kind: Kind) -> bool {
    !matches!(kind, Kind::Reply | Kind::Thread | Kind::Pin)
}

impl<M: Machine> Kernel<M> {
    /// Clones one page of a table into a process's that has as many pages as are done; answers whether there are more.
    /// Errors: `Closed` (the process has ended), `Busy` (its table is not empty, or it has threads), `Retry` (a capability is
    /// being revoked), `OutOfQuota`, `OutOfMemory` (of the process's account).
    pub(crate) fn table_clone_step(&self, from: Id<Process>, to: Id<Process>, page: u32) -> Result<bool> {
        let (source, target) = (&self.processes[from], self.process_running(to)?);
        Error::Busy.when(from == to || target.table_pages.get() != page || target.thread_count.get() != 0)?;
        Error::Busy.when(page == 0 && target.cap_count.get() != 0)?;
        if page >= source.table_pages.get() {
            return Ok(false);
        }
        let first = page.wrapping_mul(PER_PAGE);
        let entries = || (first.max(1)..first.wrapping_add(PER_PAGE)).filter_map(|index| self.cap_at(from, index));
        Error::Retry.when(entries().any(|cap| self.caps[cap].kind().is_some() && self.is_being_revoked(cap)))?;
        self.table_page(to)?;
        for index in (first.max(1)..first.wrapping_add(PER_PAGE)).rev() {
            let cap = self.cap_at(from, index).expect("invariant: the table has this page");
            let copy = self.cap_at(to, index).expect("invariant: the page was backed");
            self.entry_clone(from, cap, to, copy);
        }
        Ok(page.wrapping_add(1) < source.table_pages.get())
    }

    /// Whether an entry stands for a memory object that a thread of its holder is still making.
    fn names_half_made(&self, cap: Id<Cap>) -> bool {
        let entry = &self.caps[cap];
        entry.kind() == Some(Kind::Memory)
            && Id::try_new(entry.object.get() as usize).is_some_and(|id| self.memory_is_half_made(id))
    }

    fn entry_clone(&self, from: Id<Process>, cap: Id<Cap>, to: Id<Process>, copy: Id<Cap>) {
        let (entry, target, owner) = (&self.caps[cap], &self.caps[copy], &self.processes[to]);
        let generation = entry.handle().generation();
        let kind = entry.kind().filter(|kind| is_handed_on(*kind) && !self.names_half_made(cap));
        let rights = kind.and_then(|_| self.hand_over_rights(from, cap, entry.rights(), to).ok());
        if let (Some(kind), Some(rights)) = (kind, rights) {
            target.word.set(entry.word.get());
            target.restrict(rights);
            target.object.set(entry.object.get());
            target.data.set(entry.badge());
            target.origin.set(self.processes[from].header.object_id.get() as u32);
            owner.cap_count.update(|n| n.wrapping_add(1));
            self.cap_link(copy, Some(cap));
            self.cap_retain(kind, entry.object.get());
            return;
        }
        let next = generation.saturating_add(u16::from(entry.kind().is_some()));
        if next == RETIRED {
            target.word.set(u64::from(RETIRED) << 16);
        } else {
            target.word.set(u64::from(next.max(1)) << 16);
            target.parent.set(owner.free_cap.replace(copy.raw()));
        }
    }
}
