//! The rules of event queues and readiness words.

use crate::kit::{Pair, BADGE};
use abi::call::Call;
use abi::event::{BATCH, HANG_UP, INTERESTS, MAX_CAPACITY};
use abi::{Error, Handle, Rights};
use kernel_core::id::Id;
use kernel_core::object::{Thread, ThreadState};
use kernel_core::world::{Outcome, LENT, MEMORY, PAGES};

const QUOTA: u64 = Handle::SELF_QUOTA.0 as u64;
const SPACE: u64 = Handle::SELF_SPACE.0 as u64;
const LEVEL: u64 = 0;
const EDGE: u64 = 1;
const ONCE: u64 = 2;
/// Does not wait.
const NOW: u64 = 1;
const HUNG: u64 = HANG_UP as u64;

/// A client with a queue, and a server whose sessions it watches.
pub struct Rig {
    pub p: Pair,
    pub queue: u64,
}

impl Rig {
    pub fn new() -> Rig {
        let mut p = Pair::new();
        let [queue, ..] = p.w.ok(p.c, Call::QueueCreate, &[QUOTA, 8]);
        Rig { p, queue }
    }
    fn add(&mut self, session: u64, key: u64, mask: u64, mode: u64) {
        self.p.w.ok(self.p.c, Call::QueueAdd, &[self.queue, session, key, mask, mode]);
    }
    fn ready(&mut self, badge: u64, set: u64, clear: u64) {
        self.p.w.ok(self.p.s, Call::SessionReady, &[self.p.endpoint, badge, set, clear]);
    }
    /// What is there to be told, without waiting.
    fn poll(&mut self) -> Vec<(u64, u64)> {
        self.poll_as(self.p.c, 64)
    }
    fn poll_as(&mut self, thread: Id<Thread>, capacity: u64) -> Vec<(u64, u64)> {
        match self.p.w.call(thread, Call::QueueWait, &[self.queue, LENT, capacity, NOW]) {
            Outcome::Done([count, ..]) => self.events(count),
            Outcome::Failed(Error::TimedOut) => Vec::new(),
            other => panic!("{other:?}"),
        }
    }
    fn events(&self, count: u64) -> Vec<(u64, u64)> {
        let mut words = vec![0; count as usize * 2];
        self.p.w.kernel.user_read_words(self.p.client, LENT, &mut words).unwrap();
        words.chunks(2).map(|pair| (pair[0], pair[1])).collect()
    }
    fn waits(&mut self, thread: Id<Thread>) {
        self.p.w.waits(thread, Call::QueueWait, &[self.queue, LENT, 4, 0]);
    }
    /// What a thread that was woken gets.
    fn comes(&mut self, thread: Id<Thread>) -> Vec<(u64, u64)> {
        match self.p.w.again(thread) {
            Outcome::Done([count, ..]) => self.events(count),
            other => panic!("{other:?}"),
        }
    }
    fn sleeps(&self, thread: Id<Thread>) -> bool {
        self.p.state(thread) == ThreadState::Polling
    }
}

#[test]
fn level_is_told_at_each_wait_while_the_condition_holds() {
    let mut r = Rig::new();
    r.add(r.p.session, 70, 3, LEVEL);
    assert_eq!(r.poll(), []);
    r.ready(BADGE, 1, 0);
    assert_eq!((r.poll(), r.poll()), (vec![(70, 1)], vec![(70, 1)]));
    r.ready(BADGE, 2 | 64, 1);
    assert_eq!(r.poll(), [(70, 2)], "bits that were not asked for are not told");
    r.ready(BADGE, 0, 2);
    assert_eq!(r.poll(), []);
    r.ready(BADGE, 4, 0);
    assert_eq!(r.poll(), [(70, 4)], "errors are told without being asked for");
    r.p.w.end();
}

#[test]
fn an_edge_is_told_once_for_each_change_and_coalesces() {
    let mut r = Rig::new();
    r.ready(BADGE, 2, 0);
    r.add(r.p.session, 5, 3, EDGE);
    assert_eq!((r.poll(), r.poll()), (vec![(5, 2)], vec![]), "what is so already is an edge");
    r.ready(BADGE, 2, 0);
    assert_eq!((r.poll(), r.poll()), (vec![(5, 2)], vec![]), "set again, told again");
    r.ready(BADGE, 1, 0);
    r.ready(BADGE, 2, 1);
    r.ready(BADGE, 64, 0);
    assert_eq!((r.poll(), r.poll()), (vec![(5, 3)], vec![]), "two changes, one event");
    r.ready(BADGE, 0, 3);
    assert_eq!(r.poll(), [], "clearing is no edge");
}

