//! A call in flight whose thread runs an upcall meanwhile.
//!
//! It stands in the thread's [`Parked`] object, which was made with the handler, so that parking needs no memory. Its reply
//! object still names the thread as the caller; who answers it finds that it is parked and leaves the answer there.
//! It goes the long way: it is answered by the slow path alone. A parked call lends its server the priority its
//! thread had when it was parked; its deadline counts again once the thread waits for it.

use crate::ipc::transfer::Outgoing;
use crate::object::{Parked, Reply, Thread, ThreadState};
use crate::sched::donation::{urgency_key, Donating};
use crate::{store, Field, Id, Kernel, Link, Machine};
use abi::message::{buffer, Extras, Received};
use abi::{Error, Handle};

impl<M: Machine> Kernel<M> {
    /// The call that a thread has parked, if it has.
    pub(crate) fn parked_call(&self, id: Id<Thread>) -> Option<&Parked> {
        let parked = &self.parked[self.threads[id].parked.get()?];
        parked.is_used.get().then_some(parked)
    }

    /// The reply object of a thread's parked call that was not answered yet.
    pub(crate) fn parked_reply(&self, id: Id<Thread>) -> Link<Reply> {
        self.parked_call(id)?.reply.get()
    }

    /// The call that is bound to a reply object, if its caller has parked it.
    pub(crate) fn parked_at(&self, caller: Id<Thread>, reply: Id<Reply>) -> Option<&Parked> {
        self.parked_call(caller).filter(|parked| parked.reply.get() == Some(reply))
    }

    /// Parks the call that a thread waits for. It is in no queue then, and on its way to be ready; nothing else is parked.
    pub(crate) fn call_park(&self, id: Id<Thread>, place: Id<Parked>) {
        let (thread, parked) = (&self.threads[id], &self.parked[place]);
        let reply = thread.reply.replace(None).expect("invariant: a call that was received has a reply");
        self.replies[reply].short.set(None);
        parked.reply.set(Some(reply));
        parked.is_used.set(true);
        self.via_park(id, parked);
        let has_deadline = thread.deadline.level.get() != 0;
        parked.deadline_ns.set(if has_deadline { thread.deadline.key.get() } else { 0 });
        self.deadline_clear(id);
        thread.state.set(ThreadState::Inactive);
    }

    /// Keeps the answer to a parked call: the tag and words of the server's registers, and its capabilities, which are in
    /// the caller's table from now on.
    pub(crate) fn parked_answer(&self, from: Id<Thread>, to: Id<Thread>, parked: &Parked, out: Outgoing) {
        self.outgoing_store(from, out);
        let caps = self.capabilities_move(from, to, |place, word| {
            if let Some(cap) = parked.caps.get(place) {
                cap.set(word);
            }
        });
        let registers = &self.threads[from].registers;
        parked.tag.set(registers.rsi.get());
        parked.extras.set(Extras::received(caps, 0, Received::Call).0);
        store(&parked.words, registers.words.each_ref().map(Field::get));
        parked.status.set(0);
        parked.is_answered.set(true);
        self.via_parked_end(to, parked);
    }

    /// A parked call ends without an answer.
    pub(crate) fn parked_fail(&self, id: Id<Thread>, parked: &Parked, error: Error) {
        self.via_parked_end(id, parked);
        parked.reply.set(None);
        parked.status.set(u64::from(error.number()));
        parked.is_answered.set(true);
    }

    /// The thread waits for its parked call again, or finds the answer in its registers.
    pub(crate) fn call_unpark(&self, id: Id<Thread>) {
        let Some(parked) = self.parked_call(id) else { return };
        let thread = &self.threads[id];
        parked.is_used.set(false);
        let deadline_ns = parked.deadline_ns.replace(0);
        if parked.is_answered.replace(false) {
            let registers = &thread.registers;
            let status = parked.status.replace(0);
            registers.rax.set(status);
            if status == 0 {
                registers.rdi.set(0);
                registers.rsi.set(parked.tag.get());
                registers.rdx.set(parked.extras.get());
                store(&registers.words, parked.words.each_ref().map(Field::get));
                let caps = Extras(parked.extras.get()).caps();
                for (i, cap) in parked.caps.iter().take(caps).enumerate() {
                    self.buffer_put(id, buffer::RECEIVED_CAPS.wrapping_add(i), cap.get());
                }
            }
            return;
        }
        self.via_unpark(id, parked);
        let reply_id = parked.reply.replace(None).expect("invariant: a parked call without an answer has a reply");
        thread.reply.set(Some(reply_id));
        thread.state.set(ThreadState::AwaitingReply);
        if let Some(receiver) = self.replies[reply_id].receiver.get() {
            // It lends the priority that it has now.
            let donors = self.replies.tree::<Donating>(&self.threads[receiver].donors);
            if donors.contains(reply_id) {
                donors.remove(reply_id);
                donors.insert(reply_id, urgency_key(thread.priority.get(), u64::from(reply_id.raw())));
                self.priority_update(receiver);
            }
        }
        self.deadline_set(id, deadline_ns);
    }

    /// Gives a thread's parked call up: for its server as if the caller had ended. What the server has mapped or pinned
    /// stays in its hands until it answers. The capabilities of an answer that is here already are closed.
    pub(crate) fn parked_abandon(&self, id: Id<Thread>) {
        let Some(parked) = self.parked_call(id) else { return };
        if let Some(reply) = parked.reply.get() {
            self.call_give_up(reply);
        }
        if parked.is_answered.replace(false) && parked.status.get() == 0 {
            for cap in parked.caps.iter().take(Extras(parked.extras.get()).caps()) {
                if let Some(process) = self.threads[id].process.get() {
                    // Handle 0, and one that the process has closed by guessing, are no matter. One step, which is enough for
                    // what nobody was told of: who guessed it and derived from it keeps it.
                    let named = self.lookup_any(process, Handle(cap.get() as u32));
                    let _ = named.and_then(|(cap, _)| self.cap_close_step(cap));
                }
            }
        }
        self.via_parked_end(id, parked);
        parked.deadline_ns.set(0);
        parked.is_used.set(false);
    }
}
