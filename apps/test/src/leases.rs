//! Leases at their edges: a server never touches a byte that was not lent.

use crate::messages::{request, Pair};
use crate::part::{content, deadline, end_of, given, status, Part, Role};
use crate::raw;
use crate::tap::{check, fail, refused, same, works, Check, Test};
use abi::memory::{Protection, PAGE_SIZE};
use abi::{Error, Handle, Rights};
use alloc::format;
use scheme::message::Lend;
use scheme::rt::calls;
use scheme::rt::message::{self, Answer};

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "three-bytes-across-a-page-border-are-three-bytes", run: three_bytes },
    Test { name: "a-lease-gives-only-the-access-it-was-lent-for", run: access },
    Test { name: "what-is-passed-on-stays-within-what-was-lent", run: passed_on },
    Test { name: "a-lender-that-dies-while-it-is-read", run: dies },
];

/// The parts played here.
pub const PARTS: &[Role] = &[("lend-three", |_| status(lend_three())), ("lend-for-ever", |_| status(lend_for_ever()))];

const READ: Protection = Protection::READ;
const WRITE: Protection = Protection::READ.union(Protection::WRITE);
const PAGE: usize = PAGE_SIZE as usize;

/// Some pages of one's own, filled, and where in them the second page begins.
fn pages(count: usize) -> (alloc::vec::Vec<u8>, usize) {
    let bytes = alloc::vec![b'.'; (count + 1) * PAGE];
    let start = (bytes.as_ptr() as usize).wrapping_neg() % PAGE;
    (bytes, start)
}

fn lend_three() -> Check {
    let (mut bytes, start) = pages(3);
    let border = start + PAGE;
    let server = given("server");
    for writable in [false, true] {
        let part = bytes.get_mut(border - 2..border + 1).unwrap_or(&mut []);
        part.copy_from_slice(b"abc");
        let mut out = request(u64::from(writable), [0; 6]);
        out.leases.push(if writable { Lend::Write(part) } else { Lend::Read(part) });
        works("lending", message::call(server, &mut out))?;
        drop(out);
        let wanted: &[u8] = if writable { b"xyz" } else { b"abc" };
        same("what was lent", bytes.get(border - 2..border + 1).unwrap_or(&[]), wanted)?;
        let others = bytes.iter().enumerate().filter(|(at, _)| !(border - 2..border + 1).contains(at));
        check(others.into_iter().all(|(_, b)| *b == b'.'), "a byte that was not lent was changed")?;
    }
    Ok(())
}

/// Every way to reach beyond three bytes, and what must come of it.
fn beyond(reply: Handle, writable: bool) -> Check {
    let copy = |offset: u64, length: usize| {
        let mut bytes = alloc::vec![b'!'; length];
        if writable {
            raw::lease_write(reply, 0, offset, &bytes)
        } else {
            raw::lease_read(reply, 0, offset, &mut bytes)
        }
    };
    let protection = if writable { Protection::WRITE } else { READ };
    let before = [0u64.wrapping_sub(1), 0u64.wrapping_sub(PAGE_SIZE)];
    for (offset, length) in [
        (before[0], 1),
        (before[1], PAGE),
        (before[0], 4),
        (3, 1),
        (0, 4),
        (2, 2),
        (3, PAGE),
        (PAGE_SIZE, 1),
        (0, PAGE),
    ] {
        refused(&format!("copying {length} at {offset:#x}"), copy(offset, length), Error::LeaseRange)?;
    }
    // Offset 2 is where the second page begins, and 2 before the first byte is no page's beginning.
    let first_page = 2u64.wrapping_sub(PAGE_SIZE);
    for (offset, length) in
        [(0, PAGE_SIZE), (2, PAGE_SIZE), (first_page, PAGE_SIZE), (first_page, 2 * PAGE_SIZE), (before[0], 1), (3, 1)]
    {
        let map = raw::lease_map(reply, 0, offset, length, protection);
        refused(&format!("mapping {length:#x} at {offset:#x}"), map, Error::LeaseRange)?;
    }
    for (offset, length) in [(0, 3), (0, 2), (2, 1), (1, 1)] {
        let map = raw::lease_map(reply, 0, offset, length, protection);
        refused(&format!("mapping {length} at {offset}"), map, Error::LeaseAccess)?;
    }
    refused("a second lease", raw::lease_read(reply, 1, 0, &mut [0]), Error::BadArgument)?;
    // The control: the three bytes themselves.
    if writable {
        refused("reading what is lent to be written", raw::lease_read(reply, 0, 0, &mut [0; 3]), Error::LeaseAccess)?;
        same("bytes written", works("writing", raw::lease_write(reply, 0, 0, b"xyz"))?, 3)
    } else {
        let mut bytes = [0; 3];
        same("bytes read", works("reading", raw::lease_read(reply, 0, 0, &mut bytes))?, 3)?;
        same("the bytes", &bytes, b"abc")?;
        refused("writing what is lent to be read", raw::lease_write(reply, 0, 0, b"!!!"), Error::LeaseAccess)
    }
}

