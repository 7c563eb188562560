//! Waits that end at a time: deadlines of threads, and timers of notifications.
//!
//! Two trees keyed by nanoseconds since boot. The timer interrupt takes out what is due, a bounded number at a
//! time; arming again for a time in the past brings the next interrupt at once. A timer may have slack: it is
//! kept by the latest time it may fire, and fires with any interrupt that comes from its earliest time on.

use super::{Cpu, NEVER};
use crate::object::{Notification, Thread, ThreadState};
use crate::tree::{Deadline, Timer};
use crate::{CpuId, Id, Kernel, Machine, Next};
use abi::Error;

/// The most deadlines, and the most timers, that one timer interrupt serves.
const AT_ONCE: usize = 16;
/// The most timers that one timer interrupt looks at, those included whose time has not come.
const LOOKS: usize = 64;
/// The latest time that can be waited for: some three hundred years.
const FAR: u64 = 1 << 63;

impl<M: Machine> Kernel<M> {
    /// The timer interrupt: ends the waits that are due.
    pub fn timer(&mut self, cpu: CpuId) -> Next {
        self.time_passes();
        self.leave(cpu)
    }

    /// Serves what is due and has the timer armed again.
    pub(crate) fn time_passes(&self) {
        let cpu = self.here();
        cpu.armed_ns.set(NEVER);
        cpu.attention.set(true);
        let now = self.machine.now_ns();
        self.timers_fire(cpu, now);
        for _ in 0..AT_ONCE {
            let deadlines = self.threads.tree::<Deadline>(&cpu.deadlines);
            let Some(id) = deadlines.first().filter(|id| self.threads[*id].deadline.key.get() <= now) else { break };
            deadlines.remove(id);
            self.deadline_passed(id);
        }
        self.arm(self.first_event_ns(cpu));
    }

    /// Fires the timers whose earliest time has come: all that are due (they come first in the tree) before any that
    /// could wait, no more than [`AT_ONCE`], and none behind the first [`LOOKS`].
    fn timers_fire(&self, cpu: &Cpu, now: u64) {
        let timers = self.notifications.tree::<Timer>(&cpu.timers);
        let (mut at, mut fired) = (timers.first(), 0);
        for _ in 0..LOOKS {
            let Some(id) = at.filter(|_| fired < AT_ONCE) else { return };
            at = timers.next(id);
            let notification = &self.notifications[id];
            if notification.timer_from_ns.get() <= now {
                timers.remove(id);
                fired = fired.saturating_add(1);
                self.notification_signal(id, notification.timer_bits.replace(0));
            }
        }
    }

    /// What comes first of all deadlines and timers of a processor, or [`NEVER`].
    pub(crate) fn first_event_ns(&self, cpu: &Cpu) -> u64 {
        let deadlines = self.threads.tree::<Deadline>(&cpu.deadlines);
        let timers = self.notifications.tree::<Timer>(&cpu.timers);
        let thread = deadlines.first().map_or(NEVER, |id| self.threads[id].deadline.key.get());
        let timer = timers.first().map_or(NEVER, |id| self.notifications[id].timer.key.get());
        thread.min(timer)
    }

    /// Makes sure that a timer interrupt comes to the processor at hand no later than this.
    #[inline]
    pub(crate) fn arm(&self, at_ns: u64) {
        let cpu = self.here();
        if at_ns < cpu.armed_ns.get() {
            cpu.armed_ns.set(at_ns);
            self.machine.set_timer(Some(at_ns));
        }
    }

    /// Lets the wait of a thread end at a time; 0: it has no end.
    pub(crate) fn deadline_set(&self, thread: Id<Thread>, deadline_ns: u64) {
        if deadline_ns != 0 {
            let here = self.machine.cpu();
            self.threads[thread].deadline_cpu.set(here);
            let tree = self.threads.tree::<Deadline>(&self.cpu(here).deadlines);
            insert_about(deadline_ns, |key| tree.insert(thread, key));
            self.arm(deadline_ns.min(FAR));
        }
    }

    /// Takes the deadline of a thread away, if it has one.
    #[inline]
    pub(crate) fn deadline_clear(&self, id: Id<Thread>) {
        let thread = &self.threads[id];
        if thread.deadline.level.get() != 0 {
            self.threads.tree::<Deadline>(&self.cpu(thread.deadline_cpu.get()).deadlines).remove(id);
        }
    }

    /// Arms the timer of a notification in place of what it was armed for; 0 disarms it. It fires at the deadline, or up
    /// to `slack_ns` later together with others. A time that has passed signals at once.
    pub(crate) fn notification_timer(&self, id: Id<Notification>, bits: u64, deadline_ns: u64, slack_ns: u64) {
        let notification = &self.notifications[id];
        if notification.timer.level.get() != 0 {
            let cpu = self.cpu(notification.timer_cpu.get());
            self.notifications.tree::<Timer>(&cpu.timers).remove(id);
        }
        notification.timer_bits.set(0);
        if deadline_ns == 0 {
            return;
        }
        if deadline_ns <= self.machine.now_ns() {
            self.notification_signal(id, bits);
            return;
        }
        notification.timer_bits.set(bits);
        notification.timer_from_ns.set(deadline_ns.min(FAR));
        let latest_ns = deadline_ns.saturating_add(slack_ns);
        let here = self.machine.cpu();
        notification.timer_cpu.set(here);
        let tree = self.notifications.tree::<Timer>(&self.cpu(here).timers);
        insert_about(latest_ns, |key| tree.insert(id, key));
        self.arm(latest_ns.min(FAR));
    }

    /// The deadline of a waiting thread has passed; it is out of the tree already.
    fn deadline_passed(&self, id: Id<Thread>) {
        match self.threads[id].state.get() {
            ThreadState::Sleeping => self.thread_answer(id, Ok(())),
            ThreadState::AwaitingReply => {
                let reply = self.threads[id].reply.get().expect("invariant: a call that was received has a reply");
                self.call_withdraw(reply, Error::TimedOut);
            }
            ThreadState::Sending
            | ThreadState::Receiving
            | ThreadState::Waiting
            | ThreadState::FutexWaiting
            | ThreadState::Polling => {
                self.wait_end(id);
                self.thread_answer(id, Err(Error::TimedOut));
            }
            ThreadState::Inactive
            | ThreadState::Ready
            | ThreadState::Running
            | ThreadState::Suspended
            | ThreadState::Paging => {}
        }
    }
}

/// Puts a node into a tree at the first key from `key` on that the tree takes (equal times get neighbouring keys).
fn insert_about(key: u64, insert: impl Fn(u64) -> bool) {
    let mut key = key.min(FAR);
    while !insert(key) {
        key = key.wrapping_add(1);
    }
}
