//! Calls on threads, but for those that wait or yield.

use crate::address::VirtAddr;
use crate::cap::thread::Start;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::object::{Process, Thread};
use crate::syscall::cap::MAKER;
use crate::syscall::{Answer, Context};
use abi::memory::{USER_END, USER_START};
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// `thread_create`. Errors: `BadAddress` (entry, stack or buffer is not the process's), `BadArgument` (priority),
    /// `Closed` (the process has ended), `TableFull`, `OutOfQuota`, `OutOfMemory`.
    pub fn thread_create(&self, cx: &Context) -> Result<Answer> {
        let priority = u8::try_from(cx.arg(5)).map_err(|_| Error::BadArgument)?;
        let entry = VirtAddr::try_user(cx.arg(1)).ok_or(Error::BadAddress)?;
        // A stack pointer may stand one past the last byte.
        Error::BadAddress.when(!(USER_START..=USER_END).contains(&cx.arg(2)))?;
        let buffer = VirtAddr::try_user(cx.arg(4)).ok_or(Error::BadAddress)?;
        self.cap_room(cx.process, 1)?;
        let start = Start { entry, stack: VirtAddr(cx.arg(2)), argument: cx.arg(3), buffer, priority };
        let thread = self.thread_make(cx.id::<Process>(), start)?;
        self.give(cx, thread, MAKER)
    }

    /// `thread_exit`.
    pub fn thread_exit(&self, cx: &Context) -> Result<Answer> {
        self.thread_end(cx.thread);
        Ok(Answer::Written)
    }

    /// `thread_priority`. Errors: `BadArgument` (above the limit of its process), `Closed` (it has ended).
    pub fn thread_priority(&self, cx: &Context) -> Result<Answer> {
        let thread = cx.id::<Thread>();
        let owner = self.threads[thread].process.get().ok_or(Error::Closed)?;
        let limit = self.processes[owner].priority_limit.get();
        let priority = u8::try_from(cx.arg(1)).ok().filter(|p| *p <= limit).ok_or(Error::BadArgument)?;
        self.thread_set_priority(thread, priority);
        Ok(Answer::DONE)
    }

    /// `thread_affinity`. Errors: `BadArgument` (no such processor), `Closed` (it has ended).
    pub fn thread_affinity(&self, cx: &Context) -> Result<Answer> {
        let id = cx.id::<Thread>();
        self.threads[id].process.get().ok_or(Error::Closed)?;
        self.thread_bind(id, cx.arg(1))?;
        Ok(Answer::DONE)
    }

    /// `thread_cancel`. Errors: `WrongState` (it waits for nothing), `Closed` (it has ended).
    pub fn thread_cancel(&self, cx: &Context) -> Result<Answer> {
        let thread = cx.id::<Thread>();
        self.threads[thread].process.get().ok_or(Error::Closed)?;
        self.thread_cancel_wait(thread).map(|()| Answer::DONE)
    }

    /// `thread_set_fs_base`. Errors: `BadAddress` (not in the user half).
    pub fn thread_set_fs_base(&self, cx: &Context) -> Result<Answer> {
        Error::BadAddress.when(cx.arg(0) >= USER_END)?;
        self.threads[cx.thread].registers.fs_base.set(cx.arg(0));
        Ok(Answer::DONE)
    }

    /// `thread_id`.
    #[inline(always)]
    pub fn thread_id(&self, cx: &Context) -> Result<Answer> {
        let thread = self.threads[cx.thread].header.object_id.get();
        Ok(Answer::Values([thread, self.processes[cx.process].header.object_id.get(), 0, 0]))
    }
}
