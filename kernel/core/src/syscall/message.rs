//! Handlers of messages: `call`, `open`, `send`, `recv`, `reply`, `reply_recv`.

use super::{Answer, Context};
use crate::ipc::transfer::Allowed;
use crate::object::{Endpoint, Reply, Session, ThreadState};
use crate::{Kernel, Machine};
use abi::message::Extras;
use abi::{Error, Result, Rights};

impl<M: Machine> Kernel<M> {
    /// Sends a message and waits for its answer. Errors: `Closed` (the endpoint has no capability left), `BadArgument`
    /// (malformed extras, no IPC buffer, a lease without access), `BadHandle`, `NoRight` (capabilities to send),
    /// `BadAddress`, `LeaseRange`, `LeaseAccess`, `NotSupported`, `WrongState` (leases), `OutOfQuota`, `OutOfMemory`,
    /// `TimedOut`, `Cancelled`, `Interrupted` (an upcall came before it was received), `Restarted` (the server died after
    /// it had received the call).
    #[inline]
    pub fn call(&self, cx: &Context) -> Result<Answer> {
        self.call_session(cx, cx.id::<Session>())
    }

    /// As `call`, on the root session that a scheme name is bound to. Errors besides: `NotFound` (no such name),
    /// `NoRight` (the binding may not be called), `Denied` (the policy), `BadAddress`, `NameTooLong`, `InvalidName`.
    pub fn open(&self, cx: &Context) -> Result<Answer> {
        let name = self.scheme_name_argument(cx, cx.arg(0), cx.arg(3))?;
        let namespace = self.processes[cx.process].namespace.get().ok_or(Error::NotFound)?;
        let (session, rights) = self.name_lookup(namespace, name)?;
        Error::NoRight.when(!rights.contains(Rights::SEND))?;
        if self.security.is_loaded() {
            self.open_decide(cx, session, name)?;
        }
        let bound_with = self.name_via(self.name_record(namespace, name)?);
        let answer = self.call_session(cx, session)?;
        let waits = matches!(self.threads[cx.thread].state.get(), ThreadState::Sending | ThreadState::AwaitingReply);
        if waits {
            // Whoever takes the name's capability back takes this call back too.
            self.wait_link(cx.thread, bound_with, false);
        }
        Ok(answer)
    }

    /// Sends a one-way message and waits until it is received. Errors: as `call`, and `BadArgument` for leases.
    pub fn send(&self, cx: &Context) -> Result<Answer> {
        self.send_session(cx, cx.id::<Session>())
    }

    /// Receives a message. Errors: those of a look-up of the reply object, `WrongState` (it is not free), `BadArgument`
    /// (a deadline without an IPC buffer), `TimedOut`, `Cancelled`, `Interrupted` (an upcall came), `Closed` (endpoint or
    /// reply object ended).
    pub fn recv(&self, cx: &Context) -> Result<Answer> {
        self.receive_at(cx, cx.id::<Endpoint>())
    }

    /// Answers a call, if one is bound, and receives the next message. `TimedOut`, `Cancelled`, `Interrupted` and `Closed` mean that
    /// the answer was given; all others that nothing was done: those of a look-up of the reply object, `WrongState`
    /// (another thread receives with it), `Busy` (a lease is pinned or held by a call further down), `BadArgument`,
    /// `BadHandle`, `NoRight` (as for `call`).
    #[inline]
    pub fn reply_recv(&self, cx: &Context) -> Result<Answer> {
        self.reply_receive_at(cx, cx.id::<Endpoint>())
    }

    /// Answers a call. Errors: `WrongState` (none is bound), `Busy`, `BadArgument`, `BadHandle`, `NoRight`, all as for
    /// `reply_recv`.
    pub fn reply(&self, cx: &Context) -> Result<Answer> {
        let reply = cx.id::<Reply>();
        self.reply_plan(reply, false)?;
        let allowed = Allowed { leases: false, deadline: false };
        let out = self.outgoing(cx.thread, cx.process, Extras(cx.arg(2)), allowed)?;
        if let Some(caller) = self.reply_apply(cx.thread, reply, out) {
            self.make_ready(caller);
        }
        Ok(Answer::DONE)
    }
}
