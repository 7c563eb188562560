//! Calls that work in steps, with an interrupt pending at every look.
//!
//! What is to be seen between two steps, and what is left when the caller goes in the midst.

use abi::call::Call;
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE as PAGE};
use abi::{Error, Handle, Rights};
use kernel_core::id::Id;
use kernel_core::object::{Memory, Process, Thread};
use kernel_core::world::{frames, Outcome, World, LENT, MEMORY};

const QUOTA: u64 = Handle::SELF_QUOTA.0 as u64;
const SPACE: u64 = Handle::SELF_SPACE.0 as u64;
const RUN: u64 = MemoryFlags::CONTIGUOUS.bits() as u64;
const READ: u64 = Protection::READ.bits() as u64;

struct Scene {
    w: World,
    process: Id<Process>,
    thread: Id<Thread>,
}

impl Scene {
    fn new() -> Scene {
        let mut w = World::new();
        let process = w.process();
        let thread = w.thread(process, 10);
        w.ok(thread, Call::Clock, &[]);
        Scene { w, process, thread }
    }

    /// Makes a call with an interrupt at every look; whether it has to be made again.
    fn begin(&mut self, call: Call, args: &[u64]) -> bool {
        self.w.kernel.machine.interrupt_every(1);
        self.w.call(self.thread, call, args);
        self.is_half_done(call)
    }

    /// The caller makes its call again; whether that was not the last time.
    fn again(&mut self, call: Call) -> bool {
        self.w.again(self.thread);
        self.is_half_done(call)
    }

    fn is_half_done(&self, call: Call) -> bool {
        self.w.kernel.threads[self.thread].registers.rax.get() == call as u64
    }

    /// Calls of another thread, or with nothing pending.
    fn calm(&mut self) {
        self.w.kernel.machine.interrupt_every(0);
    }
}

#[test]
fn a_run_is_zeroed_in_steps_and_allows_nothing_before_it_is_done() {
    let mut s = Scene::new();
    let other = s.w.thread(s.process, 10);
    assert!(s.begin(Call::MemoryCreate, &[QUOTA, 8, RUN]));
    let half = s.w.kernel.threads[s.thread].registers.r8.get();
    s.calm();
    frames::check(&s.w.kernel, 2048);
    for (call, args) in [
        (Call::MemoryInfo, [half, 0, 0, 0]),
        (Call::MemoryRead, [half, 0, LENT, 8]),
        (Call::MemoryWrite, [half, 0, LENT, 8]),
        (Call::MemoryClone, [half, QUOTA, 0, 1]),
        (Call::Derive, [half, 0, 0, 0]),
    ] {
        assert_eq!(s.w.err(other, call, &args), Error::NoRight, "{}", call.name());
    }
    for protection in [1, 2, 4] {
        let args = [SPACE, half, 0, 0, PAGE, protection];
        assert_eq!(s.w.err(other, Call::SpaceMap, &args), Error::NoRight);
    }
    s.w.kernel.machine.interrupt_every(1);
    let mut steps = 1;
    while s.again(Call::MemoryCreate) {
        steps += 1;
    }
    s.calm();
    assert_eq!(steps, 7, "a page a step");
    assert_eq!(s.w.outcome(s.thread), Outcome::Done([half, 8, RUN, 0]), "the last argument is 0 again");
    assert_eq!(s.w.ok(other, Call::MemoryInfo, &[half])[..3], [8, 8, RUN]);
    let [kind_rights, ..] = s.w.ok(other, Call::Inspect, &[half]);
    let rights = Rights::from_bits_truncate((kind_rights >> 8) as u16);
    assert!(rights.contains(Rights::READ | Rights::WRITE | Rights::DERIVE | Rights::TRANSFER));
    s.w.end();
}

