//! The rules of the scheduler: priorities, slices, deadlines, timers, and
//! urgency lent along calls.

use crate::kit::{extras, failed, Pair};
use abi::call::Call;
use abi::message::buffer;
use abi::{Error, Rights};
use kernel_core::id::Id;
use kernel_core::kernel::Next;
use kernel_core::object::{ProcessState, Thread, ThreadState};
use kernel_core::sched::SLICE_NS;
use kernel_core::world::{Outcome, World, CPU};

#[test]
fn the_most_urgent_ready_thread_runs_and_equals_take_turns_of_a_slice() {
    let mut w = World::new();
    let process = w.process();
    let low = w.thread(process, 5);
    let a = w.thread(process, 10);
    let b = w.thread(process, 10);
    assert_eq!(w.kernel.reschedule(CPU), Next::Run(a));
    let end = w.kernel.machine.timer().expect("someone else wants the turn");
    assert_eq!(end, w.now() + SLICE_NS);
    assert_eq!(w.time(end), Next::Run(b));
    let end = w.kernel.machine.timer().expect("armed again");
    assert_eq!(w.time(end), Next::Run(a));
    // Alone, nothing ticks.
    w.waits(b, Call::Sleep, &[end + 100 * SLICE_NS]);
    assert_eq!(w.kernel.settle(CPU), Next::Run(a));
    w.time(end + SLICE_NS);
    assert_eq!(w.kernel.machine.timer(), Some(end + 100 * SLICE_NS));
    w.waits(a, Call::Sleep, &[end + 200 * SLICE_NS]);
    assert_eq!(w.kernel.settle(CPU), Next::Run(low));
    w.end();
}

#[test]
fn an_interrupted_slice_is_finished_before_the_next_begins() {
    let mut w = World::new();
    let process = w.process();
    let a = w.thread(process, 10);
    let b = w.thread(process, 10);
    let urgent = w.thread(process, 20);
    let begin = w.now();
    w.waits(urgent, Call::Sleep, &[begin + SLICE_NS / 4]);
    assert_eq!(w.kernel.settle(CPU), Next::Run(a));
    assert_eq!(w.time(begin + SLICE_NS / 4), Next::Run(urgent));
    w.waits(urgent, Call::Sleep, &[begin + 100 * SLICE_NS]);
    assert_eq!(w.kernel.settle(CPU), Next::Run(a), "its turn is not over");
    let end = w.kernel.machine.timer().expect("contested");
    assert_eq!(end, begin + SLICE_NS);
    assert_eq!(w.time(end), Next::Run(b));
}

#[test]
fn yield_lets_equals_run_and_nobody_else() {
    let mut w = World::new();
    let process = w.process();
    let a = w.thread(process, 10);
    let b = w.thread(process, 10);
    w.thread(process, 9);
    w.ok(a, Call::ThreadYield, &[]);
    assert_eq!(w.kernel.current(CPU), Some(b));
    w.ok(b, Call::ThreadYield, &[]);
    assert_eq!(w.kernel.current(CPU), Some(a));
    let later = w.now() + SLICE_NS;
    w.waits(b, Call::Sleep, &[later]);
    w.ok(a, Call::ThreadYield, &[]);
    assert_eq!(w.kernel.current(CPU), Some(a));
}

#[test]
fn what_is_left_to_be_reaped_waits_for_a_more_urgent_thread_and_for_no_other() {
    let mut w = World::new();
    let process = w.process();
    let (low, equal) = (w.thread(process, 5), w.thread(process, 5));
    let urgent = w.thread(process, 20);
    let begin = w.now();
    w.waits(urgent, Call::Sleep, &[begin + 1000]);
    let quota = w.quota_handle(process);
    let [root, ..] = w.ok(low, Call::NotificationCreate, &[quota]);
    for _ in 0..200 {
        w.ok(low, Call::Derive, &[root, u64::from(Rights::all().bits())]);
    }
    // The timer's interrupt cuts it short, again and again.
    w.kernel.machine.interrupt_every(1);
    w.call(low, Call::Revoke, &[root]);
    assert!(w.kernel.reap_pending());
    assert_eq!(w.time(begin + 1000), Next::Run(urgent));
    w.kernel.machine.interrupt_every(0);
    w.ok(urgent, Call::Clock, &[]);
    assert_eq!(w.kernel.current(CPU), Some(urgent));
    assert!(w.kernel.reap_pending(), "it is as urgent as who left it");
    // When it waits, all is seen to before one of the others runs.
    w.waits(urgent, Call::Sleep, &[begin + 2000]);
    assert!(!w.kernel.reap_pending());
    assert!(w.kernel.current(CPU).is_some_and(|next| next == low || next == equal));
    // What is left next is as urgent as who leaves it then.
    assert_eq!(w.kernel.reaper.urgency.get(), 0);
}

