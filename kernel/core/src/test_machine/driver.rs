//! Makes kernel calls for processes of a test, without scheduling: what does
//! not block needs no thread.

use super::TestMachine;
use crate::address::CpuId;
use crate::id::Id;
use crate::kernel::Kernel;
use crate::mm::mapping::Backing;
use crate::object::{Process, Registers, Thread};
use crate::syscall::{Answer, Context, Subject};
use abi::call::Call;
use abi::memory::{MemoryFlags, Protection};
use abi::{Error, Handle, Kind, Result, Rights};

/// A kernel and a process of it that has some memory at [`Driver::BASE`].
pub struct Driver<const FAULT: u8 = 0> {
    /// The kernel.
    pub kernel: Kernel<TestMachine<FAULT>>,
    /// The process that makes the calls; any other can be put here.
    pub process: Id<Process>,
    /// The thread that is said to make them; no call of those that need none looks whether there is one.
    pub thread: Id<Thread>,
}

impl<const FAULT: u8> Default for Driver<FAULT> {
    fn default() -> Self {
        Driver::with_frames(super::FRAMES)
    }
}

impl<const FAULT: u8> Driver<FAULT> {
    /// Where the memory of processes is: readable and writable.
    pub const BASE: u64 = 0x10_0000;
    /// Pages of it.
    pub const PAGES: u64 = 16;

    /// A kernel on a machine of this size, and a process under the root account.
    pub fn with_frames(frames: u32) -> Driver<FAULT> {
        let kernel = TestMachine::kernel(frames);
        let process = Id::try_new(1).expect("1 is an id");
        let thread = Id::try_new(1).expect("1 is an id");
        let mut driver = Driver { kernel, process, thread };
        driver.process = driver.spawn();
        driver
    }

    /// Another process under the root account, with memory of its own, and a capability of its own to itself, so that it
    /// lives; that is the handle (1, 1).
    pub fn spawn(&mut self) -> Id<Process> {
        let kernel = &self.kernel;
        let root = kernel.root_quota();
        let process = kernel.process_make(root, [0x74736574, 0, 0, 0], 200, None).expect("there is memory");
        kernel.cap_insert(process, Kind::Process, process.raw(), Rights::INSPECT, None).expect("there is room");
        let space = kernel.processes[process].space.get().expect("a process has a space");
        let memory = kernel.memory_new(root, Self::PAGES, MemoryFlags::empty()).expect("there is memory");
        kernel.retain(memory);
        let allow = Protection::READ | Protection::WRITE;
        kernel
            .space_enter(space, Self::BASE, Self::PAGES, Backing::Memory(memory, 0), allow, allow)
            .expect("it is free");
        kernel.release(memory);
        process
    }

    /// Makes a call for the process. An interrupt that the handler found pending is "served", and the call made again.
    pub fn call(&mut self, call: Call, args: &[u64]) -> Result<[u64; 4]> {
        let registers: &'static Registers = Box::leak(Box::default());
        let places = [&registers.rdi, &registers.rsi, &registers.rdx, &registers.r8, &registers.r9, &registers.r10];
        places.into_iter().zip(args).for_each(|(place, value)| place.set(*value));
        loop {
            let mut cx = Context {
                cpu: CpuId(0),
                thread: self.thread,
                process: self.process,
                subject: Subject::NONE,
                registers,
            };
            match self.kernel.dispatch(call as u64, &mut cx)? {
                Answer::Values(values) => return Ok(values),
                Answer::Partial(error, _) => return Err(error),
                Answer::Written => return Ok([0; 4]),
                Answer::Again => {}
            }
        }
    }

    /// A call that answers a handle first.
    pub fn make(&mut self, call: Call, args: &[u64]) -> Result<Handle> {
        let [handle, ..] = self.call(call, args)?;
        Handle::from_word(handle).ok_or(Error::BadHandle)
    }

    /// As another process.
    pub fn call_as(&mut self, process: Id<Process>, call: Call, args: &[u64]) -> Result<[u64; 4]> {
        let before = std::mem::replace(&mut self.process, process);
        let answer = self.call(call, args);
        self.process = before;
        answer
    }

    /// Writes the process's memory.
    pub fn poke(&self, offset: u64, data: &[u8]) {
        self.kernel.user_write(self.process, Self::BASE + offset, data).expect("the memory is there");
    }

    /// Reads the process's memory.
    pub fn peek(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut out = vec![0; length];
        self.kernel.user_read(self.process, Self::BASE + offset, &mut out).expect("the memory is there");
        out
    }

    /// Reads words of the process's memory.
    pub fn peek_words(&self, offset: u64, count: usize) -> Vec<u64> {
        let bytes = self.peek(offset, count * 8);
        bytes.chunks(8).map(|c| u64::from_le_bytes(c.try_into().expect("eight bytes"))).collect()
    }

    /// Lets the reaper finish.
    pub fn settle(&mut self) {
        while self.kernel.reap_pending() {
            self.kernel.reap();
        }
    }
}
