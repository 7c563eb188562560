//! The rules of futexes.

use crate::kit::Pair;
use abi::call::Call;
use abi::message::LeaseAccess;
use abi::{Error, Handle};
use kernel_core::object::ThreadState;
use kernel_core::world::{Outcome, World, LENT, MEMORY, PAGES};

const QUOTA: u64 = Handle::SELF_QUOTA.0 as u64;
const SPACE: u64 = Handle::SELF_SPACE.0 as u64;

/// Whether a wait was answered with success.
fn woken(w: &World, t: kernel_core::id::Id<kernel_core::object::Thread>) -> bool {
    matches!(w.outcome(t), Outcome::Done(_))
}

#[test]
fn a_wait_looks_at_the_value_and_ends_by_a_wake_a_deadline_or_a_cancellation() {
    let mut p = Pair::new();
    let other = p.c_other();
    p.w.kernel.user_write(p.client, LENT, &[7, 0, 0, 0, 9, 0, 0, 0x80]).unwrap();
    assert_eq!(p.w.err(p.c, Call::FutexWait, &[LENT, 8, 0]), Error::WouldBlock);
    assert_eq!(p.w.err(p.c, Call::FutexWait, &[LENT, 8 | 7 << 32, 0]), Error::BadArgument);
    assert_eq!(p.w.err(p.c, Call::FutexWait, &[LENT, 7, 1]), Error::TimedOut);
    p.w.waits(p.c, Call::FutexWait, &[LENT, 7, 0]);
    // Not the neighbour, whose value is another.
    assert_eq!(p.w.ok(other, Call::FutexWake, &[LENT + 4, 1])[0], 0);
    assert_eq!(p.w.ok(other, Call::FutexWake, &[LENT, 0])[0], 0);
    assert_eq!(p.state(p.c), ThreadState::FutexWaiting);
    assert_eq!(p.w.ok(other, Call::FutexWake, &[LENT, 5])[0], 1);
    assert!(woken(&p.w, p.c));
    p.w.waits(p.c, Call::FutexWait, &[LENT + 4, 0x8000_0009, 5_000_000]);
    p.w.time(5_000_000);
    assert_eq!(p.w.outcome(p.c), Outcome::Failed(Error::TimedOut));
    p.w.waits(p.c, Call::FutexWait, &[LENT, 7, 6_000_000]);
    p.w.kernel.thread_cancel_wait(p.c).unwrap();
    p.w.check();
    assert_eq!(p.w.outcome(p.c), Outcome::Failed(Error::Cancelled));
    assert_eq!(p.w.ok(other, Call::FutexWake, &[LENT, 5])[0], 0);
    p.w.end();
}

#[test]
fn words_are_aligned_and_in_memory_of_ones_own() {
    let mut p = Pair::new();
    let end = MEMORY + PAGES * 4096;
    let read_only = p.w.ok(p.c, Call::MemoryCreate, &[QUOTA, 1, 0])[0];
    let at = p.w.ok(p.c, Call::SpaceMap, &[SPACE, read_only, 0, 0, 4096, 1])[0];
    for bad in [1, 2, 3] {
        assert_eq!(p.w.err(p.c, Call::FutexWait, &[LENT + bad, 0, 0]), Error::BadArgument);
        assert_eq!(p.w.err(p.c, Call::FutexWake, &[LENT + bad, 0]), Error::BadArgument);
        assert_eq!(p.w.err(p.c, Call::FutexRequeue, &[LENT + bad, 0, 1, LENT, 1]), Error::BadArgument);
        assert_eq!(p.w.err(p.c, Call::FutexRequeue, &[LENT, 0, 1, LENT + bad, 1]), Error::BadArgument);
    }
    for bad in [end, 0, 1 << 63, u64::MAX - 3] {
        assert_eq!(p.w.err(p.c, Call::FutexWait, &[bad, 0, 0]), Error::BadAddress);
        assert_eq!(p.w.err(p.c, Call::FutexWake, &[bad, 0]), Error::BadAddress);
        assert_eq!(p.w.err(p.c, Call::FutexRequeue, &[bad, 0, 1, LENT, 1]), Error::BadAddress);
        assert_eq!(p.w.err(p.c, Call::FutexRequeue, &[LENT, 0, 1, bad, 1]), Error::BadAddress);
    }
    // What can be read can be waited at.
    let other = p.c_other();
    p.w.waits(p.c, Call::FutexWait, &[at, 0, 0]);
    assert_eq!(p.w.ok(other, Call::FutexWake, &[at, 1])[0], 1);
    // What was lent is someone else's.
    p.w.lend(p.c, 0, LENT, 4096, LeaseAccess::READ, 0);
    p.w.waits(p.c, Call::Call, &[p.session, 0, crate::kit::extras(0, 1, false)]);
    p.server_receives();
    let lent = p.w.ok(p.s, Call::LeaseMap, &[p.reply, 0, 0, 4096, 0, 1])[0];
    assert_eq!(p.w.err(p.s, Call::FutexWait, &[lent, 0, 0]), Error::BadAddress);
    assert_eq!(p.w.err(p.s, Call::FutexWake, &[lent, 0]), Error::BadAddress);
    p.server_replies(0);
    // A page that can't be charged.
    let root = p.w.quota_handle(p.client);
    let small = p.w.ok(p.c, Call::QuotaSplit, &[root, 1, 0])[0];
    let poor = p.w.ok(p.c, Call::MemoryCreate, &[small, 1, 0])[0];
    let at = p.w.ok(p.c, Call::SpaceMap, &[SPACE, poor, 0, 0, 4096, 3])[0];
    assert_eq!(p.w.err(p.c, Call::FutexWait, &[at, 0, 0]), Error::OutOfQuota);
    assert_eq!(p.w.err(p.c, Call::FutexRequeue, &[at, 0, 1, at + 4, 1]), Error::OutOfQuota);
    assert_eq!(p.w.ok(p.c, Call::FutexWake, &[at, 1])[0], 0, "a wake looks at no value");
    p.w.end();
}

