//! What stems from a capability beside other capabilities: mappings, names, and
//! waits through it.
//!
//! These are its *uses*. Closing an entry hands them to its parent, as it does with children; a revocation that removes the
//! entry ends them. A mapping or a name stands in its entry's list from the start. A wait costs the message path one store
//! (`Thread::via`): the waits through an entry are found among its holder's threads, and only those that outlive
//! their entry, or came through a name, stand in a list, marked so that the fast paths leave them alone.
//!
//! What an entry inherited from a closed child stands before what is its own: a revocation of the entry ends the
//! former, with the descendants, and leaves the latter.

use crate::list::{InProcess, InSession, InVia, ListNode};
use crate::object::{Cap, Interest, ListHead, Mapping, Name, Parked, Thread, ThreadState};
use crate::{Field, Id, InKernel, Kernel, Link, Machine};
use abi::{Error, Kind};

/// Uses handed over or ended in one step.
const STEP: u32 = 8;
/// Threads looked at in one step.
const THREADS: u32 = 32;

/// What can stand in an entry's `uses`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Mappings,
    Waits,
    Nothing,
}

fn sort(kind: Option<Kind>) -> Sort {
    match kind {
        Some(Kind::Memory | Kind::DeviceMemory) => Sort::Mappings,
        Some(Kind::Session | Kind::Endpoint | Kind::Notification | Kind::EventQueue) => Sort::Waits,
        _ => Sort::Nothing,
    }
}

/// Whether a thread waits at something that it named by a capability: else `Thread::via` says nothing.
fn waits(thread: &Thread) -> bool {
    use ThreadState::{AwaitingReply, Polling, Receiving, Sending, Waiting};
    matches!(thread.state.get(), Sending | AwaitingReply | Receiving | Waiting | Polling)
}

fn raw(cap: Link<Cap>) -> u32 {
    cap.map_or(0, Id::raw)
}

impl<M: Machine> Kernel<M> {
    /// Takes something out of the list of the entry that a field names, and puts it into another's, or into none.
    fn via_move<T: InKernel + ListNode<InVia>>(
        &self,
        id: Id<T>,
        via: &Field<u32>,
        to: Link<Cap>,
        first: bool,
        uses: fn(&Cap) -> &ListHead,
    ) {
        let list = |cap: Id<Cap>| self.arena::<T>().list::<InVia>(uses(&self.caps[cap]));
        if let Some(before) = Id::try_new(via.replace(raw(to)) as usize) {
            list(before).remove(id);
        }
        if let Some(to) = to {
            list(to).put(id, first);
        }
    }

    /// A mapping was made with a capability (or is one of its no longer).
    pub(crate) fn mapping_via_set(&self, id: Id<Mapping>, cap: Link<Cap>, inherited: bool) {
        let mapping = &self.mappings[id];
        mapping.via_inherited.set(inherited);
        self.via_move(id, &mapping.via, cap, inherited, |cap| &cap.uses);
    }

    /// A name was bound with a capability (or is one of its no longer).
    pub(crate) fn name_via_set(&self, id: Id<Name>, cap: Link<Cap>, inherited: bool) {
        let name = &self.names[id];
        name.via_inherited.set(inherited);
        self.via_move(id, &name.via, cap, inherited, |cap| &cap.names);
    }

    /// The capability that a name was bound with, while it is there.
    pub(crate) fn name_via(&self, id: Id<Name>) -> Link<Cap> {
        Id::try_new(self.names[id].via.get() as usize)
    }

    /// A thread that waits does so through this entry, of another process or closed already, from now on.
    pub(crate) fn wait_link(&self, id: Id<Thread>, cap: Link<Cap>, inherited: bool) {
        let thread = &self.threads[id];
        if thread.via_parked.get() {
            // It can stand in one list only: the call that is parked is given up.
            self.parked_withdraw(id, Error::Cancelled);
        }
        self.wait_unlink(id);
        thread.via.set(0);
        self.via_list_put(id, cap, inherited);
        match thread.state.get() {
            ThreadState::AwaitingReply => {
                if let Some(reply) = thread.reply.get() {
                    self.replies[reply].short.set(None);
                }
            }
            ThreadState::Receiving => self.serve_no_more(id),
            _ => {}
        }
    }

