//! The lives of what callers lend.
//!
//! A lease is made with its call, bound to the reply object that receives it, and ends with the answer. It may be
//! passed on: the part lent further is a lease of its own, below the first. A lease *holds* while it, or one
//! below it, has pages mapped or pinned. What doesn't hold can be withdrawn at any instant: an operation on
//! a lease looks at those above it (at most [`DEPTH`]). What holds keeps the call from ending.

use crate::object::{Lease, Process, Reply, ReplyState};
use crate::{Id, Kernel, Link, Machine};
use abi::memory::{USER_END, USER_START};
use abi::message::LeaseAccess;
use abi::{Error, Handle, Kind, Result, Rights};

/// The most leases that one can be below: client, file system, partition, driver, and room to spare.
pub const DEPTH: u8 = 16;

impl Lease {
    /// Whether pages of it are held, by itself or below.
    pub fn is_holding(&self) -> bool {
        self.holds.get() != 0 || self.children_holding.get() != 0
    }
}

impl<M: Machine> Kernel<M> {
    /// Makes the lease that four words of an IPC buffer describe; it is bound to no reply yet. Errors: `BadArgument`
    /// (unknown or no access), `BadAddress` (not in the user half), those of a look-up of the reply, `WrongState`,
    /// `Cancelled` (what is passed on is not lent any more), `LeaseRange`, `LeaseAccess`, `NotSupported` (passed on too
    /// often), `OutOfQuota`, `OutOfMemory`.
    pub(crate) fn lease_make(&self, process: Id<Process>, words: [u64; 4]) -> Result<Id<Lease>> {
        let [address, length, access, from] = words;
        let access = u32::try_from(access).ok().and_then(LeaseAccess::from_bits).ok_or(Error::BadArgument)?;
        let lent = access & (LeaseAccess::READ | LeaseAccess::WRITE);
        Error::BadArgument.when(lent.is_empty())?;
        let owner = &self.processes[process];
        let quota = owner.quota.get().ok_or(Error::Closed)?;
        let (space, address, parent) = if access.contains(LeaseAccess::PASS_ON) {
            let parent = self.lease_to_pass_on(process, from)?;
            let above = &self.leases[parent];
            let end = address.checked_add(length).ok_or(Error::LeaseRange)?;
            Error::LeaseRange.when(end > above.length.get())?;
            Error::LeaseAccess.when(lent.bits() & !above.access.get() != 0)?;
            Error::NotSupported.when(above.depth.get() >= DEPTH)?;
            (above.space.get(), above.address.get().wrapping_add(address), Some(parent))
        } else {
            let end = address.checked_add(length).ok_or(Error::BadAddress)?;
            Error::BadAddress.when(address < USER_START || end > USER_END)?;
            (owner.space.get(), address, None)
        };
        let space = space.ok_or(Error::Closed)?;
        let id = self.allocate::<Lease>(quota)?;
        let lease = &self.leases[id];
        self.refer(&lease.space, Some(space));
        self.refer(&lease.quota, Some(quota));
        lease.address.set(address);
        lease.length.set(length);
        lease.access.set(lent.bits());
        if let Some(parent) = parent {
            let above = &self.leases[parent];
            lease.parent.set(Some(parent));
            lease.depth.set(above.depth.get().wrapping_add(1));
            above.children.update(|n| n.wrapping_add(1));
        }
        Ok(id)
    }

    /// The lease that `reply | index << 32` names.
    fn lease_to_pass_on(&self, process: Id<Process>, word: u64) -> Result<Id<Lease>> {
        let cap = self.lookup(process, Handle(word as u32), Kind::Reply, Rights::SEND)?;
        let reply = Id::try_new(self.caps[cap].object.get() as usize).ok_or(Error::BadHandle)?;
        self.reply_lease(reply, word >> 32)
    }

    /// A lease of the call that a reply object is bound to, to be operated on. Errors: `WrongState` (no call is bound),
    /// `BadArgument` (no such lease), `Cancelled` (it is not lent any more: its caller, or one above, is gone, was
    /// cancelled, or its deadline has passed).
    pub fn reply_lease(&self, reply: Id<Reply>, index: u64) -> Result<Id<Lease>> {
        let reply = &self.replies[reply];
        Error::WrongState.when(!matches!(reply.state.get(), ReplyState::Bound | ReplyState::Cancelled))?;
        Error::BadArgument.when(index >= u64::from(reply.lease_count.get()))?;
        let lease = reply.leases.get(index as usize).and_then(|lease| lease.get()).ok_or(Error::Cancelled)?;
        Error::Cancelled.when(self.lease_is_withdrawn(lease))?;
        Ok(lease)
    }

