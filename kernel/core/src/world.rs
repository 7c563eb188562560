//! A small world to test in: a kernel on the test machine, with processes and
//! threads made in a line.
//!
//! Tests say which thread makes which call, whatever the scheduler would have picked ([`World::force`]), so that
//! every order of events can be tried; and after each call all that the message path and the scheduler promise
//! about their own data is checked ([`World::check`]).

mod check;
pub mod frames;
mod kit;
pub mod pairs;

use crate::address::{CpuId, FrameNumber, VirtAddr};
use crate::cap::namespace::words;
use crate::cap::thread::Start;
use crate::id::Id;
use crate::kernel::{Kernel, Next};
use crate::mm::mapping::Backing;
use crate::object::{Cap, Object, Process, ProcessState, Thread, ThreadState};
use crate::test_machine::TestMachine;
use abi::call::Call;
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::message::{buffer, LeaseAccess};
use abi::{error, Error, Handle, Kind, Rights};
use std::sync::atomic::Ordering::Relaxed;

/// The processor.
pub const CPU: CpuId = CpuId(0);
/// Where the memory of a test process begins: its first pages are IPC buffers.
pub const MEMORY: u64 = 0x10_0000;
/// Pages of it.
pub const PAGES: u64 = 24;
/// Where its memory for leases begins.
pub const LENT: u64 = MEMORY + 8 * PAGE_SIZE;

/// How a call went, as the thread that made it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered: rdi, rsi, rdx, r8.
    Done([u64; 4]),
    /// It failed.
    Failed(Error),
    /// It waits.
    Waits,
    /// The thread has ended.
    Gone,
}

/// A kernel and what tests need to know about it.
pub struct World<const FAULT: u8 = 0> {
    /// The kernel.
    pub kernel: Kernel<TestMachine<FAULT>>,
    /// Threads made so far in each process: each has an IPC buffer of its own.
    threads: Vec<(Id<Process>, u64)>,
    /// Free frames and used items when nothing had been made.
    fresh: (u32, Vec<usize>),
}

impl World {
    /// A world without processes.
    pub fn new() -> World {
        World::on(TestMachine::kernel(2048))
    }
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

impl<const FAULT: u8> World<FAULT> {
    /// A world on a kernel that is fresh.
    pub fn on(kernel: Kernel<TestMachine<FAULT>>) -> World<FAULT> {
        let mut world = World { kernel, threads: Vec::new(), fresh: (0, Vec::new()) };
        world.fresh = (world.kernel.frames.free(), world.items());
        world
    }

    /// A process with memory at [`MEMORY`], charged to the root account, without threads or capabilities.
    pub fn process(&mut self) -> Id<Process> {
        let kernel = &self.kernel;
        let quota = kernel.root_quota();
        let process = kernel.process_make(quota, words(b"test"), u8::MAX, None).expect("there is memory");
        let memory = kernel.memory_new(quota, PAGES, MemoryFlags::empty()).expect("there is memory");
        let space = kernel.processes[process].space.get().expect("it runs");
        let all = Protection::READ | Protection::WRITE;
        let at = kernel.space_enter(space, MEMORY, PAGES, Backing::Memory(memory, 0), all, all);
        assert_eq!(at, Ok(MEMORY));
        process
    }

    /// A thread of a process.
    pub fn thread(&mut self, process: Id<Process>, priority: u8) -> Id<Thread> {
        let before = self.threads.iter().filter(|(p, _)| *p == process).count() as u64;
        assert!(before < 8, "there are pages for eight buffers");
        let buffer = VirtAddr(MEMORY + before * PAGE_SIZE);
        self.threads.push((process, before));
        let start = Start { entry: VirtAddr(MEMORY), stack: VirtAddr(MEMORY), argument: 0, buffer, priority };
        self.kernel.thread_make(process, start).expect("there is memory")
    }

    /// Puts a capability to the root account into a process's table.
    pub fn quota_handle(&mut self, process: Id<Process>) -> u64 {
        let root = self.kernel.root_quota();
        let handle = self.kernel.cap_insert(process, Kind::Quota, root.raw(), Rights::all(), None);
        handle.expect("there is room").word()
    }

