//! The tree of capabilities: who was derived from whom, over all processes.
//!
//! Closing an entry hands its children to its parent, so what was passed on lives on; revoking removes every
//! descendant. Both work in bounded steps. A revocation pulls grandchildren up to the entry being revoked before it
//! removes a child, so that it needs neither a stack nor a walk to the leaves; and it stands in the reaper's list, so that
//! it comes to its end whether or not its caller goes on asking.

use crate::cap::table::REVOKING;
use crate::machine::{Fault, Machine};
use crate::object::{Cap, Process};
use crate::{Id, Kernel, Link};
use abi::{Error, Handle, Kind, Result, Rights};

/// Entries moved or removed in one step.
const STEP: u32 = 8;
/// How far up a look for a revocation goes; past that the answer is the careful one.
const WALK: u32 = 64;

impl<M: Machine> Kernel<M> {
    /// Makes an entry a child of another (or of none).
    pub(crate) fn cap_link(&self, cap: Id<Cap>, parent: Link<Cap>) {
        let entry = &self.caps[cap];
        entry.parent.set(parent.map_or(0, Id::raw));
        entry.prev_sibling.set(0);
        let next = parent.map_or(0, |p| self.caps[p].first_child.replace(cap.raw()));
        entry.next_sibling.set(next);
        if let Some(next) = Id::<Cap>::try_new(next as usize) {
            self.caps[next].prev_sibling.set(cap.raw());
        }
    }

    /// Takes an entry from among its parent's children.
    pub(crate) fn cap_unlink(&self, cap: Id<Cap>) {
        let entry = &self.caps[cap];
        let (next, prev) = (entry.next_sibling.replace(0), entry.prev_sibling.replace(0));
        if let Some(next) = Id::<Cap>::try_new(next as usize) {
            self.caps[next].prev_sibling.set(prev);
        }
        let parent = entry.parent.replace(0);
        if let Some(prev) = Id::<Cap>::try_new(prev as usize) {
            self.caps[prev].next_sibling.set(next);
        } else if let Some(parent) = Id::<Cap>::try_new(parent as usize) {
            self.caps[parent].first_child.set(next);
        }
    }

    fn first_child(&self, cap: Id<Cap>) -> Link<Cap> {
        Id::try_new(self.caps[cap].first_child.get() as usize)
    }

    /// Hands at most a step's worth of an entry's children to another entry; answers whether none is left.
    fn children_move(&self, from: Id<Cap>, to: Link<Cap>) -> bool {
        for _ in 0..STEP {
            let Some(child) = self.first_child(from) else { return true };
            self.cap_unlink(child);
            self.cap_link(child, to);
        }
        self.first_child(from).is_none()
    }

    /// Whether an entry, or one that it stems from, is being revoked.
    pub(crate) fn is_being_revoked(&self, cap: Id<Cap>) -> bool {
        if self.reaper.revoking.get() == 0 {
            return false;
        }
        let mut at = Some(cap);
        for _ in 0..WALK {
            let Some(id) = at else { return false };
            let entry = &self.caps[id];
            if entry.flags.get() & REVOKING != 0 {
                return true;
            }
            at = Id::try_new(entry.parent.get() as usize);
        }
        true
    }

    /// Puts in a capability that stems from another one but names another object. Errors: `Retry` (that one is being revoked),
    /// and those of [`Kernel::cap_room`].
    pub(crate) fn cap_insert_below(
        &self,
        to: Id<Process>,
        kind: Kind,
        object: u32,
        rights: Rights,
        parent: Link<Cap>,
    ) -> Result<Handle> {
        Error::Retry.when(parent.is_some_and(|parent| self.is_being_revoked(parent)))?;
        self.cap_insert(to, kind, object, rights, parent)
    }

    /// Makes a child of an entry in a table. Rights that the entry does not have are dropped. `object` is the entry's
    /// own, or a part of it. Errors: `Retry` (it is being revoked), and those of [`Kernel::cap_room`].
    pub fn cap_derive(&self, cap: Id<Cap>, object: u32, mask: Rights, to: Id<Process>) -> Result<(Handle, Rights)> {
        Error::Retry.when(self.is_being_revoked(cap))?;
        let entry = &self.caps[cap];
        let kind = entry.kind().ok_or(Error::BadHandle)?;
        let rights = entry.rights() & mask;
        let handle = self.cap_insert(to, kind, object, rights, Some(cap))?;
        self.cap_badge_set(to, handle, entry.badge());
        Ok((handle, rights))
    }

