//! Threads: how they begin, how they end. What they wait for stands in `ipc`
//! and `sched`.

use crate::cap::limit;
use crate::list::InProcess;
use crate::object::{Process, ProcessState, Thread};
use crate::{FrameNumber, Id, Kernel, Machine, VirtAddr};
use abi::{Error, Result};

/// Flags that a thread starts with: interrupts on, and the bit that always is (SDM 1, 3.4.3).
pub(crate) const RFLAGS: u64 = 0x202;

/// How a thread starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Where.
    pub entry: VirtAddr,
    /// Its stack pointer.
    pub stack: VirtAddr,
    /// What rdi says.
    pub argument: u64,
    /// The page of its IPC buffer.
    pub buffer: VirtAddr,
    /// How urgent it is.
    pub priority: u8,
}

impl<M: Machine> Kernel<M> {
    /// Makes a thread of a process, ready to run, without a capability to it. Errors: `BadArgument` (the priority is above
    /// the process's limit), `BadAddress` (the buffer is not a writable page of the process's own), `Closed` (the
    /// process has ended), `OutOfQuota`, `OutOfMemory`.
    pub fn thread_make(&self, owner: Id<Process>, start: Start) -> Result<Id<Thread>> {
        let process = self.process_running(owner)?;
        Error::BadArgument.when(start.priority > process.priority_limit.get())?;
        let space = process.space.get().ok_or(Error::Closed)?;
        let quota = process.quota.get().ok_or(Error::Closed)?;
        Error::BadAddress.when(!start.buffer.is_aligned())?;
        let buffer = self.space_frame(space, start.buffer.0, true)?;
        self.count_more(quota, limit::THREADS)?;
        let fpu = self.frame_allocate(quota).inspect_err(|_| self.count_less(quota, limit::THREADS))?;
        let id = self.allocate_object::<Thread>(quota).inspect_err(|_| {
            self.frame_release(fpu);
            self.count_less(quota, limit::THREADS);
        })?;
        self.machine.fpu_initialise(fpu);
        self.frame_retain(buffer);
        self.frame_written(buffer, true);
        let thread = &self.threads[id];
        thread.fpu.set(fpu);
        thread.buffer.set(buffer);
        thread.registers.rip.set(start.entry.0);
        thread.registers.rsp.set(start.stack.0);
        thread.registers.rdi.set(start.argument);
        thread.registers.rflags.set(RFLAGS);
        thread.registers.full_frame.set(1);
        thread.base_priority.set(start.priority);
        thread.priority.set(start.priority);
        thread.root.set(self.spaces[space].root.get());
        thread.table_base.set(self.cap_table(owner));
        thread.account.set(self.quotas[quota].account.get());
        self.refer(&thread.process, Some(owner));
        process.thread_count.update(|n| n.wrapping_add(1));
        self.threads.list::<InProcess>(&process.threads).push_back(id);
        self.retain(id);
        self.make_ready(id);
        Ok(id)
    }

    /// Ends a thread, whatever it is doing. The last one of a running process ends the process.
    pub fn thread_end(&self, id: Id<Thread>) {
        let Some(owner) = self.threads[id].process.get() else { return };
        self.thread_stop(id);
        let thread = &self.threads[id];
        let process = &self.processes[owner];
        thread.process.set(None);
        self.threads.list::<InProcess>(&process.threads).remove(id);
        process.thread_count.update(|n| n.wrapping_sub(1));
        self.count_less(process.quota.get().expect("invariant: a process with threads has an account"), limit::THREADS);
        let (fpu, buffer) = (thread.fpu.replace(FrameNumber(0)), thread.buffer.replace(FrameNumber(0)));
        self.machine.fpu_forget(fpu);
        self.frame_release(fpu);
        self.frame_written(buffer, false);
        self.frame_release(buffer);
        if let Some(parked) = thread.parked.replace(None) {
            self.free(parked);
        }
        // Without a session there is nothing that could be full.
        let _ = self.fault_handler_set(id, None, None);
        if process.thread_count.get() == 0 {
            self.process_end(owner, ProcessState::Exited, 0);
        }
        self.release(id);
        self.release(owner);
    }
}
