//! Which processor a thread runs on: where it becomes ready, who takes it from
//! there, and how it is taken off.
//!
//! A thread stays on its processor, whose caches know it, unless that is busy with something as urgent and it could run at
//! once elsewhere. A processor without work takes the most urgent thread that waits for another one. A direct switch asks
//! nothing of this: the way out of the kernel looks at what it runs for the first time ([`Thread::may_run_on`]).
//! What is changed for another processor is changed under the exclusive side of the lock; the other is told
//! ([`Machine::kick`]), or waited for where its thread's registers are wanted ([`Machine::draw_in`]).

use super::Cpu;
use crate::list::Queue;
use crate::object::{Thread, ThreadState};
use crate::syscall::SYSCALL_LENGTH;
use crate::{CpuId, Id, Kernel, Link, Machine};
use abi::{Error, Result};

/// The most threads of another processor's queue that are looked at for one that may run here.
const LOOKS: usize = 16;

impl Thread {
    /// Whether it may run on a processor.
    #[inline(always)]
    pub fn may_run_on(&self, cpu: CpuId) -> bool {
        let mask = self.affinity.get();
        mask == 0 || mask.wrapping_shr(u32::from(cpu.0)) & 1 == 1
    }
}

impl<M: Machine> Kernel<M> {
    fn cpu_ids(&self) -> impl Iterator<Item = CpuId> {
        (0..self.cpus.len()).map(|number| CpuId(number as u8))
    }

    /// The priority of the most urgent that runs or waits on a processor, plus 1; 0: it has nothing to do.
    fn load(&self, cpu: &Cpu) -> u16 {
        let running = self.running(cpu).map_or(0, |id| u16::from(self.threads[id].priority.get()).wrapping_add(1));
        running.max(cpu.queue.top.get())
    }

    /// Chooses the processor on which a thread, which is in no queue, becomes ready.
    #[inline]
    pub(crate) fn place(&self, thread: &Thread) {
        if self.cpus.len() > 1 {
            self.place_among(thread);
        }
    }

    fn place_among(&self, thread: &Thread) {
        let last = thread.cpu.get();
        let runs_at_once = |cpu: CpuId| self.load(self.cpu(cpu)) <= u16::from(thread.priority.get());
        if thread.may_run_on(last) && runs_at_once(last) {
            return;
        }
        let allowed = self.cpu_ids().filter(|cpu| thread.may_run_on(*cpu));
        let Some(best) = allowed.min_by_key(|cpu| self.load(self.cpu(*cpu))) else { return };
        if !thread.may_run_on(last) || runs_at_once(best) {
            thread.cpu.set(best);
        }
    }

    /// Takes the most urgent thread that waits for another processor and may run on this one out of its queue.
    pub(crate) fn steal(&self, here: CpuId) -> Link<Thread> {
        let mut best: Option<(u8, Id<Thread>)> = None;
        for cpu in self.cpus {
            let worth = best.map_or(0, |(priority, _)| u16::from(priority).wrapping_add(1));
            let mut looks = LOOKS;
            for priority in (worth..cpu.queue.top.get()).rev().map(|priority| priority as u8) {
                let mut waiting = self.threads.list::<Queue>(cpu.queue.head(priority)).iter().take(looks);
                if let Some(id) = waiting.find(|id| {
                    looks = looks.saturating_sub(1);
                    self.threads[*id].may_run_on(here)
                }) {
                    best = Some((priority, id));
                    break;
                }
            }
        }
        let (_, id) = best?;
        self.ready_remove(id);
        Some(id)
    }

    /// Has a processor look for something better to run.
    pub(crate) fn attend(&self, cpu: CpuId) {
        self.cpu(cpu).attention.set(true);
        if self.cpus.len() > 1 && cpu != self.machine.cpu() {
            self.machine.kick(cpu);
        }
    }

    /// Takes a thread that runs on another processor off it, as if it had been about to make its call, or its access, anew;
    /// it is in no queue then. Answers whether there was anything to do.
    pub(crate) fn take_off(&self, id: Id<Thread>) -> bool {
        let thread = &self.threads[id];
        let cpu = thread.cpu.get();
        if self.cpus.len() == 1 || cpu == self.machine.cpu() || self.running(self.cpu(cpu)) != Some(id) {
            return false;
        }
        if self.machine.draw_in(cpu) {
            thread.registers.rip.update(|rip| rip.wrapping_sub(SYSCALL_LENGTH));
        }
        self.cpu(cpu).current.set(None);
        self.cpu(cpu).attention.set(true);
        true
    }

    /// Binds a thread to processors. Errors: `BadArgument` (there is no such processor; nothing was changed).
    pub(crate) fn thread_bind(&self, id: Id<Thread>, mask: u64) -> Result<()> {
        let last = (self.cpus.len() as u32).wrapping_sub(1);
        Error::BadArgument.when(mask.wrapping_shr(last).wrapping_shr(1) != 0)?;
        let thread = &self.threads[id];
        thread.affinity.set(mask);
        let cpu = thread.cpu.get();
        match thread.state.get() {
            ThreadState::Ready if !thread.may_run_on(cpu) => {
                self.ready_remove(id);
                self.make_ready(id);
            }
            ThreadState::Running if !thread.may_run_on(cpu) => self.attend(cpu),
            _ => {}
        }
        Ok(())
    }
}
