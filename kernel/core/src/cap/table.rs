//! Capability tables: looking up, putting in, taking out.
//!
//! Each process has its own run of entries in the capability arena, backed page by page and charged to its
//! account. Look-up is one masked compare on an entry's word. Free entries keep the generation that the
//! next handle will have, so pages of a table stay until the process ends.

use crate::arena::{Arena, ArenaKind};
use crate::id::{Id, Link};
use crate::kernel::Kernel;
use crate::machine::{Fault, Machine};
use crate::object::{Cap, Process};
use crate::syscall::Context;
use abi::{Error, Handle, Kind, Result, Rights};

/// `Cap::flags`: its descendants are being removed.
pub const REVOKING: u32 = 1;
const KIND_SHIFT: u32 = 32;
const RIGHTS_SHIFT: u32 = 40;
/// Bits of a word that a look-up compares always: handle and kind.
const HANDLE_AND_KIND: u64 = 0xff_ffff_ffff;
/// A generation that no handle has: the entry is used up.
pub(crate) const RETIRED: u16 = 0xffff;
/// Entries in a page of a table.
pub(crate) const PER_PAGE: u32 = Arena::<Cap>::PER_PAGE as u32;

fn word(handle: Handle, kind: Kind, rights: Rights) -> u64 {
    u64::from(handle.0) | (kind as u64) << KIND_SHIFT | u64::from(rights.bits()) << RIGHTS_SHIFT
}

impl Cap {
    /// The handle that names it; meaningless in a free entry.
    pub fn handle(&self) -> Handle {
        Handle(self.word.get() as u32)
    }
    /// What it names; none: the entry is free.
    pub fn kind(&self) -> Option<Kind> {
        Kind::from_number((self.word.get() >> KIND_SHIFT) as u8)
    }
    /// It allows nothing from now on: it is about to go.
    pub(crate) fn disarm(&self) {
        self.word.update(|word| word & HANDLE_AND_KIND);
    }
    /// It was put in before it was of use; now it allows this.
    pub(crate) fn arm(&self, rights: Rights) {
        self.word.update(|word| word | u64::from(rights.bits()) << RIGHTS_SHIFT);
    }
    /// Its badge: of a notification, the bits that it may set; 0: all of them.
    pub fn badge(&self) -> u64 {
        if self.kind() == Some(Kind::Notification) {
            self.data.get()
        } else {
            0
        }
    }
    /// It allows no more than this from now on.
    pub(crate) fn restrict(&self, rights: Rights) {
        self.word.update(|word| word & (HANDLE_AND_KIND | u64::from(rights.bits()) << RIGHTS_SHIFT));
    }
    /// Whether it is named by this handle (a whole register), and is of this kind with this right.
    #[inline(always)]
    pub(crate) fn matches(&self, handle: u64, kind: Kind, right: Rights) -> bool {
        let asked = (kind as u64) << KIND_SHIFT | u64::from(right.bits()) << RIGHTS_SHIFT;
        // A sum, so that nothing in the upper half of the register goes unseen.
        self.word.get() & (HANDLE_AND_KIND | asked) == handle.wrapping_add(asked)
    }
    /// What it allows.
    pub fn rights(&self) -> Rights {
        Rights::from_bits_truncate((self.word.get() >> RIGHTS_SHIFT) as u16)
    }
}

impl<M: Machine> Kernel<M> {
    /// The first entry of a process's table in the capability arena.
    pub fn cap_table(&self, process: Id<Process>) -> u32 {
        (process.index().wrapping_mul(M::TABLE_ENTRIES)) as u32
    }

    /// The process whose table holds an entry.
    pub fn cap_holder(&self, cap: Id<Cap>) -> Id<Process> {
        let number = cap.index().checked_div(M::TABLE_ENTRIES).and_then(Id::try_new);
        number.expect("invariant: table 0 is never used")
    }