#[test]
fn a_run_that_nobody_finishes_comes_whole_back() {
    let mut s = Scene::new();
    let keeper = s.w.process();
    let k = s.w.thread(keeper, 10);
    let quota = s.w.quota_handle(keeper);
    let [account, ..] = s.w.ok(k, Call::QuotaSplit, &[quota, 40, 0]);
    let mine = s.w.give(keeper, account, s.process);
    let before = s.w.ok(k, Call::QuotaInfo, &[account]);
    let free = s.w.kernel.frames.free();
    assert!(s.begin(Call::MemoryCreate, &[mine, 24, RUN]));
    assert!(s.again(Call::MemoryCreate) && s.again(Call::MemoryCreate));
    s.calm();
    assert!(s.w.ok(k, Call::QuotaInfo, &[account])[1] >= before[1] + 24, "all of it is paid for");
    let process = s.process;
    s.w.kill(process);
    assert_eq!(s.w.ok(k, Call::QuotaInfo, &[account]), before);
    assert!(s.w.kernel.frames.free() > free, "the process's own went too");
    s.w.end();
}

#[test]
fn only_what_is_half_made_is_finished() {
    let mut s = Scene::new();
    let [done, ..] = s.w.ok(s.thread, Call::MemoryCreate, &[QUOTA, 4, RUN]);
    let [plain, ..] = s.w.ok(s.thread, Call::MemoryCreate, &[QUOTA, 4, 0]);
    let [bare, ..] = s.w.ok(s.thread, Call::Derive, &[done, 0, 0, 0]);
    for word in [done, plain, bare, QUOTA, 77, u64::MAX] {
        assert_eq!(s.w.err(s.thread, Call::MemoryCreate, &[QUOTA, 4, RUN, word]), Error::BadArgument, "{word:#x}");
    }
    assert_eq!(s.w.ok(s.thread, Call::Inspect, &[bare])[0] >> 8, 0, "it has no more rights than before");
    s.w.end();
}

#[test]
fn a_clone_of_the_table_leaves_out_what_is_half_made() {
    let mut s = Scene::new();
    let other = s.w.thread(s.process, 10);
    assert!(s.begin(Call::MemoryCreate, &[QUOTA, 4, RUN]));
    let half = s.w.kernel.threads[s.thread].registers.r8.get();
    s.calm();
    s.w.kernel.user_write(s.process, LENT, b"copy").unwrap();
    let [child, ..] = s.w.ok(other, Call::ProcessCreate, &[QUOTA, LENT, 4, 10, 0]);
    s.w.ok(other, Call::TableClone, &[child, 0]);
    let copy = s.w.object::<Process>(s.process, child);
    let handle = Handle::from_word(half).unwrap();
    assert_eq!(s.w.kernel.lookup_any(copy, handle).map(|_| ()), Err(Error::BadHandle));
    while s.again(Call::MemoryCreate) {}
    assert!(matches!(s.w.outcome(s.thread), Outcome::Done(_)));
    s.w.end();
}

#[test]
fn protecting_goes_on_where_it_stopped() {
    let mut s = Scene::new();
    let [memory, ..] = s.w.ok(s.thread, Call::MemoryCreate, &[QUOTA, 100, 0]);
    let [at, ..] = s.w.ok(s.thread, Call::SpaceMap, &[SPACE, memory, 0, 0, 100 * PAGE, 3]);
    for page in 0..100 {
        s.w.kernel.user_write(s.process, at + page * PAGE, &[1]).unwrap();
        let space = s.w.kernel.processes[s.process].space.get().unwrap();
        s.w.kernel.resolve_fault(space, at + page * PAGE, kernel_core::mm::fault::Access::Write).unwrap();
    }
    assert!(s.begin(Call::SpaceProtect, &[SPACE, at, 90 * PAGE, READ]));
    let writable =
        |s: &Scene| (0..100).filter(|n| s.w.kernel.user_write(s.process, at + n * PAGE, &[2]).is_ok()).count();
    let mut left = writable(&s);
    assert!(left > 10 && left < 100);
    while s.again(Call::SpaceProtect) {
        let now = writable(&s);
        assert!(now < left, "every step gets on");
        left = now;
    }
    s.calm();
    assert_eq!(writable(&s), 10);
    assert!(matches!(s.w.outcome(s.thread), Outcome::Done(_)));
    // Killed in the midst: the process's memory and all else comes back (checked by `end`).
    assert!(s.begin(Call::SpaceProtect, &[SPACE, at, 90 * PAGE, 0]));
    s.calm();
    let process = s.process;
    s.w.kill(process);
    s.w.end();
}

