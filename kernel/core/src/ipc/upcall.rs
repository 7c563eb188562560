//! Upcalls: what interrupts a thread to run a handler of its own, whatever it is
//! doing.
//!
//! An upcall is made as soon as it can be, not on the way out of the kernel: a thread that is ready or running, with a handler
//! that is not masked, has no bits left to tell of. So neither the fast paths nor the way out look for upcalls: whoever
//! makes a thread ready does ([`Kernel::make_ready`]), and so does whatever unmasks. The one state in which bits wait
//! unmasked is that of a call that can't be parked, and its reply object is marked irregular for that.
//!
//! The state of x87, SSE and AVX is the handler's to save: most handlers use none of it.

use crate::cap::thread::RFLAGS;
use crate::fault::{Fault, PAGE_FAULT, USER_STORE};
use crate::object::{ProcessState, Thread, ThreadState};
use crate::syscall::Context;
use crate::{Field, Id, Kernel, Machine, VirtAddr};
use abi::memory::{USER_END, USER_START};
use abi::thread::{Frame, Interrupted, FRAME_WORDS, RED_ZONE, UPCALL_FAULTS, UPCALL_STACK_LEAST};
use abi::{Error, Result};

/// Bytes of a frame.
const FRAME_BYTES: u64 = FRAME_WORDS as u64 * 8;

impl Thread {
    /// Whether its handler is to run as soon as it could run itself.
    #[inline]
    pub(crate) fn upcall_is_due(&self) -> bool {
        self.upcall_bits.get() != 0 && !self.upcall_masked.get() && self.upcall_entry.get() != 0
    }

    /// Where the next frame goes: the stack given for upcalls, from its top or, where it is in use already, below that; or
    /// the stack in use. `None`: there is no room.
    fn upcall_place(&self) -> Option<u64> {
        let (end, rsp) = (self.upcall_stack.get(), self.registers.rsp.get());
        let start = end.wrapping_sub(self.upcall_stack_length.get());
        let top = if end == 0 || (start..end).contains(&rsp) { rsp.checked_sub(RED_ZONE)? } else { end };
        let at = top.checked_sub(FRAME_BYTES)? & !15;
        (end == 0 || at >= start).then_some(at)
    }
}

impl<M: Machine> Kernel<M> {
    /// Has a thread that is due run its handler: at once where it could run, after a wait that ends for it, with its call
    /// parked; else when it could run again.
    pub(crate) fn upcall_interrupt(&self, id: Id<Thread>) {
        let thread = &self.threads[id];
        if !thread.upcall_is_due() {
            return;
        }
        match thread.state.get() {
            // `make_ready` looks again.
            ThreadState::Inactive | ThreadState::Suspended => {}
            // Nothing is lost: it makes its access or its call again after the upcall.
            ThreadState::Paging => {
                self.wait_end(id);
                self.page_wait_over(id);
            }
            ThreadState::Running if self.take_off(id) => self.make_ready(id),
            ThreadState::Ready | ThreadState::Running => self.upcall_begin(id),
            _ if thread.faulting.get() => {}
            ThreadState::AwaitingReply => {
                match thread.parked.get().filter(|place| !self.parked[*place].is_used.get()) {
                    Some(place) => {
                        thread.upcall_interrupts.set(Interrupted::Call as u8);
                        self.call_park(id, place);
                        self.make_ready(id);
                    }
                    None => {
                        let reply = thread.reply.get().expect("invariant: a call that was received has a reply");
                        self.replies[reply].short.set(None);
                    }
                }
            }
            ThreadState::Sending
            | ThreadState::Receiving
            | ThreadState::Waiting
            | ThreadState::Sleeping
            | ThreadState::FutexWaiting
            | ThreadState::Polling => {
                thread.upcall_interrupts.set(Interrupted::Wait as u8);
                self.wait_end(id);
                self.thread_answer(id, Err(Error::Interrupted));
            }
        }
    }

