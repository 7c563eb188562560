//! Fault handlers stem from the capability they were set with: closing it hands
//! them to its parent, revoking it ends them.
//!
//! A thread stands in the list of the session that its faults are told through; a session is told of no more than [`FAULTERS`]
//! threads, so a step looks at all of them.

use crate::list::InFaulters;
use crate::object::{Cap, Session, Thread, ThreadState};
use crate::{Id, Kernel, Link, Machine};
use abi::{Error, Kind, Result};

/// Threads whose faults one session is told of.
pub const FAULTERS: u32 = 256;

impl<M: Machine> Kernel<M> {
    /// Has a thread's faults told through a session, which was named by this capability; or by nobody. Errors: `Busy` (the
    /// session is told of as many threads as can be).
    pub(crate) fn fault_handler_set(&self, id: Id<Thread>, session: Link<Session>, cap: Link<Cap>) -> Result<()> {
        let thread = &self.threads[id];
        if let Some(new) = session.filter(|new| thread.fault_session.get() != Some(*new)) {
            Error::Busy.when(self.sessions[new].faulter_count.get() >= FAULTERS)?;
        }
        if let Some(new) = session {
            self.retain(new);
        }
        let before = thread.fault_session.replace(session);
        for (session, comes) in [(before, false), (session, true)] {
            let Some(session) = session.map(|session| &self.sessions[session]) else { continue };
            let list = self.threads.list::<InFaulters>(&session.faulters);
            if comes {
                list.push_back(id);
                session.faulter_count.update(|n| n.saturating_add(1));
            } else {
                list.remove(id);
                session.faulter_count.update(|n| n.saturating_sub(1));
            }
        }
        thread.fault_via.set(cap.map_or(0, Id::raw));
        thread.fault_via_inherited.set(false);
        if let Some(before) = before {
            self.release(before);
        }
        Ok(())
    }

    /// The session that an entry names, if it names one.
    pub(super) fn session_named(&self, cap: Id<Cap>) -> Option<&Session> {
        let entry = &self.caps[cap];
        let session = Id::<Session>::try_new(entry.object.get() as usize)?;
        (entry.kind() == Some(Kind::Session)).then(|| &self.sessions[session])
    }

    /// The threads whose fault handler stems from an entry.
    fn faulters_of(&self, cap: Id<Cap>, each: impl Fn(Id<Thread>)) {
        let Some(session) = self.session_named(cap) else { return };
        for id in self.threads.list::<InFaulters>(&session.faulters).iter() {
            if self.threads[id].fault_via.get() == cap.raw() {
                each(id);
            }
        }
    }

    /// An entry is closed: its fault handlers stem from its parent.
    pub(crate) fn faulters_hand_over(&self, cap: Id<Cap>, heir: Link<Cap>) {
        self.faulters_of(cap, |id| {
            self.threads[id].fault_via.set(heir.map_or(0, Id::raw));
            self.threads[id].fault_via_inherited.set(true);
        });
    }

    /// An entry is revoked, with what it has inherited, or with all.
    pub(crate) fn faulters_end(&self, cap: Id<Cap>, inherited_only: bool) {
        self.faulters_of(cap, |id| {
            if !inherited_only || self.threads[id].fault_via_inherited.get() {
                self.fault_handler_lose(id);
            }
        });
    }

    /// A thread's fault handler was revoked. A fault that it was told of has no handler any more.
    fn fault_handler_lose(&self, id: Id<Thread>) {
        let thread = &self.threads[id];
        // Without a session there is nothing that could be full.
        let _ = self.fault_handler_set(id, None, None);
        if !thread.faulting.get() {
            return;
        }
        match thread.state.get() {
            ThreadState::AwaitingReply => {
                if let Some(reply) = thread.reply.get() {
                    self.call_withdraw(reply, Error::Revoked);
                }
            }
            ThreadState::Sending => {
                self.wait_end(id);
                self.thread_answer(id, Err(Error::Revoked));
            }
            _ => {}
        }
    }
}