#[test]
fn once_is_told_once_and_armed_again_by_a_change() {
    let mut r = Rig::new();
    r.add(r.p.session, 5, 1, ONCE);
    r.ready(BADGE, 1, 0);
    r.ready(BADGE, 0, 1);
    assert_eq!(r.poll(), [], "not so any more, and not told yet");
    r.ready(BADGE, 1, 0);
    assert_eq!((r.poll(), r.poll()), (vec![(5, 1)], vec![]));
    r.ready(BADGE, 1, 0);
    assert_eq!(r.poll(), []);
    let (queue, c) = (r.queue, r.p.c);
    r.p.w.ok(c, Call::QueueChange, &[queue, 5, 1, ONCE]);
    assert_eq!((r.poll(), r.poll()), (vec![(5, 1)], vec![]));
    r.p.w.ok(c, Call::QueueChange, &[queue, 5, 2, LEVEL]);
    assert_eq!(r.poll(), []);
    r.ready(BADGE, 2, 0);
    assert_eq!((r.poll(), r.poll()), (vec![(5, 2)], vec![(5, 2)]));
    r.p.w.ok(c, Call::QueueRemove, &[queue, 5]);
    assert_eq!(r.poll(), []);
    r.ready(BADGE, 3, 0);
    assert_eq!(r.poll(), []);
}

#[test]
fn a_poll_of_64_sessions_is_one_call() {
    let mut r = Rig::new();
    let c = r.p.c;
    [r.queue, ..] = r.p.w.ok(c, Call::QueueCreate, &[QUOTA, 100]);
    for n in 0..70 {
        let session = r.p.new_session(100 + n, r.p.client);
        r.add(session, n, 1, LEVEL);
        r.ready(100 + n, 1, 0);
    }
    let all: Vec<_> = (0..70).map(|n| (n, 1)).collect();
    assert_eq!(r.poll(), all[..64]);
    // First come first served: what was not told comes before what is told again.
    assert_eq!(r.poll()[..7], [&all[64..], &all[..1]].concat());
    r.p.w.end();
}

#[test]
fn a_waiter_is_woken_in_its_turn_and_copies_its_events_itself() {
    let mut r = Rig::new();
    let (c, second, third) = (r.p.c, r.p.c_other(), r.p.c_other());
    r.add(r.p.session, 5, 1, EDGE);
    r.waits(c);
    r.waits(second);
    r.ready(BADGE, 2, 0);
    assert!(r.sleeps(c) && r.sleeps(second), "nobody asked for that");
    r.ready(BADGE, 1, 0);
    assert!(!r.sleeps(c) && r.sleeps(second));
    r.ready(BADGE, 1, 0);
    assert!(r.sleeps(second), "someone is on the way");
    assert_eq!(r.comes(c), [(5, 1)]);
    assert!(r.sleeps(second));
    // What another takes first leaves the woken one first in the line.
    r.ready(BADGE, 1, 0);
    assert_eq!(r.poll_as(third, 4), [(5, 1)]);
    assert_eq!(r.p.w.again(second), Outcome::Waits);
    r.waits(c);
    r.ready(BADGE, 1, 0);
    assert!(r.sleeps(c));
    assert_eq!(r.comes(second), [(5, 1)]);
    // More than one batch: the next is woken for the rest.
    let others: Vec<_> = (0..5).map(|n| r.p.new_session(100 + n, r.p.client)).collect();
    for (n, session) in others.into_iter().enumerate() {
        r.p.w.ok(third, Call::QueueAdd, &[r.queue, session, n as u64 + 10, 1, EDGE]);
    }
    r.waits(second);
    for n in 0..5 {
        r.ready(100 + n, 1, 0);
    }
    assert!(!r.sleeps(c) && r.sleeps(second));
    assert_eq!(r.comes(c).len(), 4);
    assert_eq!(r.comes(second), [(14, 1)]);
    r.p.w.end();
}

