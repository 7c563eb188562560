//! What `fork` stands on: a clone of the address space, a clone of the
//! capability table, and a thread that goes on in the child.

use abi::call::Call;
use abi::memory::Inherit;
use abi::{Error, Handle, Kind, Rights};
use kernel_core::id::Id;
use kernel_core::object::{Process, ProcessState, Thread};
use kernel_core::world::{Outcome, World, MEMORY};

const PAGE: u64 = 4096;
const RW: u64 = 3;
const AT: u64 = 0x5000_0000;
const SELF_SPACE: u64 = Handle::SELF_SPACE.word();

struct Parent {
    w: World,
    process: Id<Process>,
    thread: Id<Thread>,
    quota: u64,
}

impl Parent {
    fn new() -> Parent {
        let mut w = World::new();
        let process = w.process();
        let thread = w.thread(process, 10);
        let quota = w.quota_handle(process);
        Parent { w, process, thread, quota }
    }

    fn ok(&mut self, call: Call, args: &[u64]) -> [u64; 4] {
        self.w.ok(self.thread, call, args)
    }

    fn err(&mut self, call: Call, args: &[u64]) -> Error {
        self.w.err(self.thread, call, args)
    }

    fn memory(&mut self, pages: u64) -> u64 {
        let quota = self.quota;
        self.ok(Call::MemoryCreate, &[quota, pages, 0])[0]
    }

    fn map(&mut self, memory: u64, at: u64, pages: u64, inherit: Inherit) {
        let word = RW | (inherit as u64) << Inherit::SHIFT;
        self.ok(Call::SpaceMap, &[SELF_SPACE, memory, at, 0, pages * PAGE, word]);
    }

    /// An empty child: handles to it and to its space, and the process.
    fn child(&mut self, account: u64) -> (u64, u64, Id<Process>) {
        self.w.kernel.user_write(self.process, MEMORY + 16 * PAGE, b"child").unwrap();
        let [process, space, ..] = self.ok(Call::ProcessCreate, &[account, MEMORY + 16 * PAGE, 5, 10, 0]);
        (process, space, self.w.object(self.process, process))
    }

    /// A call that works in steps, with an interrupt pending at every look.
    fn stepwise(&mut self, call: Call, args: &[u64]) -> Outcome {
        self.w.kernel.machine.interrupt_every(1);
        let mut outcome = self.w.call(self.thread, call, args);
        let registers = |w: &World, t: Id<Thread>| {
            let r = &w.kernel.threads[t].registers;
            [r.rdi.get(), r.rsi.get(), r.rdx.get(), r.r8.get(), r.r9.get(), r.r10.get()]
        };
        let mut steps = 0;
        while self.w.kernel.threads[self.thread].registers.rax.get() == call as u64 {
            let again = registers(&self.w, self.thread);
            outcome = self.w.call(self.thread, call, &again);
            steps += 1;
        }
        self.w.kernel.machine.interrupt_every(0);
        assert!(steps > 0 || matches!(outcome, Outcome::Failed(_)), "it works in steps");
        outcome
    }

    fn poke(&self, process: Id<Process>, at: u64, byte: u8) {
        self.w.kernel.user_write(process, at, &[byte]).unwrap();
    }

    fn peek(&self, process: Id<Process>, at: u64) -> Option<u8> {
        let mut byte = [0];
        self.w.kernel.user_read(process, at, &mut byte).ok().map(|()| byte[0])
    }
}

#[test]
fn a_child_gets_of_each_mapping_what_the_mapping_asks_for() {
    let mut p = Parent::new();
    let (own, shared, kept) = (p.memory(40), p.memory(4), p.memory(4));
    p.map(own, AT, 40, Inherit::Copy);
    p.map(shared, AT + 100 * PAGE, 4, Inherit::Share);
    p.map(kept, AT + 200 * PAGE, 4, Inherit::Nothing);
    // A second mapping of the first object, which is one object in the child too.
    p.map(own, AT + 300 * PAGE, 40, Inherit::Copy);
    let parent = p.process;
    for page in 0..40 {
        p.poke(parent, AT + page * PAGE, page as u8 + 1);
    }
    for at in [AT + 100 * PAGE, AT + 200 * PAGE] {
        p.poke(parent, at, 50);
    }
    let quota = p.quota;
    let (_, space, child) = p.child(quota);
    assert!(matches!(p.stepwise(Call::SpaceClone, &[SELF_SPACE, space, 0]), Outcome::Done(_)));
    for page in 0..40 {
        assert_eq!(p.peek(child, AT + page * PAGE), Some(page as u8 + 1));
    }
    p.poke(child, AT, 99);
    assert_eq!((p.peek(parent, AT), p.peek(child, AT), p.peek(child, AT + 300 * PAGE)), (Some(1), Some(99), Some(99)));
    p.poke(parent, AT + PAGE, 98);
    assert_eq!((p.peek(parent, AT + 301 * PAGE), p.peek(child, AT + PAGE)), (Some(98), Some(2)));
    p.poke(child, AT + 100 * PAGE, 51);
    assert_eq!(p.peek(parent, AT + 100 * PAGE), Some(51), "shared memory is the same memory");
    assert_eq!(p.peek(child, AT + 200 * PAGE), None);
    // What is shared goes with a revocation, what was copied does not.
    let derived = p.ok(Call::Derive, &[shared, 0x1ff, 0, 0])[0];
    let _ = derived;
    p.w.end();
}

