//! What ends in steps: dead processes, emptied spaces, memory, namespaces, and
//! revocations.
//!
//! Ending something large takes long, and the kernel is never long: so it is queued here, and a bounded
//! step is taken again and again, whenever the kernel is about to leave, until nothing is left or an interrupt is
//! pending. It is as urgent as the most urgent of those who left it: whoever is more urgent runs before, nobody else does. So
//! what is half gone is seen by more urgent threads alone, who must not wait for it.

use crate::fields;
use crate::object::{Cap, Endpoint, EventQueue, Memory, Namespace, Notification, Process, Quota, Space};
use crate::{Field, Id, InKernel, Kernel, Link, Machine};

/// Revocations that can run at once; another one waits its turn.
pub const REVOCATIONS: usize = 16;

macro_rules! reaped {
    ($($(#[$doc:meta])* $what:ident: $type:ident in $stack:ident, |$kernel:ident, $id:ident| $step:expr;)+) => {
        /// Something to end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reap { $($(#[$doc])* $what(Id<$type>),)+ }

        fields! {
            /// What waits to end: stacks linked through the objects' `next_reap`, raw ids, 0 for none.
            pub struct Reaper {
                $($(#[$doc])* pub $stack: Field<u32>,)+
                /// Capability entries whose descendants are being removed; 0: the place is free.
                pub revocations: [Field<u32>; REVOCATIONS],
                /// How many of these are in use.
                pub revoking: Field<u32>,
                /// How many things wait in all.
                pub waiting: Field<u32>,
                /// How urgent that is.
                pub urgency: Field<u8>,
            }
        }

        impl<M: Machine> Kernel<M> {
            /// Has something ended in steps from now on.
            pub fn reap_later(&self, what: Reap) {
                let (head, next, raw) = match what {
                    $(Reap::$what(id) => (&self.reaper.$stack, &self.arena::<$type>()[id].next_reap, id.raw()),)+
                };
                next.set(head.replace(raw));
                self.reap_more();
            }

            /// One step. What it puts on the same stack must not be taken for what it works on: so that is taken off
            /// first, and put back if it is not done.
            fn reap_one(&mut self) {
                let mut revocations = self.reaper.revocations.iter();
                if let Some(cap) = revocations.find_map(|place| Id::<Cap>::try_new(place.get() as usize)) {
                    if self.revoke_step(cap) {
                        self.revoke_done(cap);
                    }
                }
                $(else if let Some($id) = self.reap_take::<$type>(&self.reaper.$stack, |item| &item.next_reap) {
                    let $kernel = &mut *self;
                    if !$step {
                        self.reap_later(Reap::$what($id));
                    }
                })+
            }
        }
    };
}

// What ends, the first in this table first: its stack, and a step of its end, which answers whether it was the last.
reaped! {
    /// Not an end: an account that ran short, whose watcher is to be told where nothing else is under way.
    Pressure: Quota in pressed, |kernel, id| kernel.pressure_tell(id);
    /// A process that is no longer `Running`.
    Process: Process in processes, |kernel, id| Process::reap_step(kernel, id);
    /// An endpoint without references, whose queued callers are to be told.
    Endpoint: Endpoint in endpoints, |kernel, id| kernel.endpoint_reap_step(id);
    /// A notification without references, whose waiters are to be told.
    Notification: Notification in notifications, |kernel, id| kernel.notification_reap_step(id);
    /// An event queue without references.
    EventQueue: EventQueue in event_queues, |kernel, id| kernel.event_queue_reap_step(id);
    /// An address space without references.
    Space: Space in spaces, |kernel, id| Space::reap_step(kernel, id);
    /// A memory object without references.
    Memory: Memory in memories, |kernel, id| kernel.memory_reap_step(id);
    /// A namespace without references.
    Namespace: Namespace in namespaces, |kernel, id| Namespace::reap_step(kernel, id);
}

impl<M: Machine> Kernel<M> {
    /// Something more is to be done before anyone runs who is not more urgent than who runs now.
    pub(crate) fn reap_more(&self) {
        let here = self.here();
        self.reaper.waiting.update(|n| n.wrapping_add(1));
        self.reap_urge(self.running(here).map_or(0, |id| self.threads[id].priority.get()));
        self.cpus.iter().for_each(|cpu| cpu.attention.set(true));
    }

    /// What is to be done is at least so urgent.
    pub(crate) fn reap_urge(&self, priority: u8) {
        self.reaper.urgency.update(|urgency| urgency.max(priority));
    }

    /// Whether someone is to run before what is to be done.
    pub(crate) fn reap_waits(&self) -> bool {
        let here = self.here();
        let running = self.running(here).map(|id| self.threads[id].priority.get());
        running.max(here.queue.top()) > Some(self.reaper.urgency.get())
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

    /// Takes steps until nothing is left, an interrupt is pending, or another processor waits (after one step at least),
    /// whoever is to run.
    pub fn reap(&mut self) {
        while self.reap_pending() {
            self.reap_one();
            if self.machine.is_wanted() || self.machine.interrupt_pending() {
                return;
            }
        }
        self.reaper.urgency.set(0);
    }

    /// The same, until someone more urgent is to run.
    pub(crate) fn reap_in_turn(&mut self) {
        while self.reap_pending() && !self.reap_waits() {
            self.reap_one();
            if self.machine.is_wanted() || self.machine.interrupt_pending() {
                return;
            }
        }
        if !self.reap_pending() {
            self.reaper.urgency.set(0);
        }
    }
}