#[test]
fn a_woken_waiter_that_does_not_come_has_the_next_one_woken() {
    let mut r = Rig::new();
    let (c, second, third) = (r.p.c, r.p.c_other(), r.p.c_other());
    r.add(r.p.session, 5, 1, EDGE);
    r.waits(second);
    r.waits(third);
    r.ready(BADGE, 1, 0);
    assert!(!r.sleeps(second) && r.sleeps(third));
    r.p.w.kernel.thread_end(second);
    r.p.w.check();
    assert_eq!(r.comes(third), [(5, 1)]);
    // A process of its own, that loses its way to the queue.
    let other = r.p.w.process();
    let fourth = r.p.w.thread(other, 10);
    let theirs = r.p.w.give(r.p.client, r.queue, other);
    r.p.w.waits(fourth, Call::QueueWait, &[theirs, LENT, 1, 0]);
    r.waits(third);
    r.ready(BADGE, 1, 0);
    let helper = r.p.w.thread(other, 10);
    r.p.w.ok(helper, Call::Close, &[theirs]);
    assert_eq!(r.p.w.again(fourth), Outcome::Failed(Error::BadHandle));
    assert_eq!(r.comes(third), [(5, 1)]);
    // The queue ends while one is on the way and another waits.
    r.waits(third);
    r.p.w.waits(c, Call::QueueWait, &[r.queue, LENT, 1, 0]);
    r.ready(BADGE, 1, 0);
    let closer = r.p.c_other();
    r.p.w.ok(closer, Call::Close, &[r.queue]);
    assert_eq!(r.p.w.outcome(c), Outcome::Failed(Error::Closed));
    assert_eq!(r.p.w.again(third), Outcome::Failed(Error::BadHandle));
    r.p.w.end();
}

#[test]
fn waits_end_by_deadline_by_cancellation_and_with_the_queue() {
    let mut r = Rig::new();
    let (c, queue) = (r.p.c, r.queue);
    assert_eq!(r.p.w.err(c, Call::QueueWait, &[queue, LENT, 1, NOW]), Error::TimedOut);
    r.p.w.waits(c, Call::QueueWait, &[queue, LENT, 1, 5_000_000]);
    r.p.w.time(5_000_000);
    assert_eq!(r.p.w.outcome(c), Outcome::Failed(Error::TimedOut));
    let handle = r.p.w.ok(c, Call::QueueCreate, &[QUOTA, 1])[0];
    r.p.w.waits(c, Call::QueueWait, &[handle, LENT, 1, 0]);
    r.p.w.kernel.thread_cancel_wait(c).unwrap();
    r.p.w.check();
    assert_eq!(r.p.w.outcome(c), Outcome::Failed(Error::Cancelled));
    r.p.w.waits(c, Call::QueueWait, &[handle, LENT, 1, 0]);
    let other = r.p.c_other();
    r.p.w.ok(other, Call::Close, &[handle]);
    assert_eq!(r.p.w.outcome(c), Outcome::Failed(Error::Closed));
    r.p.w.end();
}

