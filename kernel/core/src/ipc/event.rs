//! Event queues: interests in sessions, and those who wait to hear of them.
//!
//! An interest is pending exactly while it has something to tell, and whoever waits on a queue waits for the list of
//! those. A waiter that is woken makes its call again and copies its events itself; until it has come back it stands in
//! the list of the woken, so that if it ends or turns to something else, the next one is woken in its place: nobody
//! waits on a queue that has something to tell unless someone is on the way.

use crate::cap::reference::object;
use crate::list::{InSession, Pending, Queue, Woken};
use crate::object::{Endpoint, EventQueue, Interest, Notification, Session, Thread, ThreadState};
use crate::reaper::Reap;
use crate::tree::InQueue;
use crate::{Id, Kernel, Link, Machine};
use abi::event::{Mode, BATCH, ERROR, HANG_UP, INTERESTS};
use abi::{Error, Result};

/// Told whether it was asked for or not.
const ALWAYS: u32 = ERROR | HANG_UP;
/// Interests that one step of a queue's end frees.
const STEP: usize = 16;

object!(EventQueue, EventQueue, |kernel, id| {
    kernel.event_queues[id].ending.set(true);
    kernel.reap_later(Reap::EventQueue(id));
});

impl<M: Machine> Kernel<M> {
    /// One step of a queue's end: who waits is told, who was woken is let go, some interests are freed. Answers whether
    /// it is gone.
    pub fn event_queue_reap_step(&self, id: Id<EventQueue>) -> bool {
        let queue = &self.event_queues[id];
        if let Some(thread) = self.threads.list::<Queue>(&queue.waiters).first() {
            self.wait_end(thread);
            self.thread_answer(thread, Err(Error::Closed));
            return false;
        }
        if let Some(thread) = self.threads.list::<Woken>(&queue.woken).first() {
            self.poll_let_go(thread);
            return false;
        }
        for _ in 0..STEP {
            match self.interests.tree::<InQueue>(&queue.interests).first() {
                Some(interest) => self.interest_end(interest),
                None => {
                    self.queue_tell(id, None, 0);
                    self.free_object(id);
                    return true;
                }
            }
        }
        false
    }

    /// The queue of an interest.
    fn interest_queue(&self, id: Id<Interest>) -> Id<EventQueue> {
        self.interests[id].event_queue.get().expect("invariant: an interest has a queue")
    }

    /// What watches under a key. Errors: `NotFound`.
    pub(crate) fn interest_find(&self, queue: Id<EventQueue>, key: u64) -> Result<Id<Interest>> {
        let interests = self.interests.tree::<InQueue>(&self.event_queues[queue].interests);
        interests.find(key).ok_or(Error::NotFound)
    }

    /// Watches a session under a key. Errors: `Exists`, `TableFull` (of the queue), `Busy` (the session has its
    /// [`INTERESTS`]), `OutOfQuota`, `OutOfMemory`.
    pub(crate) fn interest_add(
        &self,
        queue_id: Id<EventQueue>,
        session_id: Id<Session>,
        key: u64,
        mask: u32,
        mode: Mode,
    ) -> Result<Id<Interest>> {
        let (queue, session) = (&self.event_queues[queue_id], &self.sessions[session_id]);
        Error::Exists.when(self.interest_find(queue_id, key).is_ok())?;
        Error::TableFull.when(queue.count.get() >= queue.capacity.get())?;
        Error::Busy.when(session.interest_count.get() >= INTERESTS)?;
        let quota = queue.header.quota.get().expect("invariant: an object has an account");
        let id = self.allocate::<Interest>(quota)?;
        let interest = &self.interests[id];
        interest.event_queue.set(Some(queue_id));
        interest.session.set(Some(session_id));
        self.interests.tree::<InQueue>(&queue.interests).insert(id, key);
        self.interests.list::<InSession>(&session.interests).push_back(id);
        queue.count.update(|n| n.saturating_add(1));
        session.interest_count.update(|n| n.saturating_add(1));
        self.interest_set(id, mask, mode);
        Ok(id)
    }

