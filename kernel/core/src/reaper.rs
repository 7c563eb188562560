//! What ends in steps: dead processes, emptied spaces, memory, namespaces, and
//! revocations.
//!
//! Ending something large takes long, and the kernel is never long: so it is queued here, and a bounded
//! step is taken again and again, whenever the kernel is about to leave, until nothing is left or an interrupt is
//! pending. Nobody but an interrupt runs while there is something to reap, so nothing that is half
//! gone is ever seen by user code for longer than an interrupt takes.

use crate::field::Field;
use crate::fields;
use crate::id::{Id, Link};
use crate::kernel::{InKernel, Kernel};
use crate::machine::Machine;
use crate::object::{Cap, Endpoint, EventQueue, Memory, Namespace, Notification, Process, Quota, Space};

/// Revocations that can run at once; another one waits its turn.
pub const REVOCATIONS: usize = 16;

/// Something to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reap {
    /// A process that is no longer `Running`.
    Process(Id<Process>),
    /// An address space without references.
    Space(Id<Space>),
    /// A memory object without references.
    Memory(Id<Memory>),
    /// A namespace without references.
    Namespace(Id<Namespace>),
    /// An endpoint without references, whose queued callers are to be told.
    Endpoint(Id<Endpoint>),
    /// A notification without references, whose waiters are to be told.
    Notification(Id<Notification>),
    /// An event queue without references.
    EventQueue(Id<EventQueue>),
    /// Not an end: an account that ran short, whose watcher is to be told where nothing else is under way.
    Pressure(Id<Quota>),
}

fields! {
    /// What waits to end: stacks linked through the objects' `next_reap`, raw ids, 0 for none.
    pub struct Reaper {
        /// Dead processes.
        pub processes: Field<u32>,
        /// Spaces.
        pub spaces: Field<u32>,
        /// Memory objects.
        pub memories: Field<u32>,
        /// Namespaces.
        pub namespaces: Field<u32>,
        /// Endpoints.
        pub endpoints: Field<u32>,
        /// Notifications.
        pub notifications: Field<u32>,
        /// Event queues.
        pub event_queues: Field<u32>,
        /// Accounts that ran short.
        pub pressed: Field<u32>,
        /// Capability entries whose descendants are being removed; 0: the place is free.
        pub revocations: [Field<u32>; REVOCATIONS],
        /// How many of these are in use.
        pub revoking: Field<u32>,
        /// How many things wait in all.
        pub waiting: Field<u32>,
    }
}

impl<M: Machine> Kernel<M> {
    /// Has something ended in steps from now on.
    pub fn reap_later(&self, what: Reap) {
        let (head, next, raw) = match what {
            Reap::Process(id) => (&self.reaper.processes, &self.processes[id].next_reap, id.raw()),
            Reap::Space(id) => (&self.reaper.spaces, &self.spaces[id].next_reap, id.raw()),
            Reap::Memory(id) => (&self.reaper.memories, &self.memories[id].next_reap, id.raw()),
            Reap::Endpoint(id) => (&self.reaper.endpoints, &self.endpoints[id].next_reap, id.raw()),
            Reap::Notification(id) => (&self.reaper.notifications, &self.notifications[id].next_reap, id.raw()),
            Reap::EventQueue(id) => (&self.reaper.event_queues, &self.event_queues[id].next_reap, id.raw()),
            Reap::Pressure(id) => (&self.reaper.pressed, &self.quotas[id].next_reap, id.raw()),
            Reap::Namespace(id) => (&self.reaper.namespaces, &self.namespaces[id].next_reap, id.raw()),
        };
        next.set(head.replace(raw));
        self.reap_more();
    }

    /// Something more is to be done before anyone runs.
    pub(crate) fn reap_more(&self) {
        self.reaper.waiting.update(|n| n.wrapping_add(1));
        self.cpus.iter().for_each(|cpu| cpu.attention.set(true));
    }

    /// Takes the first off one of the stacks.
    fn reap_take<T: InKernel>(&self, head: &Field<u32>, next: impl Fn(&T) -> &Field<u32>) -> Link<T> {
        let id = Id::<T>::try_new(head.get() as usize)?;
        head.set(next(&self.arena::<T>()[id]).replace(0));
        self.reaper.waiting.update(|n| n.wrapping_sub(1));
        Some(id)
    }

    /// Whether there is something left to end.
    #[inline(always)]
    pub fn reap_pending(&self) -> bool {
        self.reaper.waiting.get() != 0
    }

    /// Takes steps until nothing is left, an interrupt is pending, or another processor waits (after one step at least).
    pub fn reap(&mut self) {
        while self.reap_pending() {
            self.reap_one();
            if self.machine.is_wanted() || self.machine.interrupt_pending() {
                return;
            }
        }
    }

    /// One step. What it puts on the same stack must not be taken for what it works on: so that is taken off first, and
    /// put back if it is not done.
    fn reap_one(&mut self) {
        if let Some(cap) = self.reaper.revocations.iter().find_map(|place| Id::<Cap>::try_new(place.get() as usize)) {
            if self.revoke_step(cap) {
                self.revoke_done(cap);
            }
        } else if let Some(id) = self.reap_take::<Quota>(&self.reaper.pressed, |q| &q.next_reap) {
            self.pressure_tell(id);
        } else if let Some(id) = self.reap_take::<Process>(&self.reaper.processes, |p| &p.next_reap) {
            if !Process::reap_step(self, id) {
                self.reap_later(Reap::Process(id));
            }
        } else if let Some(id) = self.reap_take::<Endpoint>(&self.reaper.endpoints, |e| &e.next_reap) {
            if !self.endpoint_reap_step(id) {
                self.reap_later(Reap::Endpoint(id));
            }
        } else if let Some(id) = self.reap_take::<Notification>(&self.reaper.notifications, |n| &n.next_reap) {
            if !self.notification_reap_step(id) {
                self.reap_later(Reap::Notification(id));
            }
        } else if let Some(id) = self.reap_take::<EventQueue>(&self.reaper.event_queues, |q| &q.next_reap) {
            if !self.event_queue_reap_step(id) {
                self.reap_later(Reap::EventQueue(id));
            }
        } else if let Some(id) = self.reap_take::<Space>(&self.reaper.spaces, |s| &s.next_reap) {
            if !Space::reap_step(self, id) {
                self.reap_later(Reap::Space(id));
            }
        } else if let Some(id) = self.reap_take::<Memory>(&self.reaper.memories, |m| &m.next_reap) {
            if !Memory::reap_step(self, id) {
                self.reap_later(Reap::Memory(id));
            }
        } else if let Some(id) = self.reap_take::<Namespace>(&self.reaper.namespaces, |n| &n.next_reap) {
            if !Namespace::reap_step(self, id) {
                self.reap_later(Reap::Namespace(id));
            }
        }
    }
}