    /// Writes a frame and sends a thread, whose registers are final, to its handler. A frame that can't be written ends the
    /// process as the store of a program would.
    #[cold]
    pub(crate) fn upcall_begin(&self, id: Id<Thread>) {
        let thread = &self.threads[id];
        let bits = thread.upcall_bits.replace(0);
        let interrupted = u64::from(thread.upcall_interrupts.replace(0));
        let Some(process) = thread.process.get() else { return };
        if self.processes[process].state.get() != ProcessState::Running {
            return;
        }
        let [vector, code, address] = self.upcall_fault_words(thread, bits);
        let r = self.registers_of(thread);
        let frame = Frame { bits, interrupted, vector, code, address, reserved: [0; 3], registers: r };
        let place = thread.upcall_place();
        let Some(at) = place.filter(|at| self.user_write_words(process, *at, &frame.to_words()).is_ok()) else {
            self.wanted_forget();
            let address = place.unwrap_or(r.rsp);
            return self.fault_end(id, Fault { vector: PAGE_FAULT, code: USER_STORE, address });
        };
        thread.upcall_masked.set(true);
        self.poll_let_go(id);
        let registers = &thread.registers;
        registers.rdi.set(bits);
        registers.rsi.set(at);
        registers.rsp.set(at);
        registers.rip.set(thread.upcall_entry.get());
        registers.rflags.set(RFLAGS);
        registers.rcx.set(r.rcx);
        registers.r11.set(r.r11);
        registers.full_frame.set(1);
    }

    fn upcall_fault_words(&self, thread: &Thread, bits: u64) -> [u64; 3] {
        if bits & abi::thread::UPCALL_FAULT == 0 {
            return [0; 3];
        }
        thread.fault.each_ref().map(Field::get)
    }

    /// Gives the calling thread a handler, or none. Errors: `BadAddress` (entry or stack is not in the user half),
    /// `BadArgument` (unknown flags, a stack that is too small, a length without a stack), `WrongState` (no handler, while a
    /// call is parked), `OutOfQuota`, `OutOfMemory`.
    pub(crate) fn upcall_set(&self, cx: &Context, [entry, stack, length, flags]: [u64; 4]) -> Result<()> {
        let thread = &self.threads[cx.thread];
        Error::BadArgument.when(
            flags & !UPCALL_FAULTS != 0 || stack == 0 && length != 0 || stack != 0 && length < UPCALL_STACK_LEAST,
        )?;
        let end = stack.checked_add(length).filter(|end| *end <= USER_END).ok_or(Error::BadAddress)?;
        Error::BadAddress.when(stack != 0 && stack < USER_START)?;
        if entry == 0 {
            Error::WrongState.when(self.parked_call(cx.thread).is_some())?;
            if let Some(place) = thread.parked.replace(None) {
                self.free(place);
            }
        } else {
            VirtAddr::try_user(entry).ok_or(Error::BadAddress)?;
            if thread.parked.get().is_none() {
                let quota = self.processes[cx.process].quota.get().expect("invariant: who runs has an account");
                thread.parked.set(Some(self.allocate(quota)?));
            }
        }
        thread.upcall_entry.set(entry);
        thread.upcall_stack.set(end);
        thread.upcall_stack_length.set(length);
        thread.upcall_faults.set(flags & UPCALL_FAULTS != 0);
        Ok(())
    }

    /// Ends an upcall of the calling thread; frame 0: gives the parked call up and goes on where it is. Errors:
    /// `BadArgument` (no multiple of 16, not a frame, or one that tells of a call that is not parked), `BadAddress` (it can't
    /// be read, or leads out of the user half), `OutOfQuota`, `OutOfMemory` (a page of it can't be brought in).
    pub(crate) fn upcall_leave(&self, cx: &Context, at: u64) -> Result<()> {
        let thread = &self.threads[cx.thread];
        if at == 0 {
            self.parked_abandon(cx.thread);
            thread.registers.rax.set(0);
        } else {
            Error::BadArgument.when(at & 15 != 0)?;
            // Read once: another thread may be writing it.
            let mut words = [0; FRAME_WORDS];
            self.user_read_words(cx.process, at, &mut words)?;
            let frame = Frame::from_words(words);
            let interrupted = Interrupted::from_number(frame.interrupted).ok_or(Error::BadArgument)?;
            let waits = interrupted == Interrupted::Call;
            Error::BadArgument.when(waits && self.parked_call(cx.thread).is_none())?;
            self.registers_put(thread, &frame.registers)?;
            if waits {
                self.call_unpark(cx.thread);
            }
        }
        thread.upcall_masked.set(false);
        self.upcall_interrupt(cx.thread);
        Ok(())
    }
}