    /// Sets what an interest wants to hear of, and arms it: what is so already is told.
    pub(crate) fn interest_set(&self, id: Id<Interest>, mask: u32, mode: Mode) {
        let interest = &self.interests[id];
        interest.mask.set(mask | ALWAYS);
        interest.mode.set(mode as u8);
        interest.armed.set(true);
        interest.edges.set(self.interest_ready(id));
        self.interest_update(id);
    }

    /// Ends an interest.
    pub(crate) fn interest_end(&self, id: Id<Interest>) {
        let interest = &self.interests[id];
        let queue = &self.event_queues[self.interest_queue(id)];
        self.interests.tree::<InQueue>(&queue.interests).remove(id);
        queue.count.update(|n| n.saturating_sub(1));
        if interest.is_pending.get() {
            self.interests.list::<Pending>(&queue.pending).remove(id);
        }
        self.interest_leave(id);
        self.free(id);
    }

    /// An interest is none in a session any more.
    fn interest_leave(&self, id: Id<Interest>) {
        if let Some(session) = self.interests[id].session.replace(None) {
            let session = &self.sessions[session];
            self.interests.list::<InSession>(&session.interests).remove(id);
            session.interest_count.update(|n| n.saturating_sub(1));
        }
    }

    /// What an interest wants to hear of and is so now.
    fn interest_ready(&self, id: Id<Interest>) -> u32 {
        let interest = &self.interests[id];
        interest.mask.get() & interest.session.get().map_or(HANG_UP, |session| self.sessions[session].readiness.get())
    }

    /// What an interest has to tell.
    pub fn interest_news(&self, id: Id<Interest>) -> u32 {
        let interest = &self.interests[id];
        match Mode::from_number(u64::from(interest.mode.get())) {
            Some(Mode::Edge) => interest.edges.get(),
            Some(Mode::Once) if !interest.armed.get() => 0,
            _ => self.interest_ready(id),
        }
    }

    /// Puts an interest into its queue's list of those with something to tell, or takes it out.
    fn interest_update(&self, id: Id<Interest>) {
        let interest = &self.interests[id];
        let queue_id = self.interest_queue(id);
        let pending = self.interests.list::<Pending>(&self.event_queues[queue_id].pending);
        let has_news = self.interest_news(id) != 0;
        if interest.is_pending.replace(has_news) != has_news {
            if has_news {
                pending.push_back(id);
                self.queue_settle(queue_id);
            } else {
                pending.remove(id);
            }
        }
    }

    /// A queue may have something to tell: sets the bits of its notification, and has a waiter come, unless one is on
    /// the way.
    pub(crate) fn queue_settle(&self, id: Id<EventQueue>) {
        let queue = &self.event_queues[id];
        if queue.ending.get() || self.interests.list::<Pending>(&queue.pending).is_empty() {
            return;
        }
        if let Some(notification) = queue.notification.get() {
            self.notification_signal(notification, queue.bits.get());
        }
        if self.threads.list::<Woken>(&queue.woken).is_empty() {
            if let Some(thread) = self.threads.list::<Queue>(&queue.waiters).pop_front() {
                self.threads.list::<Woken>(&queue.woken).push_back(thread);
                self.call_again(thread);
            }
        }
    }

    /// Copies what is pending, in order and no more than there is room for; how many. Nothing changes.
    pub(crate) fn queue_look(&self, id: Id<EventQueue>, room: &mut [(u64, u32)]) -> usize {
        let pending = self.interests.list::<Pending>(&self.event_queues[id].pending);
        let news = |id: Id<Interest>| (self.interests[id].in_queue.key.get(), self.interest_news(id));
        pending.iter().zip(room).map(|(interest, place)| *place = news(interest)).count()
    }

