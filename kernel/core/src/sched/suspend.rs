//! Threads stopped and looked at by others: debuggers, supervisors.
//!
//! Suspending stops a thread in user mode and nothing else: its call is answered, its wait ends, and then it is `Suspended`
//! instead of ready. The fast paths never look for it: a suspended receiver is nobody's server, and the reply object of a
//! suspended caller goes the long way, so they give up.

use crate::object::{Thread, ThreadState};
use crate::{Id, Kernel, Machine, VirtAddr};
use abi::memory::USER_END;
use abi::thread::{harmless, Registers};
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// Stops a thread in user mode. Errors: `Closed` (it has ended), `WrongState` (it is suspended already).
    pub fn thread_suspend_now(&self, id: Id<Thread>) -> Result<()> {
        let thread = &self.threads[id];
        thread.process.get().ok_or(Error::Closed)?;
        Error::WrongState.when(thread.suspended.replace(true))?;
        // One that was woken for an event does not come for it soon.
        self.poll_let_go(id);
        match thread.state.get() {
            ThreadState::Ready => {
                self.ready_remove(id);
                thread.state.set(ThreadState::Suspended);
            }
            ThreadState::Running => {
                self.take_off(id);
                thread.state.set(ThreadState::Suspended);
            }
            ThreadState::Receiving => self.serve_no_more(id),
            ThreadState::AwaitingReply => {
                let reply = thread.reply.get().expect("invariant: a call that was received has a reply");
                self.replies[reply].short.set(None);
            }
            ThreadState::Inactive
            | ThreadState::Sending
            | ThreadState::Waiting
            | ThreadState::Sleeping
            | ThreadState::Paging
            | ThreadState::FutexWaiting
            | ThreadState::Polling
            | ThreadState::Suspended => {}
        }
        Ok(())
    }

    /// Lets a suspended thread go on. Errors: `Closed` (it has ended), `WrongState` (it is not suspended).
    pub fn thread_resume_now(&self, id: Id<Thread>) -> Result<()> {
        let thread = &self.threads[id];
        thread.process.get().ok_or(Error::Closed)?;
        Error::WrongState.when(!thread.suspended.replace(false))?;
        if thread.state.get() == ThreadState::Suspended {
            self.make_ready(id);
        }
        Ok(())
    }

    /// The registers of a thread that does not run.
    pub(crate) fn registers_of(&self, thread: &Thread) -> Registers {
        let r = &thread.registers;
        let [rbx, rbp, r12, r13, r14, r15] = core::array::from_fn(|i| r.words.get(i).map_or(0, |word| word.get()));
        let (rip, rflags) = (r.rip.get(), r.rflags.get());
        // `sysret` takes them from where it goes (SDM 2B, SYSRET).
        let (rcx, r11) = if r.full_frame.get() == 0 { (rip, rflags) } else { (r.rcx.get(), r.r11.get()) };
        Registers {
            rax: r.rax.get(),
            rbx,
            rcx,
            rdx: r.rdx.get(),
            rsi: r.rsi.get(),
            rdi: r.rdi.get(),
            rbp,
            rsp: r.rsp.get(),
            r8: r.r8.get(),
            r9: r.r9.get(),
            r10: r.r10.get(),
            r11,
            r12,
            r13,
            r14,
            r15,
            rip,
            rflags,
            fs_base: r.fs_base.get(),
        }
    }

    /// Sets the registers of a thread that does not run, or is in the kernel, to what user code wants. Errors: `BadAddress`
    /// (rip or the FS base is not in the user half; nothing was set).
    pub(crate) fn registers_put(&self, thread: &Thread, to: &Registers) -> Result<()> {
        VirtAddr::try_user(to.rip).ok_or(Error::BadAddress)?;
        Error::BadAddress.when(to.fs_base >= USER_END)?;
        let r = &thread.registers;
        r.rax.set(to.rax);
        r.rcx.set(to.rcx);
        r.rdx.set(to.rdx);
        r.rsi.set(to.rsi);
        r.rdi.set(to.rdi);
        r.rsp.set(to.rsp);
        r.r8.set(to.r8);
        r.r9.set(to.r9);
        r.r10.set(to.r10);
        r.r11.set(to.r11);
        for (place, word) in r.words.iter().zip([to.rbx, to.rbp, to.r12, to.r13, to.r14, to.r15]) {
            place.set(word);
        }
        r.rip.set(to.rip);
        r.rflags.set(harmless(to.rflags));
        r.fs_base.set(to.fs_base);
        // By `iretq`, which takes rcx and r11 from here.
        r.full_frame.set(1);
        Ok(())
    }
}