#[test]
fn a_clone_leaves_the_register_of_its_progress_as_it_was() {
    let mut s = Scene::new();
    let [run, ..] = s.w.ok(s.thread, Call::MemoryCreate, &[QUOTA, 12, RUN]);
    assert!(s.begin(Call::MemoryClone, &[run, QUOTA, 0, 12]));
    while s.again(Call::MemoryClone) {}
    s.calm();
    assert!(matches!(s.w.outcome(s.thread), Outcome::Done(_)));
    assert_eq!(s.w.kernel.threads[s.thread].registers.r9.get(), 0);
    let clone = s.w.kernel.threads[s.thread].registers.rdi.get();
    let id = s.w.object::<Memory>(s.process, clone);
    assert_eq!(s.w.kernel.memories[id].resident.get(), 12);
    assert!(s.w.kernel.user_read(s.process, MEMORY, &mut [0]).is_ok());
    s.w.end();
}

#[test]
fn a_clone_that_is_half_made_can_not_be_touched() {
    let mut s = Scene::new();
    let other = s.w.thread(s.process, 10);
    let [memory, ..] = s.w.ok(s.thread, Call::MemoryCreate, &[QUOTA, 64, RUN]);
    assert!(s.begin(Call::MemoryClone, &[memory, QUOTA, 0, 64]));
    let half = s.w.kernel.threads[s.thread].registers.r9.get();
    s.calm();
    s.w.kernel.user_write(s.process, LENT, b"too early").unwrap();
    for call in [Call::MemoryWrite, Call::MemoryRead] {
        assert_eq!(s.w.err(other, call, &[half, 63 * PAGE, LENT, 8]), Error::NoRight);
    }
    while s.again(Call::MemoryClone) {}
    assert!(matches!(s.w.outcome(s.thread), Outcome::Done(_)));
    s.w.ok(other, Call::MemoryWrite, &[half, 63 * PAGE, LENT, 8]);
    s.w.end();
}

#[test]
fn what_a_clone_of_a_space_has_touched_already_is_kept() {
    let mut s = Scene::new();
    let [memory, ..] = s.w.ok(s.thread, Call::MemoryCreate, &[QUOTA, 64, 0]);
    let [at, ..] = s.w.ok(s.thread, Call::SpaceMap, &[SPACE, memory, 0x5000_0000, 0, 64 * PAGE, 3]);
    for page in 0..64 {
        s.w.kernel.user_write(s.process, at + page * PAGE, &[1]).unwrap();
    }
    s.w.kernel.user_write(s.process, LENT, b"copy").unwrap();
    let [child, space, ..] = s.w.ok(s.thread, Call::ProcessCreate, &[QUOTA, LENT, 4, 10, 0]);
    let copy = s.w.object::<Process>(s.process, child);
    assert!(s.begin(Call::SpaceClone, &[SPACE, space, 0]));
    // Somebody in the new process is faster than the clone.
    while s.w.kernel.user_write(copy, at + 63 * PAGE, &[2]).is_err() {
        assert!(s.again(Call::SpaceClone));
    }
    while s.again(Call::SpaceClone) {}
    s.calm();
    let byte = |s: &Scene, process, page: u64| {
        let mut byte = [0];
        s.w.kernel.user_read(process, at + page * PAGE, &mut byte).unwrap();
        byte[0]
    };
    assert_eq!((byte(&s, copy, 62), byte(&s, copy, 63), byte(&s, s.process, 63)), (1, 2, 1));
    s.w.end();
}