    /// Has the calling thread know how much of its table it may look at on the message path.
    pub(crate) fn table_known(&self, cx: &Context) {
        let entries = self.processes[cx.process].table_pages.get().wrapping_mul(PER_PAGE);
        self.threads[cx.thread].table_entries.set(entries);
    }

    /// The entry at an index of a process's table, where the table has a page there.
    #[inline(always)]
    pub(crate) fn cap_at(&self, process: Id<Process>, index: u32) -> Link<Cap> {
        if index >= self.processes[process].table_pages.get().wrapping_mul(PER_PAGE) {
            return None;
        }
        Id::try_new(self.cap_table(process).wrapping_add(index) as usize)
    }

    /// The entry that a handle names, if it is of this kind and has these rights. Errors: `BadHandle`, `WrongKind`,
    /// `NoRight`.
    #[inline]
    pub fn lookup(&self, process: Id<Process>, handle: Handle, kind: Kind, rights: Rights) -> Result<Id<Cap>> {
        let cap = self.cap_at(process, u32::from(handle.index())).ok_or(Error::BadHandle)?;
        let entry = self.caps[cap].word.get();
        let rights = if M::FAULT == Fault::RIGHTS { Rights::empty() } else { rights };
        let asked = word(handle, kind, rights);
        let mut mask = HANDLE_AND_KIND | u64::from(rights.bits()) << RIGHTS_SHIFT;
        if M::FAULT == Fault::GENERATION {
            mask &= !0xffff_0000;
        }
        if entry & mask == asked & mask {
            return Ok(cap);
        }
        let right_kind = word(handle, kind, Rights::empty()) ^ entry;
        Err(if right_kind & 0xffff_ffff != 0 || handle.is_none() || entry >> KIND_SHIFT == 0 {
            Error::BadHandle
        } else if right_kind & HANDLE_AND_KIND != 0 {
            Error::WrongKind
        } else {
            Error::NoRight
        })
    }

    /// The entry that a handle names, of whatever kind. Errors: `BadHandle`.
    pub fn lookup_any(&self, process: Id<Process>, handle: Handle) -> Result<(Id<Cap>, Kind)> {
        let cap = self.cap_at(process, u32::from(handle.index())).ok_or(Error::BadHandle)?;
        let entry = &self.caps[cap];
        let kind = entry.kind().filter(|_| entry.handle() == handle || M::FAULT == Fault::GENERATION);
        Ok((cap, kind.ok_or(Error::BadHandle)?))
    }

    /// Plan: makes sure that the next `n` entries can be put in. Errors: `TableFull`, `OutOfQuota`, `OutOfMemory`,
    /// `Closed` (the process has ended).
    pub fn cap_room(&self, process: Id<Process>, n: u32) -> Result<()> {
        // The common case: the entries that are free already are enough.
        let mut free = self.processes[process].free_cap.get();
        for _ in 0..n {
            let Some(cap) = Id::<Cap>::try_new(free as usize) else {
                return self.table_grow(process);
            };
            free = self.caps[cap].parent.get();
        }
        Ok(())
    }

    /// Backs one more page of a table: room for more entries than a plan asks for.
    #[cold]
    fn table_grow(&self, id: Id<Process>) -> Result<()> {
        let process = &self.processes[id];
        let first = process.table_pages.get().wrapping_mul(PER_PAGE);
        self.table_page(id)?;
        // Lowest index first; what was free before stays ahead. Index 0 is no handle.
        let mut tail = &process.free_cap;
        while let Some(cap) = Id::<Cap>::try_new(tail.get() as usize) {
            tail = &self.caps[cap].parent;
        }
        for index in first.max(1)..first.wrapping_add(PER_PAGE) {
            let cap = self.cap_at(id, index).expect("invariant: the page was backed");
            self.caps[cap].word.set(1 << 16);
            tail.set(cap.raw());
            tail = &self.caps[cap].parent;
        }
        Ok(())
    }

