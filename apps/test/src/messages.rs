//! Messages between threads: words, capabilities, replies, ends of sessions,
//! servers that go away.

use crate::part::deadline;
use crate::raw;
use crate::tap::{check, fail, refused, same, works, Check, Test};
use abi::message::Received;
use abi::{Error, Handle, Rights};
use alloc::format;
use scheme::message::{Outgoing, SendCap};
use scheme::rt::message::{self, Answer};
use scheme::rt::{calls, thread};

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "words-and-tags-travel-unchanged", run: words },
    Test { name: "capabilities-travel-with-fewer-rights", run: capabilities },
    Test { name: "a-reply-answers-once", run: replies },
    Test { name: "the-end-of-a-session-is-told-until-acknowledged", run: ends },
    Test { name: "an-endpoint-that-goes-closes-its-callers", run: closes },
    Test { name: "a-wait-can-be-cancelled", run: cancelled },
    Test { name: "one-way-messages-and-bits-arrive-too", run: one_way },
];

/// An endpoint, a session of it with badge 7, and a reply object.
pub struct Pair {
    /// Where messages come in.
    pub endpoint: Handle,
    /// The way in.
    pub session: Handle,
    /// What answers.
    pub reply: Handle,
}

impl Pair {
    /// A new one.
    pub fn new() -> Check<Pair> {
        let endpoint = works("an endpoint", calls::endpoint_create(Handle::SELF_QUOTA))?;
        let session = works("a session", calls::session_create(endpoint, 7, 0))?;
        let reply = works("a reply", calls::reply_create(Handle::SELF_QUOTA))?;
        Ok(Pair { endpoint, session, reply })
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        [self.session, self.endpoint, self.reply].into_iter().for_each(calls::close);
    }
}

/// A request with a deadline: a test that hangs says nothing.
pub fn request<'a>(tag: u64, words: [u64; 6]) -> Outgoing<'a> {
    Outgoing { tag, words, deadline_ns: deadline(), ..Outgoing::default() }
}

fn words() -> Check {
    let pair = Pair::new()?;
    let (endpoint, reply) = (pair.endpoint, pair.reply);
    let server = thread::spawn(128, move || -> abi::Result<u64> {
        let mut arrival = message::recv(endpoint, reply, deadline())?;
        let mut served = 0;
        loop {
            let words = arrival.words.map(|word| word.wrapping_mul(3).wrapping_add(arrival.badge));
            let answer = Answer { tag: !arrival.tag, words, caps: &[] };
            served += 1;
            if arrival.tag == 100 {
                message::reply(reply, &answer)?;
                return Ok(served);
            }
            arrival = message::reply_recv(endpoint, reply, &answer)?;
        }
    });
    let server = works("a server", server)?;
    for round in 0..100u64 {
        let words = core::array::from_fn(|i| round << 32 | i as u64 | 1 << 63);
        // Every other call takes the fast path, without a deadline.
        let mut out = request(round, words);
        if round % 2 == 0 {
            out.deadline_ns = 0;
        }
        let got = works("a call", message::call(pair.session, &mut out))?;
        same("the words", got.words, words.map(|word| word.wrapping_mul(3).wrapping_add(7)))?;
        same("the tag", got.tag, !round)?;
    }
    works("the last call", message::call(pair.session, &mut request(100, [u64::MAX; 6])))?;
    let served = works("the server's end", server.join(deadline()))?;
    same("calls served", works("serving", served)?, 101)
}

fn capabilities() -> Check {
    let pair = Pair::new()?;
    let (endpoint, reply) = (pair.endpoint, pair.reply);
    let server = thread::spawn(128, move || -> abi::Result<(Rights, Handle)> {
        let mut arrival = message::recv(endpoint, reply, deadline())?;
        let got = arrival.caps.take(0).ok_or(Error::NotFound)?;
        let (_, rights, ..) = calls::inspect(got)?;
        calls::notify(got, 1 << 20)?;
        let back = calls::memory_create(Handle::SELF_QUOTA, 3, abi::memory::MemoryFlags::empty())?;
        message::reply(reply, &Answer { tag: 0, words: [0; 6], caps: &[(back, Rights::INSPECT)] })?;
        calls::close(back);
        Ok((rights, got))
    });
    let server = works("a server", server)?;
    let bits = works("a notification", calls::notification_create(Handle::SELF_QUOTA))?;
    let mut out = request(0, [0; 6]);
    out.caps.push(SendCap { handle: bits, rights: Rights::SEND | Rights::INSPECT | Rights::READ });
    let mut got = works("a call", message::call(pair.session, &mut out))?;
    let (rights, theirs) = works("serving", works("its end", server.join(deadline()))?)?;
    same("what was received", rights, Rights::SEND | Rights::INSPECT)?;
    check(theirs != bits, "the receiver got the sender's own entry")?;
    same("the bit it set", works("waiting", calls::wait(bits, deadline()))?, 1 << 20)?;
    let Some(memory) = got.caps.take(0) else { return fail("no capability came back") };
    same("its pages", works("looking at it", calls::memory_info(memory))?.0, 3)?;
    refused("writing to it", calls::memory_write(memory, 0, b"x"), Error::NoRight)?;
    [bits, memory, theirs].into_iter().for_each(calls::close);
    Ok(())
}

