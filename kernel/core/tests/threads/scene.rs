//! A keeper that rules over a client and a server, and what it can do to them.

use crate::kit::Pair;
use abi::call::Call;
use abi::thread::{Frame, Registers, FRAME_WORDS, REGISTER_WORDS};
use abi::{Error, Kind, Rights};
use kernel_core::fault::Fault;
use kernel_core::id::Id;
use kernel_core::object::{Process, ProcessState, Thread, ThreadState};
use kernel_core::world::{Outcome, CPU, MEMORY};

/// Where handlers are.
pub const ENTRY: u64 = MEMORY + 0x123;
/// A stack for upcalls, in the test processes' memory.
pub const STACK: u64 = MEMORY + 16 * 4096;
/// Its length.
pub const STACK_LENGTH: u64 = 2 * 4096;
/// Where words are written and read.
pub const PLACE: u64 = MEMORY + 20 * 4096;
/// Where the memory of test processes ends.
pub const MEMORY_END: u64 = MEMORY + kernel_core::world::PAGES * 4096;
/// Where nothing is mapped.
pub const NOWHERE: u64 = MEMORY + 0x100_0000;

pub struct Scene {
    pub p: Pair,
    /// The keeper's handles to the client's and the server's thread.
    pub tc: u64,
    pub ts: u64,
}

impl Scene {
    pub fn new() -> Scene {
        Scene::of(Pair::new())
    }

    pub fn of(p: Pair) -> Scene {
        let mut scene = Scene { p, tc: 0, ts: 0 };
        scene.tc = scene.handle(scene.p.c);
        scene.ts = scene.handle(scene.p.s);
        // So that how it ended can be read when it has.
        let client = scene.p.client;
        let cap = scene.p.w.kernel.cap_insert(scene.p.keeper, Kind::Process, client.raw(), Rights::all(), None);
        cap.expect("there is room");
        scene
    }

    /// A handle of the keeper's to a thread.
    pub fn handle(&mut self, thread: Id<Thread>) -> u64 {
        let cap = self.p.w.kernel.cap_insert(self.p.keeper, Kind::Thread, thread.raw(), Rights::all(), None);
        cap.expect("there is room").word()
    }

    /// A call of the keeper's that has to succeed.
    #[track_caller]
    pub fn ok(&mut self, call: Call, args: &[u64]) -> [u64; 4] {
        self.p.w.ok(self.p.k, call, args)
    }

    /// A call of the keeper's that has to fail.
    #[track_caller]
    pub fn err(&mut self, call: Call, args: &[u64]) -> Error {
        self.p.w.err(self.p.k, call, args)
    }

    /// Gives a thread a handler on a stack of its own.
    pub fn handler(&mut self, thread: Id<Thread>) {
        self.p.w.ok(thread, Call::UpcallHandler, &[ENTRY, STACK, STACK_LENGTH, 0]);
    }

    /// The keeper interrupts the client.
    #[track_caller]
    pub fn upcall(&mut self, bits: u64) {
        self.ok(Call::ThreadUpcall, &[self.tc, bits]);
    }

    pub fn state(&self, thread: Id<Thread>) -> ThreadState {
        self.p.state(thread)
    }

    /// Whether a thread is ready or on the processor.
    pub fn runs(&self, thread: Id<Thread>) -> bool {
        matches!(self.state(thread), ThreadState::Ready | ThreadState::Running)
    }

    /// Whether a thread is at its handler.
    pub fn handles(&self, thread: Id<Thread>) -> bool {
        self.p.w.kernel.threads[thread].registers.rip.get() == ENTRY
    }

    /// The frame of a thread that is at its handler, and its address.
    #[track_caller]
    pub fn frame(&self, thread: Id<Thread>) -> (u64, Frame) {
        assert!(self.handles(thread), "no upcall was made");
        let t = &self.p.w.kernel.threads[thread];
        let at = t.registers.rsi.get();
        assert_eq!(at % 16, 0);
        assert_eq!(t.registers.rsp.get(), at);
        let frame = Frame::from_words(self.words(t.process.get().expect("it lives"), at));
        assert_eq!(t.registers.rdi.get(), frame.bits);
        (at, frame)
    }

    /// Words of a process's memory.
    pub fn words<const N: usize>(&self, process: Id<Process>, at: u64) -> [u64; N] {
        let mut words = [0; N];
        self.p.w.kernel.user_read_words(process, at, &mut words).expect("mapped");
        words
    }

    pub fn put(&self, process: Id<Process>, at: u64, words: &[u64]) {
        self.p.w.kernel.user_write_words(process, at, words).expect("mapped");
    }

    pub fn put_frame(&self, process: Id<Process>, at: u64, frame: &Frame) {
        self.put(process, at, &frame.to_words() as &[u64; FRAME_WORDS]);
    }

    /// A thread goes on from its frame.
    pub fn returns(&mut self, thread: Id<Thread>) -> Outcome {
        let (at, _) = self.frame(thread);
        self.p.w.call(thread, Call::UpcallReturn, &[at])
    }

    /// The keeper looks at a thread's registers.
    pub fn registers(&mut self, thread: u64) -> Registers {
        self.ok(Call::ThreadRegisters, &[thread, PLACE]);
        Registers::from_words(self.words::<REGISTER_WORDS>(self.p.keeper, PLACE))
    }

    /// The keeper sets a thread's registers.
    pub fn set_registers(&mut self, thread: u64, registers: &Registers) -> Outcome {
        self.put(self.p.keeper, PLACE, &registers.to_words());
        self.p.w.call(self.p.k, Call::ThreadSetRegisters, &[thread, PLACE])
    }

    /// A thread has a fault that no mapping answers.
    pub fn fault(&mut self, thread: Id<Thread>) {
        self.p.w.force(thread);
        let _ = self.p.w.kernel.fault(CPU, Fault { vector: 14, code: 6, address: NOWHERE });
        self.p.w.check();
    }

    /// The vector of the fault that ended a process.
    pub fn died_of(&self, process: Id<Process>) -> Option<u32> {
        let process = &self.p.w.kernel.processes[process];
        (process.state.get() == ProcessState::Faulted).then_some(process.exit_code.get())
    }
}
