//! From registers to handlers and back.
//!
//! The dispatcher is made from the rows of [`abi::for_each_call`]: authority is checked as the row says, then the
//! handler of the row's name runs, and one epilogue here writes the answer. Handlers that take
//! `&Kernel` may run on many processors at once; `exclusive` rows take `&mut Kernel`.
//!
//! One file a noun; a handler that copies to or from user memory does so after every other check.

mod account;
mod cap;
mod clone;
mod debug;
mod device;
mod dma;
mod endpoint;
mod event;
mod futex;
mod lease;
mod memory;
mod message;
mod namespace;
mod notification;
mod pager;
mod process;
mod quota;
mod security;
mod space;
mod system;
mod thread;
mod time;
mod upcall;

use crate::object::{Cap, Process, ProcessState, Registers, Thread, ThreadState};
use crate::{CpuId, Id, InKernel, Kernel, Link, Machine, Next};
use abi::{Error, Handle, Kind, Result, Rights};

/// What a handle of the caller's names, with the rights it has.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The capability; none for a pseudo-handle.
    pub cap: Link<Cap>,
    /// The object: its raw id in the arena of its kind.
    pub raw: u32,
    /// All the rights that the handle carries.
    pub rights: Rights,
}

impl Subject {
    /// Nothing: the row asks for none.
    pub const NONE: Subject = Subject { cap: None, raw: 0, rights: Rights::empty() };

    /// The object, typed. Only for the kind that was asked for.
    #[inline(always)]
    pub fn id<T: InKernel>(self) -> Id<T> {
        Id::try_new(self.raw as usize).expect("invariant: a capability that was looked up names an object")
    }
}

/// Who calls, with what.
#[derive(Clone, Copy)]
pub struct Context {
    /// The processor.
    pub cpu: CpuId,
    /// The calling thread.
    pub thread: Id<Thread>,
    /// Its process.
    pub process: Id<Process>,
    /// What the first argument names, where the row asks for something.
    pub subject: Subject,
    /// The registers that hold the arguments. A handler has read what it needs before any is written.
    pub registers: &'static Registers,
}

impl Context {
    /// The object that the row asks for.
    #[inline(always)]
    pub fn id<T: InKernel>(&self) -> Id<T> {
        self.subject.id()
    }
    /// An argument by its place in the row: rdi, rsi, rdx, r8, r9, r10.
    #[inline(always)]
    pub fn arg(&self, index: usize) -> u64 {
        let r = self.registers;
        match index {
            0 => r.rdi.get(),
            1 => r.rsi.get(),
            2 => r.rdx.get(),
            3 => r.r8.get(),
            4 => r.r9.get(),
            _ => r.r10.get(),
        }
    }
}

/// What a handler answers when it does not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Success: as many of these as the row has results go to rdi, rsi, rdx, r8.
    Values([u64; 4]),
    /// An error with results.
    Partial(Error, [u64; 4]),
    /// The registers of all concerned are written already, or the thread waits, or it is gone.
    Written,
    /// There is more to do and an interrupt is pending: nothing is written, and the call is made again after it.
    Again,
}

impl Answer {
    /// Success without results.
    pub const DONE: Answer = Answer::Values([0; 4]);
    /// Success with one result.
    pub const fn one(value: u64) -> Answer {
        Answer::Values([value, 0, 0, 0])
    }
}

/// Bytes in the `syscall` instruction (SDM 2B, SYSCALL: 0F 05).
pub(crate) const SYSCALL_LENGTH: u64 = 2;