#[test]
fn a_word_is_the_same_in_every_process_and_wherever_it_is_mapped() {
    let mut p = Pair::new();
    let memory = p.w.ok(p.c, Call::MemoryCreate, &[QUOTA, 2, 0])[0];
    let theirs = p.w.give(p.client, memory, p.server);
    let here = p.w.ok(p.c, Call::SpaceMap, &[SPACE, memory, 0, 0, 8192, 3])[0];
    let there = p.w.ok(p.s, Call::SpaceMap, &[SPACE, theirs, 0, 4096, 4096, 3])[0];
    p.w.waits(p.c, Call::FutexWait, &[here + 4096 + 8, 0, 0]);
    assert_eq!(p.w.ok(p.s, Call::FutexWake, &[there + 12, 9])[0], 0);
    assert_eq!(p.w.ok(p.s, Call::FutexWake, &[there + 8, 9])[0], 1);
    assert!(woken(&p.w, p.c));
    // The mapping goes while one waits: through another mapping it can be woken still.
    let other = p.c_other();
    p.w.waits(p.c, Call::FutexWait, &[here + 4096, 0, 0]);
    p.w.ok(other, Call::SpaceUnmap, &[SPACE, here, 8192]);
    p.w.ok(other, Call::Close, &[memory]);
    assert_eq!(p.w.ok(p.s, Call::FutexWake, &[there, 9])[0], 1);
    assert!(woken(&p.w, p.c));
    // The object goes from everywhere: the wait keeps it, and ends by its deadline; then it is gone.
    let memory = p.w.ok(p.c, Call::MemoryCreate, &[QUOTA, 1, 0])[0];
    let at = p.w.ok(p.c, Call::SpaceMap, &[SPACE, memory, 0, 0, 4096, 3])[0];
    p.w.waits(p.c, Call::FutexWait, &[at, 0, 9_000_000]);
    let before = p.w.kernel.memories.iter_used().count();
    p.w.ok(other, Call::SpaceUnmap, &[SPACE, at, 4096]);
    p.w.ok(other, Call::Close, &[memory]);
    assert_eq!(p.w.kernel.memories.iter_used().count(), before);
    p.w.time(9_000_000);
    assert_eq!(p.w.outcome(p.c), Outcome::Failed(Error::TimedOut));
    assert_eq!(p.w.kernel.memories.iter_used().count(), before - 1);
    p.w.end();
}

#[test]
fn the_most_urgent_is_woken_first_then_by_arrival() {
    let mut p = Pair::new();
    let threads: Vec<_> = [10, 30, 10, 20, 30].map(|n| p.w.thread(p.client, n)).to_vec();
    for t in &threads {
        p.w.waits(*t, Call::FutexWait, &[LENT, 0, 0]);
    }
    let order = |p: &mut Pair| {
        let mut order = Vec::new();
        while p.w.ok(p.c, Call::FutexWake, &[LENT, 1])[0] == 1 {
            order.extend((0..5).filter(|i| woken(&p.w, threads[*i]) && !order.contains(i)).collect::<Vec<_>>());
        }
        order
    };
    assert_eq!(order(&mut p), [1, 4, 3, 0, 2]);
    // A priority that changes while one waits changes its turn.
    for t in &threads {
        p.w.waits(*t, Call::FutexWait, &[LENT, 0, 0]);
    }
    p.w.kernel.thread_set_priority(threads[0], 40);
    p.w.kernel.thread_set_priority(threads[1], 1);
    p.w.check();
    assert_eq!(order(&mut p), [0, 4, 3, 2, 1]);
    p.w.end();
}

