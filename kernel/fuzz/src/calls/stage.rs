//! The processes of a run, and what they have: the first process with all that
//! the boot gives it, two more with less, and a child without threads.

use abi::boot::InitHandle;
use abi::call::Call;
use abi::memory::{MemoryFlags, Protection};
use abi::security::{Shape, INIT_SUBJECT, RIGHTS};
use abi::{Handle, Rights};
use kernel_core::boot::Init;
use kernel_core::id::Id;
use kernel_core::mm::mapping::Backing;
use kernel_core::object::{Process, Thread};
use kernel_core::test_machine::TestMachine;
use kernel_core::world::{World, CPU, LENT, MEMORY, PAGES};

/// Frames of the machine, as the first byte says: plenty, or so few that they run out.
const FRAMES: [u32; 2] = [2048, 1024];
/// The label of the second process; the third has the default.
const LABEL: u32 = 2;
/// A type of sessions that it may use, where there is a policy.
const TYPE: u64 = 1;
/// Pages that the third process's account may use.
const POOR: u64 = 40;

/// A world and what a run knows of it.
pub struct Stage<const FAULT: u8> {
    pub w: World<FAULT>,
    pub frames: u32,
}

impl<const FAULT: u8> Stage<FAULT> {
    /// Bit 0 of the byte: few frames; bit 1: a policy is loaded; bit 2: no message interrupts.
    pub fn new(how: u8) -> Stage<FAULT> {
        let frames = FRAMES[usize::from(how & 1)];
        let kernel = TestMachine::<FAULT>::kernel(frames);
        let initfs = kernel.frames.take_run(1, false).expect("memory is fresh");
        kernel.frames.retain(initfs);
        kernel.machine.without_messages.set(how & 4 != 0);
        let mut stage = Stage { w: World::on(kernel), frames };
        let first = stage.first(initfs);
        let second = stage.w.process();
        stage.w.kernel.processes[second].label.set(LABEL);
        let third = stage.w.process();
        let threads = [first, second, third].map(|process| {
            stage.fill(process);
            [10, 20].map(|priority| stage.w.thread(process, priority))[0]
        });
        if how & 2 != 0 {
            let system = InitHandle::System.handle().word();
            stage.make(threads[0], Call::PolicyLoad, &[system, POLICY, policy().len() as u64]);
        }
        stage.equip(threads[0], [first, second, third]);
        stage.w.check();
        stage
    }

    /// The first process, with the memory that others have too.
    fn first(&mut self, initfs: kernel_core::address::FrameNumber) -> Id<Process> {
        let init = Init { name: b"init", initfs, initfs_pages: 1, acpi_first_page: 0x10_0000, acpi_pages: 4 };
        let k = &self.w.kernel;
        let process = k.boot_init(init).expect("there is memory");
        k.processes[process].label.set(INIT_SUBJECT);
        let memory = k.memory_new(k.root_quota(), PAGES, MemoryFlags::empty()).expect("there is memory");
        let space = k.processes[process].space.get().expect("it runs");
        let all = Protection::READ | Protection::WRITE;
        k.space_enter(space, MEMORY, PAGES, Backing::Memory(memory, 0), all, all).expect("it is free");
        process
    }

    /// Puts names, a policy and some words into a process's memory.
    fn fill(&mut self, process: Id<Process>) {
        let k = &self.w.kernel;
        k.user_write(process, LENT, b"name\0other\0").expect("it is there");
        k.user_write(process, POLICY, &policy()).expect("it is there");
    }

    /// A call of a thread that has to succeed; nothing is checked in between.
    fn make(&mut self, thread: Id<Thread>, call: Call, args: &[u64]) -> [u64; 4] {
        self.w.force(thread);
        let r = &self.w.kernel.threads[thread].registers;
        r.rax.set(call as u64);
        let places = [&r.rdi, &r.rsi, &r.rdx, &r.r8, &r.r9, &r.r10];
        places.into_iter().zip(args.iter().copied().chain([0; 6])).for_each(|(place, value)| place.set(value));
        let _ = self.w.kernel.syscall(CPU);
        let r = &self.w.kernel.threads[thread].registers;
        assert_eq!(r.rax.get(), 0, "{}", call.name());
        [r.rdi.get(), r.rsi.get(), r.rdx.get(), r.r8.get()]
    }

