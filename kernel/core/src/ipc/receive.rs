//! Receiving: `recv`, and `reply_recv`, which answers on the way.
//!
//! What a receive brings, in this order: bits of the endpoint's notification; calls that were received and are not wanted any
//! more, each once; ends of sessions, each once in a round; the most urgent message. What arrives while a receiver waits is delivered at once.

use crate::ipc::transfer::Allowed;
use crate::list::{Ended, Queue};
use crate::object::{Endpoint, Process, Reply, ReplyState, Thread, ThreadState};
use crate::syscall::{Answer, Context};
use crate::tree::Sending;
use crate::{Id, Kernel, Link, Machine};
use abi::message::{Extras, Received};
use abi::{Error, Handle, Kind, Result, Rights};

impl<M: Machine> Kernel<M> {
    /// The reply object that a handle names. Errors: those of a look-up.
    #[inline]
    pub(crate) fn reply_named(&self, process: Id<Process>, word: u64) -> Result<Id<Reply>> {
        let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
        let cap = self.lookup(process, handle, Kind::Reply, Rights::SEND)?;
        Id::try_new(self.caps[cap].object.get() as usize).ok_or(Error::BadHandle)
    }

    /// `recv`. Errors: those of a look-up of the reply object, `WrongState` (it is not free), `BadArgument` (a
    /// deadline without an IPC buffer), `TimedOut`.
    pub(crate) fn receive_at(&self, cx: &Context, endpoint: Id<Endpoint>) -> Result<Answer> {
        let reply = self.reply_named(cx.process, cx.arg(3))?;
        Error::WrongState.when(self.replies[reply].state.get() != ReplyState::Free)?;
        let deadline_ns = self.deadline_of(cx.thread, Extras(cx.arg(2)))?;
        self.reply_own(reply, cx.process);
        if !self.receive(cx.thread, endpoint, reply) {
            // It may have left a queue that lent it urgency.
            self.priority_update(cx.thread);
            self.receiver_wait(cx, endpoint, reply, deadline_ns)?;
        }
        Ok(Answer::Written)
    }

    /// `reply_recv`. All errors but `TimedOut` mean that nothing was answered: those of a look-up of the reply object,
    /// those of `reply_plan` and of `outgoing`.
    #[inline]
    pub(crate) fn reply_receive_at(&self, cx: &Context, endpoint: Id<Endpoint>) -> Result<Answer> {
        let reply = self.reply_named(cx.process, cx.arg(3))?;
        self.table_known(cx);
        self.reply_plan(reply, true)?;
        let allowed = Allowed { leases: false, deadline: true };
        let out = self.outgoing(cx.thread, cx.process, Extras(cx.arg(2)), allowed)?;
        let deadline_ns = out.deadline_ns;
        let answered = self.reply_apply(cx.thread, reply, out);
        self.reply_own(reply, cx.process);
        let received = self.receive(cx.thread, endpoint, reply);
        let outcome = match received {
            true => Ok(()),
            false => self.receiver_wait(cx, endpoint, reply, deadline_ns),
        };
        self.priority_update(cx.thread);
        if let Some(caller) = answered {
            if received || outcome.is_err() {
                self.make_ready(caller);
            } else {
                self.hand_over(cx.cpu, caller);
            }
        }
        outcome.map(|()| Answer::Written)
    }

    /// Takes what waits at an endpoint for a receiver that runs, if anything does.
    fn receive(&self, to: Id<Thread>, endpoint_id: Id<Endpoint>, reply: Id<Reply>) -> bool {
        let endpoint = &self.endpoints[endpoint_id];
        self.serve(endpoint_id, to);
        if self.event_take(endpoint_id, to) {
            // Whoever waits behind the news lends it urgency already.
            self.priority_update(to);
            return true;
        }
        let Some(from) = self.threads.tree::<Sending>(&endpoint.senders).first() else { return false };
        let session = self.sender_dequeue(from);
        let badge = self.badge(session);
        if self.threads[from].wants_reply.get() {
            self.bind(from, to, endpoint_id, reply);
            self.deliver(from, badge, to, Some(reply));
        } else {
            self.deliver(from, badge, to, None);
            self.thread_answer(from, Ok(()));
        }
        self.priority_update(to);
        self.round_begin(endpoint);
        // Last, since this may end the session, and its end may be the next thing to tell.
        self.release(session);
        true
    }