#[test]
fn a_requeue_wakes_some_and_moves_the_others() {
    let mut p = Pair::new();
    let threads: Vec<_> = (0..5).map(|_| p.c_other()).collect();
    for t in &threads {
        p.w.waits(*t, Call::FutexWait, &[LENT, 0, 0]);
    }
    assert_eq!(p.w.err(p.c, Call::FutexRequeue, &[LENT, 1, 1, LENT + 64, 2]), Error::WouldBlock);
    assert_eq!(p.w.err(p.c, Call::FutexRequeue, &[LENT, 1 << 32, 1, LENT + 64, 2]), Error::BadArgument);
    assert_eq!(p.w.err(p.c, Call::FutexRequeue, &[LENT, 0, 1, LENT, 2]), Error::BadArgument);
    assert_eq!(p.w.ok(p.c, Call::FutexRequeue, &[LENT, 0, 1, LENT + 64, 2])[..2], [1, 2]);
    assert!(woken(&p.w, threads[0]));
    assert_eq!(p.w.ok(p.c, Call::FutexWake, &[LENT, 1])[0], 1);
    assert!(woken(&p.w, threads[3]) && !woken(&p.w, threads[1]));
    assert_eq!(p.w.ok(p.c, Call::FutexWake, &[LENT + 64, 9])[0], 2);
    assert_eq!(p.w.ok(p.c, Call::FutexRequeue, &[LENT, 0, 0, LENT + 64, 9])[..2], [0, 1]);
    // To another object: the wait keeps that one, and lets the first go.
    let memory = p.w.ok(p.c, Call::MemoryCreate, &[QUOTA, 1, 0])[0];
    let at = p.w.ok(p.c, Call::SpaceMap, &[SPACE, memory, 0, 0, 4096, 3])[0];
    assert_eq!(p.w.ok(p.c, Call::FutexRequeue, &[LENT + 64, 0, 0, at, 9])[..2], [0, 1]);
    assert_eq!(p.w.ok(p.c, Call::FutexWake, &[at, 9])[0], 1);
    p.w.end();
}

#[test]
fn many_are_woken_and_moved_in_steps() {
    let mut p = Pair::new();
    let memory = p.w.ok(p.c, Call::MemoryCreate, &[QUOTA, 1, 0])[0];
    let mut threads = Vec::new();
    for _ in 0..10 {
        let process = p.w.process();
        let theirs = p.w.give(p.client, memory, process);
        for _ in 0..8 {
            let t = p.w.thread(process, 10);
            let at = match threads.len() % 8 {
                0 => p.w.ok(t, Call::SpaceMap, &[SPACE, theirs, 0x5000_0000, 0, 4096, 3])[0],
                _ => 0x5000_0000,
            };
            p.w.waits(t, Call::FutexWait, &[at, 0, 0]);
            threads.push(t);
        }
    }
    let at = p.w.ok(p.c, Call::SpaceMap, &[SPACE, memory, 0x5000_0000, 0, 4096, 3])[0];
    p.w.kernel.machine.interrupt_every(1);
    // Made again after each interrupt until it is done: rax is the call's number meanwhile.
    let finish = |p: &mut Pair, mut outcome: Outcome| {
        let mut rounds = 0;
        while p.w.kernel.threads[p.c].registers.rax.get() >= abi::call::FIRST {
            outcome = p.w.again(p.c);
            rounds += 1;
        }
        (outcome, rounds)
    };
    let first = p.w.call(p.c, Call::FutexRequeue, &[at, 0, 20, at + 4, 1 << 31]);
    let (outcome, rounds) = finish(&mut p, first);
    let Outcome::Done([20, 60, ..]) = outcome else { panic!("{outcome:?}") };
    assert!(rounds >= 4, "{rounds}");
    let r = &p.w.kernel.threads[p.c].registers;
    assert_eq!((r.rdx.get(), r.r9.get()), (20, 1 << 31), "no register but the results has changed");
    // The value may change while it is worked on.
    let first = p.w.call(p.c, Call::FutexWake, &[at + 4, u64::from(u32::MAX)]);
    let (outcome, rounds) = finish(&mut p, first);
    let Outcome::Done([60, ..]) = outcome else { panic!("{outcome:?}") };
    assert!(rounds >= 3, "{rounds}");
    assert!(threads.iter().all(|t| woken(&p.w, *t)));
    p.w.kernel.machine.interrupt_every(0);
    p.w.end();
}

#[test]
fn the_end_of_a_waiter_leaves_the_others_in_their_turn() {
    let mut p = Pair::new();
    let threads: Vec<_> = (0..5).map(|_| p.c_other()).collect();
    for t in &threads {
        p.w.waits(*t, Call::FutexWait, &[LENT, 0, 0]);
    }
    for (ended, next) in [(0, 1), (3, 2)] {
        p.w.kernel.thread_end(threads[ended]);
        p.w.check();
        assert_eq!(p.w.ok(p.c, Call::FutexWake, &[LENT, 1])[0], 1);
        assert!(woken(&p.w, threads[next]));
    }
    p.w.kill(p.client);
    p.w.end();
}