    /// Derives a capability from one process's table into another's.
    pub fn give(&mut self, from: Id<Process>, handle: u64, to: Id<Process>) -> u64 {
        let handle = Handle::from_word(handle).expect("a handle has 32 bits");
        self.kernel.cap_transfer(from, handle, Rights::all(), to).expect("it may be given").0.word()
    }

    /// The object that a handle names.
    pub fn object<T: Object>(&self, process: Id<Process>, handle: u64) -> Id<T> {
        let cap: Id<Cap> = self
            .kernel
            .lookup(process, Handle::from_word(handle).expect("32 bits"), T::CAP_KIND, Rights::empty())
            .expect("the handle names such an object");
        Id::try_new(self.kernel.caps[cap].object.get() as usize).expect("an id")
    }

    /// Puts a thread, which has to be ready, on the processor.
    pub fn force(&mut self, thread: Id<Thread>) {
        let kernel = &self.kernel;
        if kernel.running(kernel.here()) == Some(thread) {
            return;
        }
        assert_eq!(kernel.threads[thread].state.get(), ThreadState::Ready, "{thread:?} can run");
        if let Some(other) = kernel.running(kernel.here()) {
            kernel.make_ready(other);
        }
        kernel.ready_remove(thread);
        kernel.switch_to(CPU, thread);
    }

    /// Makes a call as a thread, with words 0 to 5 of its message as they are.
    pub fn call(&mut self, thread: Id<Thread>, call: Call, args: &[u64]) -> Outcome {
        self.force(thread);
        let r = &self.kernel.threads[thread].registers;
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        r.rax.set(call as u64);
        for (place, value) in [&r.rdi, &r.rsi, &r.rdx, &r.r8, &r.r9, &r.r10].into_iter().zip(all) {
            place.set(value);
        }
        self.syscall();
        self.outcome(thread)
    }

    /// The current thread enters the kernel with the registers it has.
    pub fn syscall(&mut self) -> Next {
        if let Some(thread) = self.kernel.here().current.get() {
            self.kernel.threads[thread].registers.full_frame.set(0);
        }
        let next = self.kernel.syscall(CPU);
        self.check();
        next
    }

    /// Has a thread that was woken to make its call again do so.
    pub fn again(&mut self, thread: Id<Thread>) -> Outcome {
        assert!(self.kernel.threads[thread].registers.rax.get() >= abi::call::FIRST, "{thread:?} was answered");
        self.force(thread);
        self.syscall();
        self.outcome(thread)
    }

    /// The timer interrupt comes at a time.
    pub fn time(&mut self, ns: u64) -> Next {
        self.kernel.machine.set_now(ns);
        let next = self.kernel.timer(CPU);
        self.check();
        next
    }

    /// The time now.
    pub fn now(&self) -> u64 {
        crate::machine::Machine::now_ns(&self.kernel.machine)
    }

    /// How the last call of a thread went.
    pub fn outcome(&self, id: Id<Thread>) -> Outcome {
        if !self.kernel.threads.is_used(id) {
            return Outcome::Gone;
        }
        let thread = &self.kernel.threads[id];
        match thread.state.get() {
            ThreadState::Inactive => Outcome::Gone,
            ThreadState::Ready | ThreadState::Running => {
                let r = &thread.registers;
                match error::check(r.rax.get()) {
                    Ok(()) => Outcome::Done([r.rdi.get(), r.rsi.get(), r.rdx.get(), r.r8.get()]),
                    Err(error) => Outcome::Failed(error),
                }
            }
            _ => Outcome::Waits,
        }
    }

    /// Makes a call that has to succeed at once.
    #[track_caller]
    pub fn ok(&mut self, thread: Id<Thread>, call: Call, args: &[u64]) -> [u64; 4] {
        match self.call(thread, call, args) {
            Outcome::Done(values) => values,
            other => panic!("{}: {other:?}", call.name()),
        }
    }

