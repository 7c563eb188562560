//! Which processor a thread runs on: where it wakes, who takes it, what binds
//! it, and how it is taken off.

use abi::call::Call;
use abi::{Error, Kind, Rights};
use kernel_core::address::CpuId;
use kernel_core::id::Id;
use kernel_core::object::{Process, ProcessState, Thread, ThreadState};
use kernel_core::test_machine::TestMachine;
use kernel_core::world::{Outcome, World};
use kernel_core::Next;

/// Four processors and a process.
struct Four {
    world: World,
    process: Id<Process>,
}

impl Four {
    fn new() -> Four {
        let mut world = World::on(TestMachine::kernel_on(2048, 4));
        let process = world.process();
        Four { world, process }
    }

    fn thread(&mut self, priority: u8) -> Id<Thread> {
        self.world.thread(self.process, priority)
    }

    /// A processor enters the kernel with nothing to say, and leaves it.
    fn turn(&mut self, cpu: u8) -> Next {
        let kernel = &mut self.world.kernel;
        kernel.machine.cpu.set(cpu);
        let mut next = kernel.leave(CpuId(cpu));
        // As the machine layer does: what came by a direct switch and may not stay goes.
        while let Next::Run(id) = next {
            if kernel.threads[id].may_run_on(CpuId(cpu)) {
                break;
            }
            next = kernel.reschedule(CpuId(cpu));
        }
        kernel.machine.cpu.set(0);
        next
    }

    fn cpu_of(&self, thread: Id<Thread>) -> u8 {
        self.world.kernel.threads[thread].cpu.get().0
    }

    fn state(&self, thread: Id<Thread>) -> ThreadState {
        self.world.kernel.threads[thread].state.get()
    }

    fn kicked(&self) -> Vec<u8> {
        self.world.kernel.machine.kicked.take()
    }

    fn drawn_in(&self) -> Vec<u8> {
        self.world.kernel.machine.drawn_in.take()
    }

    fn capability(&mut self, thread: Id<Thread>) -> u64 {
        let handle = self.world.kernel.cap_insert(self.process, Kind::Thread, thread.raw(), Rights::all(), None);
        handle.expect("there is room").word()
    }
}

#[test]
fn threads_wake_on_idle_processors_which_are_told() {
    let mut four = Four::new();
    let threads: Vec<_> = (0..4).map(|_| four.thread(10)).collect();
    let mut on: Vec<u8> = threads.iter().map(|id| four.cpu_of(*id)).collect();
    on.sort_unstable();
    assert_eq!(on, [0, 1, 2, 3]);
    let mut kicked = four.kicked();
    kicked.sort_unstable();
    assert_eq!(kicked, [1, 2, 3], "the processor at hand looks by itself");
    for cpu in 0..4 {
        assert!(matches!(four.turn(cpu), Next::Run(id) if four.cpu_of(id) == cpu));
    }
}

#[test]
fn a_thread_stays_where_it_ran_while_it_can_run_there_at_once() {
    let mut four = Four::new();
    let low: Vec<_> = (0..4).map(|_| four.thread(10)).collect();
    (0..4).for_each(|cpu| {
        let _ = four.turn(cpu);
    });
    let high = four.thread(20);
    let home = four.cpu_of(high);
    assert_eq!(home, 0, "its first processor, whose thread is less urgent");
    assert_eq!(four.turn(home), Next::Run(high));
    // What it put aside goes nowhere: everyone else has something as urgent.
    assert_eq!(four.cpu_of(low[0]), 0);
    assert_eq!(four.state(low[0]), ThreadState::Ready);
}

#[test]
fn an_idle_processor_takes_the_most_urgent_that_waits_elsewhere_and_may_run_there() {
    let mut four = Four::new();
    let running: Vec<_> = (0..4).map(|_| four.thread(50)).collect();
    (0..4).for_each(|cpu| {
        let _ = four.turn(cpu);
    });
    let (low, high, bound) = (four.thread(10), four.thread(20), four.thread(30));
    let bound_cap = four.capability(bound);
    let caller = running[0];
    four.world.ok(caller, Call::ThreadAffinity, &[bound_cap, 1]);
    four.turn(0);
    // The thread on processor 3 ends: it takes the more urgent of the two that are not bound elsewhere.
    let on_3 = *running.iter().find(|id| four.cpu_of(**id) == 3).expect("one is there");
    four.world.kernel.machine.cpu.set(3);
    four.world.kernel.thread_end(on_3);
    assert_eq!(four.turn(3), Next::Run(high));
    assert_eq!((four.state(low), four.state(bound)), (ThreadState::Ready, ThreadState::Ready));
}

