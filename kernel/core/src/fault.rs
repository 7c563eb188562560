//! What becomes of a fault in user mode: a page is brought in, or the process
//! ends with a report.

use crate::address::CpuId;
use crate::id::Id;
use crate::kernel::{Kernel, Next};
use crate::machine::Machine;
use crate::mm::fault::Access;
use crate::object::{Process, ProcessState, Thread};
use abi::fault::{FaultReport, FRAMES};

/// Page fault (SDM 3A, table 6-1).
pub const PAGE_FAULT: u64 = 14;
/// A call number below the kernel's, in a process without a handler for these.
pub const FOREIGN_CALL: u64 = 0x100;
/// A fault, as the processor told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The vector.
    pub vector: u64,
    /// The error code.
    pub code: u64,
    /// CR2, for a page fault.
    pub address: u64,
}

impl<M: Machine> Kernel<M> {
    /// The running thread of a processor faulted; its registers are in its object.
    pub fn fault(&mut self, cpu: CpuId, fault: Fault) -> Next {
        if let Some(thread) = self.current(cpu) {
            if !self.fault_resolve(thread, fault) {
                self.fault_end(thread, fault);
            }
        }
        self.leave(cpu)
    }

    fn fault_resolve(&self, thread: Id<Thread>, fault: Fault) -> bool {
        if fault.vector != PAGE_FAULT {
            return false;
        }
        let space = self.threads[thread].process.get().and_then(|p| self.processes[p].space.get());
        let Some(space) = space else { return false };
        self.resolve_fault(space, fault.address, Access::from_code(fault.code)).is_ok()
    }

    /// A thread made a call with a number that is not the kernel's.
    pub(crate) fn foreign_call(&self, _cpu: CpuId, thread: Id<Thread>, number: u64) {
        self.fault_end(thread, Fault { vector: FOREIGN_CALL, code: number, address: 0 });
    }

    /// Ends a thread's process because of a fault, with a report.
    fn fault_end(&self, thread: Id<Thread>, fault: Fault) {
        let Some(process) = self.threads[thread].process.get() else { return };
        self.report_fault(&self.fault_report(process, thread, fault));
        self.process_end(process, ProcessState::Faulted, fault.vector as u32);
    }

    fn fault_report(&self, process: Id<Process>, thread: Id<Thread>, fault: Fault) -> FaultReport {
        let r = &self.threads[thread].registers;
        let [rbx, rbp, r12, r13, r14, r15] = core::array::from_fn(|i| r.words.get(i).map_or(0, |w| w.get()));
        let (r11, rcx) = (r.r11.get(), r.rcx.get());
        let name = core::array::from_fn(|i| self.processes[process].name.get(i).map_or(0, |w| w.get()));
        FaultReport {
            process: self.processes[process].header.object_id.get(),
            thread: self.threads[thread].header.object_id.get(),
            vector: fault.vector,
            code: fault.code,
            address: fault.address,
            state: [r.rip.get(), r.rsp.get(), r.rflags.get()],
            registers: [
                r.rax.get(),
                rbx,
                rcx,
                r.rdx.get(),
                r.rsi.get(),
                r.rdi.get(),
                rbp,
                r.r8.get(),
                r.r9.get(),
                r.r10.get(),
                r11,
                r12,
                r13,
                r14,
                r15,
            ],
            frames: self.backtrace(process, r.rip.get(), rbp),
            name: crate::cap::namespace::bytes(name).0,
        }
    }

    /// Return addresses along the chain of frame pointers. The stack is the program's and says what it likes: each
    /// frame must lie above the one before, and their number is bounded.
    fn backtrace(&self, process: Id<Process>, rip: u64, rbp: u64) -> [u64; FRAMES] {
        let mut frames = [0; FRAMES];
        let (mut at, mut next) = (rip, rbp);
        for place in &mut frames {
            *place = at;
            let mut bytes = [0; 16];
            if next % 8 != 0 || self.user_read(process, next, &mut bytes).is_err() {
                break;
            }
            let (above, back) = bytes.split_at(8);
            let word = |b: &[u8]| b.iter().rev().fold(0u64, |w, x| w << 8 | u64::from(*x));
            let (above, back) = (word(above), word(back));
            if back == 0 || above <= next {
                if back != 0 && above == 0 {
                    at = back;
                    next = 0;
                    continue;
                }
                break;
            }
            (at, next) = (back, above);
        }
        frames
    }
}
