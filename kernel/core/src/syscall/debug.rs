//! Calls of debuggers and supervisors on threads.

use super::{Answer, Context};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::object::{Session, Thread, ThreadState};
use abi::thread::{Registers, REGISTER_WORDS};
use abi::{Error, Handle, Kind, Result, Rights};

impl<M: Machine> Kernel<M> {
    /// `thread_suspend`. What the thread waits for goes on; suspending is no count. A thread that suspends itself does so
    /// with the call answered. Errors: `Closed` (it has ended), `WrongState` (it is suspended already).
    pub fn thread_suspend(&self, cx: &Context) -> Result<Answer> {
        self.thread_suspend_now(cx.id::<Thread>()).map(|()| Answer::DONE)
    }

    /// `thread_resume`. Errors: `Closed` (it has ended), `WrongState` (it is not suspended).
    pub fn thread_resume(&self, cx: &Context) -> Result<Answer> {
        self.thread_resume_now(cx.id::<Thread>()).map(|()| Answer::DONE)
    }

    /// `thread_registers`. Of a thread that is suspended, whatever it waits for, or whose fault is with its handler. Errors:
    /// `Closed` (it has ended), `WrongState` (neither), `BadAddress`, `OutOfQuota`, `OutOfMemory` (where to write them).
    pub fn thread_registers(&self, cx: &Context) -> Result<Answer> {
        let thread = &self.threads[cx.id::<Thread>()];
        thread.process.get().ok_or(Error::Closed)?;
        Error::WrongState.when(!thread.suspended.get() && !thread.faulting.get())?;
        self.user_write_words(cx.process, cx.arg(1), &self.registers_of(thread).to_words()).map(|()| Answer::DONE)
    }

    /// `thread_set_registers`. Of a thread that is suspended and waits for nothing, or whose fault is with its handler: in a
    /// wait or a call the registers hold what it waits with, so that has to end first (`thread_cancel`). Errors: `Closed`
    /// (it has ended), `WrongState` (neither), `BadAddress` (they can't be read, or rip or the FS base is not in the user
    /// half), `OutOfQuota`, `OutOfMemory` (where to read them).
    pub fn thread_set_registers(&self, cx: &Context) -> Result<Answer> {
        let thread = &self.threads[cx.id::<Thread>()];
        thread.process.get().ok_or(Error::Closed)?;
        Error::WrongState.when(thread.state.get() != ThreadState::Suspended && !thread.faulting.get())?;
        let mut words = [0; REGISTER_WORDS];
        self.user_read_words(cx.process, cx.arg(1), &mut words)?;
        self.registers_put(thread, &Registers::from_words(words)).map(|()| Answer::DONE)
    }

    /// `thread_fault_handler`. A fault that is with its handler already stays there. Errors: `BadHandle`, `WrongKind`,
    /// `NoRight` (the session; `SEND` is asked), `Closed` (the thread has ended), `Busy` (the session is told of the faults of as
    /// many threads as can be).
    pub fn thread_fault_handler(&self, cx: &Context) -> Result<Answer> {
        let id = cx.id::<Thread>();
        let resolve = || self.resolve(cx, cx.arg(1), Kind::Session, Rights::SEND);
        let session = (cx.arg(1) != Handle::NONE.word()).then(resolve).transpose()?;
        self.threads[id].process.get().ok_or(Error::Closed)?;
        self.fault_handler_set(id, session.map(|s| s.id::<Session>()), session.and_then(|s| s.cap))
            .map(|()| Answer::DONE)
    }
}