#[test]
fn threads_of_a_process_that_ends_are_taken_off_one_between_two_interrupts() {
    let mut w = World::new();
    let (killer, victim) = (w.process(), w.process());
    let low = w.thread(killer, 5);
    let threads: Vec<_> = (0..8).map(|_| w.thread(victim, 9)).collect();
    w.force(low);
    w.kernel.machine.interrupt_every(1);
    w.kernel.process_end(victim, ProcessState::Killed, 0);
    let mut rounds = 0;
    while w.kernel.reap_pending() {
        // Nobody of them runs, whatever comes between.
        let next = w.kernel.leave(CPU);
        assert!(threads.iter().all(|thread| next != Next::Run(*thread)));
        rounds += 1;
        // One by a step of the reaper, one that was picked.
        let lives = w.kernel.processes.is_used(victim);
        let left = if lives { w.kernel.processes[victim].thread_count.get() as usize } else { 0 };
        let ended = threads.len() - left;
        assert!(ended <= 2 * rounds, "{ended} in {rounds} rounds");
    }
    w.kernel.machine.interrupt_every(0);
    assert_eq!(w.kernel.leave(CPU), Next::Run(low));
}

#[test]
fn nobody_waits_while_something_is_left_to_be_reaped() {
    let mut w = World::new();
    let victim = w.process();
    w.thread(victim, 9);
    w.kernel.machine.interrupt_every(1);
    w.kernel.process_end(victim, ProcessState::Killed, 0);
    let mut rounds = 0;
    while w.kernel.reap_pending() {
        // The interrupt that stopped the reaping may be none that ends a wait.
        let next = w.kernel.leave(CPU);
        assert_eq!(next, if w.kernel.reap_pending() { Next::Again } else { Next::Idle });
        rounds += 1;
    }
    assert!(rounds > 1, "it was stopped in between");
}

#[test]
fn nothing_to_run_is_idle_until_the_first_deadline() {
    let mut w = World::new();
    let process = w.process();
    let a = w.thread(process, 10);
    let b = w.thread(process, 10);
    let now = w.now();
    w.waits(a, Call::Sleep, &[now + 500]);
    w.waits(b, Call::Sleep, &[now + 500]);
    assert_eq!(w.kernel.settle(CPU), Next::Idle);
    assert_eq!(w.kernel.machine.timer(), Some(now + 500));
    assert_eq!(w.time(now + 499), Next::Idle);
    assert_eq!(w.kernel.machine.timer(), Some(now + 500), "armed again");
    assert!(matches!(w.time(now + 510), Next::Run(_)));
    assert!(matches!((w.outcome(a), w.outcome(b)), (Outcome::Done(_), Outcome::Done(_))));
    w.kernel.time_charge();
    assert_eq!(w.kernel.here().idle_ns.get(), now + 510);
}

#[test]
fn sleeping_until_now_or_before_is_no_wait_and_the_clock_tells_the_time() {
    let mut w = World::new();
    let process = w.process();
    let a = w.thread(process, 10);
    let now = w.ok(a, Call::Clock, &[])[0];
    w.ok(a, Call::Sleep, &[0]);
    w.ok(a, Call::Sleep, &[now]);
    w.ok(a, Call::Sleep, &[now - 1]);
    w.waits(a, Call::Sleep, &[u64::MAX]);
}

#[test]
fn many_deadlines_at_once_are_served_in_portions_and_none_is_lost() {
    let mut w = World::new();
    let threads: Vec<_> = (0..40)
        .map(|n| {
            let process = if n % 8 == 0 { w.process() } else { w.kernel.processes.iter_used().last().expect("one") };
            w.thread(process, 10)
        })
        .collect();
    let at = w.now() + 1_000;
    for thread in &threads {
        w.waits(*thread, Call::Sleep, &[at]);
    }
    let mut rounds = 0;
    while let Some(next) = w.kernel.machine.timer().filter(|t| *t <= at + 40) {
        w.time(next.max(at + 40));
        rounds += 1;
        assert!(rounds < 10);
    }
    assert!(rounds > 1);
    assert!(threads.iter().all(|t| matches!(w.outcome(*t), Outcome::Done(_))));
    w.end();
}