    /// Writes bits, or the next end of a session to tell, into a receiver's registers, if there are any.
    fn event_take(&self, endpoint_id: Id<Endpoint>, to: Id<Thread>) -> bool {
        let endpoint = &self.endpoints[endpoint_id];
        if let Some(notification) = endpoint.notification.get() {
            let bits = self.notifications[notification].bits.replace(0);
            if bits != 0 {
                self.event_write(to, 0, Received::Notification, [bits, 0, 0]);
                self.round_begin(endpoint);
                return true;
            }
        }
        if endpoint.paged.first.get() != 0 {
            let process = self.threads[to].process.get().expect("invariant: who receives has a process");
            if let Some([key, page, write]) = self.request_take(endpoint, process) {
                self.event_write(to, 0, Received::PageRequest, [key, page, write]);
                return true;
            }
        }
        if let Some((number, reason)) = self.cancelled_take(endpoint) {
            self.event_write(to, 0, Received::CallCancelled, [number, reason, 0]);
            return true;
        }
        let Some(session) = Id::try_new(endpoint.told.get() as usize) else { return false };
        let next = self.sessions.list::<Ended>(&endpoint.ended).next(session);
        endpoint.told.set(next.map_or(0, Id::raw));
        self.event_write(to, self.badge(session), Received::SessionEnded, [0; 3]);
        true
    }

    fn event_write(&self, to: Id<Thread>, badge: u64, what: Received, [first, second, third]: [u64; 3]) {
        let registers = &self.threads[to].registers;
        registers.rax.set(0);
        registers.rdi.set(badge);
        registers.rsi.set(0);
        registers.rdx.set(Extras::received(0, 0, what).0);
        registers.r8.set(0);
        for (place, value) in registers.words.iter().zip([first, second, third, 0, 0, 0]) {
            place.set(value);
        }
    }

    /// Something other than a message may have come to an endpoint: tells a receiver that waits.
    pub(crate) fn events_deliver(&self, endpoint_id: Id<Endpoint>) {
        let endpoint = &self.endpoints[endpoint_id];
        endpoint.bound.set(None);
        let Some(to) = self.threads.list::<Queue>(&endpoint.receivers).first() else { return };
        if self.event_take(endpoint_id, to) {
            let (_, reply) = self.receiver_take(endpoint_id).expect("invariant: the receiver is in the queue");
            self.reply_free_again(reply);
            self.make_ready(to);
        }
    }

    /// Has a thread wait in the queue of receivers. Errors: `TimedOut` (the deadline has passed already).
    fn receiver_wait(
        &self,
        cx: &Context,
        endpoint_id: Id<Endpoint>,
        reply_id: Id<Reply>,
        deadline_ns: u64,
    ) -> Result<()> {
        let id = cx.thread;
        Error::TimedOut.when(self.is_past(deadline_ns))?;
        let (thread, reply) = (&self.threads[id], &self.replies[reply_id]);
        reply.state.set(ReplyState::Receiving);
        reply.receiver.set(Some(id));
        reply.endpoint.set(Some(endpoint_id));
        reply.endpoint_number.set(self.endpoints[endpoint_id].header.object_id.get());
        thread.reply.set(Some(reply_id));
        thread.endpoint.set(Some(endpoint_id));
        thread.via.set(cx.subject.cap.map_or(0, Id::raw));
        thread.state.set(ThreadState::Receiving);
        let endpoint = &self.endpoints[endpoint_id];
        let alone = endpoint.receivers.first.get() == 0 && endpoint.server.get() == Some(id);
        let plain = alone && deadline_ns == 0 && thread.donors.get() == 0 && thread.registers.full_frame.get() == 0;
        let plain = plain && endpoint.ended.first.get() == 0;
        endpoint.bound.set(None);
        endpoint.short.set(plain.then_some(id));
        self.threads.list::<Queue>(&endpoint.receivers).push_back(id);
        self.deadline_set(id, deadline_ns);
        Ok(())
    }

    /// Takes the receiver that has waited longest, and the reply object it brought.
    pub(crate) fn receiver_take(&self, endpoint: Id<Endpoint>) -> Option<(Id<Thread>, Id<Reply>)> {
        self.endpoints[endpoint].short.set(None);
        let id: Link<Thread> = self.threads.list::<Queue>(&self.endpoints[endpoint].receivers).pop_front();
        let thread = &self.threads[id?];
        thread.endpoint.set(None);
        self.wait_unlink(id?);
        self.deadline_clear(id?);
        let reply = thread.reply.replace(None).expect("invariant: a receiver brings a reply object");
        Some((id?, reply))
    }

    /// A receive ended without a call: its reply object is free again.
    pub(crate) fn reply_free_again(&self, reply: Id<Reply>) {
        self.replies[reply].state.set(ReplyState::Free);
        self.replies[reply].receiver.set(None);
    }
}