macro_rules! dispatcher {
    ($($number:literal $variant:ident $name:ident [$($need:tt)*] $lock:ident $wait:ident
        ($($arg:ident),*) -> ($($result:ident),*) $text:literal;)+) => {
        impl<M: Machine> Kernel<M> {
            /// Checks what the row asks for and runs its handler. Tests come in here, with a context of their own.
            /// Errors: the handler's, and `NoSuchCall`.
            #[inline(always)]
            pub fn dispatch(&mut self, number: u64, cx: &mut Context) -> Result<Answer> {
                let answer = match number.wrapping_sub(abi::call::FIRST) {
                    $($number => dispatcher!(@checked self cx $lock $name $($need)*),)+
                    _ => Err(Error::NoSuchCall),
                };
                #[cfg(any(test, feature = "host"))]
                if let Err(error) | Ok(Answer::Partial(error, _)) = answer {
                    crate::pairs::note(number, error);
                }
                answer
            }
        }

        impl<M: Machine> Kernel<M> {
            /// The same with the epilogue behind each handler: what a row can't answer is not compiled for it.
            #[inline(always)]
            fn dispatch_and_answer(&mut self, number: u64, cx: &mut Context) {
                match number.wrapping_sub(abi::call::FIRST) {
                    $($number => {
                        let answer = dispatcher!(@checked self cx $lock $name $($need)*);
                        self.epilogue(cx.thread, answer, const { <[&str]>::len(&[$(stringify!($result)),*]) });
                    })+
                    _ => self.epilogue(cx.thread, Err(Error::NoSuchCall), 0),
                }
            }
        }
    };
    (@checked $self:ident $cx:ident $lock:ident $name:ident) => { dispatcher!(@$lock $self $name $cx) };
    (@checked $self:ident $cx:ident $lock:ident $name:ident $kind:ident $right:ident) => {
        match $self.resolve($cx, $cx.arg(0), Kind::$kind, Rights::$right) {
            Ok(subject) => {
                $cx.subject = subject;
                dispatcher!(@$lock $self $name $cx)
            }
            Err(error) => Err(error),
        }
    };
    (@shared $self:ident $name:ident $cx:ident) => { Kernel::$name(&*$self, $cx) };
    (@exclusive $self:ident $name:ident $cx:ident) => { Kernel::$name($self, $cx) };
}

abi::for_each_call!(dispatcher);

impl<M: Machine> Kernel<M> {
    /// The calling thread of a processor made a kernel call: its registers hold it. What can go the short way has tried it.
    #[inline(always)]
    pub fn syscall(&mut self, cpu: CpuId) -> Next {
        let Some(id) = self.current(cpu) else { return self.leave(cpu) };
        let thread = self.threads.at(id);
        let number = thread.registers.rax.get();
        if number < abi::call::FIRST {
            self.foreign_call(id, number);
            return self.leave(cpu);
        }
        let here = self.cpu(cpu);
        if let Some(id) = M::WORDS_IN_MEMORY.then(|| self.message_by_memory(here, number, thread)).flatten() {
            return Next::Run(id);
        }
        let process = thread.process.get().expect("invariant: a running thread has a process");
        let mut cx = Context { cpu, thread: id, process, subject: Subject::NONE, registers: &thread.registers };
        self.dispatch_and_answer(number, &mut cx);
        // Nothing has changed but the caller: it goes on. (One that ended is not current any more, and not looked at.)
        let here = self.cpu(cpu);
        if !here.attention.get() && here.current.get() == Some(id) && thread.state.get() == ThreadState::Running {
            return Next::Run(id);
        }
        self.leave(cpu)
    }

    /// Writes a handler's answer to the caller's registers: the status, and as many results as the row has.
    #[inline(always)]
    fn epilogue(&self, id: Id<Thread>, answer: Result<Answer>, results: usize) {
        // The thread may be gone: its answer is `Written` then.
        if matches!(answer, Ok(Answer::Written)) {
            return;
        }
        if let Err(error) | Ok(Answer::Partial(error, _)) = answer {
            if matches!(error, Error::LeaseFault | Error::OutOfQuota) && self.answer_later(id, error, answer) {
                return;
            }
        }
        let r = &self.threads[id].registers;
        #[cfg(any(test, feature = "host"))]
        if let Err(error) | Ok(Answer::Partial(error, _)) = answer {
            crate::pairs::note(r.rax.get(), error);
        }
        let (status, values) = match answer {
            Ok(Answer::Written) => return,
            Ok(Answer::Values(values)) => (0, values),
            Ok(Answer::Partial(error, values)) => (error.number(), values),
            Ok(Answer::Again) => {
                r.rip.update(|rip| rip.wrapping_sub(SYSCALL_LENGTH));
                return;
            }
            Err(error) => {
                r.rax.set(u64::from(error.number()));
                return;
            }
        };
        r.rax.set(u64::from(status));
        for (place, value) in [&r.rdi, &r.rsi, &r.rdx, &r.r8].into_iter().zip(values).take(results) {
            place.set(value);
        }
    }