    fn via_list_put(&self, id: Id<Thread>, cap: Link<Cap>, inherited: bool) {
        let Some(cap) = cap else { return };
        let thread = &self.threads[id];
        thread.via_inherited.set(inherited);
        self.via_move(id, &thread.via_list, Some(cap), inherited, |cap| &cap.uses);
    }

    fn via_list_leave(&self, id: Id<Thread>) {
        self.via_move(id, &self.threads[id].via_list, None, false, |cap| &cap.uses);
    }

    /// The wait of a thread is over, or another begins.
    #[inline]
    pub(crate) fn wait_unlink(&self, id: Id<Thread>) {
        let thread = &self.threads[id];
        if thread.via_list.get() != 0 && !thread.via_parked.get() {
            self.via_list_leave(id);
        }
    }

    /// A thread parks its call: what that was made through goes with it.
    pub(crate) fn via_park(&self, id: Id<Thread>, parked: &Parked) {
        let thread = &self.threads[id];
        parked.via.set(thread.via.replace(0));
        thread.via_parked.set(thread.via_list.get() != 0);
    }

    /// A thread waits for its parked call again.
    pub(crate) fn via_unpark(&self, id: Id<Thread>, parked: &Parked) {
        let thread = &self.threads[id];
        thread.via.set(parked.via.replace(0));
        thread.via_parked.set(false);
    }

    /// A parked call is over.
    pub(crate) fn via_parked_end(&self, id: Id<Thread>, parked: &Parked) {
        parked.via.set(0);
        if self.threads[id].via_parked.replace(false) {
            self.via_list_leave(id);
        }
    }

    /// A parked call is not to go on.
    fn parked_withdraw(&self, id: Id<Thread>, error: Error) {
        if let Some(reply) = self.parked_reply(id) {
            self.call_withdraw(reply, error);
        }
        // Where its server holds what was lent it goes on to its end, but nobody can take it back again.
        if let Some(parked) = self.parked_call(id) {
            self.via_parked_end(id, parked);
        }
    }

    /// Looks at some of the holder's threads for waits and parked calls through an entry; answers whether all were looked at.
    /// Threads looked at go to the end of their process's list, so that the next step finds the others; none can begin a
    /// wait through the entry any more.
    fn waits_find_step(&self, cap: Id<Cap>, wait: impl Fn(Id<Thread>), parked: impl Fn(Id<Thread>)) -> bool {
        let entry = &self.caps[cap];
        let process = &self.processes[self.cap_holder(cap)];
        let threads = self.threads.list::<InProcess>(&process.threads);
        for _ in 0..THREADS {
            if entry.cursor.get() >= process.thread_count.get() {
                return true;
            }
            let Some(id) = threads.pop_front() else { return true };
            threads.push_back(id);
            entry.cursor.update(|n| n.saturating_add(1));
            let thread = &self.threads[id];
            if self.parked_call(id).is_some_and(|p| p.via.get() == cap.raw()) {
                parked(id);
            }
            if thread.via.get() == cap.raw() && waits(thread) {
                wait(id);
            }
        }
        false
    }

    /// The parked call of a thread stems from the parent of what it was made through, which is closed.
    fn parked_hand_over(&self, id: Id<Thread>, heir: Link<Cap>) {
        if self.threads[id].via_list.get() != 0 {
            return self.parked_withdraw(id, Error::Cancelled);
        }
        if let Some(parked) = self.parked_call(id) {
            parked.via.set(0);
            self.threads[id].via_parked.set(heir.is_some());
            self.via_list_put(id, heir, true);
        }
    }

    /// The interests in a session that an entry was made with; a session has no more than a few hundred.
    fn interests_of(&self, cap: Id<Cap>, each: impl Fn(Id<Interest>)) {
        let Some(session) = self.session_named(cap) else { return };
        for id in self.interests.list::<InSession>(&session.interests).iter() {
            if self.interests[id].via.get() == cap.raw() {
                each(id);
            }
        }
    }

