//! Servers that die: who had a call with them is told, who had not is served by
//! the next.

use crate::messages::{request, Pair};
use crate::part::{content, deadline, end_of, given, status, Part, Role};
use crate::tap::{refused, same, works, Check, Test};
use crate::threads::until_it_waits;
use abi::{Error, Handle, Rights};
use scheme::process::{Process, Status};
use scheme::rt::message::{self, Answer};
use scheme::rt::{calls, thread};

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "a-call-whose-server-dies-ends-with-restarted", run: told },
    Test { name: "a-call-that-was-not-received-is-the-next-servers", run: kept },
];

/// The parts played here.
pub const PARTS: &[Role] = &[
    ("receives-and-ends", |_| receives().map_or(1, |()| ENDED)),
    ("receives-and-faults", |_| receives().map_or(1, |()| u64::from(crate::raw::load(0)))),
    ("receives-and-waits", |_| receives().and_then(|()| calls::wait(given("never"), 0)).unwrap_or(1)),
    ("answers-once", |_| status(answers())),
];

/// What the server that ends by itself ends with.
const ENDED: u64 = 7;
/// What the one that is ended from outside is ended with.
const KILLED: u64 = 9;
/// SDM 3A, table 6-1: #PF.
const PAGE_FAULT: u64 = 14;

/// Takes a call, tells that it has, and leaves it unanswered.
fn receives() -> abi::Result<()> {
    let reply = calls::reply_create(Handle::SELF_QUOTA)?;
    message::recv(given("end"), reply, deadline())?;
    calls::notify(given("bell"), 1)
}

fn answers() -> Check {
    let reply = works("a reply object", calls::reply_create(Handle::SELF_QUOTA))?;
    let arrival = works("receiving", message::recv(given("end"), reply, deadline()))?;
    works("answering", message::reply(reply, &Answer { tag: arrival.tag + 1, ..Answer::default() }))
}

/// A server at our endpoint.
fn server(role: &str, pair: &Pair, bell: Handle) -> Check<Process> {
    let part = Part::new(role, &[]).with("end", pair.endpoint, Rights::RECEIVE);
    part.with("bell", bell, Rights::SEND).with("never", bell, Rights::RECEIVE).start()
}

/// A client's call in a thread of its own.
fn client(pair: &Pair, tag: u64) -> Check<thread::Thread<abi::Result<u64>>> {
    let session = pair.session;
    let call = move || message::call(session, &mut request(tag, [0; 6])).map(|answer| answer.tag);
    works("a client", thread::spawn(128, call))
}

fn told() -> Check {
    let bell = works("a notification", calls::notification_create(Handle::SELF_QUOTA))?;
    for (role, end) in [
        ("receives-and-ends", Status::Exited(ENDED)),
        ("receives-and-faults", Status::Faulted(PAGE_FAULT)),
        ("receives-and-waits", Status::Killed(KILLED)),
    ] {
        let pair = Pair::new()?;
        let server = server(role, &pair, bell)?;
        let client = client(&pair, 1)?;
        works("the call was received", calls::wait(bell, deadline()))?;
        if end == Status::Killed(KILLED) {
            works("ending the server", server.kill(KILLED))?;
        }
        refused(role, works("the client's end", client.join(deadline()))?, Error::Restarted)?;
        same("how the server ended", end_of(&server)?, end)?;
        // The way in is as good as it was, for whoever serves next.
        let next = self::server("answers-once", &pair, bell)?;
        let answer = works("the same call again", message::call(pair.session, &mut request(1, [0; 6])))?;
        same("its answer", answer.tag, 2)?;
        content(end_of(&next)?)?;
    }
    calls::close(bell);
    Ok(())
}

fn kept() -> Check {
    let bell = works("a notification", calls::notification_create(Handle::SELF_QUOTA))?;
    let pair = Pair::new()?;
    // Two calls; the server takes one and dies.
    let first = client(&pair, 10)?;
    until_it_waits(first.handle())?;
    let second = client(&pair, 10)?;
    until_it_waits(second.handle())?;
    let server = server("receives-and-ends", &pair, bell)?;
    same("how the server ended", end_of(&server)?, Status::Exited(ENDED))?;
    let next = self::server("answers-once", &pair, bell)?;
    content(end_of(&next)?)?;
    refused("the one that it had", works("its end", first.join(deadline()))?, Error::Restarted)?;
    same("the one that it had not", works("its call", works("its end", second.join(deadline()))?)?, 11)?;
    calls::close(bell);
    Ok(())
}