#[test]
fn a_clone_of_memory_is_made_in_steps_and_refused_with_reason() {
    let mut p = Parent::new();
    let quota = p.quota;
    let memory = p.memory(100);
    p.map(memory, AT, 100, Inherit::Copy);
    let parent = p.process;
    for page in (0..100).step_by(2) {
        p.poke(parent, AT + page * PAGE, page as u8);
    }
    let Outcome::Done([clone, ..]) = p.stepwise(Call::MemoryClone, &[memory, quota, 10, 80, 0]) else { panic!("made") };
    p.map(clone, AT + 200 * PAGE, 80, Inherit::Copy);
    p.poke(parent, AT + 12 * PAGE, 200);
    assert_eq!(p.peek(parent, AT + 202 * PAGE), Some(12));
    assert_eq!(p.peek(parent, AT + 203 * PAGE), Some(0));
    assert_eq!(p.err(Call::MemoryClone, &[memory, quota, 10, 0, 0]), Error::BadArgument);
    assert_eq!(p.err(Call::MemoryClone, &[memory, quota, 90, 11, 0]), Error::BadArgument);
    assert_eq!(p.err(Call::MemoryClone, &[memory, memory, 0, 1, 0]), Error::WrongKind);
    assert_eq!(p.err(Call::MemoryClone, &[memory, 0, 0, 1, 0]), Error::BadHandle);
    let look = p.ok(Call::Derive, &[quota, u64::from(Rights::INSPECT.bits()), 0, 0])[0];
    assert_eq!(p.err(Call::MemoryClone, &[memory, look, 0, 1, 0]), Error::NoRight);
    // The last argument is the kernel's; what is made up there is looked at.
    assert_eq!(p.err(Call::MemoryClone, &[memory, quota, 0, 1, memory]), Error::BadArgument);
    // An account that has not enough: nothing is left.
    let small = p.ok(Call::QuotaSplit, &[quota, 3, 0])[0];
    let big = p.memory(600);
    for page in [0, 550] {
        p.map(big, AT + 1000 * PAGE + page * PAGE, 1, Inherit::Copy);
    }
    p.ok(Call::MemoryWrite, &[big, 0, MEMORY, 1]);
    p.ok(Call::MemoryWrite, &[big, 550 * PAGE, MEMORY, 1]);
    assert_eq!(p.err(Call::MemoryClone, &[big, small, 0, 600, 0]), Error::OutOfQuota);
    assert_eq!(p.ok(Call::QuotaInfo, &[small])[1], 0);
    p.w.end();
}

#[test]
fn a_store_that_an_account_can_not_pay_for_is_refused_and_reads_go_on() {
    let mut p = Parent::new();
    let quota = p.quota;
    let memory = p.memory(8);
    p.map(memory, AT, 8, Inherit::Copy);
    let parent = p.process;
    (0..8).for_each(|page| p.poke(parent, AT + page * PAGE, 7));
    let account = p.ok(Call::QuotaSplit, &[quota, 40, 0])[0];
    let (_, space, child) = p.child(account);
    assert!(matches!(p.stepwise(Call::SpaceClone, &[SELF_SPACE, space, 0]), Outcome::Done(_)));
    let [_, used, ..] = p.ok(Call::QuotaInfo, &[account]);
    let rest = p.ok(Call::QuotaSplit, &[account, 40 - used - 8, 0])[0];
    let written = (0..8).take_while(|page| p.w.kernel.user_write(child, AT + page * PAGE, &[8]).is_ok()).count() as u64;
    assert!((1..8).contains(&written), "{written} pages were paid for");
    assert_eq!(p.w.kernel.user_write(child, AT + written * PAGE, &[8]), Err(Error::OutOfQuota));
    assert_eq!(p.peek(child, AT + 7 * PAGE), Some(7));
    assert_eq!(p.peek(parent, AT), Some(7));
    p.ok(Call::Close, &[rest]);
    p.poke(child, AT + written * PAGE, 8);
    p.w.end();
}