fn three_bytes() -> Check {
    let pair = Pair::new()?;
    let part = Part::new("lend-three", &[]).with("server", pair.session, Rights::SEND).start()?;
    for writable in [false, true] {
        let arrival = works("receiving", message::recv(pair.endpoint, pair.reply, deadline()))?;
        same("which call", arrival.tag, u64::from(writable))?;
        same("the lease's length", arrival.leases.first().copied().flatten().map(|(length, _)| length), Some(3))?;
        let tried = beyond(pair.reply, writable);
        works("answering", message::reply(pair.reply, &Answer::default()))?;
        tried?;
        refused("copying after the answer", raw::lease_read(pair.reply, 0, 0, &mut [0]), Error::WrongState)?;
    }
    content(end_of(&part)?)
}

fn access() -> Check {
    let pair = Pair::new()?;
    let (endpoint, reply) = (pair.endpoint, pair.reply);
    let serve = move || -> Check {
        works("receiving", message::recv(endpoint, reply, deadline()))?;
        refused(
            "mapping what is to be read writable",
            raw::lease_map(reply, 0, 0, PAGE_SIZE, WRITE),
            Error::LeaseAccess,
        )?;
        let execute = READ | Protection::EXECUTE;
        refused("mapping it executable", raw::lease_map(reply, 0, 0, PAGE_SIZE, execute), Error::LeaseAccess)?;
        refused("mapping nothing", raw::lease_map(reply, 0, 0, 0, READ), Error::BadArgument)?;
        let place = works("mapping it", raw::lease_map(reply, 0, 0, PAGE_SIZE, READ))?;
        same("its first byte", raw::load(place), b'.')?;
        refused("making that writable", raw::protect(place, PAGE_SIZE, WRITE), Error::NoRight)?;
        works("answering", message::reply(reply, &Answer::default()))
    };
    let server = works("a server", scheme::rt::thread::spawn(128, serve))?;
    let (bytes, start) = pages(1);
    let mut out = request(0, [0; 6]);
    out.leases.push(Lend::Read(bytes.get(start..start + PAGE).unwrap_or(&[])));
    let called = message::call(pair.session, &mut out);
    works("serving", server.join(deadline()))??;
    works("lending", called).map(|_| ())
}

