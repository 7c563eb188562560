//! What runs next; waking threads and stopping them.

use super::{Cpu, NEVER, SLICE_NS};
use crate::cap::reference::object;
use crate::object::{Thread, ThreadState};
use crate::{CpuId, Id, Kernel, Link, Machine, Next};
use abi::Result;

object!(Thread, Thread, |kernel, id| {
    // It was stopped before its process let go of it.
    kernel.free_object(id);
});

impl<M: Machine> Kernel<M> {
    /// The thread on a processor, unless it has just blocked or ended.
    #[inline(always)]
    pub(crate) fn running(&self, cpu: &Cpu) -> Link<Thread> {
        cpu.current.get().filter(|id| self.threads[*id].state.get() == ThreadState::Running)
    }

    /// Makes a thread that is in no queue, with its registers final, ready to run: with an upcall that is due, or, where it
    /// is suspended, once it is resumed.
    pub fn make_ready(&self, id: Id<Thread>) {
        let thread = &self.threads[id];
        if thread.suspended.get() {
            thread.state.set(ThreadState::Suspended);
            return;
        }
        if thread.upcall_is_due() {
            self.upcall_begin(id);
        }
        thread.state.set(ThreadState::Ready);
        self.place(thread);
        self.ready_insert(id, false);
        self.notice(thread);
    }

    /// Ends the wait of a thread, which is in no queue any more, with a status.
    pub fn thread_answer(&self, id: Id<Thread>, status: Result<()>) {
        #[cfg(any(test, feature = "host"))]
        if let (Err(error), false) = (status, self.threads[id].faulting.get()) {
            // The register still holds the number of the call that waited.
            crate::pairs::note(self.threads[id].registers.rax.get(), error);
        }
        if self.threads[id].faulting.get() {
            return self.fault_unanswered(id, status);
        }
        let status = status.map_or_else(|error| u64::from(error.number()), |()| 0);
        self.threads[id].registers.rax.set(status);
        self.wait_unlink(id);
        self.deadline_clear(id);
        self.make_ready(id);
    }

    /// The running thread has just blocked: runs `to` in its place if nobody is more urgent, else makes it ready.
    pub(crate) fn hand_over(&self, cpu: CpuId, to: Id<Thread>) {
        let thread = &self.threads[to];
        let regular = !thread.suspended.get() && thread.upcall_bits.get() == 0;
        if regular && self.cpu(cpu).may_switch(thread.priority.get()) {
            self.switch_to(cpu, to);
        } else {
            self.make_ready(to);
        }
    }

    /// Puts a thread, which is in no queue, on the processor in place of one that has just blocked.
    pub(crate) fn switch_to(&self, cpu: CpuId, to: Id<Thread>) {
        self.switch_at(self.cpu(cpu), to, &self.threads[to]);
    }

    /// The same, for a thread already looked up.
    #[inline(always)]
    pub(crate) fn switch_at(&self, cpu: &Cpu, to: Id<Thread>, thread: &Thread) {
        thread.state.set(ThreadState::Running);
        thread.cpu.set(cpu.id.get());
        cpu.current.set(Some(to));
    }

    /// What to do on the way out of the kernel: the current thread goes on unless something has changed.
    #[inline]
    pub fn settle(&self, cpu: CpuId) -> Next {
        let here = self.cpu(cpu);
        if !here.attention.get() {
            if let Some(id) = self.running(here) {
                return Next::Run(id);
            }
        }
        self.reschedule(cpu)
    }

    /// Picks the thread to run, charges time, and arms the timer.
    pub fn reschedule(&self, cpu_id: CpuId) -> Next {
        let cpu = self.cpu(cpu_id);
        // What is left to be reaped is seen to on every way out.
        cpu.attention.set(self.reap_pending());
        let now = self.machine.now_ns();
        // It came by a direct switch, or has just been bound to other processors.
        let strayed = self.running(cpu).filter(|id| !self.threads[*id].may_run_on(cpu_id));
        strayed.into_iter().for_each(|id| self.make_ready(id));
        let current = self.running(cpu);
        let top = cpu.queue.top();
        let keep = match (current, top) {
            (Some(id), Some(top)) => {
                let priority = self.threads[id].priority.get();
                let is_over = now >= cpu.slice_end_ns.get();
                if top > priority || top == priority && is_over {
                    self.preempt(cpu, id, now);
                    None
                } else {
                    Some(id)
                }
            }
            (current, _) => current,
        };
        if cpu.payer.get().is_none() && keep.is_some() {
            // Whoever its slice was given to is gone: the rest is its own.
            self.time_charge_until(cpu, now);
            cpu.payer.set(keep);
        }
        let next = keep.or_else(|| {
            let next = self.ready_take(cpu).or_else(|| self.steal(cpu_id));
            self.dispatch_slice(cpu, next, now);
            next
        });
        cpu.current.set(next);
        let Some(id) = next else { return Next::Idle };
        let thread = &self.threads[id];
        thread.state.set(ThreadState::Running);
        thread.cpu.set(cpu_id);
        let contested = cpu.queue.top() == Some(thread.priority.get());
        let slice_end = if contested { cpu.slice_end_ns.get() } else { NEVER };
        // What is armed comes no later than the first event: only the slice is new.
        self.arm(slice_end);
        Next::Run(id)
    }

