//! Event queues: readiness of many sessions in one wait, over restarts too.

use crate::part::{deadline, given, status, Part, Role};
use crate::tap::{check, refused, same, works, Check, Test};
use abi::{Error, Handle, Rights};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;
use scheme::event::{Event, EventQueue, Mode, Readiness};
use scheme::notification::Notification;
use scheme::rt::{calls, event, thread};
use scheme::scheme::{Caller, Opened, Outcome, Scheme};
use scheme::wire::OpenFlags;

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "a-poll-of-64-sessions-is-one-call", run: sixty_four },
    Test { name: "readiness-is-told-level-edge-or-once", run: modes },
    Test { name: "a-wait-on-a-queue-ends-with-an-event-or-a-deadline", run: waits },
    Test { name: "a-queue-can-be-heard-of-through-a-notification", run: bound },
    Test { name: "interests-are-told-when-the-other-side-is-gone", run: gone },
    Test { name: "a-server-that-restarts-asserts-readiness-again", run: restarted },
];

/// The parts played here.
pub const PARTS: &[Role] = &[("ready-server", |_| status(serve()))];

const READ: Readiness = Readiness::READ;
const WRITE: Readiness = Readiness::WRITE;
/// Edges that are told one by one.
const ROUNDS: u32 = 50;

/// An endpoint with a session under badge 7.
struct Pair {
    endpoint: Handle,
    session: Handle,
}

impl Pair {
    fn new() -> Check<Pair> {
        let endpoint = works("an endpoint", calls::endpoint_create(Handle::SELF_QUOTA))?;
        let session = works("a session", calls::session_create(endpoint, 7, 0))?;
        Ok(Pair { endpoint, session })
    }
    fn ready(&self, set: Readiness, clear: Readiness) -> Check {
        works("changing readiness", event::session_ready(self.endpoint, 7, set.bits(), clear.bits()))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        [self.session, self.endpoint].into_iter().for_each(calls::close);
    }
}

/// What a queue tells until a time; nothing where that passes.
fn told(queue: &EventQueue, deadline_ns: u64) -> Check<Vec<(u64, Readiness)>> {
    let mut all = Vec::new();
    match queue.wait(deadline_ns, |Event { key, ready }| all.push((key, ready))) {
        Err(Error::TimedOut) => Ok(all),
        other => works("waiting for events", other).map(|_| all),
    }
}

/// What it tells without waiting.
fn now(queue: &EventQueue) -> Check<Vec<(u64, Readiness)>> {
    told(queue, 1)
}

fn sixty_four() -> Check {
    let endpoint = works("an endpoint", calls::endpoint_create(Handle::SELF_QUOTA))?;
    let queue = works("a queue", EventQueue::new(64))?;
    let mut sessions = Vec::new();
    for n in 0..64u64 {
        let session = works("a session", calls::session_create(endpoint, 100 + n, 0))?;
        works("adding it", queue.add(session, n << 32, READ, Mode::Level))?;
        sessions.push(session);
    }
    refused("one more", queue.add(sessions[0], 1, READ, Mode::Level), Error::TableFull)?;
    same("nothing is ready", now(&queue)?, Vec::new())?;
    for n in (0..64).rev() {
        works("making it ready", event::session_ready(endpoint, 100 + n, READ.bits(), 0))?;
    }
    let all: Vec<_> = (0..64).rev().map(|n| (n << 32, READ)).collect();
    same("one call tells of all", now(&queue)?, all)?;
    sessions.into_iter().chain([endpoint]).for_each(calls::close);
    Ok(())
}

fn modes() -> Check {
    let pair = Pair::new()?;
    let queue = works("a queue", EventQueue::new(3))?;
    for (key, mode) in [(1, Mode::Level), (2, Mode::Edge), (3, Mode::Once)] {
        works("adding", queue.add(pair.session, key, READ, mode))?;
    }
    refused("a key twice", queue.add(pair.session, 1, READ, Mode::Edge), Error::Exists)?;
    pair.ready(WRITE, Readiness::empty())?;
    same("not asked for", now(&queue)?, Vec::new())?;
    pair.ready(READ, Readiness::empty())?;
    same("each is told", now(&queue)?, alloc::vec![(1, READ), (2, READ), (3, READ)])?;
    same("level again", now(&queue)?, alloc::vec![(1, READ)])?;
    pair.ready(READ, Readiness::empty())?;
    same("set again", now(&queue)?, alloc::vec![(1, READ), (2, READ)])?;
    works("arming again", queue.change(3, READ, Mode::Once))?;
    same("once more", now(&queue)?, alloc::vec![(1, READ), (3, READ)])?;
    pair.ready(Readiness::empty(), READ)?;
    same("not ready any more", now(&queue)?, Vec::new())?;
    works("removing", queue.remove(1))?;
    refused("removing again", queue.remove(1), Error::NotFound)?;
    refused("changing what is gone", queue.change(1, READ, Mode::Edge), Error::NotFound)
}