fn passed_on() -> Check {
    let (front, back) = (Pair::new()?, Pair::new()?);
    let (endpoint, reply, session) = (front.endpoint, front.reply, back.session);
    let pass = move |offset: usize, length: usize, access| {
        let mut out = request(0, [0; 6]);
        out.leases.push(Lend::PassOn { reply, index: 0, offset, length, access });
        message::call(session, &mut out).map(|_| ())
    };
    let middle = move || -> Check {
        use abi::message::LeaseAccess as A;
        works("receiving", message::recv(endpoint, reply, deadline()))?;
        refused("passing on more than was lent", pass(50, 51, A::READ), Error::LeaseRange)?;
        refused("from beyond", pass(usize::MAX, 2, A::READ), Error::LeaseRange)?;
        refused("for what it was not lent", pass(0, 10, A::WRITE), Error::LeaseAccess)?;
        let passed = pass(50, 50, A::READ);
        works("answering", message::reply(reply, &Answer::default()))?;
        works("passing on a part", passed)?;
        refused("passing on what is not lent any more", pass(0, 1, A::READ), Error::WrongState)
    };
    let (endpoint, reply) = (back.endpoint, back.reply);
    let last = move || -> Check {
        works("receiving", message::recv(endpoint, reply, deadline()))?;
        let mut bytes = [0; 50];
        let read = raw::lease_read(reply, 0, 0, &mut bytes);
        let more = raw::lease_read(reply, 0, 1, &mut bytes);
        let back = raw::lease_read(reply, 0, u64::MAX, &mut [0]);
        works("answering", message::reply(reply, &Answer::default()))?;
        same("bytes read", works("reading", read)?, 50)?;
        check(bytes.iter().enumerate().all(|(i, b)| usize::from(*b) == i + 50), "other bytes came")?;
        refused("a byte beyond the part", more, Error::LeaseRange)?;
        refused("a byte before it", back, Error::LeaseRange)
    };
    let middle = works("the middle", scheme::rt::thread::spawn(128, middle))?;
    let last = works("the last", scheme::rt::thread::spawn(128, last))?;
    let bytes: alloc::vec::Vec<u8> = (0..100).collect();
    let mut out = request(0, [0; 6]);
    out.leases.push(Lend::Read(&bytes));
    let called = message::call(front.session, &mut out);
    works("the middle's end", middle.join(deadline()))??;
    works("the last's end", last.join(deadline()))??;
    works("lending", called).map(|_| ())
}

fn lend_for_ever() -> Check {
    let (bytes, start) = pages(16);
    let mut out = request(0, [0; 6]);
    out.deadline_ns = 0;
    out.leases.push(Lend::Read(bytes.get(start..start + 16 * PAGE).unwrap_or(&[])));
    let _ = message::call(given("server"), &mut out);
    fail("the call came back")
}

fn dies() -> Check {
    for mapped in [false, true] {
        let pair = Pair::new()?;
        let part = Part::new("lend-for-ever", &[]).with("server", pair.session, Rights::SEND).start()?;
        works("receiving", message::recv(pair.endpoint, pair.reply, deadline()))?;
        let mut byte = [0];
        works("reading while it lives", raw::lease_read(pair.reply, 0, 5, &mut byte))?;
        same("the byte", byte, *b".")?;
        let place = match mapped {
            true => Some(works("mapping it", raw::lease_map(pair.reply, 0, 0, 16 * PAGE_SIZE, READ))?),
            false => None,
        };
        works("ending it", part.kill(1))?;
        let until = deadline();
        while works("its status", part.status())? == scheme::process::Status::Running {
            check(scheme::time::now_ns() < until, "it did not end")?;
            works("yielding", calls::thread_yield())?;
        }
        let read = raw::lease_read(pair.reply, 0, 5, &mut byte);
        refused("copying from the dead", read, Error::Cancelled)?;
        if let Some(place) = place {
            // Frames that are mapped stay until the answer, whatever became of their lender.
            for page in 0..16 {
                same("a byte of the dead", raw::load(place + page * PAGE_SIZE), b'.')?;
            }
        }
        works("answering the dead", message::reply(pair.reply, &Answer::default()))?;
        refused("answering again", message::reply(pair.reply, &Answer::default()), Error::WrongState)?;
        end_of(&part)?;
    }
    Ok(())
}
