//! How long a mapped lease lives: to the answer, and not one access longer.

use crate::messages::{request, Pair};
use crate::part::{deadline, end_of, given, Part, Role};
use crate::raw;
use crate::tap::{check, refused, same, works, Check, Test};
use abi::memory::{Protection, PAGE_SIZE};
use abi::{Error, Handle, Rights};
use scheme::message::Lend;
use scheme::notification::Notification;
use scheme::process::{Process, Status};
use scheme::rt::calls;
use scheme::rt::message::{self, Answer};

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "a-mapped-lease-faults-right-after-the-answer", run: after_answer },
    Test { name: "a-mapped-lease-of-a-dead-lender-faults-after-the-answer", run: after_lenders_death },
    Test { name: "a-server-that-dies-leaves-the-lender-its-memory", run: after_servers_death },
    Test { name: "a-deadline-does-not-pull-mapped-memory-away", run: deadline_with_mapping },
];

/// The parts played here. Each is a server that maps what is lent, then does as its name says.
pub const PARTS: &[Role] =
    &[("map", |words| map(words.first().copied().unwrap_or(""))), ("lend-until-killed", |_| lend_until_killed())];

const PAGES: usize = 4;
const PAGE: usize = PAGE_SIZE as usize;
/// A fault of the page tables.
const FAULT: Status = Status::Faulted(14);
/// Bits of the notification `news`: the lease is mapped; the byte was read once more.
const MAPPED: u64 = 1;
const READ_AGAIN: u64 = 2;

/// A server: maps the lease writable, tells so, and goes on as asked.
fn map(how: &str) -> u64 {
    let (endpoint, news, go) = (given("endpoint"), given("news"), given("go"));
    let Ok(reply) = calls::reply_create(Handle::SELF_QUOTA) else { return 81 };
    if message::recv(endpoint, reply, deadline()).is_err() {
        return 82;
    }
    // Lent to be written, so that is what it can be mapped for (which allows loads too on this machine).
    let Ok(place) = raw::lease_map(reply, 0, 0, PAGES as u64 * PAGE_SIZE, Protection::WRITE) else { return 83 };
    raw::store(place + PAGE_SIZE, 0x5a);
    if raw::load(place + PAGE_SIZE) != 0x5a || calls::notify(news, MAPPED).is_err() {
        return 84;
    }
    match how {
        // Until somebody ends it.
        "wait" => return calls::wait(go, 0).unwrap_or(85),
        "outlive" => {
            // Told to go on when the lender is dead.
            if calls::wait(go, deadline()).is_err() {
                return 86;
            }
            if raw::load(place + PAGE_SIZE) != 0x5a {
                return 87;
            }
        }
        _ => {}
    }
    if calls::notify(news, READ_AGAIN).is_err() || message::reply(reply, &Answer::default()).is_err() {
        return 88;
    }
    if how == "stop" {
        return 0;
    }
    u64::from(raw::load(place + PAGE_SIZE)) + 1000
}

/// Starts such a server.
fn server(how: &str, pair: &Pair, news: &Notification, go: &Notification) -> Check<Process> {
    Part::new("map", &[how])
        .with("endpoint", pair.endpoint, Rights::RECEIVE | Rights::MANAGE)
        .with("news", news.handle(), Rights::SEND)
        .with("go", go.handle(), Rights::RECEIVE)
        .start()
}

/// Pages of one's own, and where the first begins.
fn pages() -> (alloc::vec::Vec<u8>, usize) {
    let bytes = alloc::vec![b'.'; (PAGES + 1) * PAGE];
    let start = (bytes.as_ptr() as usize).wrapping_neg() % PAGE;
    (bytes, start)
}

fn notifications() -> Check<(Notification, Notification)> {
    Ok((works("a notification", Notification::new())?, works("another", Notification::new())?))
}

/// Lends pages to a server; how the call ended, and the byte that the server wrote.
fn lend(pair: &Pair, until_ns: u64) -> (abi::Result<()>, u8, bool) {
    let (mut bytes, start) = pages();
    let mut out = request(0, [0; 6]);
    out.deadline_ns = until_ns;
    out.leases.push(Lend::Write(bytes.get_mut(start..start + PAGES * PAGE).unwrap_or(&mut [])));
    let ended = message::call(pair.session, &mut out).map(|_| ());
    drop(out);
    let written = bytes.get(start + PAGE).copied().unwrap_or(0);
    // The memory is ours again, all of it.
    bytes.fill(7);
    (ended, written, bytes.iter().all(|b| *b == 7))
}