fn waits() -> Check {
    let pair = Pair::new()?;
    let queue = works("a queue", EventQueue::new(3))?;
    works("adding", queue.add(pair.session, 9, READ, Mode::Edge))?;
    let start = scheme::time::now_ns();
    let soon = start + 10 * scheme::time::MILLISECOND;
    same("nothing comes", told(&queue, soon)?, Vec::new())?;
    check(scheme::time::now_ns() >= soon, "the wait ended early")?;
    let (handle, seen) = (queue.handle(), Arc::new(AtomicU32::new(0)));
    let theirs = seen.clone();
    let waiter = move || -> abi::Result<()> {
        let mut events = [[0; 2]; 4];
        for round in 1..=ROUNDS {
            if event::queue_wait(handle, &mut events, deadline())? != 1 || events[0] != [9, 1] {
                return Err(Error::Corrupt);
            }
            theirs.store(round, SeqCst);
            event::futex_wake(&theirs, 1)?;
        }
        Ok(())
    };
    let waiter = works("a thread", thread::spawn(128, waiter))?;
    for round in 0..ROUNDS {
        pair.ready(READ, Readiness::empty())?;
        while seen.load(SeqCst) == round {
            match event::futex_wait(&seen, round, deadline()) {
                Err(Error::WouldBlock) => {}
                other => works("waiting until it was seen", other)?,
            }
        }
    }
    works("its waits", works("its end", waiter.join(deadline()))?)?;
    same("each was told once", now(&queue)?, Vec::new())
}

fn bound() -> Check {
    let pair = Pair::new()?;
    let queue = works("a queue", EventQueue::new(3))?;
    let bell = works("a notification", Notification::new())?;
    works("adding", queue.add(pair.session, 9, READ, Mode::Edge))?;
    works("binding", queue.bind(bell.handle(), 16))?;
    refused("nothing yet", bell.wait_until(1), Error::TimedOut)?;
    pair.ready(READ, Readiness::empty())?;
    same("the bit", works("waiting", bell.wait_until(deadline()))?, 16)?;
    same("the event", now(&queue)?, alloc::vec![(9, READ)])
}

fn gone() -> Check {
    let pair = Pair::new()?;
    let queue = works("a queue", EventQueue::new(3))?;
    let second = works("a session", calls::session_create(pair.endpoint, 8, 0))?;
    works("adding", queue.add(pair.session, 1, READ, Mode::Edge))?;
    works("adding", queue.add(second, 2, READ, Mode::Edge))?;
    // The queue keeps no session alive: its server hears of the end.
    calls::close(second);
    same("the server is told", works("the list", calls::session_next(pair.endpoint, 7))?, (8, 1))?;
    same("the end of one", now(&queue)?, alloc::vec![(2, Readiness::HANG_UP)])?;
    calls::close(pair.endpoint);
    same("the end of the endpoint", told(&queue, deadline())?, alloc::vec![(1, Readiness::HANG_UP)])
}

/// A server whose sessions are ready for reading alone.
struct Ready;

impl Scheme for Ready {
    fn open(&mut self, _: &Caller, _: &str, _: OpenFlags) -> Outcome<Opened> {
        Ok(Opened::new(1))
    }
    fn readiness(&mut self, _: &Caller) -> Readiness {
        READ
    }
}

fn serve() -> Check {
    match scheme::server::serve_at(given("at"), Ready) {
        0 => Ok(()),
        _ => crate::tap::fail("the server ended"),
    }
}

fn restarted() -> Check {
    let pair = Pair::new()?;
    let queue = works("a queue", EventQueue::new(1))?;
    works("adding", queue.add(pair.session, 5, READ, Mode::Edge))?;
    same("nobody serves", now(&queue)?, Vec::new())?;
    for round in 0..3 {
        let rights = Rights::RECEIVE | Rights::MANAGE;
        let server = Part::new("ready-server", &[]).with("at", pair.endpoint, rights).start()?;
        let what = alloc::format!("server {round} asserts");
        same(&what, told(&queue, deadline())?, alloc::vec![(5, READ)])?;
        same("once", now(&queue)?, Vec::new())?;
        works("ending the server", server.kill(1))?;
        crate::part::end_of(&server)?;
        same("the session stays", now(&queue)?, Vec::new())?;
    }
    Ok(())
}
