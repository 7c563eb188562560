//! Calls on processes.

use crate::cap::namespace::words;
use crate::field::Field;
use crate::id::Id;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::object::{Namespace, Process, ProcessState, Quota};
use crate::syscall::cap::{LOOK, MAKER};
use crate::syscall::{Answer, Context};
use abi::start::PROCESS_INFO_WORDS;
use abi::{Error, Handle, Kind, Result, Rights};

/// Entries of a table looked at between two looks for an interrupt.
const ENTRIES: u64 = 128;

impl<M: Machine> Kernel<M> {
    /// `process_create`. Errors: `BadArgument` (a limit above the caller's own), `NameTooLong`, `BadHandle`, `WrongKind`,
    /// `NoRight` (namespace: `INSPECT` is asked), `BadAddress`, `TableFull`, `OutOfQuota`, `OutOfMemory`.
    pub fn process_create(&self, cx: &Context) -> Result<Answer> {
        let limit = u8::try_from(cx.arg(3)).map_err(|_| Error::BadArgument)?;
        Error::BadArgument.when(limit > self.processes[cx.process].priority_limit.get())?;
        let resolve = || self.resolve(cx, cx.arg(4), Kind::Namespace, Rights::INSPECT);
        let namespace = (cx.arg(4) != 0).then(resolve).transpose()?.map(|subject| subject.id::<Namespace>());
        let mut bytes = [0; 32];
        let length = usize::try_from(cx.arg(2)).map_err(|_| Error::NameTooLong)?;
        let name = bytes.get_mut(..length).ok_or(Error::NameTooLong)?;
        self.user_read(cx.process, cx.arg(1), name)?;
        self.cap_room(cx.process, 2)?;
        let process = self.process_make(cx.id::<Quota>(), words(&bytes), limit, namespace)?;
        self.processes[process].label.set(self.processes[cx.process].label.get());
        let space = self.processes[process].space.get().expect("invariant: a process is made with a space");
        let handle = self.cap_give(cx, Kind::Process, process.raw(), MAKER);
        let space = self.cap_give(cx, Kind::AddressSpace, space.raw(), MAKER);
        Ok(Answer::Values([handle.word(), space.word(), 0, 0]))
    }

    /// `process_grant`. Errors: `BadHandle`, `NoRight` (`TRANSFER` is asked), `BadArgument` (unknown rights), `Closed` (the
    /// process has ended), `Denied` (the policy), `Retry`, and `TableFull`, `OutOfQuota`, `OutOfMemory` of the process that receives.
    pub fn process_grant(&self, cx: &Context) -> Result<Answer> {
        let handle = Handle::from_word(cx.arg(1)).ok_or(Error::BadHandle)?;
        let rights = Rights::from_word(cx.arg(2)).ok_or(Error::BadArgument)?;
        self.process_running(cx.id())?;
        let (granted, _, _) = self.cap_transfer_asked(cx.process, handle, rights, cx.id(), cx.process)?;
        Ok(Answer::one(granted.word()))
    }

    /// `process_exit`.
    pub fn process_exit(&mut self, cx: &Context) -> Result<Answer> {
        self.process_end(cx.process, ProcessState::Exited, cx.arg(0) as u32);
        Ok(Answer::Written)
    }

    /// `process_kill`. One that has ended is left as it is.
    pub fn process_kill(&mut self, cx: &Context) -> Result<Answer> {
        self.process_end(cx.id::<Process>(), ProcessState::Killed, cx.arg(1) as u32);
        Ok(Answer::DONE)
    }

    /// `process_status`.
    pub fn process_status(&self, cx: &Context) -> Result<Answer> {
        let process = &self.processes[cx.id::<Process>()];
        let state = process.state.get() as u64;
        Ok(Answer::Values([state, u64::from(process.exit_code.get()), process.header.object_id.get(), 0]))
    }

    /// `process_watch`. Told when all that the process had is given back. Errors: `BadHandle`, `WrongKind`, `NoRight`
    /// (notification: `SEND` is asked), `BadArgument` (no bits), `OutOfQuota`, `OutOfMemory`.
    pub fn process_watch(&self, cx: &Context) -> Result<Answer> {
        let to = self.resolve_bits(cx, cx.arg(1), cx.arg(2))?;
        self.watch_add(cx.id::<Process>(), to, cx.arg(2), self.own_quota(cx)?).map(|()| Answer::DONE)
    }

    /// `process_info`. Errors: `BadAddress`.
    pub fn process_info(&self, cx: &Context) -> Result<Answer> {
        self.time_charge();
        let process = &self.processes[cx.id::<Process>()];
        let pages = process.quota.get().map_or(0, |q| self.quotas[q].used_pages.get());
        let head = [
            process.header.object_id.get(),
            process.state.get() as u64,
            u64::from(process.exit_code.get()),
            u64::from(process.thread_count.get()),
            pages,
            u64::from(process.cap_count.get()),
            u64::from(process.priority_limit.get()),
            process.run_time_ns.get(),
        ];
        let mut out = [0; PROCESS_INFO_WORDS];
        let tail = [u64::from(process.label.get())];
        let all = head.into_iter().chain(process.name.iter().map(|w| w.get())).chain(tail);
        for (place, word) in out.iter_mut().zip(all) {
            *place = word;
        }
        self.user_write_words(cx.process, cx.arg(1), &out).map(|()| Answer::DONE)
    }

    /// `process_capability`. Errors: `NotFound`, `BadAddress`.
    pub fn process_capability(&self, cx: &Context) -> Result<Answer> {
        let process = cx.id::<Process>();
        let mut index = cx.arg(1);
        loop {
            let raw = u32::try_from(index).map_err(|_| Error::NotFound)?;
            let cap = self.cap_at(process, raw).ok_or(Error::NotFound)?;
            index = index.wrapping_add(1);
            if self.caps[cap].kind().is_some() {
                self.user_write_words(cx.process, cx.arg(2), &self.cap_words(cap))?;
                return Ok(Answer::one(index));
            }
            if index.is_multiple_of(ENTRIES) && self.machine.interrupt_pending() {
                // A table can be large and nearly empty: the next try goes on from here.
                self.threads[cx.thread].registers.rsi.set(index);
                return Ok(Answer::Again);
            }
        }
    }

    /// `process_namespace`. Of the caller's own process, no more than it could do before: to look.
    /// It stems from the process's. Errors: `Closed`, `Retry`, `TableFull`, `OutOfQuota`, `OutOfMemory`.
    pub fn process_namespace(&self, cx: &Context) -> Result<Answer> {
        let process = cx.id::<Process>();
        let namespace = self.processes[process].namespace.get().ok_or(Error::Closed)?;
        let manage = if process == cx.process { Rights::empty() } else { Rights::MANAGE };
        self.give_below(cx, namespace, LOOK | manage)
    }

    /// The name of a process, for the log.
    pub(crate) fn process_name(&self, id: Id<Process>) -> ([u8; 32], usize) {
        crate::cap::namespace::bytes(self.processes[id].name.each_ref().map(Field::get))
    }
}