#[test]
fn a_bound_notification_is_told_when_a_queue_comes_to_hold_an_event() {
    let mut r = Rig::new();
    let (c, queue) = (r.p.c, r.queue);
    let bell = r.p.w.ok(c, Call::NotificationCreate, &[QUOTA])[0];
    assert_eq!(r.p.w.err(c, Call::QueueBind, &[queue, bell, 0]), Error::BadArgument);
    assert_eq!(r.p.w.err(c, Call::QueueBind, &[queue, queue, 1]), Error::WrongKind);
    assert_eq!(r.p.w.err(c, Call::QueueBind, &[queue, 0xff00, 1]), Error::BadHandle);
    let deaf = r.p.w.ok(c, Call::Derive, &[bell, u64::from(Rights::RECEIVE.bits()), 0, 0])[0];
    assert_eq!(r.p.w.err(c, Call::QueueBind, &[queue, deaf, 1]), Error::NoRight);
    r.p.w.ok(c, Call::QueueBind, &[queue, bell, 8]);
    r.add(r.p.session, 5, 1, LEVEL);
    assert_eq!(r.p.w.err(c, Call::Wait, &[bell, NOW]), Error::TimedOut);
    r.ready(BADGE, 1, 0);
    assert_eq!(r.p.w.ok(c, Call::Wait, &[bell, NOW])[0], 8);
    assert_eq!(r.poll(), [(5, 1)]);
    assert_eq!(r.p.w.ok(c, Call::Wait, &[bell, NOW])[0], 8, "it holds an event still");
    r.ready(BADGE, 0, 1);
    assert_eq!(r.poll(), []);
    assert_eq!(r.p.w.err(c, Call::Wait, &[bell, NOW]), Error::TimedOut);
    // Bound anew while it holds one; then to none.
    r.ready(BADGE, 1, 0);
    r.p.w.ok(c, Call::Wait, &[bell, NOW]);
    r.p.w.ok(c, Call::QueueBind, &[queue, bell, 16]);
    assert_eq!(r.p.w.ok(c, Call::Wait, &[bell, NOW])[0], 16);
    r.p.w.ok(c, Call::QueueBind, &[queue, 0, 0]);
    assert_eq!(r.poll(), [(5, 1)]);
    assert_eq!(r.p.w.err(c, Call::Wait, &[bell, NOW]), Error::TimedOut);
    r.p.w.ok(c, Call::QueueBind, &[queue, bell, 1]);
    r.p.w.end();
}

#[test]
fn an_interest_keeps_no_session_alive_and_tells_its_end() {
    let mut r = Rig::new();
    let (c, s) = (r.p.c, r.p.s);
    r.add(r.p.session, 1, 1, LEVEL);
    r.add(r.p.session, 2, 1, EDGE);
    r.add(r.p.session, 3, 1, ONCE);
    r.p.server_waits();
    let other = r.p.c_other();
    r.waits(other);
    r.p.w.ok(c, Call::Close, &[r.p.session]);
    assert!(matches!(r.p.w.outcome(s), Outcome::Done([BADGE, ..])), "the server is told");
    assert_eq!(r.comes(other), [(1, HUNG), (2, HUNG), (3, HUNG)]);
    assert_eq!(r.poll(), [(1, HUNG)]);
    assert_eq!(r.p.w.err(s, Call::SessionReady, &[r.p.endpoint, BADGE, 1, 0]), Error::WrongState);
    r.p.w.ok(s, Call::SessionAcknowledge, &[r.p.endpoint, BADGE]);
    assert_eq!(r.p.w.err(s, Call::SessionReady, &[r.p.endpoint, BADGE, 1, 0]), Error::NotFound);
    for key in 1..4 {
        r.p.w.ok(c, Call::QueueRemove, &[r.queue, key]);
    }
    assert_eq!(r.poll(), []);
    r.p.w.end();
}

#[test]
fn an_endpoint_that_closes_for_good_hangs_up() {
    let mut r = Rig::new();
    let second = r.p.new_session(u64::MAX, r.p.client);
    r.add(r.p.session, 1, 1, LEVEL);
    r.add(second, 2, 1, EDGE);
    let c = r.p.c;
    r.waits(c);
    // The server's end alone is a restart: the keeper has the endpoint still.
    r.p.w.kill(r.p.server);
    assert!(r.sleeps(c));
    r.p.w.kernel.machine.interrupt_every(1);
    r.p.w.ok(r.p.k, Call::Close, &[r.p.k_endpoint]);
    while r.p.w.kernel.reap_pending() {
        let _ = r.p.w.kernel.leave(kernel_core::world::CPU);
        r.p.w.check();
    }
    assert_eq!(r.comes(c).len() + r.poll().len(), 3, "one, then both, or both, then the level one");
    assert_eq!(r.poll(), [(1, HUNG)]);
    r.add(r.p.session, 3, 1, EDGE);
    assert_eq!(r.poll().len(), 2, "also to who asks afterwards");
    r.p.w.kernel.machine.interrupt_every(0);
    r.p.w.end();
}