    /// Makes one of each kind, and gives most of it to the others too.
    fn equip(&mut self, t: Id<Thread>, [first, second, third]: [Id<Process>; 3]) {
        let root = InitHandle::Quota.handle().word();
        let mut given = vec![root];
        let mut one = |stage: &mut Self, call: Call, args: &[u64]| {
            let handle = stage.make(t, call, args)[0];
            given.push(handle);
            handle
        };
        let poor = one(self, Call::QuotaSplit, &[root, POOR, 0]);
        let endpoint = one(self, Call::EndpointCreate, &[root]);
        let session = one(self, Call::SessionCreate, &[endpoint, 1, TYPE]);
        let other = one(self, Call::EndpointCreate, &[poor]);
        one(self, Call::SessionCreate, &[other, 7, 0]);
        let notification = one(self, Call::NotificationCreate, &[root]);
        let namespace = one(self, Call::NamespaceCreate, &[root]);
        let memory = one(self, Call::MemoryCreate, &[root, 6, 0]);
        one(self, Call::MemoryCreate, &[poor, 2, 1]);
        let paged = one(self, Call::PagerCreate, &[endpoint, root, 5, 4, 0]);
        let queue = one(self, Call::QueueCreate, &[root, 4]);
        let domain = one(self, Call::DomainCreate, &[InitHandle::DmaDomain.handle().word(), root, 9]);
        let [child, space, ..] = self.make(t, Call::ProcessCreate, &[poor, LENT, 4, 30, namespace]);
        given.extend([child, space]);
        let thread = self.make(t, Call::ThreadCreate, &[HANDLE_SELF, MEMORY, MEMORY, 0, MEMORY + 0x7000, 15])[0];
        given.push(thread);
        self.make(t, Call::MemoryWrite, &[memory, 0, LENT, 2 * 4096]);
        self.make(t, Call::NamespaceBind, &[namespace, LENT, 4, session]);
        self.make(t, Call::QueueAdd, &[queue, session, 3, 0xff, 0]);
        for (handle, at) in [(memory, 0), (paged, 8)] {
            let args = [SPACE_SELF, handle, crate::number::MAPPED + at * 4096, 0, 4 * 4096, 3];
            self.make(t, Call::SpaceMap, &args);
        }
        self.make(t, Call::ReplyCreate, &[root]);
        self.make(t, Call::ReplyCreate, &[poor]);
        let _ = (notification, domain);
        for process in [second, third] {
            for handle in &given {
                let handle = Handle::from_word(*handle).expect("a handle");
                // Where there is a policy, sessions of another label's are not for everyone.
                let _ = self.w.kernel.cap_transfer(first, handle, Rights::all(), process);
            }
            self.reply(process);
        }
    }

    /// A reply object for a process.
    fn reply(&mut self, process: Id<Process>) {
        let k = &self.w.kernel;
        let first = k.threads.iter_used().find(|t| k.threads[*t].process.get() == Some(process));
        let quota = Handle::SELF_QUOTA.word();
        self.make(first.expect("it has threads"), Call::ReplyCreate, &[quota]);
    }
}

const HANDLE_SELF: u64 = Handle::SELF_PROCESS.word();
const SPACE_SELF: u64 = Handle::SELF_SPACE.word();
/// Where every process has a policy's bytes.
pub const POLICY: u64 = LENT + 4096;

/// A policy that lets init and the second process use sessions of [`TYPE`].
pub fn policy() -> Vec<u8> {
    let shape = Shape { subjects: 4, types: 3 };
    let mut policy = shape.header().to_vec();
    policy.resize(shape.length(), 0);
    for subject in [INIT_SUBJECT, LABEL] {
        shape.allow(&mut policy, subject, TYPE as u32, RIGHTS);
        shape.allow(&mut policy, subject, 2, Rights::INSPECT | Rights::SEND);
        shape.let_label(&mut policy, subject, LABEL);
    }
    policy
}
