//! `open` refuses what `call` refuses, and ends as a call does.

use crate::kit::{extras, failed, Pair};
use abi::call::Call;
use abi::message::{buffer, LeaseAccess};
use abi::{Error, Kind, Rights};
use kernel_core::world::{Outcome, LENT, PAGES};

/// Where the client's name is.
const NAME: u64 = LENT;
/// What it lends.
const DATA: u64 = LENT + 4096;

/// A client whose namespace binds `file` to the server.
fn scene() -> Pair {
    let mut p = Pair::new();
    p.bind_root(b"file", 99);
    p.w.kernel.user_write(p.client, NAME, b"file").expect("mapped");
    p
}

/// Opens with these extras; the error.
fn refused(p: &mut Pair, extras: u64) -> Option<Error> {
    let outcome = p.w.call(p.c, Call::Open, &[NAME, 0, extras, 4]);
    failed(outcome)
}

#[test]
fn what_can_not_be_sent_or_lent_is_refused_and_nothing_is_sent() {
    let mut p = scene();
    let c = p.c;
    assert_eq!(refused(&mut p, 7), Some(Error::BadArgument), "too many capabilities");
    p.w.buffer_set(c, buffer::SEND_CAPS, 0xfff1);
    assert_eq!(refused(&mut p, extras(1, 0, false)), Some(Error::BadHandle));
    let reply = {
        let quota = p.w.quota_handle(p.client);
        p.w.ok(c, Call::ReplyCreate, &[quota])[0]
    };
    let on = LeaseAccess::READ | LeaseAccess::PASS_ON;
    let session = p.session;
    p.w.lend(c, 0, 0, 16, on, session);
    assert_eq!(refused(&mut p, extras(0, 1, false)), Some(Error::WrongKind));
    p.w.lend(c, 0, 0, 16, on, reply);
    assert_eq!(refused(&mut p, extras(0, 1, false)), Some(Error::WrongState));
    p.w.kernel.user_write(p.client, NAME, b"a/b\0").expect("mapped");
    assert_eq!(failed(p.w.call(c, Call::Open, &[NAME, 0, 0, 3])), Some(Error::InvalidName));
    p.server_waits();
    p.w.end();
}

#[test]
fn it_ends_with_its_deadline_its_cancellation_an_upcall_or_its_server() {
    let mut p = scene();
    let c = p.c;
    let keeper = p.keeper;
    let thread = p.w.kernel.cap_insert(keeper, Kind::Thread, c.raw(), Rights::all(), None).expect("room").word();
    let at = p.w.now() + 1_000;
    p.w.buffer_set(c, buffer::DEADLINE, at);
    p.w.waits(c, Call::Open, &[NAME, 0, extras(0, 0, true), 4]);
    p.w.time(at);
    assert_eq!(p.w.outcome(c), Outcome::Failed(Error::TimedOut));
    p.w.waits(c, Call::Open, &[NAME, 0, 0, 4]);
    p.w.ok(p.k, Call::ThreadCancel, &[thread]);
    assert_eq!(p.w.outcome(c), Outcome::Failed(Error::Cancelled));
    p.w.waits(c, Call::Open, &[NAME, 0, 0, 4]);
    p.server_receives();
    let server = p.server;
    p.w.kill(server);
    assert_eq!(p.w.outcome(c), Outcome::Failed(Error::Restarted));
    p.w.ok(c, Call::UpcallHandler, &[LENT, LENT + 8 * 4096, 2 * 4096, 0]);
    p.w.waits(c, Call::Open, &[NAME, 0, 0, 4]);
    p.w.ok(p.k, Call::ThreadUpcall, &[thread, 1]);
    let frame = p.w.kernel.threads[c].registers.rsi.get();
    assert_eq!(p.w.call(c, Call::UpcallReturn, &[frame]), Outcome::Failed(Error::Interrupted));
    p.w.end();
}

#[test]
fn without_room_for_a_lease_it_says_so_as_a_call_does() {
    for memory in [false, true] {
        for call in [Call::Open, Call::Call] {
            let mut p = scene();
            let c = p.c;
            p.server_waits();
            p.w.lend(c, 0, DATA, 16, LeaseAccess::READ, 0);
            let subject = if call == Call::Open { NAME } else { p.session };
            let kernel = &p.w.kernel;
            if memory {
                while kernel.frames.take().is_some() {}
            } else {
                while kernel.charge(kernel.root_quota(), 1).is_ok() {}
            }
            let expected = if memory { Error::OutOfMemory } else { Error::OutOfQuota };
            assert_eq!(failed(p.w.call(c, call, &[subject, 0, extras(0, 1, false), 4])), Some(expected));
            let waits = p.w.outcome(p.s);
            assert_eq!(waits, Outcome::Waits, "the server heard of it");
        }
    }
}

#[test]
fn a_lender_without_room_is_a_lease_fault_and_a_server_without_room_its_own_error() {
    for memory in [false, true] {
        for call in [Call::LeaseRead, Call::LeaseWrite] {
            let mut p = scene();
            let (c, s) = (p.c, p.s);
            p.w.lend(c, 0, DATA, 4096, LeaseAccess::READ | LeaseAccess::WRITE, 0);
            p.w.waits(c, Call::Call, &[p.session, 0, extras(0, 1, false)]);
            p.server_receives();
            let reply = p.reply;
            assert_eq!(p.w.err(s, call, &[reply, 0, 0, 8, 16]), Error::BadAddress);
            let kernel = &p.w.kernel;
            // The lender's page is there, the server's is not.
            kernel.user_write(p.client, DATA, b"there").expect("mapped");
            if memory {
                while kernel.frames.take().is_some() {}
            } else {
                while kernel.charge(kernel.root_quota(), 1).is_ok() {}
            }
            let own = LENT + (PAGES - 10) * 4096;
            let expected = if memory { Error::OutOfMemory } else { Error::OutOfQuota };
            assert_eq!(p.w.err(s, call, &[reply, 0, 0, own, 16]), expected);
        }
    }
}