#[test]
fn a_bound_thread_goes_where_it_is_bound_to() {
    let mut four = Four::new();
    let (caller, other) = (four.thread(10), four.thread(10));
    (0..4).for_each(|cpu| {
        let _ = four.turn(cpu);
    });
    let cap = four.capability(other);
    assert_eq!(four.cpu_of(other), 1);
    four.kicked();
    four.world.ok(caller, Call::ThreadAffinity, &[cap, 1 << 3]);
    assert_eq!(four.kicked(), [1], "the one that runs it has to let it go");
    assert_eq!(four.turn(1), Next::Idle);
    assert_eq!((four.cpu_of(other), four.kicked()), (3, vec![3]));
    assert_eq!(four.turn(3), Next::Run(other));
    // Processors that there are not.
    assert_eq!(four.world.err(caller, Call::ThreadAffinity, &[cap, 1 << 4]), Error::BadArgument);
    assert_eq!(four.world.err(caller, Call::ThreadAffinity, &[cap, 1 << 63]), Error::BadArgument);
    // Bound to none in particular it stays.
    four.world.ok(caller, Call::ThreadAffinity, &[cap, 0]);
    assert_eq!(four.turn(3), Next::Run(other));
    four.world.kernel.machine.cpu.set(0);
    four.world.kernel.thread_end(other);
    assert_eq!(four.world.err(caller, Call::ThreadAffinity, &[cap, 1]), Error::Closed);
}

#[test]
fn a_thread_that_runs_elsewhere_is_drawn_in_before_it_is_touched() {
    let mut four = Four::new();
    let (caller, other) = (four.thread(10), four.thread(10));
    (0..4).for_each(|cpu| {
        let _ = four.turn(cpu);
    });
    let cap = four.capability(other);
    let rip = four.world.kernel.threads[other].registers.rip.get();
    // In the middle of its code: it goes on there. About to make a call: it makes it again.
    for (about, want) in [(false, rip), (true, rip - 2)] {
        four.world.kernel.machine.about_to_call.set(about);
        four.world.ok(caller, Call::ThreadSuspend, &[cap]);
        assert_eq!(four.drawn_in(), [1]);
        assert_eq!(four.state(other), ThreadState::Suspended);
        assert_eq!(four.world.kernel.threads[other].registers.rip.get(), want);
        assert_eq!(four.turn(1), Next::Idle, "its processor has lost it");
        four.world.ok(caller, Call::ThreadResume, &[cap]);
        assert_eq!(four.turn(1), Next::Run(other));
    }
    four.world.kernel.thread_end(other);
    assert_eq!(four.drawn_in(), [1]);
    assert_eq!(four.turn(1), Next::Idle);
}

#[test]
fn nothing_of_a_process_that_ended_runs_on_any_processor() {
    let mut four = Four::new();
    let other = four.world.process();
    let caller = four.thread(10);
    let victims: Vec<_> = (0..3).map(|_| four.world.thread(other, 10)).collect();
    (0..4).for_each(|cpu| {
        let _ = four.turn(cpu);
    });
    four.world.kernel.process_end(other, ProcessState::Killed, 0);
    let mut drawn = four.drawn_in();
    drawn.sort_unstable();
    assert_eq!(drawn, [1, 2, 3]);
    for (cpu, victim) in (1..4).zip(victims) {
        assert!(!four.world.kernel.threads.is_used(victim));
        assert_eq!(four.turn(cpu), Next::Idle);
    }
    assert_eq!(four.turn(0), Next::Run(caller));
}

#[test]
fn who_waits_for_the_kernel_goes_before_what_is_left_to_reap() {
    let mut four = Four::new();
    let caller = four.thread(10);
    four.turn(0);
    let other = four.world.process();
    four.world.thread(other, 10);
    four.world.kernel.process_end(other, ProcessState::Killed, 0);
    four.world.kernel.machine.wanted.set(true);
    assert_eq!(four.turn(0), Next::Again);
    four.world.kernel.machine.wanted.set(false);
    assert_eq!(four.turn(0), Next::Run(caller));
    assert!(!four.world.kernel.reap_pending());
    assert_eq!(four.world.call(caller, Call::Clock, &[]), Outcome::Done([1000, 0, 0, 0]));
}
