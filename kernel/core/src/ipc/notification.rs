//! Notifications: bits to set, to wait on, and to be told of by receives.
//!
//! A signal goes to the thread that has waited longest, else to a receiver of the endpoint the notification is bound
//! to, else its bits stay. Whoever gets bits gets all that are set, and they are cleared.

use crate::cap::reference::object;
use crate::list::Queue;
use crate::object::{Cap, Endpoint, Notification, Thread, ThreadState};
use crate::reaper::Reap;
use crate::{Id, Kernel, Link, Machine};
use abi::{Error, Result};

object!(Notification, Notification, |kernel, id| {
    // An endpoint that it is bound to would hold a reference.
    kernel.notification_timer(id, 0, 0, 0);
    if kernel.notifications[id].waiters.first.get() == 0 {
        kernel.free_object(id);
    } else {
        kernel.reap_later(Reap::Notification(id));
    }
});

impl<M: Machine> Kernel<M> {
    /// A step of ending a notification without references: one waiter is told. Answers whether it is gone.
    pub(crate) fn notification_reap_step(&self, id: Id<Notification>) -> bool {
        match self.threads.list::<Queue>(&self.notifications[id].waiters).first() {
            Some(thread) => {
                self.wait_end(thread);
                self.thread_answer(thread, Err(Error::Closed));
                false
            }
            None => {
                self.free_object(id);
                true
            }
        }
    }

    /// Sets bits and tells whoever waits for them.
    pub fn notification_signal(&self, id: Id<Notification>, bits: u64) {
        let notification = &self.notifications[id];
        notification.bits.update(|set| set | bits);
        if notification.bits.get() == 0 {
            return;
        }
        if let Some(thread) = self.threads.list::<Queue>(&notification.waiters).pop_front() {
            self.threads[thread].notification.set(None);
            self.threads[thread].registers.rdi.set(notification.bits.replace(0));
            self.thread_answer(thread, Ok(()));
        } else if let Some(endpoint) = notification.endpoint.get() {
            self.events_deliver(endpoint);
        }
    }

    /// Waits through a capability: takes the bits that are set, or has the thread wait until some are: `None`. Errors: `TimedOut` (none are set, and
    /// the deadline has passed already).
    pub(crate) fn notification_wait(
        &self,
        id: Id<Notification>,
        via: Link<Cap>,
        thread_id: Id<Thread>,
        deadline_ns: u64,
    ) -> Result<Option<u64>> {
        let notification = &self.notifications[id];
        let bits = notification.bits.replace(0);
        if bits != 0 {
            return Ok(Some(bits));
        }
        Error::TimedOut.when(self.is_past(deadline_ns))?;
        let thread = &self.threads[thread_id];
        thread.via.set(via.map_or(0, Id::raw));
        thread.state.set(ThreadState::Waiting);
        thread.notification.set(Some(id));
        self.threads.list::<Queue>(&notification.waiters).push_back(thread_id);
        self.deadline_set(thread_id, deadline_ns);
        Ok(None)
    }

    /// Has the receivers of an endpoint told of a notification's bits, in place of what was bound there, and in place
    /// of the endpoint it was bound to before.
    pub(crate) fn notification_bind_to(&self, id: Id<Notification>, endpoint_id: Id<Endpoint>) {
        let (notification, endpoint) = (&self.notifications[id], &self.endpoints[endpoint_id]);
        if endpoint.notification.get() == Some(id) {
            return;
        }
        self.retain(id);
        if let Some(elsewhere) = notification.endpoint.replace(Some(endpoint_id)) {
            self.endpoints[elsewhere].notification.set(None);
            self.release(id);
        }
        if let Some(before) = endpoint.notification.replace(Some(id)) {
            self.notifications[before].endpoint.set(None);
            self.release(before);
        }
        self.notification_signal(id, 0);
    }
}
