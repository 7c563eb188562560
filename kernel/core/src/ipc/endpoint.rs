//! Endpoints: where those who send meet those who receive.
//!
//! At most one of the two queues is not empty. Senders wait by urgency, receivers by arrival. An endpoint that no
//! capability names is closed: whoever waits is told so, one a step of the reaper.

use crate::cap::reference::object;
use crate::list::{Cancelled, Ended, Queue};
use crate::object::{Endpoint, Session, Thread, ThreadState};
use crate::reaper::Reap;
use crate::sched::donation::urgency_key;
use crate::tree::{InEndpoint, Sending};
use crate::{Id, Kernel, Machine};
use abi::Error;

object!(Endpoint, Endpoint, |kernel, id| {
    let endpoint = &kernel.endpoints[id];
    endpoint.closed.set(true);
    endpoint.told.set(0);
    if let Some(server) = endpoint.server_replace(None) {
        kernel.threads[server].serving.set(None);
        kernel.priority_update(server);
    }
    if let Some(notification) = endpoint.notification.replace(None) {
        kernel.notifications[notification].endpoint.set(None);
        kernel.release(notification);
    }
    kernel.reap_later(Reap::Endpoint(id));
});

impl<M: Machine> Kernel<M> {
    /// Puts a thread into the queue of senders. The session it sends through stays until it is taken out.
    pub(crate) fn sender_enqueue(&self, id: Id<Thread>, session: Id<Session>, endpoint_id: Id<Endpoint>) {
        let (thread, endpoint) = (&self.threads[id], &self.endpoints[endpoint_id]);
        thread.state.set(ThreadState::Sending);
        thread.endpoint.set(Some(endpoint_id));
        thread.session.set(Some(session));
        self.retain(session);
        endpoint.bound.set(None);
        let arrival = endpoint.arrivals.get();
        endpoint.arrivals.set(arrival.wrapping_add(1));
        let senders = self.threads.tree::<Sending>(&endpoint.senders);
        senders.insert(id, urgency_key(thread.priority.get(), arrival));
        if let Some(server) = endpoint.server.get() {
            self.priority_update(server);
        }
    }

    /// Takes a thread out of the queue of senders. Its state is left to the caller, and so is the reference to the
    /// session that it answers.
    #[must_use = "the session was retained"]
    pub(crate) fn sender_dequeue(&self, id: Id<Thread>) -> Id<Session> {
        let thread = &self.threads[id];
        let endpoint = thread.endpoint.replace(None).expect("invariant: a sender has an endpoint");
        self.threads.tree::<Sending>(&self.endpoints[endpoint].senders).remove(id);
        thread.session.replace(None).expect("invariant: a sender has a session")
    }

    /// From now on a thread is the one that inherits from an endpoint's queue, and from no other's.
    pub(crate) fn serve(&self, endpoint_id: Id<Endpoint>, id: Id<Thread>) {
        let (thread, endpoint) = (&self.threads[id], &self.endpoints[endpoint_id]);
        if endpoint.server.get() == Some(id) || endpoint.closed.get() {
            return;
        }
        if let Some(other) = thread.serving.replace(Some(endpoint_id)) {
            self.endpoints[other].server_replace(None);
        }
        if let Some(before) = endpoint.server_replace(Some(id)) {
            self.threads[before].serving.set(None);
            self.priority_update(before);
        }
    }

    /// A thread inherits from no endpoint's queue any more, until it receives again.
    pub(crate) fn serve_no_more(&self, id: Id<Thread>) {
        if let Some(endpoint) = self.threads[id].serving.replace(None) {
            self.endpoints[endpoint].server_replace(None);
            self.priority_update(id);
        }
    }

    /// Has every end of a session that is not acknowledged told again.
    #[inline(always)]
    pub(crate) fn round_begin(&self, endpoint: &Endpoint) {
        endpoint.told.set(endpoint.ended.first.get());
    }

    /// One step of closing an endpoint: one waiting thread is told, or one ended session goes. Answers whether all
    /// is done.
    pub fn endpoint_reap_step(&self, id: Id<Endpoint>) -> bool {
        let endpoint = &self.endpoints[id];
        let receiver = self.threads.list::<Queue>(&endpoint.receivers).first();
        let sender = self.threads.tree::<Sending>(&endpoint.senders).first();
        if let Some(thread) = receiver.or(sender) {
            self.wait_end(thread);
            self.thread_answer(thread, Err(Error::Closed));
            return false;
        }
        if !self.pager_end_step(endpoint) {
            return false;
        }
        if self.replies.list::<Cancelled>(&endpoint.cancelled).pop_front().is_some() {
            return false;
        }
        if let Some(session) = self.sessions.list::<Ended>(&endpoint.ended).pop_front() {
            self.session_free(session);
            return false;
        }
        if let Some(session) = self.session_to_hang_up(id) {
            endpoint.hung_up.set(self.badge(session));
            self.readiness_change(session, abi::event::HANG_UP, 0);
            return false;
        }
        endpoint.reaped.set(true);
        self.endpoint_free_if_empty(id);
        true
    }

    /// The next session of a closed endpoint whose interests do not know yet.
    fn session_to_hang_up(&self, id: Id<Endpoint>) -> Option<Id<Session>> {
        let endpoint = &self.endpoints[id];
        let from = endpoint.hung_up.get().checked_add(1)?;
        self.sessions.tree::<InEndpoint>(&endpoint.sessions).ceiling(from)
    }

    /// Frees a closed endpoint at which everybody was told, and that no session leads to any more.
    pub(crate) fn endpoint_free_if_empty(&self, id: Id<Endpoint>) {
        let endpoint = &self.endpoints[id];
        if endpoint.reaped.get() && endpoint.sessions.get() == 0 {
            self.free_object(id);
        }
    }
}
