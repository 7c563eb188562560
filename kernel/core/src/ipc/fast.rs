//! The short ways: `call` and `reply_recv` with words alone, between threads
//! that wait for each other; and calls that are answered at once.
//!
//! A straight line of reasons to give up, one a check, then one commit that can't fail. Before it nothing is written, and
//! whatever is given up goes to the slow path (`call`, `receive`), which has the same meaning and all the extras. The
//! six words are not touched: they stay in the processor's registers while the thread changes. The machine layer has
//! put the caller's other registers into its object, and goes on with the thread that is answered.

use crate::machine::{Fault, Machine};
use crate::object::{Cap, Cpu, Endpoint, Reply, ReplyState, Session, Thread, ThreadState};
use crate::sched::donation::donors_set_one;
use crate::{Id, Kernel};
use abi::call::Call;
use abi::{Kind, Rights};

/// A thread to go on with.
pub type Other = (Id<Thread>, &'static Thread);

impl<M: Machine> Kernel<M> {
    /// The entry that a handle of a thread's names, if it is what is asked for. (Pseudo-handles lie past every table.)
    #[inline(always)]
    fn cap_fast(&self, thread: &Thread, handle: u64, kind: Kind, right: Rights) -> Option<(Id<Cap>, &'static Cap)> {
        if M::FAULT != Fault::NONE {
            return None;
        }
        let index = handle as u16;
        if u32::from(index) >= thread.table_entries.get() {
            return None;
        }
        let id = Id::try_new(thread.table_base.get().wrapping_add(u32::from(index)) as usize)?;
        let cap = self.caps.at(id);
        cap.matches(handle, kind, right).then_some((id, cap))
    }

    /// A call of the current thread to a server that waits for it. The caller's registers but for the words are in its object.
    /// `SHARED`: on the shared side of the lock. All that the short ways write is the thread's that runs them, or belongs to
    /// the endpoint, whose gate they hold: its waiting server, that one's reply object and, until that answers, its caller.
    #[inline(always)]
    pub fn call_fast<const SHARED: bool>(&self, cpu: &Cpu, caller: &Thread, handle: u64, tag: u64) -> Option<Other> {
        // Nothing waits to be seen to on the way out.
        if cpu.attention.get() || SHARED && self.reap_pending() {
            return None;
        }
        let caller_id = cpu.current.get()?;
        let (cap_id, cap) = self.cap_fast(caller, handle, Kind::Session, Rights::SEND)?;
        let session = self.sessions.at(Id::try_new(cap.object.get() as usize)?);
        let endpoint_id = session.endpoint.get()?;
        let endpoint = self.endpoints.at(endpoint_id);
        if SHARED && !endpoint.gate.enter() {
            return None;
        }
        let other =
            self.call_at::<SHARED>(cpu, (caller_id, caller), (cap_id, cap), session, (endpoint_id, endpoint), tag);
        if SHARED {
            endpoint.gate.leave();
        }
        other
    }

    #[inline(always)]
    fn call_at<const SHARED: bool>(
        &self,
        cpu: &Cpu,
        (caller_id, caller): (Id<Thread>, &Thread),
        (cap_id, cap): (Id<Cap>, &Cap),
        session: &Session,
        (endpoint_id, endpoint): (Id<Endpoint>, &Endpoint),
        tag: u64,
    ) -> Option<Other> {
        // A server waits in the plainest way. (Then no sender does: at most one of the queues holds anyone.)
        let to = endpoint.short.get()?;
        let server = self.threads.at(to);
        if SHARED && !server.may_run_on(cpu.id.get()) {
            return None;
        }
        let reply_id = server.reply.get()?;
        // No more urgent thread is ready: the server will be at least as urgent as its caller.
        let urgency = caller.priority.get();
        let priority = urgency.max(server.priority.get());
        if !cpu.may_switch(priority) {
            return None;
        }

        // From here on nothing gives up. (Receiving, the reply object names its endpoint and receiver already.)
        let reply = self.replies.at(reply_id);
        endpoint.short.set(None);
        endpoint.receivers.first.set(0);
        endpoint.receivers.last.set(0);
        endpoint.bound.set(Some(reply_id));
        reply.state.set(ReplyState::Bound);
        reply.short.set(Some(endpoint_id));
        reply.caller.set(Some(caller_id));
        donors_set_one(&server.donors, reply_id, &reply.donating, urgency);
        caller.reply.set(Some(reply_id));
        caller.state.set(ThreadState::AwaitingReply);
        caller.via.set(cap_id.raw());
        cap.data.update(|n| n.wrapping_add(1));
        server.priority.set(priority);
        server.registers.rdi.set(session.in_endpoint.key.get());
        server.registers.rsi.set(tag);
        server.registers.r8.set(caller.account.get());
        self.switch_at(cpu, to, server);
        Some((to, server))
    }

    /// An answer of the current thread after which there is nothing to receive yet: the server waits, its caller goes on.
    #[inline(always)]
    pub fn reply_receive_fast<const SHARED: bool>(
        &self,
        cpu: &Cpu,
        server: &Thread,
        handle: u64,
        tag: u64,
        reply_handle: u64,
    ) -> Option<Other> {
        if cpu.attention.get() || SHARED && self.reap_pending() {
            return None;
        }
        let server_id = cpu.current.get()?;
        let (cap_id, cap) = self.cap_fast(server, handle, Kind::Endpoint, Rights::RECEIVE)?;
        let (_, reply_cap) = self.cap_fast(server, reply_handle, Kind::Reply, Rights::SEND)?;
        let reply_id = Id::try_new(reply_cap.object.get() as usize)?;
        // It is bound to a call that came this way, here, to this very thread.
        let reply = self.replies.at(reply_id);
        let endpoint_id = Id::try_new(cap.object.get() as usize)?;
        if reply.short.get() != Some(endpoint_id) || reply.receiver.get() != Some(server_id) {
            return None;
        }
        // Nothing has come that would be received instead, and the thread goes on inheriting from this endpoint's queue.
        let endpoint = self.endpoints.at(endpoint_id);
        if SHARED && !endpoint.gate.enter() {
            return None;
        }
        let other =
            self.answer_at::<SHARED>(cpu, (server_id, server), cap_id, (reply_id, reply), (endpoint_id, endpoint), tag);
        if SHARED {
            endpoint.gate.leave();
        }
        other
    }

    #[inline(always)]
    fn answer_at<const SHARED: bool>(
        &self,
        cpu: &Cpu,
        (server_id, server): (Id<Thread>, &Thread),
        cap_id: Id<Cap>,
        (reply_id, reply): (Id<Reply>, &Reply),
        (endpoint_id, endpoint): (Id<Endpoint>, &Endpoint),
        tag: u64,
    ) -> Option<Other> {
        if endpoint.bound.get() != Some(reply_id) {
            return None;
        }
        let to = reply.caller.get()?;
        let caller = self.threads.at(to);
        if SHARED && !caller.may_run_on(cpu.id.get()) {
            return None;
        }
        // Nobody more urgent than the caller is ready.
        if !cpu.may_switch(caller.priority.get()) {
            return None;
        }

        // From here on nothing gives up.
        reply.short.set(None);
        reply.caller.set(None);
        reply.donating.level.set(0);
        reply.state.set(ReplyState::Receiving);
        server.donors.set(0);
        server.priority.set(server.base_priority.get().max(endpoint.request_urgency.get()));
        server.reply.set(Some(reply_id));
        server.endpoint.set(Some(endpoint_id));
        server.via.set(cap_id.raw());
        server.state.set(ThreadState::Receiving);
        endpoint.short.set(Some(server_id));
        endpoint.receivers.first.set(server_id.raw());
        endpoint.receivers.last.set(server_id.raw());
        caller.registers.rdi.set(0);
        caller.registers.rsi.set(tag);
        self.switch_at(cpu, to, caller);
        Some((to, caller))
    }

    /// Calls that only look something up, or set or take bits that nobody waits for: `None`: it was none, or is not done.
    #[inline(always)]
    pub fn call_brief(&self, cpu: &Cpu, caller: &Thread, number: u64) -> Option<()> {
        const THREAD_ID: u64 = Call::ThreadId as u64;
        const NOTIFY: u64 = Call::Notify as u64;
        const WAIT: u64 = Call::Wait as u64;
        if cpu.attention.get() {
            return None;
        }
        let answered = match number {
            THREAD_ID => self.thread_id_brief(caller),
            NOTIFY => self.notify_brief(caller),
            WAIT => self.wait_brief(caller),
            _ => None,
        };
        answered.map(|()| caller.registers.rax.set(0))
    }

    #[inline(always)]
    fn thread_id_brief(&self, caller: &Thread) -> Option<()> {
        let process = self.processes.at(caller.process.get()?);
        caller.registers.rdi.set(caller.header.object_id.get());
        caller.registers.rsi.set(process.header.object_id.get());
        Some(())
    }

    #[inline(always)]
    fn notify_brief(&self, caller: &Thread) -> Option<()> {
        let r = &caller.registers;
        let (_, cap) = self.cap_fast(caller, r.rdi.get(), Kind::Notification, Rights::SEND)?;
        // It may set any bits, and nobody waits for them.
        let notification = self.notifications.at(Id::try_new(cap.object.get() as usize)?);
        let told =
            u64::from(notification.waiters.first.get()) | u64::from(notification.endpoint.get().map_or(0, Id::raw));
        if cap.data.get() | told != 0 {
            return None;
        }
        notification.bits.update(|bits| bits | r.rsi.get());
        Some(())
    }

    #[inline(always)]
    fn wait_brief(&self, caller: &Thread) -> Option<()> {
        let r = &caller.registers;
        let (_, cap) = self.cap_fast(caller, r.rdi.get(), Kind::Notification, Rights::RECEIVE)?;
        let notification = self.notifications.at(Id::try_new(cap.object.get() as usize)?);
        if notification.bits.get() == 0 {
            return None;
        }
        r.rdi.set(notification.bits.replace(0));
        Some(())
    }

    /// Goes by memory what the machine does by registers: makes the call of a thread whose registers are all in its object, if
    /// it is one of the above and goes the short way.
    pub(crate) fn message_by_memory(&self, cpu: &Cpu, number: u64, from: &Thread) -> Option<Id<Thread>> {
        let r = &from.registers;
        if self.call_brief(cpu, from, number).is_some() {
            return cpu.current.get();
        }
        let (handle, tag) = (r.rdi.get(), r.rsi.get());
        if r.rdx.get() != 0 {
            return None;
        }
        let (id, to) = match Call::from_number(number)? {
            Call::Call => self.call_fast::<false>(cpu, from, handle, tag)?,
            Call::ReplyRecv => self.reply_receive_fast::<false>(cpu, from, handle, tag, r.r8.get())?,
            _ => return None,
        };
        to.registers.rax.set(0);
        to.registers.rdx.set(0);
        crate::ipc::transfer::words_copy(r, &to.registers);
        Some(id)
    }
}