fn replies() -> Check {
    let pair = Pair::new()?;
    refused("answering nobody", message::reply(pair.reply, &Answer::default()), Error::WrongState)?;
    refused("touching what nobody lent", raw::lease_read(pair.reply, 0, 0, &mut [0]), Error::WrongState)?;
    let session = pair.session;
    let client =
        works("a client", thread::spawn(128, move || message::call(session, &mut request(1, [0; 6])).map(|m| m.tag)))?;
    let arrival = works("receiving", message::recv(pair.endpoint, pair.reply, deadline()))?;
    same("what came", arrival.kind, Received::Call)?;
    refused(
        "receiving with it while it is owed",
        message::recv(pair.endpoint, pair.reply, deadline()),
        Error::WrongState,
    )?;
    refused("a lease that was not lent", raw::lease_read(pair.reply, 0, 0, &mut [0]), Error::BadArgument)?;
    works("answering", message::reply(pair.reply, &Answer { tag: 5, ..Answer::default() }))?;
    refused("answering again", message::reply(pair.reply, &Answer::default()), Error::WrongState)?;
    same("the answer", works("the call", works("its end", client.join(deadline()))?)?, 5)
}

fn ends() -> Check {
    let pair = Pair::new()?;
    let second = works("a second session", calls::session_create(pair.endpoint, 8, 0))?;
    let copy = works("a copy of it", calls::derive(second, Rights::SEND))?;
    works("closing one of two", raw::close(second))?;
    let soon = scheme::time::after_ns(5 * scheme::time::MILLISECOND);
    refused("nothing to tell yet", message::recv(pair.endpoint, pair.reply, soon), Error::TimedOut)?;
    refused("acknowledging what lives", calls::session_acknowledge(pair.endpoint, 8), Error::WrongState)?;
    works("closing the other", raw::close(copy))?;
    let arrival = works("the news", message::recv(pair.endpoint, pair.reply, deadline()))?;
    same("the news", (arrival.kind, arrival.badge), (Received::SessionEnded, 8))?;
    same("in the list", works("the list", calls::session_next(pair.endpoint, 7))?, (8, 1))?;
    works("acknowledging", calls::session_acknowledge(pair.endpoint, 8))?;
    refused("gone from the list", calls::session_next(pair.endpoint, 7), Error::NotFound)?;
    refused("acknowledging again", calls::session_acknowledge(pair.endpoint, 8), Error::NotFound)?;
    let soon = scheme::time::after_ns(5 * scheme::time::MILLISECOND);
    refused("told no more", message::recv(pair.endpoint, pair.reply, soon), Error::TimedOut)?;
    refused("its badge is used up", calls::session_create(pair.endpoint, 8, 0), Error::Exists)
}

fn closes() -> Check {
    let pair = Pair::new()?;
    let session = works("a session that stays", calls::derive(pair.session, Rights::SEND))?;
    let call = move || message::call(session, &mut request(0, [0; 6])).map(|_| ());
    let client = works("a client", thread::spawn(128, call))?;
    works("yielding", calls::thread_yield())?;
    works("closing the endpoint", raw::close(pair.endpoint))?;
    refused("the call that waited", works("its end", client.join(deadline()))?, Error::Closed)?;
    refused("a call afterwards", message::call(session, &mut request(0, [0; 6])), Error::Closed)?;
    calls::close(session);
    Ok(())
}

fn cancelled() -> Check {
    let bits = works("a notification", calls::notification_create(Handle::SELF_QUOTA))?;
    let waiter = works("a thread", thread::spawn(128, move || calls::wait(bits, deadline())))?;
    // Until it waits there is nothing to cancel.
    let until = deadline();
    loop {
        match calls::thread_cancel(waiter.handle()) {
            Ok(()) => break,
            Err(Error::WrongState) if scheme::time::now_ns() < until => works("yielding", calls::thread_yield())?,
            Err(error) => return fail(format!("cancelling: {}", error.name())),
        }
    }
    refused("the wait", works("its end", waiter.join(deadline()))?, Error::Cancelled)?;
    calls::close(bits);
    Ok(())
}

fn one_way() -> Check {
    let pair = Pair::new()?;
    let bits = works("a notification", calls::notification_create(Handle::SELF_QUOTA))?;
    works("binding it", calls::notification_bind(bits, pair.endpoint))?;
    works("signalling", calls::notify(bits, 3))?;
    let arrival = works("receiving bits", message::recv(pair.endpoint, pair.reply, deadline()))?;
    same("the bits", (arrival.kind, arrival.words[0]), (Received::Notification, 3))?;
    let session = pair.session;
    let sender = works("a sender", thread::spawn(128, move || message::send(session, &mut request(11, [6; 6]))))?;
    let arrival = works("receiving a message", message::recv(pair.endpoint, pair.reply, deadline()))?;
    same("the message", (arrival.kind, arrival.badge, arrival.tag, arrival.words), (Received::Send, 7, 11, [6; 6]))?;
    refused("answering it", message::reply(pair.reply, &Answer::default()), Error::WrongState)?;
    works("sending", works("its end", sender.join(deadline()))?)?;
    calls::close(bits);
    Ok(())
}
