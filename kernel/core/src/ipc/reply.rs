//! Answers, and how calls end without one.
//!
//! Free → Receiving → Bound → Free is the common life. A caller that dies, or whose deadline passes, leaves a
//! Cancelled reply, taken until the server answers or drops it. A server that dies or drops it leaves a Dead one until
//! nothing that the call lent is held below; only then is the caller told.

use crate::cap::reference::object;
use crate::ipc::transfer::{words_copy, Outgoing};
use crate::list::InProcess;
use crate::object::{Process, Quota, Reply, ReplyState, Thread, ThreadState};
use crate::sched::donation::Donating;
use crate::{Id, Kernel, Link, Machine};
use abi::message::{Extras, Received};
use abi::{Error, Handle, Kind, Result, Rights};

object!(Reply, Reply, |kernel, id| {
    kernel.reply_disown(id);
    let reply = &kernel.replies[id];
    match reply.state.get() {
        ReplyState::Free => kernel.free_object(id),
        ReplyState::Receiving => {
            if let Some(thread) = reply.receiver.get() {
                kernel.wait_end(thread);
                kernel.thread_answer(thread, Err(Error::Closed));
            }
            kernel.free_object(id);
        }
        ReplyState::Bound | ReplyState::Cancelled => kernel.reply_abandon(id, Error::Closed),
        // It goes when what is held below is let go.
        ReplyState::Dead => {}
    }
});

impl<M: Machine> Kernel<M> {
    /// Makes a reply object, charged to an account and held by a process. Errors: those of `cap_room` and `allocate`.
    pub(crate) fn reply_make(&self, process: Id<Process>, quota: Id<Quota>) -> Result<Handle> {
        self.cap_room(process, 1)?;
        let id = self.allocate_object::<Reply>(quota)?;
        self.reply_own(id, process);
        let rights = Rights::TRANSFER | Rights::INSPECT | Rights::SEND;
        Ok(self.cap_insert(process, Kind::Reply, id.raw(), rights, None).expect("invariant: room was made"))
    }

    /// From now on the end of this process ends what a reply object is bound to.
    #[inline]
    pub(crate) fn reply_own(&self, id: Id<Reply>, process: Id<Process>) {
        let reply = &self.replies[id];
        if reply.owner.get() != Some(process) {
            self.reply_disown(id);
            reply.owner.set(Some(process));
            self.replies.list::<InProcess>(&self.processes[process].replies).push_back(id);
        }
    }

    fn reply_disown(&self, id: Id<Reply>) {
        if let Some(before) = self.replies[id].owner.replace(None) {
            self.replies.list::<InProcess>(&self.processes[before].replies).remove(id);
        }
    }

    /// Whether a call can be answered now. Errors: `WrongState` (no call is bound; where `or_free`, a free reply object
    /// will do), `Busy` (a lease of the call is pinned, or held by a call further down).
    pub(crate) fn reply_plan(&self, id: Id<Reply>, or_free: bool) -> Result<()> {
        match self.replies[id].state.get() {
            ReplyState::Free if or_free => Ok(()),
            ReplyState::Bound | ReplyState::Cancelled if self.leases_busy(id) => Err(Error::Busy),
            ReplyState::Bound | ReplyState::Cancelled => Ok(()),
            ReplyState::Free | ReplyState::Receiving | ReplyState::Dead => Err(Error::WrongState),
        }
    }

    /// Answers a call with the tag and words in the server's registers. The caller, if it still waits, is answered:
    /// it is in no queue, and ready to be run. Nobody's priority is changed yet but the receiver's, if it is another.
    #[must_use = "the caller has to be run"]
    pub(crate) fn reply_apply(&self, from: Id<Thread>, id: Id<Reply>, out: Outgoing) -> Link<Thread> {
        let reply = &self.replies[id];
        if reply.state.get() == ReplyState::Free {
            self.outgoing_drop(out);
            return None;
        }
        // Before the caller runs, nothing of its memory is in the server's reach any more.
        self.cancel_forget(id);
        self.leases_end(id);
        let caller = reply.caller.get();
        let parked = caller.and_then(|to| self.parked_at(to, id));
        let faulting = parked.is_none() && caller.is_some_and(|to| self.threads[to].faulting.get());
        if let (Some(to), Some(parked)) = (caller, parked) {
            self.parked_answer(from, to, parked, out);
        } else if let Some(to) = caller.filter(|_| !faulting) {
            self.outgoing_store(from, out);
            let caps = self.capabilities_carry(from, to);
            let registers = &self.threads[to].registers;
            registers.rax.set(0);
            registers.rdi.set(0);
            registers.rsi.set(self.threads[from].registers.rsi.get());
            registers.rdx.set(Extras::received(caps, 0, Received::Call).0);
            words_copy(&self.threads[from].registers, registers);
            self.wait_unlink(to);
            self.deadline_clear(to);
        } else {
            self.outgoing_drop(out);
        }
        let receiver = self.call_detach(id);
        reply.state.set(ReplyState::Free);
        reply.end_error.set(0);
        if let Some(receiver) = receiver {
            self.priority_update(receiver);
        }
        if faulting {
            let goes_on = self.threads[from].registers.rsi.get() == 0;
            return caller.filter(|id| self.fault_answered(*id, goes_on));
        }
        caller.filter(|_| parked.is_none())
    }

    /// Parts a caller from its call: it lends the receiver its priority no more, and is in no state but on its way to
    /// be ready, unless it has the call parked. Answers the receiver, whose priority is to be brought in line.
    fn call_detach(&self, id: Id<Reply>) -> Link<Thread> {
        let reply = &self.replies[id];
        if let Some(caller) = reply.caller.replace(None) {
            if let Some(parked) = self.parked_at(caller, id) {
                parked.reply.set(None);
            } else {
                self.threads[caller].reply.set(None);
                self.threads[caller].state.set(ThreadState::Inactive);
            }
        }
        self.donor_remove(id)
    }

