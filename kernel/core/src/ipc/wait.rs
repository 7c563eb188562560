//! Waits that end before what they wait for: by cancellation, by a deadline,
//! by the end of a thread or of what
//! it waits at.

use crate::list::Queue;
use crate::object::{Thread, ThreadState};
use crate::{Id, Kernel, Machine};
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// Cancels what a thread waits for. A call that was received goes on until its server answers or ends, without what
    /// it lent for copying; so does one that is parked under an upcall. Errors: `WrongState` (it waits for nothing or for a
    /// page, or its fault is with its handler).
    pub fn thread_cancel_wait(&self, id: Id<Thread>) -> Result<()> {
        let thread = &self.threads[id];
        match thread.state.get() {
            _ if thread.faulting.get() => Err(Error::WrongState),
            ThreadState::Paging => Err(Error::WrongState),
            ThreadState::Inactive | ThreadState::Ready | ThreadState::Running | ThreadState::Suspended => {
                self.call_cancel(self.parked_reply(id).ok_or(Error::WrongState)?);
                Ok(())
            }
            ThreadState::AwaitingReply => {
                self.call_cancel(thread.reply.get().expect("invariant: a call that was received has a reply"));
                Ok(())
            }
            ThreadState::Sending
            | ThreadState::Receiving
            | ThreadState::Waiting
            | ThreadState::Sleeping
            | ThreadState::FutexWaiting
            | ThreadState::Polling => {
                self.wait_end(id);
                self.thread_answer(id, Err(Error::Cancelled));
                Ok(())
            }
        }
    }

    /// Takes a thread out of the queue it waits in, with what it brought. Its deadline and its answer are left to
    /// the caller; a call that was received is none of this.
    pub(crate) fn wait_end(&self, id: Id<Thread>) {
        let thread = &self.threads[id];
        match thread.state.replace(ThreadState::Inactive) {
            ThreadState::Sending => {
                let server = thread.endpoint.get().and_then(|endpoint| self.endpoints[endpoint].server.get());
                let session = self.sender_dequeue(id);
                self.outgoing_forget(id);
                if let Some(server) = server {
                    self.priority_update(server);
                }
                self.release(session);
            }
            ThreadState::Receiving => {
                let endpoint = thread.endpoint.replace(None).expect("invariant: a receiver has an endpoint");
                self.endpoints[endpoint].short.set(None);
                self.threads.list::<Queue>(&self.endpoints[endpoint].receivers).remove(id);
                let reply = thread.reply.replace(None).expect("invariant: a receiver brings a reply object");
                self.reply_free_again(reply);
            }
            ThreadState::Waiting => {
                let notification = thread.notification.replace(None).expect("invariant: it waits on something");
                self.threads.list::<Queue>(&self.notifications[notification].waiters).remove(id);
            }
            ThreadState::Paging => self.page_wait_end(id),
            ThreadState::FutexWaiting => self.futex_wait_end(id),
            ThreadState::Polling => self.poll_end(id),
            ThreadState::Sleeping
            | ThreadState::Suspended
            | ThreadState::Inactive
            | ThreadState::Ready
            | ThreadState::Running
            | ThreadState::AwaitingReply => {}
        }
    }
}
