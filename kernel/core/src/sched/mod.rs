//! Scheduling: who runs, until when, and who lends whom urgency.
//!
//! Fixed priorities with round-robin inside one. The thread on the processor is in no queue. Nothing ticks: one
//! timer interrupt is armed for whatever comes first, and only ever moved to an earlier time, so that a
//! later one costs no more than an interrupt that finds nothing to do. A direct switch (a call to a waiting
//! server, an answer to its caller) touches neither queue nor timer nor clock: the slice goes with it, and
//! so does the bill: a server works on its caller's time.
//!
//! - [`queue`]: ready threads by priority
//! - [`deadline`]: waits that end at a time, and timers
//! - [`donation`]: priorities inherited along calls
//! - [`pick`]: what runs next, blocking and waking
//! - [`place`]: which processor a thread runs on
//! - [`suspend`]: threads stopped and looked at by others

pub mod deadline;
pub mod donation;
pub mod pick;
pub mod place;
pub mod queue;
pub mod suspend;

use crate::fields;
use crate::object::Thread;
use crate::{CpuId, Field, Kernel, Link, Machine};

/// A time slice: threads of one priority take turns of this length.
pub const SLICE_NS: u64 = 10_000_000;

/// No time: the timer is not armed.
pub const NEVER: u64 = u64::MAX;

fields! {
/// What belongs to one processor: what it does, who waits for it, its timer. Each has a page of its own.
#[repr(C, align(4096))]
pub struct Cpu {
    /// Which one it is.
    pub id: Field<CpuId>,
    /// The thread on it.
    pub current: Field<Link<Thread>>,
    /// The running thread may not be the one that should run, or the timer may be armed too late.
    pub attention: Field<bool>,
    /// What the timer is armed for, or [`NEVER`].
    pub armed_ns: Field<u64>,
    /// When the slice that is running ends.
    pub slice_end_ns: Field<u64>,
    /// The thread the slice was given to: time is charged to its process, wherever calls take it.
    pub payer: Field<Link<Thread>>,
    /// Since when its time is not charged; without a payer, since when the processor is idle.
    pub charged_ns: Field<u64>,
    /// Nanoseconds that no thread ran.
    pub idle_ns: Field<u64>,
    /// Root of the tree of threads that began to wait here with a deadline.
    pub deadlines: Field<u32>,
    /// Root of the tree of notification timers armed here.
    pub timers: Field<u32>,
    /// Ready threads.
    pub queue: queue::RunQueue,
}
}

impl Cpu {
    /// Whether a timer interrupt comes no later than the slice ends.
    #[inline(always)]
    pub(crate) fn slice_is_armed(&self) -> bool {
        self.armed_ns.get() <= self.slice_end_ns.get()
    }

    /// Whether a thread of this priority can go on the processor without asking the run queue: nobody is more
    /// urgent, and if someone is as urgent, the end of the slice is watched.
    #[inline(always)]
    pub(crate) fn may_switch(&self, priority: u8) -> bool {
        match self.queue.top() {
            None => true,
            Some(top) => top < priority || top == priority && self.slice_is_armed(),
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// A processor.
    #[inline(always)]
    pub fn cpu(&self, cpu: CpuId) -> &Cpu {
        self.cpus.get(usize::from(cpu.0)).expect("invariant: a processor that there is")
    }

    /// The processor at hand.
    #[inline(always)]
    pub fn here(&self) -> &Cpu {
        self.cpu(self.machine.cpu())
    }

    /// The processor that a thread runs on, is ready for, or ran on last.
    #[inline(always)]
    pub(crate) fn cpu_of(&self, thread: &Thread) -> &Cpu {
        self.cpu(thread.cpu.get())
    }
}