    /// Takes the running thread off the processor: what is left of its slice it gets when its turn comes again.
    fn preempt(&self, cpu: &Cpu, id: Id<Thread>, now: u64) {
        let left = cpu.slice_end_ns.get().saturating_sub(now).min(SLICE_NS);
        let thread = &self.threads[id];
        thread.state.set(ThreadState::Ready);
        thread.slice_ns.set(if left == 0 { 0 } else { SLICE_NS.saturating_sub(left) });
        self.place(thread);
        self.ready_insert(id, left != 0);
        if !core::ptr::eq(self.cpu_of(thread), cpu) {
            self.notice(thread);
        }
    }

    /// Begins a slice.
    fn dispatch_slice(&self, cpu: &Cpu, next: Link<Thread>, now: u64) {
        self.time_charge_until(cpu, now);
        cpu.payer.set(next);
        if let Some(id) = next {
            let used = self.threads[id].slice_ns.replace(0);
            cpu.slice_end_ns.set(now.saturating_add(SLICE_NS.saturating_sub(used)));
        }
    }

    /// Charges the time up to now, so that what processes have used can be read.
    pub fn time_charge(&self) {
        let now = self.machine.now_ns();
        self.cpus.iter().for_each(|cpu| self.time_charge_until(cpu, now));
    }

    fn time_charge_until(&self, cpu: &Cpu, now: u64) {
        let since = cpu.charged_ns.replace(now);
        let spent = now.saturating_sub(since);
        match cpu.payer.get() {
            Some(id) => {
                if let Some(process) = self.threads[id].process.get() {
                    self.processes[process].run_time_ns.update(|ns| ns.saturating_add(spent));
                }
            }
            None => cpu.idle_ns.update(|ns| ns.saturating_add(spent)),
        }
    }

    /// Lets the other threads of its priority run first.
    pub(crate) fn thread_yield_now(&self, id: Id<Thread>) {
        let cpu = self.here();
        if cpu.queue.top().is_none_or(|top| top < self.threads[id].priority.get()) {
            return;
        }
        self.make_ready(id);
        cpu.attention.set(true);
    }

    /// Takes a thread out of whatever it is in; it never runs again. Its call, if it was received, goes on as a
    /// cancelled one. Its process and the frames it holds are the caller's business.
    pub fn thread_stop(&self, id: Id<Thread>) {
        let thread = &self.threads[id];
        self.take_off(id);
        // Running here, or just blocked by a call that ends its process: then nobody was picked in its place yet.
        for slot in self.cpus.iter().filter(|slot| slot.current.get() == Some(id)) {
            slot.current.set(None);
        }
        match thread.state.get() {
            ThreadState::Inactive | ThreadState::Running => {}
            ThreadState::Ready => self.ready_remove(id),
            ThreadState::AwaitingReply => self.call_abandon(id),
            ThreadState::Sending
            | ThreadState::Receiving
            | ThreadState::Waiting
            | ThreadState::Sleeping
            | ThreadState::Paging
            | ThreadState::FutexWaiting
            | ThreadState::Polling
            | ThreadState::Suspended => self.wait_end(id),
        }
        self.parked_abandon(id);
        thread.faulting.set(false);
        thread.state.set(ThreadState::Inactive);
        self.wait_unlink(id);
        self.deadline_clear(id);
        self.poll_let_go(id);
        self.donors_let_go(id);
        for cpu in self.cpus.iter().filter(|cpu| cpu.payer.get() == Some(id)) {
            self.time_charge_until(cpu, self.machine.now_ns());
            cpu.payer.set(None);
        }
    }
}