#[test]
fn timers_set_bits_at_their_time_and_can_be_moved_and_disarmed() {
    let mut p = Pair::new();
    let bell = p.w.ok(p.s, Call::NotificationCreate, &[p.quota])[0];
    let now = p.w.now();
    p.w.ok(p.s, Call::TimerSet, &[bell, 4, now + 100]);
    p.w.ok(p.s, Call::TimerSet, &[bell, 8, now + 200]);
    p.w.waits(p.s, Call::Wait, &[bell, now + 300]);
    p.w.time(now + 150);
    assert_eq!(p.state(p.s), ThreadState::Waiting);
    p.w.time(now + 200);
    assert_eq!(p.w.outcome(p.s), Outcome::Done([8, now + 300, 0, 0]));
    p.w.ok(p.s, Call::TimerSet, &[bell, 16, now + 250]);
    p.w.ok(p.s, Call::TimerSet, &[bell, 0, 0]);
    p.w.waits(p.s, Call::Wait, &[bell, now + 300]);
    p.w.time(now + 299);
    assert_eq!(p.state(p.s), ThreadState::Waiting);
    p.w.time(now + 300);
    assert_eq!(failed(p.w.outcome(p.s)), Some(Error::TimedOut));
    p.w.ok(p.s, Call::TimerSet, &[bell, 32, now]);
    assert_eq!(p.w.ok(p.s, Call::Wait, &[bell, 0])[0], 32, "a time that has passed");
    p.w.ok(p.s, Call::TimerSet, &[bell, 1, now + 10_000]);
    p.w.end();
}

#[test]
fn every_wait_ends_at_its_deadline() {
    let mut p = Pair::new();
    let mut at = p.w.now();
    for (call, thread, handle) in
        [(Call::Call, p.c, p.session), (Call::Send, p.c, p.session), (Call::Recv, p.s, p.endpoint)]
    {
        at += 1_000;
        p.w.buffer_set(thread, buffer::DEADLINE, at);
        p.w.waits(thread, call, &[handle, 0, extras(0, 0, true), p.reply]);
        p.w.time(at - 1);
        assert_eq!(p.w.outcome(thread), Outcome::Waits);
        p.w.time(at);
        assert_eq!(failed(p.w.outcome(thread)), Some(Error::TimedOut), "{}", call.name());
        // One that has passed already is no wait at all.
        assert_eq!(p.w.err(thread, call, &[handle, 0, extras(0, 0, true), p.reply]), Error::TimedOut);
    }
    // An answer comes with a deadline for the next receive, which has passed: the answer counts.
    p.client_calls(0);
    p.server_receives();
    assert_eq!(p.w.err(p.s, Call::ReplyRecv, &[p.endpoint, 5, extras(0, 0, true), p.reply]), Error::TimedOut);
    assert!(matches!(p.w.outcome(p.c), Outcome::Done([0, 5, ..])));
    // What came in time has no deadline any more.
    at = p.w.now() + 1_000;
    p.w.buffer_set(p.c, buffer::DEADLINE, at);
    p.w.waits(p.c, Call::Call, &[p.session, 0, extras(0, 0, true)]);
    p.server_receives();
    p.server_replies(0);
    p.w.time(at);
    assert!(matches!(p.w.outcome(p.c), Outcome::Done(_)));
    p.w.end();
}

#[test]
fn a_direct_switch_never_goes_past_a_more_urgent_thread() {
    let mut p = Pair::with(World::new(), [1, 10, 20]);
    p.server_waits();
    p.client_calls(0);
    // While the server works at 20, someone of 15 wakes; the caller's answer makes it run first nevertheless.
    let between = p.w.thread(p.keeper, 15);
    p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 0, 0, p.reply]);
    assert_eq!(p.running(), Some(p.c));
    // A caller less urgent than the one that is ready has to wait for its answer's sake.
    let (_, low, session) = p.another_client(100, 5);
    p.w.waits(low, Call::Call, &[session, 0, 0]);
    p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 0, 0, p.reply]);
    assert_ne!(p.running(), Some(low));
    assert_eq!(p.state(low), ThreadState::Ready);
    let _ = between;
}