    /// The first `count` of those pending were told.
    pub(crate) fn queue_told(&self, id: Id<EventQueue>, count: usize) {
        let pending = self.interests.list::<Pending>(&self.event_queues[id].pending);
        for _ in 0..count.min(BATCH) {
            let Some(first) = pending.pop_front() else { return };
            let interest = &self.interests[first];
            interest.edges.set(0);
            interest.armed.set(false);
            let has_more = self.interest_news(first) != 0;
            interest.is_pending.set(has_more);
            if has_more {
                pending.push_back(first);
            }
        }
    }

    /// Has a thread wait; one that was woken for nothing is the first again.
    pub(crate) fn queue_wait_begin(&self, id: Id<EventQueue>, thread_id: Id<Thread>, first: bool, deadline_ns: u64) {
        let thread = &self.threads[thread_id];
        thread.state.set(ThreadState::Polling);
        thread.event_queue.set(Some(id));
        self.threads.list::<Queue>(&self.event_queues[id].waiters).put(thread_id, first);
        self.deadline_set(thread_id, deadline_ns);
    }

    /// Takes a thread out of the queue of those who wait on an event queue.
    pub(crate) fn poll_end(&self, id: Id<Thread>) {
        let queue = self.threads[id].event_queue.replace(None).expect("invariant: it waits on a queue");
        self.threads.list::<Queue>(&self.event_queues[queue].waiters).remove(id);
    }

    /// A thread that was woken has come back; answers to which queue. (Not for one that waits.)
    pub(crate) fn poll_back(&self, id: Id<Thread>) -> Link<EventQueue> {
        let queue = self.threads[id].event_queue.replace(None)?;
        self.threads.list::<Woken>(&self.event_queues[queue].woken).remove(id);
        Some(queue)
    }

    /// A thread that was woken for an event will not come for it, or not soon: the next one is woken in its place. To be
    /// called when a thread that does not wait ends, is suspended, or is sent elsewhere by an upcall.
    pub(crate) fn poll_let_go(&self, id: Id<Thread>) {
        if self.threads[id].state.get() != ThreadState::Polling {
            if let Some(queue) = self.poll_back(id) {
                self.queue_settle(queue);
            }
        }
    }

    /// Has a notification told when the queue comes to hold an event, in place of the one before.
    pub(crate) fn queue_tell(&self, id: Id<EventQueue>, notification: Link<Notification>, bits: u64) {
        let queue = &self.event_queues[id];
        queue.bits.set(bits);
        self.refer(&queue.notification, notification);
        self.queue_settle(id);
    }

    /// Changes a session's readiness and has its interests tell: bits that are set are edges even where they were set.
    /// It looks at all of its interests, no more than [`INTERESTS`].
    pub(crate) fn readiness_change(&self, id: Id<Session>, set: u32, clear: u32) {
        let session = &self.sessions[id];
        session.readiness.update(|bits| bits & !clear | set);
        for interest in self.interests.list::<InSession>(&session.interests).iter() {
            let edges = set & self.interests[interest].mask.get();
            self.interests[interest].edges.update(|e| e | edges);
            self.interest_update(interest);
        }
    }

    /// Changes the readiness of the session with a badge. Errors: `NotFound`, `WrongState` (it has ended).
    pub(crate) fn session_set_ready(&self, endpoint: Id<Endpoint>, badge: u64, set: u32, clear: u32) -> Result<()> {
        let id = self.session_badged(endpoint, badge)?;
        Error::WrongState.when(self.sessions[id].has_ended.get())?;
        self.readiness_change(id, set, clear);
        Ok(())
    }

    /// A session has ended: its interests know, and are in no list of it any more.
    pub(crate) fn interests_let_go(&self, id: Id<Session>) {
        while let Some(interest) = self.interests.list::<InSession>(&self.sessions[id].interests).first() {
            self.interest_lose(interest);
        }
    }

    /// An interest has nothing to watch any more (its session has ended, or the capability it was made with was revoked), and
    /// tells that.
    pub(crate) fn interest_lose(&self, id: Id<Interest>) {
        let interest = &self.interests[id];
        self.interest_leave(id);
        interest.via.set(0);
        interest.edges.update(|edges| edges | HANG_UP);
        self.interest_update(id);
    }
}