#[test]
fn each_refusal_has_its_cause_and_changes_nothing() {
    let mut r = Rig::new();
    let (c, s, queue, session) = (r.p.c, r.p.s, r.queue, r.p.session);
    let w = &mut r.p.w;
    for capacity in [0, MAX_CAPACITY + 1, u64::MAX] {
        assert_eq!(w.err(c, Call::QueueCreate, &[QUOTA, capacity]), Error::BadArgument);
    }
    w.ok(c, Call::QueueCreate, &[QUOTA, MAX_CAPACITY]);
    for [mask, mode] in [[1, 3], [1 << 32, 0], [1, u64::MAX]] {
        assert_eq!(w.err(c, Call::QueueAdd, &[queue, session, 1, mask, mode]), Error::BadArgument);
    }
    assert_eq!(w.err(c, Call::QueueAdd, &[queue, 0xff00, 1, 1, 0]), Error::BadHandle);
    assert_eq!(w.err(c, Call::QueueAdd, &[queue, queue, 1, 1, 0]), Error::WrongKind);
    let blind = w.ok(c, Call::Derive, &[session, u64::from(Rights::SEND.bits()), 0, 0])[0];
    assert_eq!(w.err(c, Call::QueueAdd, &[queue, blind, 1, 1, 0]), Error::NoRight);
    assert_eq!(w.err(c, Call::QueueChange, &[queue, 1, 1, 0]), Error::NotFound);
    assert_eq!(w.err(c, Call::QueueRemove, &[queue, 1]), Error::NotFound);
    w.ok(c, Call::QueueAdd, &[queue, session, 1, 1, 0]);
    assert_eq!(w.err(c, Call::QueueAdd, &[queue, session, 1, 1, 0]), Error::Exists);
    for [mask, mode] in [[1, 3], [1 << 32, 0]] {
        assert_eq!(w.err(c, Call::QueueChange, &[queue, 1, mask, mode]), Error::BadArgument);
    }
    for key in 2..9 {
        w.ok(c, Call::QueueAdd, &[queue, session, key, 1, 0]);
    }
    assert_eq!(w.err(c, Call::QueueAdd, &[queue, session, 9, 1, 0]), Error::TableFull);
    for [set, clear] in [[1 << 32, 0], [0, 1 << 32]] {
        assert_eq!(w.err(s, Call::SessionReady, &[r.p.endpoint, BADGE, set, clear]), Error::BadArgument);
    }
    assert_eq!(w.err(s, Call::SessionReady, &[r.p.endpoint, 4711, 1, 0]), Error::NotFound);
    let end = MEMORY + PAGES * 4096;
    w.ok(s, Call::SessionReady, &[r.p.endpoint, BADGE, 1, 0]);
    for capacity in [0, BATCH as u64 + 1, u64::MAX] {
        assert_eq!(w.err(c, Call::QueueWait, &[queue, LENT, capacity, 0]), Error::BadArgument);
    }
    for address in [end, end - 8, 0, u64::MAX - 3, 1 << 63] {
        assert_eq!(w.err(c, Call::QueueWait, &[queue, address, 1, 0]), Error::BadAddress);
    }
    // Bad memory is found before a wait, too, and nothing is lost by it.
    let empty = w.ok(c, Call::QueueCreate, &[QUOTA, 1])[0];
    assert_eq!(w.err(c, Call::QueueWait, &[empty, end - 16, 2, 0]), Error::BadAddress);
    assert_eq!(w.ok(c, Call::QueueWait, &[queue, end - 64 * 16, 64, 0])[0], 8);
    r.p.w.end();
}

#[test]
fn a_session_has_a_bounded_number_of_interests() {
    let mut r = Rig::new();
    let c = r.p.c;
    [r.queue, ..] = r.p.w.ok(c, Call::QueueCreate, &[QUOTA, 1000]);
    for key in 0..u64::from(INTERESTS) {
        r.add(r.p.session, key, 1, EDGE);
    }
    assert_eq!(r.p.w.err(c, Call::QueueAdd, &[r.queue, r.p.session, 999, 1, 0]), Error::Busy);
    r.p.w.ok(c, Call::QueueRemove, &[r.queue, 3]);
    r.add(r.p.session, 999, 1, EDGE);
    r.ready(BADGE, 1, 0);
    let told: usize = (0..5).map(|_| r.poll().len()).sum();
    assert_eq!(told, INTERESTS as usize);
    r.p.w.end();
}