#[test]
fn a_space_is_cloned_into_an_empty_one_alone() {
    let mut p = Parent::new();
    let quota = p.quota;
    let (process, space, _) = p.child(quota);
    assert_eq!(p.err(Call::SpaceClone, &[SELF_SPACE, SELF_SPACE, 0]), Error::BadArgument);
    assert_eq!(p.err(Call::SpaceClone, &[SELF_SPACE, process, 0]), Error::WrongKind);
    assert_eq!(p.err(Call::SpaceClone, &[SELF_SPACE, 0, 0]), Error::BadHandle);
    let look = p.ok(Call::Derive, &[space, u64::from(Rights::INSPECT.bits()), 0, 0])[0];
    assert_eq!(p.err(Call::SpaceClone, &[SELF_SPACE, look, 0]), Error::NoRight);
    let memory = p.memory(1);
    p.ok(Call::SpaceMap, &[space, memory, MEMORY, 0, PAGE, RW]);
    assert_eq!(p.err(Call::SpaceClone, &[SELF_SPACE, space, 0]), Error::Busy);
    assert_eq!(p.err(Call::SpaceClone, &[SELF_SPACE, space, 1]), Error::Exists, "the place is taken");
    p.ok(Call::ProcessKill, &[process, 0]);
    assert_eq!(p.err(Call::SpaceClone, &[SELF_SPACE, space, 1]), Error::Closed);
    assert_eq!(p.err(Call::SpaceMap, &[SELF_SPACE, memory, AT, 0, PAGE, RW | 3 << Inherit::SHIFT]), Error::BadArgument);
    p.w.end();
}

#[test]
fn a_child_gets_the_parents_handles_but_for_replies_threads_and_pins() {
    let mut p = Parent::new();
    let quota = p.quota;
    let bell = p.ok(Call::NotificationCreate, &[quota])[0];
    let low = p.ok(Call::Derive, &[bell, 0x1ff, 0xff, 0])[0];
    let stale = p.ok(Call::Derive, &[bell, 0x1ff, 0, 0])[0];
    p.ok(Call::Close, &[stale]);
    let reply = p.ok(Call::ReplyCreate, &[quota])[0];
    let thread = p.w.kernel.cap_insert(p.process, Kind::Thread, p.thread.raw(), Rights::all(), None).unwrap().word();
    // More than one page of entries.
    let many: Vec<u64> = (0..150).map(|_| p.ok(Call::Derive, &[bell, 0x1ff, 0, 0])[0]).collect();
    let (child, space, id) = p.child(quota);
    assert!(matches!(p.stepwise(Call::TableClone, &[child, 0]), Outcome::Done(_)));
    assert_eq!(p.err(Call::TableClone, &[child, 0]), Error::Busy, "it is not empty any more");
    assert!(matches!(p.stepwise(Call::SpaceClone, &[SELF_SPACE, space, 0]), Outcome::Done(_)));
    // A thread of the child goes on where the parent is.
    let made = p.ok(Call::ThreadCreate, &[child, MEMORY, MEMORY + PAGE, 0, MEMORY, 10])[0];
    let t: Id<Thread> = p.w.object(p.process, made);
    for handle in [bell, low, many[0], many[149], quota] {
        p.w.ok(t, Call::Inspect, &[handle]);
    }
    for handle in [stale, reply, thread] {
        assert_eq!(p.w.err(t, Call::Inspect, &[handle]), Error::BadHandle);
    }
    assert_eq!(p.w.err(t, Call::Notify, &[low, 0x100]), Error::NoRight, "badges are kept");
    p.w.ok(t, Call::Notify, &[low, 1]);
    assert_eq!(p.ok(Call::Wait, &[bell, 0])[0], 1, "it is the same notification");
    // New handles of the child are none that the parent has had.
    let fresh = p.w.ok(t, Call::NotificationCreate, &[quota])[0];
    assert!(![stale, reply, thread].contains(&fresh));
    // The child's are children of the parent's.
    p.ok(Call::Revoke, &[bell]);
    assert_eq!(p.w.err(t, Call::Inspect, &[bell]), Error::BadHandle);
    p.w.ok(t, Call::Inspect, &[quota]);
    // Only into an empty table of a process without threads that lives.
    let (other, _, _) = p.child(quota);
    p.ok(Call::ProcessGrant, &[other, quota, 0x1ff]);
    assert_eq!(p.err(Call::TableClone, &[other, 0]), Error::Busy);
    assert_eq!(p.err(Call::TableClone, &[Handle::SELF_PROCESS.word(), 0]), Error::Busy);
    p.ok(Call::ProcessKill, &[other, 0]);
    assert_eq!(p.err(Call::TableClone, &[other, 0]), Error::Closed);
    let small = p.ok(Call::QuotaSplit, &[quota, 6, 0])[0];
    let (poor, _, _) = p.child(small);
    assert_eq!(p.err(Call::TableClone, &[poor, 0]), Error::OutOfQuota);
    assert_eq!(p.w.kernel.processes[id].state.get(), ProcessState::Running);
    p.w.end();
}