    /// A step of handing the uses of an entry to its parent; answers whether there are none left.
    pub(crate) fn uses_hand_over_step(&self, cap: Id<Cap>, heir: Link<Cap>) -> bool {
        let entry = &self.caps[cap];
        self.faulters_hand_over(cap, heir);
        self.interests_of(cap, |id| {
            let interest = &self.interests[id];
            interest.via.set(raw(heir));
            interest.via_inherited.set(true);
        });
        if sort(entry.kind()) == Sort::Waits
            && !self.waits_find_step(cap, |id| self.wait_link(id, heir, true), |id| self.parked_hand_over(id, heir))
        {
            return false;
        }
        for _ in 0..STEP {
            if let Some(name) = self.names.list::<InVia>(&entry.names).first() {
                self.name_via_set(name, heir, true);
                continue;
            }
            match sort(entry.kind()) {
                Sort::Mappings => match self.mappings.list::<InVia>(&entry.uses).first() {
                    Some(mapping) => self.mapping_via_set(mapping, heir, true),
                    None => return true,
                },
                Sort::Waits => match self.threads.list::<InVia>(&entry.uses).first() {
                    Some(thread) => {
                        self.via_list_leave(thread);
                        let is_parked = self.threads[thread].via_parked.get();
                        self.threads[thread].via_parked.set(is_parked && heir.is_some());
                        self.via_list_put(thread, heir, true);
                    }
                    None => return true,
                },
                Sort::Nothing => return true,
            }
        }
        false
    }

    /// A step of ending the uses of an entry that is about to go; answers whether there are none left.
    pub(crate) fn uses_end_step(&self, cap: Id<Cap>) -> bool {
        let entry = &self.caps[cap];
        self.faulters_end(cap, false);
        self.interests_of(cap, |id| self.interest_lose(id));
        if sort(entry.kind()) == Sort::Waits
            && !self.waits_find_step(cap, |id| self.wait_revoke(id), |id| self.parked_withdraw(id, Error::Revoked))
        {
            return false;
        }
        self.use_end_first(entry, false)
    }

    /// A step of ending what an entry that is revoked has inherited; answers whether there is none left.
    pub(crate) fn inherited_end_step(&self, cap: Id<Cap>) -> bool {
        self.faulters_end(cap, true);
        self.interests_of(cap, |id| {
            if self.interests[id].via_inherited.get() {
                self.interest_lose(id);
            }
        });
        self.use_end_first(&self.caps[cap], true)
    }

    /// Ends the first name, mapping or wait of an entry (or takes a step of that); answers whether there was none.
    fn use_end_first(&self, entry: &Cap, inherited_only: bool) -> bool {
        let fits = |is_inherited: &Field<bool>| !inherited_only || is_inherited.get();
        let name = self.names.list::<InVia>(&entry.names).first();
        if let Some(name) = name.filter(|id| fits(&self.names[*id].via_inherited)) {
            self.name_forget(name);
            return false;
        }
        match sort(entry.kind()) {
            Sort::Mappings => {
                let mapping = self.mappings.list::<InVia>(&entry.uses).first();
                let mapping = mapping.filter(|id| fits(&self.mappings[*id].via_inherited));
                mapping.map(|id| self.mapping_end_step(id)).is_none()
            }
            Sort::Waits => {
                let thread = self.threads.list::<InVia>(&entry.uses).first();
                let thread = thread.filter(|id| fits(&self.threads[*id].via_inherited));
                thread.map(|id| self.wait_revoke(id)).is_none()
            }
            Sort::Nothing => true,
        }
    }

    /// What a thread waits through, or what it has parked its call through, was revoked. A call whose server holds what was
    /// lent ends when the server answers or dies; all else ends at once.
    fn wait_revoke(&self, id: Id<Thread>) {
        let thread = &self.threads[id];
        if thread.via_parked.get() {
            return self.parked_withdraw(id, Error::Revoked);
        }
        self.wait_unlink(id);
        thread.via.set(0);
        if thread.state.get() == ThreadState::AwaitingReply {
            let reply = thread.reply.get().expect("invariant: a call that was received has a reply");
            self.call_withdraw(reply, Error::Revoked);
        } else {
            self.wait_end(id);
            self.thread_answer(id, Err(Error::Revoked));
        }
    }
}