    /// Whether a lease, or one above it, was withdrawn.
    pub fn lease_is_withdrawn(&self, lease: Id<Lease>) -> bool {
        let mut at = Some(lease);
        for _ in 0..=DEPTH {
            let Some(id) = at else { return false };
            if self.leases[id].withdrawn.get() {
                return true;
            }
            at = self.leases[id].parent.get();
        }
        false
    }

    /// One more mapping of a lease, or pin on it: frames are held.
    pub fn lease_hold(&self, lease: Id<Lease>) {
        let was_holding = self.leases[lease].is_holding();
        self.leases[lease].holds.update(|n| n.wrapping_add(1));
        if was_holding {
            return;
        }
        let mut at = self.leases[lease].parent.get();
        while let Some(id) = at {
            let above = &self.leases[id];
            let was_holding = above.is_holding();
            above.children_holding.update(|n| n.wrapping_add(1));
            at = if was_holding { None } else { above.parent.get() };
        }
    }

    /// One mapping of a lease, or pin on it, less. Calls that could not end because of it end now.
    pub fn lease_unhold(&self, lease: Id<Lease>) {
        let below = &self.leases[lease];
        below.holds.set(below.holds.get().checked_sub(1).expect("invariant: a hold let go was held"));
        // First the counts all the way up, then those whom they freed: ending a call frees leases.
        let mut waiting: [Link<Reply>; DEPTH as usize + 1] = [None; DEPTH as usize + 1];
        let mut places = waiting.iter_mut();
        let mut at = Some(lease);
        while let Some(id) = at.filter(|id| !self.leases[*id].is_holding()) {
            let dead = self.leases[id].reply.get();
            let dead = dead.filter(|reply| self.replies[*reply].state.get() == ReplyState::Dead);
            if let Some(place) = places.next() {
                *place = dead;
            }
            at = self.leases[id].parent.get();
            if let Some(above) = at {
                self.leases[above].children_holding.update(|n| n.wrapping_sub(1));
            }
        }
        self.lease_free_if_over(lease);
        for reply in waiting.into_iter().flatten() {
            self.reply_settle(reply);
        }
    }

    /// Ends a lease for its server: nothing more can be done with it. What it still holds, it holds.
    pub(crate) fn lease_drop(&self, lease: Id<Lease>) {
        self.leases[lease].withdrawn.set(true);
        self.leases[lease].reply.set(None);
        self.lease_free_if_over(lease);
    }

    /// Frees a lease that belongs to no call any more, once nothing is below it, and so on upwards.
    fn lease_free_if_over(&self, lease: Id<Lease>) {
        let mut at = Some(lease);
        while let Some(id) = at {
            let lease = &self.leases[id];
            if lease.reply.get().is_some() || lease.children.get() != 0 || lease.is_holding() {
                return;
            }
            at = lease.parent.get();
            self.refer(&lease.space, None);
            self.refer(&lease.quota, None);
            self.free(id);
            if let Some(above) = at {
                self.leases[above].children.update(|n| n.wrapping_sub(1));
            }
        }
    }

    /// Takes back at once what a call lent for copying alone; what holds frames can be used no further.
    pub(crate) fn leases_withdraw(&self, reply: Id<Reply>) {
        for place in &self.replies[reply].leases {
            if let Some(lease) = place.get() {
                self.leases[lease].withdrawn.set(true);
                if !self.leases[lease].is_holding() {
                    place.set(None);
                    self.lease_drop(lease);
                }
            }
        }
    }

    /// Whether anything that a call lent is held.
    pub(crate) fn leases_hold(&self, reply: Id<Reply>) -> bool {
        let mut leases = self.replies[reply].leases.iter().filter_map(|place| place.get());
        leases.any(|lease| self.leases[lease].is_holding())
    }

    /// Whether anything that a call lent is held by other means than the server's own mappings: those go with the
    /// answer, but a pin has to be closed and a call below has to end first.
    pub(crate) fn leases_busy(&self, reply: Id<Reply>) -> bool {
        let mut leases = self.replies[reply].leases.iter().filter_map(|place| place.get());
        leases.any(|lease| self.leases[lease].pins.get() != 0 || self.leases[lease].children_holding.get() != 0)
    }

    /// Ends all leases of a call: its server's mappings go. None may be held otherwise.
    pub(crate) fn leases_end(&self, reply: Id<Reply>) {
        let reply = &self.replies[reply];
        if reply.lease_count.replace(0) == 0 {
            return;
        }
        for place in &reply.leases {
            if let Some(lease) = place.replace(None) {
                self.lease_end_pages(lease);
                self.lease_drop(lease);
            }
        }
    }
}
