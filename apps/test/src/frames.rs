//! A mapped and a pinned lease are the client's own frames: shown by writing,
//! and by physical address.

use crate::messages::{request, Pair};
use crate::part::deadline;
use crate::raw;
use crate::tap::{check, fail, refused, same, works, Check, Not, Test};
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::{Error, Handle};
use alloc::vec::Vec;
use scheme::client::File;
use scheme::message::Lend;
use scheme::rt::message::{self, Answer};
use scheme::rt::{calls, lease, thread};
use scheme::wire::OpenFlags;

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "a-mapped-lease-is-the-clients-own-memory", run: coherent },
    Test { name: "a-pinned-and-a-mapped-lease-are-the-clients-own-frames", run: physical },
];

/// The bus manager's command that hands out a device's view of memory (`hal::bus::START`, which programs under `apps` don't see).
const START: u64 = 6;
/// The host bridge, which is on every PC and which nobody drives.
const HOST_BRIDGE: &str = "pci:0000.00.00.0";
const PAGES: u64 = 3;
const LENGTH: u64 = PAGES * PAGE_SIZE;
const WRITE: Protection = Protection::READ.union(Protection::WRITE);

/// Memory of the client's, mapped.
fn client_memory() -> Check<(Handle, u64)> {
    let memory = works("memory", calls::memory_create(Handle::SELF_QUOTA, PAGES, MemoryFlags::empty()))?;
    let place = works("mapping it", raw::map(memory, 0, LENGTH, WRITE))?;
    for page in 0..PAGES {
        raw::store(place + page * PAGE_SIZE, 1 + page as u8);
    }
    Ok((memory, place))
}

/// Lends the memory at `place` through a session.
fn lend(session: Handle, place: u64) -> abi::Result<()> {
    let mut out = request(0, [0; 6]);
    out.leases.push(Lend::Write(raw::borrowed(place, LENGTH)));
    message::call(session, &mut out).map(|_| ())
}

fn coherent() -> Check {
    let pair = Pair::new()?;
    let (memory, own) = client_memory()?;
    let (endpoint, reply) = (pair.endpoint, pair.reply);
    let serve = move || -> Check {
        works("receiving", message::recv(endpoint, reply, deadline()))?;
        let tried = (|| {
            let place = works("mapping the lease", raw::lease_map(reply, 0, 0, LENGTH, Protection::WRITE))?;
            check(place != own, "it was mapped where it was")?;
            for page in 0..PAGES {
                let (there, here) = (place + page * PAGE_SIZE, own + page * PAGE_SIZE);
                same("what the client wrote", raw::load(there), 1 + page as u8)?;
                // While the call goes on, each side sees the other's stores at once: there is one page, not two.
                raw::store(there + 1, 0x70 + page as u8);
                same("a store of the server's", raw::load(here + 1), 0x70 + page as u8)?;
                raw::store(here + 2, 0x60 + page as u8);
                same("a store of the client's", raw::load(there + 2), 0x60 + page as u8)?;
            }
            Ok(())
        })();
        works("answering", message::reply(reply, &Answer::default()))?;
        tried
    };
    let server = works("a server", thread::spawn(128, serve))?;
    let lent = lend(pair.session, own);
    works("serving", server.join(deadline()))??;
    works("lending", lent)?;
    works("unmapping", raw::unmap(own, LENGTH))?;
    calls::close(memory);
    Ok(())
}

/// A device's view of memory, and the claim that keeps it.
fn domain() -> Check<(Handle, File)> {
    let here = |error: Error| Not::Here(alloc::format!("no device's view of memory can be had: {}", error.name()));
    let device = File::open(HOST_BRIDGE, OpenFlags::READ | OpenFlags::WRITE).map_err(here)?;
    let mut claim = device.open_at("", OpenFlags::READ | OpenFlags::WRITE).map_err(here)?;
    claim.set_deadline(deadline());
    let (_, _, mut caps) = claim.control_with(START, 0, &[], &mut [], &[]).map_err(here)?;
    match caps.take(0) {
        Some(domain) => Ok((domain, claim)),
        None => fail("the bus manager handed out nothing"),
    }
}

/// The addresses of single pages in ranges of addresses.
fn frames(ranges: &[(u64, u64)]) -> Vec<u64> {
    let pages = |(start, length): &(u64, u64)| (*start..start + length).step_by(PAGE_SIZE as usize);
    ranges.iter().flat_map(pages).collect()
}

fn physical() -> Check {
    let (domain, _claim) = domain()?;
    let pair = Pair::new()?;
    let (memory, own) = client_memory()?;
    let pin = works("pinning the memory itself", lease::pin_memory(domain, memory, 0, LENGTH))?;
    let wanted = frames(pin.ranges());
    drop(pin);
    same("pages pinned", wanted.len() as u64, PAGES)?;
    let (endpoint, reply) = (pair.endpoint, pair.reply);
    let serve = move || -> Check<Vec<u64>> {
        works("receiving", message::recv(endpoint, reply, deadline()))?;
        let tried = (|| {
            let place = works("mapping the lease", raw::lease_map(reply, 0, 0, LENGTH, Protection::WRITE))?;
            let pin = works("pinning it", lease::pin(reply, 0, 0, LENGTH as usize, domain))?;
            refused("answering while it is pinned", message::reply(reply, &Answer::default()), Error::Busy)?;
            refused("pinning beyond it", lease::pin(reply, 0, 1, LENGTH as usize, domain), Error::LeaseRange)?;
            raw::store(place + 9, 0x99);
            Ok(frames(pin.ranges()))
        })();
        works("answering", message::reply(reply, &Answer::default()))?;
        tried
    };
    let server = works("a server", thread::spawn(128, serve))?;
    let lent = lend(pair.session, own);
    let found = works("serving", server.join(deadline()))??;
    works("lending", lent)?;
    same("the frames of the lease", &found, &wanted)?;
    // What was stored through the server's mapping lies in the frame that was pinned before and is pinned now.
    same("the byte stored through the mapping", raw::load(own + 9), 0x99)?;
    let again = works("pinning the memory again", lease::pin_memory(domain, memory, 0, LENGTH))?;
    same("its frames afterwards", &frames(again.ranges()), &wanted)?;
    drop(again);
    works("unmapping", raw::unmap(own, LENGTH))?;
    [memory, domain].into_iter().for_each(calls::close);
    Ok(())
}