    /// Backs the next page of a process's table, its entries all zero. Errors: `Closed`, `TableFull`, `OutOfQuota`,
    /// `OutOfMemory`.
    pub(super) fn table_page(&self, id: Id<Process>) -> Result<()> {
        let process = &self.processes[id];
        let (pages, quota) = (process.table_pages.get(), process.quota.get().ok_or(Error::Closed)?);
        Error::TableFull.when(pages.wrapping_mul(PER_PAGE) as usize >= M::TABLE_ENTRIES)?;
        let page = (self.cap_table(id) / PER_PAGE).wrapping_add(pages) as usize;
        self.page_back(ArenaKind::Cap, page, quota)?;
        process.table_pages.set(pages.wrapping_add(1));
        Ok(())
    }

    /// Puts a capability into a table and answers its handle. Errors: those of [`Kernel::cap_room`].
    pub fn cap_insert(
        &self,
        process: Id<Process>,
        kind: Kind,
        object: u32,
        rights: Rights,
        parent: Link<Cap>,
    ) -> Result<Handle> {
        self.cap_room(process, 1)?;
        let owner = &self.processes[process];
        let cap = Id::<Cap>::try_new(owner.free_cap.get() as usize).expect("invariant: there is room");
        let entry = &self.caps[cap];
        owner.free_cap.set(entry.parent.get());
        owner.cap_count.update(|n| n.wrapping_add(1));
        let index = cap.raw().wrapping_sub(self.cap_table(process)) as u16;
        let handle = Handle::new(index, (entry.word.get() >> 16) as u16);
        entry.word.set(word(handle, kind, rights));
        entry.object.set(object);
        entry.flags.set(0);
        entry.first_child.set(0);
        entry.cursor.set(0);
        entry.data.set(0);
        entry.origin.set(self.cap_origin(process, parent));
        self.cap_link(cap, parent);
        self.cap_retain(kind, object);
        Ok(handle)
    }

    /// Where a capability comes from: the process that holds the entry it is made of, if that is another, else where that
    /// one came from.
    fn cap_origin(&self, process: Id<Process>, parent: Link<Cap>) -> u32 {
        match parent {
            None => 0,
            Some(parent) if self.cap_holder(parent) == process => self.caps[parent].origin.get(),
            Some(parent) => self.processes[self.cap_holder(parent)].header.object_id.get() as u32,
        }
    }

    /// Empties an entry without children and uses, and lets its object go.
    pub(crate) fn cap_remove(&self, cap: Id<Cap>) {
        let entry = &self.caps[cap];
        let kind = entry.kind().expect("invariant: only used entries are removed");
        let object = entry.object.get();
        self.revoke_done(cap);
        self.cap_unlink(cap);
        let process = self.cap_holder(cap);
        let owner = &self.processes[process];
        owner.cap_count.update(|n| n.wrapping_sub(1));
        let generation = entry.handle().generation();
        if generation >= RETIRED.wrapping_sub(1) {
            // Its numbers are used up: better one entry less than a handle that names something new.
            entry.word.set(u64::from(RETIRED) << 16);
        } else {
            entry.word.set(u64::from(generation.wrapping_add(1)) << 16);
            entry.parent.set(owner.free_cap.replace(cap.raw()));
        }
        self.cap_release(kind, object);
    }

    /// Gives one page of a dead process's table back; answers whether there was one.
    pub(crate) fn table_shrink(&self, id: Id<Process>) -> bool {
        let process = &self.processes[id];
        let Some(pages) = process.table_pages.get().checked_sub(1) else { return false };
        process.table_pages.set(pages);
        process.free_cap.set(0);
        let page = (self.cap_table(id) / PER_PAGE).wrapping_add(pages) as usize;
        let frame = self.machine.unback(ArenaKind::Cap, page);
        self.frame_release(frame.expect("invariant: pages of a table are backed"));
        true
    }
}