    fn donor_remove(&self, id: Id<Reply>) -> Link<Thread> {
        let reply = &self.replies[id];
        reply.short.set(None);
        let receiver = reply.receiver.replace(None);
        if let Some(receiver) = receiver {
            let donors = self.replies.tree::<Donating>(&self.threads[receiver].donors);
            if donors.contains(id) {
                donors.remove(id);
            }
        }
        receiver
    }

    /// A call that was received is not to go on: its deadline has passed, or the capability it was made through was
    /// revoked. If nothing it lent is held, it ends at once with this error; else when its server answers or dies.
    pub(crate) fn call_withdraw(&self, id: Id<Reply>, error: Error) {
        self.leases_withdraw(id);
        if self.leases_hold(id) {
            self.end_error_set(id, error);
            self.cancel_note(id, error);
            return;
        }
        let reply = &self.replies[id];
        reply.state.set(ReplyState::Cancelled);
        reply.end_error.set(0);
        let caller = reply.caller.get();
        let parked = caller.filter(|caller| self.parked_at(*caller, id).is_some());
        let receiver = self.call_detach(id);
        if let Some(parked) = parked {
            if let Some(call) = self.parked_call(parked) {
                self.parked_fail(parked, call, error);
            }
        } else if let Some(caller) = caller {
            self.thread_answer(caller, Err(error));
        }
        if let Some(receiver) = receiver {
            self.priority_update(receiver);
        }
        self.cancel_note(id, error);
    }

    /// A call that was received is cancelled: what it lent for copying is taken back, and the server's answer (or its
    /// end) ends it.
    pub(crate) fn call_cancel(&self, reply: Id<Reply>) {
        self.leases_withdraw(reply);
        self.end_error_set(reply, Error::Cancelled);
        self.cancel_note(reply, Error::Cancelled);
    }

    /// The caller is gone. What is held stays until the server answers or dies.
    pub(crate) fn call_abandon(&self, id: Id<Thread>) {
        self.call_give_up(self.threads[id].reply.get().expect("invariant: a call that was received has a reply"));
    }

    /// The same, for the reply object that a call is bound to.
    pub(crate) fn call_give_up(&self, reply_id: Id<Reply>) {
        self.leases_withdraw(reply_id);
        let reply = &self.replies[reply_id];
        let receiver = self.call_detach(reply_id);
        if reply.state.get() == ReplyState::Bound {
            reply.state.set(ReplyState::Cancelled);
        }
        if let Some(receiver) = receiver {
            self.priority_update(receiver);
        }
        self.cancel_note(reply_id, Error::Closed);
    }

    /// The first reason counts.
    fn end_error_set(&self, reply: Id<Reply>, error: Error) {
        let end_error = &self.replies[reply].end_error;
        if end_error.get() == 0 {
            end_error.set(error.number());
        }
    }

    /// Nobody will answer any more. The caller is told when nothing that it lent is held.
    pub(crate) fn reply_abandon(&self, id: Id<Reply>, error: Error) {
        let reply = &self.replies[id];
        if !matches!(reply.state.get(), ReplyState::Bound | ReplyState::Cancelled) {
            return;
        }
        self.cancel_forget(id);
        let receiver = self.donor_remove(id);
        for lease in reply.leases.iter().filter_map(|place| place.get()) {
            self.leases[lease].withdrawn.set(true);
            self.lease_end_pages(lease);
        }
        self.end_error_set(id, error);
        reply.state.set(ReplyState::Dead);
        self.reply_settle(id);
        if let Some(receiver) = receiver {
            self.priority_update(receiver);
        }
    }

    /// Ends a call that nobody will answer, if nothing that it lent is held any more.
    pub(crate) fn reply_settle(&self, id: Id<Reply>) {
        let reply = &self.replies[id];
        if reply.state.get() != ReplyState::Dead || self.leases_hold(id) {
            return;
        }
        self.leases_end(id);
        let error = Error::from_number(reply.end_error.replace(0)).unwrap_or(Error::Restarted);
        if let Some(caller) = reply.caller.replace(None) {
            if let Some(parked) = self.parked_at(caller, id) {
                self.parked_fail(caller, parked, error);
            } else {
                self.threads[caller].reply.set(None);
                self.thread_answer(caller, Err(error));
            }
        }
        reply.state.set(ReplyState::Free);
        if reply.header.references.get() == 0 {
            self.free_object(id);
        }
    }

    /// The receiver of these calls is gone, but its process can still answer them: nobody inherits from them.
    pub(crate) fn donors_let_go(&self, id: Id<Thread>) {
        let thread = &self.threads[id];
        if let Some(endpoint) = thread.serving.replace(None) {
            self.endpoints[endpoint].server_replace(None);
        }
        let donors = self.replies.tree::<Donating>(&thread.donors);
        while let Some(reply) = donors.first() {
            donors.remove(reply);
            self.replies[reply].receiver.set(None);
        }
    }

    /// One step of ending the calls that a dead process owes answers to; answers whether none is left.
    pub fn replies_end_step(&self, process: Id<Process>) -> bool {
        let Some(reply) = self.replies.list::<InProcess>(&self.processes[process].replies).first() else {
            return true;
        };
        self.reply_disown(reply);
        self.reply_abandon(reply, Error::Restarted);
        false
    }

    /// Ends every call that a dead process owes an answer to: callers get `Restarted` as soon as nothing that they lent
    /// is held. Its threads were stopped before.
    pub fn replies_end(&self, process: Id<Process>) {
        while !self.replies_end_step(process) {}
    }
}