#[test]
fn equals_that_only_call_each_other_do_not_starve_a_third() {
    let mut p = Pair::with(World::new(), [1, 10, 10]);
    let third = p.w.thread(p.keeper, 10);
    p.server_waits();
    let mut turns = 0;
    while p.running() != Some(third) {
        // A call and its answer take a millisecond each.
        let thread = p.running().expect("someone runs");
        if thread == p.c {
            p.client_calls(0);
        } else if thread == p.s {
            p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 0, 0, p.reply]);
        } else {
            p.w.waits(thread, Call::Sleep, &[u64::MAX]);
        }
        let now = p.w.now() + 1_000_000;
        p.w.kernel.machine.set_now(now);
        if p.w.kernel.machine.timer().is_some_and(|t| t <= now) {
            p.w.time(now);
        }
        turns += 1;
        assert!(turns < 30, "its turn never comes");
    }
}

#[test]
fn time_is_charged_to_the_process_whose_slice_it_is() {
    let mut p = Pair::new();
    p.server_waits();
    p.w.waits(p.k, Call::Sleep, &[u64::MAX]);
    p.w.kernel.settle(CPU);
    p.w.kernel.time_charge();
    let before = |p: &Pair, process| p.w.kernel.processes[process].run_time_ns.get();
    let (client, server) = (before(&p, p.client), before(&p, p.server));
    p.client_calls(0);
    let now = p.w.now() + 5_000;
    p.w.kernel.machine.set_now(now);
    p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 0, 0, p.reply]);
    p.w.kernel.time_charge();
    assert_eq!((before(&p, p.client), before(&p, p.server)), (client + 5_000, server), "on the caller's time");
}

/// A server of 20 that answers a client of 5, and has woken a thread of `other` in between, all in the order that the
/// scheduler itself picks. Answers the world, the client and the other thread.
fn answered_with_another_awake(other: u8) -> (Pair, Id<Thread>) {
    let mut p = Pair::with(World::new(), [1, 20, 5]);
    let bell = p.w.ok(p.s, Call::NotificationCreate, &[p.quota])[0];
    let given = p.w.give(p.server, bell, p.keeper);
    let between = p.w.thread(p.keeper, other);
    p.w.waits(between, Call::Wait, &[given, 0]);
    p.server_waits();
    p.w.kernel.settle(CPU);
    assert_eq!(p.running(), Some(p.c));
    p.client_calls(0);
    p.w.ok(p.s, Call::Notify, &[bell, 1]);
    assert_eq!(p.running(), Some(p.s));
    p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 0, 0, p.reply]);
    (p, between)
}

#[test]
fn an_answer_leaves_the_processor_to_a_more_urgent_thread_that_woke_meanwhile() {
    let (p, between) = answered_with_another_awake(15);
    assert_eq!(p.running(), Some(between));
    assert_eq!(p.state(p.c), ThreadState::Ready);
}

#[test]
fn an_answer_to_one_of_equals_has_the_end_of_its_slice_watched() {
    let (mut p, between) = answered_with_another_awake(5);
    let first = p.running();
    let end = p.w.kernel.machine.timer().expect("someone waits for the turn");
    assert!(end <= p.w.now() + SLICE_NS);
    p.w.time(end);
    assert_ne!(p.running(), first);
    assert!([Some(p.c), Some(between)].contains(&p.running()));
}

#[test]
fn a_receive_that_a_call_ended_has_no_deadline_any_more() {
    let mut p = Pair::new();
    let at = p.w.now() + 1_000;
    p.w.buffer_set(p.s, buffer::DEADLINE, at);
    p.w.waits(p.s, Call::Recv, &[p.endpoint, 0, extras(0, 0, true), p.reply]);
    p.client_calls(1);
    assert!(matches!(p.w.outcome(p.s), Outcome::Done(_)));
    p.w.time(at);
    assert!(matches!(p.w.outcome(p.s), Outcome::Done(_)));
    p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 2, 0, p.reply]);
    assert!(matches!(p.w.outcome(p.c), Outcome::Done([0, 2, ..])));
}