    /// Makes a call that has to fail.
    #[track_caller]
    pub fn err(&mut self, thread: Id<Thread>, call: Call, args: &[u64]) -> Error {
        match self.call(thread, call, args) {
            Outcome::Failed(error) => error,
            other => panic!("{}: {other:?}", call.name()),
        }
    }

    /// Makes a call that has to wait.
    #[track_caller]
    pub fn waits(&mut self, thread: Id<Thread>, call: Call, args: &[u64]) {
        assert_eq!(self.call(thread, call, args), Outcome::Waits, "{}", call.name());
    }

    /// Sets the message words of a thread.
    pub fn set_words(&mut self, thread: Id<Thread>, words: [u64; 6]) {
        for (place, word) in self.kernel.threads[thread].registers.words.iter().zip(words) {
            place.set(word);
        }
    }

    /// The message words of a thread.
    pub fn words(&self, thread: Id<Thread>) -> [u64; 6] {
        let words = &self.kernel.threads[thread].registers.words;
        core::array::from_fn(|i| words[i].get())
    }

    /// Writes a word of a thread's IPC buffer.
    pub fn buffer_set(&mut self, thread: Id<Thread>, index: usize, value: u64) {
        let frame = self.kernel.threads[thread].buffer.get();
        crate::machine::Machine::frame_words(&self.kernel.machine, frame)[index].store(value, Relaxed);
    }

    /// A word of a thread's IPC buffer.
    pub fn buffer(&self, thread: Id<Thread>, index: usize) -> u64 {
        let frame = self.kernel.threads[thread].buffer.get();
        crate::machine::Machine::frame_words(&self.kernel.machine, frame)[index].load(Relaxed)
    }

    /// Writes lease `i` into a thread's IPC buffer.
    pub fn lend(&mut self, thread: Id<Thread>, i: usize, address: u64, length: u64, access: LeaseAccess, from: u64) {
        let at = buffer::SEND_LEASES + i * buffer::SEND_LEASE_WORDS;
        for (n, word) in [address, length, u64::from(access.bits()), from].into_iter().enumerate() {
            self.buffer_set(thread, at + n, word);
        }
    }

    /// The frame behind an address of a process, brought in.
    pub fn frame(&self, process: Id<Process>, address: u64) -> FrameNumber {
        let space = self.kernel.processes[process].space.get().expect("it runs");
        self.kernel.space_frame(space, address, false).expect("it is mapped")
    }

    /// Ends a process and lets the reaper do its work.
    pub fn kill(&mut self, process: Id<Process>) {
        self.kernel.process_end(process, ProcessState::Killed, 9);
        let _ = self.kernel.leave(CPU);
        self.check();
    }

    /// Ends all processes, and panics unless everything is as it was in the beginning.
    pub fn end(&mut self) {
        let processes: Vec<_> = self.kernel.processes.iter_used().collect();
        for process in processes {
            // The end of one can be the end of another, which it had the only capability to.
            if self.kernel.processes.is_used(process) {
                self.kill(process);
            }
        }
        assert_eq!(self.items(), self.fresh.1, "objects left over, by arena number");
        // A policy stays for good.
        let free = self.kernel.frames.free() + self.kernel.security.frames();
        assert_eq!(free, self.fresh.0, "frames left over");
        self.threads.clear();
    }

    /// Items in use of each arena.
    fn items(&self) -> Vec<usize> {
        let k = &self.kernel;
        vec![
            k.processes.iter_used().count(),
            k.threads.iter_used().count(),
            k.spaces.iter_used().count(),
            k.memories.iter_used().count(),
            k.endpoints.iter_used().count(),
            k.sessions.iter_used().count(),
            k.replies.iter_used().count(),
            k.notifications.iter_used().count(),
            k.namespaces.iter_used().count(),
            k.names.iter_used().count(),
            k.quotas.iter_used().count(),
            k.domains.iter_used().count(),
            k.pins.iter_used().count(),
            k.mappings.iter_used().count(),
            k.leases.iter_used().count(),
            k.watches.iter_used().count(),
            k.parked.iter_used().count(),
            k.event_queues.iter_used().count(),
            k.interests.iter_used().count(),
        ]
    }
}