#[test]
fn queues_are_charged_and_end_in_steps() {
    let mut r = Rig::new();
    let (c, session) = (r.p.c, r.p.session);
    let root = r.p.w.quota_handle(r.p.client);
    let small = r.p.w.ok(c, Call::QuotaSplit, &[root, 1, 0])[0];
    let poor = r.p.w.ok(c, Call::QueueCreate, &[small, 10])[0];
    assert_eq!(r.p.w.err(c, Call::QueueAdd, &[poor, session, 1, 1, 0]), Error::OutOfQuota);
    let taken = r.p.w.ok(c, Call::QuotaSplit, &[root, 1, 0])[0];
    r.p.w.ok(c, Call::NotificationCreate, &[taken]);
    assert_eq!(r.p.w.err(c, Call::QueueCreate, &[taken, 10]), Error::OutOfQuota);
    // A page of the room for events that can't be charged.
    let third = r.p.w.ok(c, Call::QuotaSplit, &[root, 1, 0])[0];
    let memory = r.p.w.ok(c, Call::MemoryCreate, &[third, 1, 0])[0];
    let at = r.p.w.ok(c, Call::SpaceMap, &[SPACE, memory, 0, 0, 4096, 3])[0];
    assert_eq!(r.p.w.err(c, Call::QueueWait, &[r.queue, at, 1, 0]), Error::OutOfQuota);
    let large = r.p.w.ok(c, Call::QueueCreate, &[QUOTA, 1000])[0];
    for n in 0..300 {
        let other = if n % 64 == 0 { r.p.new_session(1000 + n, r.p.client) } else { session };
        r.p.w.ok(c, Call::QueueAdd, &[large, if n < 200 { session } else { other }, n, 1, 0]);
        if n == 199 {
            break;
        }
    }
    r.ready(BADGE, 1, 0);
    r.p.w.kernel.machine.interrupt_every(1);
    r.p.w.ok(c, Call::Close, &[large]);
    let mut steps = 0;
    while r.p.w.kernel.reap_pending() {
        r.ready(BADGE, 1, 1);
        let _ = r.p.w.kernel.leave(kernel_core::world::CPU);
        r.p.w.check();
        steps += 1;
    }
    assert!((4..40).contains(&steps), "{steps}");
    r.p.w.kernel.machine.interrupt_every(0);
    r.p.w.end();
}

#[test]
fn without_frames_nothing_is_made_and_nothing_waits() {
    let mut r = Rig::new();
    let (c, session) = (r.p.c, r.p.session);
    let memory = r.p.w.ok(c, Call::MemoryCreate, &[QUOTA, 1, 0])[0];
    let at = r.p.w.ok(c, Call::SpaceMap, &[SPACE, memory, 0, 0, 4096, 3])[0];
    // Accounts of their own, so that no arena page with room is there.
    let root = r.p.w.quota_handle(r.p.client);
    let other = r.p.w.ok(c, Call::QuotaSplit, &[root, 8, 0])[0];
    let mut frames = Vec::new();
    while let Some(frame) = r.p.w.kernel.frames.take() {
        frames.push(frame);
    }
    assert_eq!(r.p.w.err(c, Call::QueueCreate, &[other, 1]), Error::OutOfMemory);
    assert_eq!(r.p.w.err(c, Call::QueueAdd, &[r.queue, session, 1, 1, 0]), Error::OutOfMemory);
    assert_eq!(r.p.w.err(c, Call::QueueWait, &[r.queue, at, 1, 0]), Error::OutOfMemory);
    assert_eq!(r.p.w.err(c, Call::FutexWait, &[at, 0, 0]), Error::OutOfMemory);
    assert_eq!(r.p.w.err(c, Call::FutexRequeue, &[at, 0, 1, at + 4, 1]), Error::OutOfMemory);
    for frame in frames {
        r.p.w.kernel.frames.release(frame);
    }
    r.add(session, 1, 1, LEVEL);
    r.p.w.ok(c, Call::FutexRequeue, &[at, 0, 1, at + 4, 1]);
    r.p.w.end();
}

#[test]
fn a_full_table_takes_no_queue() {
    let mut r = Rig::new();
    let c = r.p.c;
    while let Outcome::Done(_) = r.p.w.call(c, Call::Derive, &[r.queue, 1, 0, 0]) {}
    assert_eq!(r.p.w.err(c, Call::QueueCreate, &[QUOTA, 1]), Error::TableFull);
    r.p.w.end();
}
