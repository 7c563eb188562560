//! Sending: `call` and `send`.
//!
//! This is the path with all the extras; see `fast` for the short one, and `receive` for the counterpart.

use crate::ipc::transfer::Allowed;
use crate::object::{Endpoint, Reply, ReplyState, Session, Thread, ThreadState};
use crate::sched::donation::{urgency_key, Donating};
use crate::syscall::{Answer, Context};
use crate::{Id, Kernel, Machine};
use abi::message::Extras;
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// A thread sends a message through the capability it named.
    #[inline(always)]
    fn message_count(&self, cx: &Context, caller: &Thread) {
        if let Some(cap) = cx.subject.cap {
            caller.via.set(cap.raw());
            self.caps[cap].data.update(|n| n.wrapping_add(1));
        }
    }

    /// Sends a call through a session; the answer is written when it comes. Errors: `Closed` (nobody can receive from
    /// the endpoint any more), `TimedOut` (the deadline has passed already), and those of `outgoing`.
    pub(crate) fn call_session(&self, cx: &Context, session: Id<Session>) -> Result<Answer> {
        let endpoint_id = self.session_endpoint(session);
        let endpoint = &self.endpoints[endpoint_id];
        Error::Closed.when(endpoint.closed.get())?;
        self.table_known(cx);
        let allowed = Allowed { leases: true, deadline: true };
        let out = self.outgoing(cx.thread, cx.process, Extras(cx.arg(2)), allowed)?;
        let deadline_ns = out.deadline_ns;
        if self.is_past(deadline_ns) {
            self.outgoing_drop(out);
            return Err(Error::TimedOut);
        }
        self.outgoing_store(cx.thread, out);
        let caller = &self.threads[cx.thread];
        caller.wants_reply.set(true);
        caller.via.set(0);
        self.message_count(cx, caller);
        match self.receiver_take(endpoint_id) {
            Some((to, reply)) => {
                self.bind(cx.thread, to, endpoint_id, reply);
                self.deliver(cx.thread, self.badge(session), to, Some(reply));
                self.round_begin(endpoint);
                self.serve(endpoint_id, to);
                self.priority_update(to);
                self.hand_over(cx.cpu, to);
            }
            None => self.sender_enqueue(cx.thread, session, endpoint_id),
        }
        self.deadline_set(cx.thread, deadline_ns);
        Ok(Answer::Written)
    }

    /// Sends a one-way message through a session. Errors: `Closed`, `TimedOut`, `BadArgument` (leases), and those of
    /// `outgoing`.
    pub(crate) fn send_session(&self, cx: &Context, session: Id<Session>) -> Result<Answer> {
        let endpoint_id = self.session_endpoint(session);
        let endpoint = &self.endpoints[endpoint_id];
        Error::Closed.when(endpoint.closed.get())?;
        let allowed = Allowed { leases: false, deadline: true };
        let out = self.outgoing(cx.thread, cx.process, Extras(cx.arg(2)), allowed)?;
        let deadline_ns = out.deadline_ns;
        let sender = &self.threads[cx.thread];
        if let Some((to, reply)) = self.receiver_take(endpoint_id) {
            self.outgoing_store(cx.thread, out);
            self.message_count(cx, sender);
            self.deliver(cx.thread, self.badge(session), to, None);
            self.reply_free_again(reply);
            self.round_begin(endpoint);
            self.make_ready(to);
            return Ok(Answer::DONE);
        }
        if self.is_past(deadline_ns) {
            self.outgoing_drop(out);
            return Err(Error::TimedOut);
        }
        self.outgoing_store(cx.thread, out);
        sender.wants_reply.set(false);
        sender.via.set(0);
        self.message_count(cx, sender);
        self.sender_enqueue(cx.thread, session, endpoint_id);
        self.deadline_set(cx.thread, deadline_ns);
        Ok(Answer::Written)
    }

    /// Binds a reply object to the call of a thread, received from an endpoint; it waits for its answer from now on.
    pub(crate) fn bind(&self, from: Id<Thread>, to: Id<Thread>, endpoint: Id<Endpoint>, reply_id: Id<Reply>) {
        let (caller, server, reply) = (&self.threads[from], &self.threads[to], &self.replies[reply_id]);
        reply.state.set(ReplyState::Bound);
        reply.caller.set(Some(from));
        reply.receiver.set(Some(to));
        reply.endpoint.set(Some(endpoint));
        reply.endpoint_number.set(self.endpoints[endpoint].header.object_id.get());
        let key = urgency_key(caller.priority.get(), u64::from(reply_id.raw()));
        let donors = self.replies.tree::<Donating>(&server.donors);
        if let Some(other) = donors.first() {
            // It is not the only one any more.
            self.replies[other].short.set(None);
        }
        donors.insert(reply_id, key);
        caller.reply.set(Some(reply_id));
        caller.state.set(ThreadState::AwaitingReply);
    }

    /// Whether a deadline was given and has passed.
    pub(crate) fn is_past(&self, deadline_ns: u64) -> bool {
        deadline_ns != 0 && deadline_ns <= self.machine.now_ns()
    }
}