    /// A handler met a page of the caller's that has to be asked for, or an account that clean pages make room in: the caller
    /// makes its call again (after a wait), unless some of it is done, which is answered. Whether that is all there is to do.
    #[cold]
    fn answer_later(&self, id: Id<Thread>, error: Error, answer: Result<Answer>) -> bool {
        let done = match answer {
            Ok(Answer::Partial(_, [done, ..])) => done,
            _ => 0,
        };
        let r = &self.threads[id].registers;
        if error == Error::LeaseFault && done == 0 {
            return self.page_wait(id, None);
        }
        let again = match error {
            Error::LeaseFault => self.wanted.memory.replace(None).is_some(),
            _ => self.make_room(),
        };
        if again && done > 0 {
            r.rax.set(0);
            r.rdi.set(done);
        } else if again {
            r.rip.update(|rip| rip.wrapping_sub(SYSCALL_LENGTH));
        }
        again
    }

    /// Has a thread that waits, and is in no queue any more, make its call again when it runs.
    pub(crate) fn call_again(&self, id: Id<Thread>) {
        self.threads[id].registers.rip.update(|rip| rip.wrapping_sub(SYSCALL_LENGTH));
        self.deadline_clear(id);
        self.make_ready(id);
    }

    /// What a handle names, if it is of this kind and carries these rights. Pseudo-handles name the caller's own.
    /// Errors: `BadHandle`, `WrongKind`, `NoRight`.
    #[inline]
    pub fn resolve(&self, cx: &Context, word: u64, kind: Kind, rights: Rights) -> Result<Subject> {
        let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
        if handle.is_pseudo() {
            return self.resolve_self(cx, handle, kind, rights);
        }
        let cap = match self.lookup(cx.process, handle, kind, rights) {
            Ok(cap) => cap,
            Err(error) => {
                // A thread that was woken for an event may have lost its way to the queue meanwhile.
                if self.current(cx.cpu) == Some(cx.thread) {
                    self.poll_let_go(cx.thread);
                }
                return Err(error);
            }
        };
        let entry = &self.caps[cap];
        Ok(Subject { cap: Some(cap), raw: entry.object.get(), rights: entry.rights() })
    }

    #[cold]
    fn resolve_self(&self, cx: &Context, handle: Handle, kind: Kind, rights: Rights) -> Result<Subject> {
        let process = &self.processes[cx.process];
        let own = Rights::INSPECT | Rights::MANAGE;
        let (is, raw, has) = match handle {
            Handle::SELF_PROCESS => (Kind::Process, Some(cx.process.raw()), own),
            Handle::SELF_THREAD => (Kind::Thread, Some(cx.thread.raw()), own),
            Handle::SELF_SPACE => (Kind::AddressSpace, process.space.get().map(Id::raw), own),
            Handle::SELF_QUOTA => (Kind::Quota, process.quota.get().map(Id::raw), own),
            // A namespace can be shared with others: to change it, a capability is asked.
            Handle::SELF_NAMESPACE => (Kind::Namespace, process.namespace.get().map(Id::raw), Rights::INSPECT),
            _ => return Err(Error::BadHandle),
        };
        Error::WrongKind.when(is != kind)?;
        Error::NoRight.when(!has.contains(rights))?;
        let raw = raw.ok_or(Error::BadHandle)?;
        Ok(Subject { cap: None, raw, rights: has })
    }

    /// Ends every way into the kernel: reaps what is to be reaped, then says what runs.
    #[inline(always)]
    pub fn leave(&mut self, cpu: CpuId) -> Next {
        if self.reap_pending() {
            return self.leave_reaping(cpu);
        }
        self.settle(cpu)
    }

    /// While there is something to reap, there can be threads of processes that have ended: they are stopped here, so that
    /// their user code never runs again.
    #[cold]
    fn leave_reaping(&mut self, cpu: CpuId) -> Next {
        loop {
            self.reap_in_turn();
            if self.reap_pending() && !self.reap_waits() && self.machine.is_wanted() {
                // Whoever waits goes first, and goes on with this: nobody less urgent runs here until nothing is half gone.
                return Next::Again;
            }
            let next = self.settle(cpu);
            let Next::Run(thread) = next else {
                // Never to wait: the interrupt that is pending may turn out to have been answered already.
                return if self.reap_pending() { Next::Again } else { next };
            };
            let process = self.threads[thread].process.get();
            if process.is_some_and(|p| self.processes[p].state.get() == ProcessState::Running) {
                return next;
            }
            self.thread_end(thread);
            if self.machine.interrupt_pending() {
                // There may be many of these: it is taken before the next one.
                return Next::Again;
            }
        }
    }
}
