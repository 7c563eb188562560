//! Priorities inherited along calls.
//!
//! A thread runs at the greatest of: its own priority, those of the callers whose calls it received and has not
//! answered, and that of the most urgent thread in the queue of the endpoint it received from last, or that waits for a page
//! which is asked for there. What it
//! inherits it passes on to whoever it waits for itself. A chain is followed as far as something changes,
//! and no further than [`DEPTH`], so that no user can make it long.

use crate::object::{Reply, Thread, ThreadState, TreeLinks};
use crate::tree::{Sending, TreeNode};
use crate::{Field, Id, Kernel, Link, Machine};

/// The longest chain of waits along which a change of priority is passed on.
pub const DEPTH: usize = 128;

/// Replies bound by the receives of one thread, by their callers' urgency.
pub struct Donating;

impl TreeNode<Donating> for Reply {
    #[inline(always)]
    fn links(&self) -> &TreeLinks {
        &self.donating
    }
}

const PRIORITY_SHIFT: u32 = 56;

/// A key that sorts the more urgent before the less urgent, and by `order` among equals.
#[inline(always)]
pub(crate) fn urgency_key(priority: u8, order: u64) -> u64 {
    u64::from(!priority).wrapping_shl(PRIORITY_SHIFT) | order & 0x00ff_ffff_ffff_ffff
}

/// Makes one reply the only one in a tree of donors that is empty: what `insert` would do, in three stores.
#[inline(always)]
pub(crate) fn donors_set_one(root: &Field<u32>, reply: Id<Reply>, links: &TreeLinks, priority: u8) {
    // Its other links are zero, as in every node that is in no tree.
    links.key.set(urgency_key(priority, u64::from(reply.raw())));
    links.level.set(1);
    root.set(reply.raw());
}

fn priority_of(key: u64) -> u8 {
    !(key.wrapping_shr(PRIORITY_SHIFT) as u8)
}

impl<M: Machine> Kernel<M> {
    /// Brings a thread's priority in line with what it inherits now, and so on along what it waits for.
    pub(crate) fn priority_update(&self, thread: Id<Thread>) {
        let mut at = Some(thread);
        for _ in 0..DEPTH {
            let Some(id) = at else { return };
            let priority = self.priority_due(id);
            if priority == self.threads[id].priority.get() {
                return;
            }
            at = self.priority_change(id, priority);
        }
    }

    /// The priority that a thread should have.
    pub(crate) fn priority_due(&self, id: Id<Thread>) -> u8 {
        let thread = &self.threads[id];
        let mut priority = thread.base_priority.get();
        if let Some(reply) = self.replies.tree::<Donating>(&thread.donors).first() {
            priority = priority.max(priority_of(self.replies[reply].donating.key.get()));
        }
        if let Some(endpoint) = thread.serving.get() {
            priority = priority.max(self.endpoints[endpoint].request_urgency.get());
            let senders = self.threads.tree::<Sending>(&self.endpoints[endpoint].senders);
            if let Some(sender) = senders.first() {
                priority = priority.max(priority_of(self.threads[sender].sending.key.get()));
            }
        }
        priority
    }

    /// Gives a thread another priority, wherever it stands; answers whom it waits for.
    fn priority_change(&self, id: Id<Thread>, priority: u8) -> Link<Thread> {
        let thread = &self.threads[id];
        match thread.state.get() {
            ThreadState::Ready => {
                self.ready_remove(id);
                thread.priority.set(priority);
                self.ready_insert(id, false);
                self.notice(thread);
                None
            }
            ThreadState::Running => {
                thread.priority.set(priority);
                self.attend(thread.cpu.get());
                None
            }
            ThreadState::Sending => {
                thread.priority.set(priority);
                let endpoint = thread.endpoint.get().expect("invariant: a sender has an endpoint");
                let endpoint = &self.endpoints[endpoint];
                let arrival = thread.sending.key.get();
                let senders = self.threads.tree::<Sending>(&endpoint.senders);
                senders.remove(id);
                senders.insert(id, urgency_key(priority, arrival));
                endpoint.server.get()
            }
            ThreadState::AwaitingReply => {
                thread.priority.set(priority);
                let reply = thread.reply.get().expect("invariant: a call that was received has a reply");
                let receiver = self.replies[reply].receiver.get()?;
                let donors = self.replies.tree::<Donating>(&self.threads[receiver].donors);
                donors.remove(reply);
                donors.insert(reply, urgency_key(priority, u64::from(reply.raw())));
                Some(receiver)
            }
            ThreadState::FutexWaiting => {
                thread.priority.set(priority);
                self.futex_turn_again(id);
                None
            }
            ThreadState::Inactive
            | ThreadState::Receiving
            | ThreadState::Waiting
            | ThreadState::Sleeping
            | ThreadState::Polling
            | ThreadState::Suspended => {
                thread.priority.set(priority);
                None
            }
            ThreadState::Paging => {
                thread.priority.set(priority);
                self.page_urgency_change(id)
            }
        }
    }

    /// Gives a thread another priority of its own. The caller has checked its process's limit.
    pub fn thread_set_priority(&self, thread: Id<Thread>, priority: u8) {
        self.threads[thread].base_priority.set(priority);
        self.priority_update(thread);
    }

    /// A thread has become ready: has its processor's scheduler look, if that can matter.
    #[inline]
    pub(crate) fn notice(&self, thread: &Thread) {
        let cpu = self.cpu_of(thread);
        let running = self.running(cpu).map(|id| &self.threads[id]);
        if running.is_none_or(|t| t.priority.get() <= thread.priority.get()) {
            self.attend(thread.cpu.get());
        }
    }
}