    /// Gives an entry that was just put in its badge.
    pub(crate) fn cap_badge_set(&self, process: Id<Process>, handle: Handle, badge: u64) {
        if badge != 0 {
            let cap = self.cap_at(process, u32::from(handle.index())).expect("invariant: it was put in a moment ago");
            self.caps[cap].data.set(badge);
        }
    }

    /// Passes a capability on: a child of it in another table. It is known who wanted it: one of the two, to whom a refusal
    /// by the policy counts. Errors: `BadHandle`, `NoRight` (`TRANSFER` is asked), `Denied` (the policy), `Retry`, and those
    /// of [`Kernel::cap_room`].
    pub(crate) fn cap_transfer_asked(
        &self,
        from: Id<Process>,
        handle: Handle,
        mask: Rights,
        to: Id<Process>,
        asked_by: Id<Process>,
    ) -> Result<(Handle, Kind, Rights)> {
        let (cap, kind) = self.lookup_any(from, handle)?;
        let entry = &self.caps[cap];
        Error::NoRight.when(!entry.rights().contains(Rights::TRANSFER))?;
        let (handle, rights) = if self.is_typed_hand_over(from, cap, to) {
            self.cap_transfer_typed(from, cap, mask, to, asked_by)?
        } else {
            self.cap_derive(cap, entry.object.get(), mask, to)?
        };
        Ok((handle, kind, rights))
    }

    /// A step of closing an entry: its children go to its parent, then it goes itself. Answers whether it is gone.
    /// Errors: `Retry` (it is being revoked).
    pub(crate) fn cap_close_step(&self, cap: Id<Cap>) -> Result<bool> {
        let entry = &self.caps[cap];
        Error::Retry.when(entry.flags.get() & REVOKING != 0)?;
        let heir = if M::FAULT == Fault::REPARENT { None } else { Id::try_new(entry.parent.get() as usize) };
        // From now on nothing more can stem from it.
        entry.disarm();
        if !self.children_move(cap, heir) || !self.uses_hand_over_step(cap, heir) {
            return Ok(false);
        }
        self.cap_remove(cap);
        Ok(true)
    }

    /// Closes a handle in one go, however many children it has: for the kernel's own undoing of what it has just put in.
    pub fn cap_close(&self, process: Id<Process>, handle: Handle) -> Result<()> {
        let (cap, _) = self.lookup_any(process, handle)?;
        while !self.cap_close_step(cap)? {}
        Ok(())
    }

    /// Starts removing an entry's descendants; answers whether that was not under way yet. Errors: `Retry` (too many
    /// revocations are running).
    pub(crate) fn revoke_start(&self, cap: Id<Cap>) -> Result<bool> {
        let entry = &self.caps[cap];
        let starts = entry.flags.get() & REVOKING == 0;
        if starts {
            let place = self.reaper.revocations.iter().find(|p| p.get() == 0).ok_or(Error::Retry)?;
            place.set(cap.raw());
            self.reaper.revoking.update(|n| n.wrapping_add(1));
            self.reap_more();
            entry.flags.update(|f| f | REVOKING);
        }
        Ok(starts)
    }

    /// A step of it; answers whether there are no descendants left.
    pub(crate) fn revoke_step(&self, cap: Id<Cap>) -> bool {
        for _ in 0..STEP {
            let Some(child) = self.first_child(cap) else { return self.inherited_end_step(cap) };
            let entry = &self.caps[child];
            entry.disarm();
            if !self.children_move(child, Some(cap)) || !self.uses_end_step(child) {
                return false;
            }
            if entry.kind() == Some(Kind::Pin) {
                // Nobody knows whether the device still writes there.
                self.pin_holder_died(Id::try_new(entry.object.get() as usize).expect("invariant: a pin is an object"));
            }
            // What was pulled up stands before it now, and its turn comes.
            self.cap_remove(child);
        }
        false
    }

    /// A revocation is done, or its entry goes.
    pub(crate) fn revoke_done(&self, cap: Id<Cap>) {
        let entry = &self.caps[cap];
        if entry.flags.get() & REVOKING != 0 {
            entry.flags.update(|f| f & !REVOKING);
            self.reaper.revoking.update(|n| n.wrapping_sub(1));
            self.reaper.waiting.update(|n| n.wrapping_sub(1));
            if let Some(place) = self.reaper.revocations.iter().find(|p| p.get() == cap.raw()) {
                place.set(0);
            }
        }
    }
}
