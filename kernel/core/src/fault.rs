//! What becomes of a fault in user mode: a page is brought in, a handler is
//! told, or the process ends with a report.
//!
//! A fault that the mappings don't answer goes to the thread's fault session, as a call that the thread waits in with its
//! registers untouched; without one to its own upcall handler, if that wants faults and is not masked; else it ends the
//! process.

use crate::mm::fault::Access;
use crate::object::{Process, ProcessState, Registers, Thread, ThreadState};
use crate::{store, CpuId, Field, Id, Kernel, Machine, Next};
use abi::fault::{FaultReport, FRAMES};
use abi::thread::{FAULT_TAG, UPCALL_FAULT};
use abi::{Error, Result};

/// Page fault (SDM 3A, table 6-1).
pub const PAGE_FAULT: u64 = 14;
/// The error code of a store by user code to a page that is not there (SDM 3A, 4.7).
pub const USER_STORE: u64 = 6;
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

/// The fault that a thread's handler was told of.
fn fault_of(thread: &Thread) -> Fault {
    let [vector, code, address] = thread.fault.each_ref().map(Field::get);
    Fault { vector, code, address }
}

impl<M: Machine> Kernel<M> {
    /// The running thread of a processor faulted; its registers are in its object.
    pub fn fault(&mut self, cpu: CpuId, fault: Fault) -> Next {
        if let Some(thread) = self.current(cpu) {
            if !self.fault_resolve(thread, fault) {
                self.fault_unresolved(thread, fault);
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
        loop {
            match self.resolve_fault(space, fault.address, Access::from_code(fault.code)) {
                Ok(()) => return true,
                Err(Error::LeaseFault) => return self.page_wait(thread, Some(fault)),
                Err(Error::OutOfQuota) if self.make_room() => {}
                Err(_) => return false,
            }
        }
    }

    /// A thread made a call with a number that is not the kernel's: it goes on at its process's handler, with rcx the way
    /// back and r11 its flags, as `syscall` leaves them, and all else as it is.
    pub(crate) fn foreign_call(&self, thread: Id<Thread>, number: u64) {
        let handler = self.threads[thread].process.get().map_or(0, |p| self.processes[p].foreign_handler.get());
        if handler == 0 {
            return self.fault_unresolved(thread, Fault { vector: FOREIGN_CALL, code: number, address: 0 });
        }
        let registers = &self.threads[thread].registers;
        registers.rcx.set(registers.rip.get());
        registers.r11.set(registers.rflags.get());
        registers.rip.set(handler);
        registers.full_frame.set(1);
    }

    /// A thread that waited for a page will not get it: its access was a fault.
    pub(crate) fn fault_after_wait(&self, id: Id<Thread>) {
        let thread = &self.threads[id];
        self.fault_unresolved(id, fault_of(thread));
        let runs = thread.process.get().is_some_and(|p| self.processes[p].state.get() == ProcessState::Running);
        if runs && thread.state.get() == ThreadState::Inactive {
            // It is at its own handler.
            self.make_ready(id);
        }
    }

    /// A fault of the running thread that only user code can do something about: whoever handles its faults is told, or
    /// its own upcall handler; else its process ends.
    fn fault_unresolved(&self, id: Id<Thread>, fault: Fault) {
        let thread = &self.threads[id];
        store(&thread.fault, [fault.vector, fault.code, fault.address]);
        if self.fault_send(id) {
            return;
        }
        let own = thread.upcall_faults.get() && !thread.upcall_masked.get() && thread.upcall_entry.get() != 0;
        if own && thread.fault_session.get().is_none() {
            thread.upcall_bits.update(|bits| bits | UPCALL_FAULT);
            self.upcall_begin(id);
        } else {
            self.fault_end(id, fault);
        }
    }

    /// Sends a thread's fault as a call through its session; answers whether there is anyone to send it to.
    fn fault_send(&self, id: Id<Thread>) -> bool {
        let thread = &self.threads[id];
        let Some(session) = thread.fault_session.get() else { return false };
        let endpoint_id = self.session_endpoint(session);
        let endpoint = &self.endpoints[endpoint_id];
        if endpoint.closed.get() {
            return false;
        }
        thread.faulting.set(true);
        thread.wants_reply.set(true);
        thread.via.set(0);
        match self.receiver_take(endpoint_id) {
            Some((to, reply)) => {
                self.bind(id, to, endpoint_id, reply);
                self.deliver(id, self.badge(session), to, Some(reply));
                self.round_begin(endpoint);
                self.serve(endpoint_id, to);
                self.priority_update(to);
                self.make_ready(to);
            }
            None => self.sender_enqueue(id, session, endpoint_id),
        }
        true
    }

    /// Writes the message that tells of a thread's fault: its tag and words.
    #[cold]
    pub(crate) fn fault_write(&self, thread: &Thread, to: &Registers) {
        let [vector, code, address] = &thread.fault;
        let r = &thread.registers;
        to.rsi.set(FAULT_TAG);
        let id = thread.header.object_id.get();
        let words = [vector.get(), code.get(), address.get(), r.rip.get(), r.rsp.get(), id];
        store(&to.words, words);
    }

    /// The handler has answered a thread's fault; answers whether the thread goes on.
    #[cold]
    pub(crate) fn fault_answered(&self, id: Id<Thread>, goes_on: bool) -> bool {
        let thread = &self.threads[id];
        thread.faulting.set(false);
        if !goes_on {
            self.fault_end(id, fault_of(thread));
        }
        goes_on
    }

    /// The handler of a thread's fault will not answer. A fault has no effect that a second telling could repeat: if the
    /// server died, it is told again, and waits until there is a server.
    #[cold]
    pub(crate) fn fault_unanswered(&self, id: Id<Thread>, status: Result<()>) {
        let thread = &self.threads[id];
        thread.state.set(ThreadState::Inactive);
        let told = status == Err(Error::Restarted) && self.fault_send(id);
        if !told {
            self.fault_answered(id, false);
        }
    }

    /// Ends a thread's process because of a fault, with a report.
    pub(crate) fn fault_end(&self, thread: Id<Thread>, fault: Fault) {
        let Some(process) = self.threads[thread].process.get() else { return };
        self.report_fault(&self.fault_report(process, thread, fault));
        self.process_end(process, ProcessState::Faulted, fault.vector as u32);
    }

    fn fault_report(&self, process: Id<Process>, thread: Id<Thread>, fault: Fault) -> FaultReport {
        let r = &self.threads[thread].registers;
        let [rbx, rbp, r12, r13, r14, r15] = &r.words;
        let low = [&r.rax, rbx, &r.rcx, &r.rdx, &r.rsi, &r.rdi, rbp];
        let high = [&r.r8, &r.r9, &r.r10, &r.r11, r12, r13, r14, r15];
        let mut registers = [0; 15];
        for (place, register) in registers.iter_mut().zip(low.into_iter().chain(high)) {
            *place = register.get();
        }
        FaultReport {
            process: self.processes[process].header.object_id.get(),
            thread: self.threads[thread].header.object_id.get(),
            vector: fault.vector,
            code: fault.code,
            address: fault.address,
            state: [r.rip.get(), r.rsp.get(), r.rflags.get()],
            registers,
            frames: self.backtrace(process, r.rip.get(), rbp.get()),
            name: self.process_name(process).0,
        }
    }

    /// Return addresses along the chain of frame pointers. The stack is the program's and says what it likes: each
    /// frame must lie above the one before, and their number is bounded.
    fn backtrace(&self, process: Id<Process>, rip: u64, rbp: u64) -> [u64; FRAMES] {
        let mut frames = [0; FRAMES];
        let (mut at, mut next) = (rip, rbp);
        for place in &mut frames {
            *place = at;
            let mut words = [0; 2];
            if next % 8 != 0 || self.user_read_words(process, next, &mut words).is_err() {
                self.wanted_forget();
                break;
            }
            // Above the outermost frame stands 0.
            let [above, back] = words;
            if back == 0 || above != 0 && above <= next {
                break;
            }
            (at, next) = (back, above);
        }
        frames
    }
}