fn after_answer() -> Check {
    for (how, end) in [("stop", Status::Exited(0)), ("touch", FAULT)] {
        let pair = Pair::new()?;
        let (news, go) = notifications()?;
        let server = server(how, &pair, &news, &go)?;
        let (ended, written, whole) = lend(&pair, deadline());
        works("lending", ended)?;
        same("what the server wrote, seen here", written, 0x5a)?;
        check(whole, "the memory did not come back whole")?;
        // The one that touches no more ends well: the other's fault is that of the last access.
        same(how, end_of(&server)?, end)?;
    }
    Ok(())
}

fn lend_until_killed() -> u64 {
    let (mut bytes, start) = pages();
    let mut out = request(0, [0; 6]);
    out.deadline_ns = 0;
    out.leases.push(Lend::Write(bytes.get_mut(start..start + PAGES * PAGE).unwrap_or(&mut [])));
    let _ = message::call(given("server"), &mut out);
    80
}

fn after_lenders_death() -> Check {
    let pair = Pair::new()?;
    let (news, go) = notifications()?;
    let server = server("outlive", &pair, &news, &go)?;
    let lender = Part::new("lend-until-killed", &[]).with("server", pair.session, Rights::SEND).start()?;
    same("the server has mapped it", works("the news", news.wait_until(deadline()))?, MAPPED)?;
    works("ending the lender", lender.kill(1))?;
    let until = deadline();
    while works("its status", lender.status())? == Status::Running {
        check(scheme::time::now_ns() < until, "it did not end")?;
        works("yielding", calls::thread_yield())?;
    }
    works("going on", go.signal(1))?;
    same("the server still read it", works("the news", news.wait_until(deadline()))?, READ_AGAIN)?;
    same("and faulted after its answer", end_of(&server)?, FAULT)?;
    same("the lender", end_of(&lender)?, Status::Killed(1))
}

fn after_servers_death() -> Check {
    let pair = Pair::new()?;
    let (news, go) = notifications()?;
    let server = server("wait", &pair, &news, &go)?;
    let (handle, wait) = (server.handle(), news.handle());
    // Another thread ends it while this one waits for its answer.
    let killer = move || calls::wait(wait, deadline()).and_then(|_| calls::process_kill(handle, 3));
    let killer = works("a thread", scheme::rt::thread::spawn(128, killer))?;
    let (ended, written, whole) = lend(&pair, deadline());
    works("ending it", works("the thread", killer.join(deadline()))?)?;
    refused("the call", ended, Error::Restarted)?;
    same("what the server wrote before", written, 0x5a)?;
    check(whole, "the memory did not come back whole")?;
    same("the server", end_of(&server)?, Status::Killed(3))?;
    // Whoever takes up the endpoint can serve: the same session leads there.
    let (news, go) = notifications()?;
    let next = server_again(&pair, &news, &go)?;
    let (ended, ..) = lend(&pair, deadline());
    works("lending to the next server", ended)?;
    same("the next server", end_of(&next)?, Status::Exited(0))
}

fn server_again(pair: &Pair, news: &Notification, go: &Notification) -> Check<Process> {
    server("stop", pair, news, go)
}

fn deadline_with_mapping() -> Check {
    let pair = Pair::new()?;
    let (news, go) = notifications()?;
    let server = server("outlive", &pair, &news, &go)?;
    let go_on = go.handle();
    let late = scheme::time::after_ns(60 * scheme::time::MILLISECOND);
    // The server is told to go on long after the caller's deadline.
    let waker = works(
        "a thread",
        scheme::rt::thread::spawn(128, move || calls::sleep(late).and_then(|()| calls::notify(go_on, 1))),
    )?;
    let (ended, _, whole) = lend(&pair, scheme::time::after_ns(20 * scheme::time::MILLISECOND));
    check(scheme::time::now_ns() >= late, "the call ended while its memory was mapped elsewhere")?;
    check(matches!(ended, Ok(()) | Err(Error::TimedOut)), "the call ended otherwise")?;
    check(whole, "the memory did not come back whole")?;
    works("waking", works("the thread", waker.join(deadline()))?)?;
    same("the server could read to the last", works("the news", news.wait_until(deadline()))?, MAPPED | READ_AGAIN)?;
    same("and faulted after its answer", end_of(&server)?, FAULT)
}
