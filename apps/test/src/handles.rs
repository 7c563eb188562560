//! Handles: closed ones, guessed ones, ones of another kind, ones without the
//! right.

use crate::part::deadline;
use crate::raw;
use crate::tap::{check, fail, refused, same, works, Check, Test};
use abi::{Error, Handle, Kind, Rights};
use alloc::collections::BTreeSet;
use alloc::format;
use scheme::message::{Outgoing, SendCap};
use scheme::rt::{calls, message};

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "a-closed-handle-names-nothing", run: closed },
    Test { name: "guessed-handles-name-nothing", run: guessed },
    Test { name: "a-handle-of-another-kind-is-refused", run: kinds },
    Test { name: "rights-only-shrink", run: rights },
    Test { name: "malformed-messages-are-refused", run: malformed },
];

fn closed() -> Check {
    let bits = works("a notification", calls::notification_create(Handle::SELF_QUOTA))?;
    works("signalling it", calls::notify(bits, 1))?;
    works("closing it", raw::close(bits))?;
    refused("signalling it closed", calls::notify(bits, 1), Error::BadHandle)?;
    refused("closing it again", raw::close(bits), Error::BadHandle)?;
    refused("calling it", message::call(bits, &mut Outgoing::default()), Error::BadHandle)?;
    // Its place is used again, and the old handle does not name what is there now.
    for _ in 0..100 {
        let other = works("another", calls::notification_create(Handle::SELF_QUOTA))?;
        check(other != bits, "a closed handle came back")?;
        refused("the old handle", calls::notify(bits, 1), Error::BadHandle)?;
        works("closing the other", raw::close(other))?;
    }
    Ok(())
}

/// The handles in our own table, as the kernel tells them.
fn own() -> Check<BTreeSet<u32>> {
    let mut found = BTreeSet::new();
    let mut index = 0;
    loop {
        match calls::process_capability(Handle::SELF_PROCESS, index) {
            Ok((info, next)) => {
                found.insert(info.handle.0);
                index = next;
            }
            Err(Error::NotFound) => return Ok(found),
            Err(error) => return fail(format!("our own table: {}", error.name())),
        }
    }
}

fn guessed() -> Check {
    let own = own()?;
    check(!own.is_empty(), "our own table is empty")?;
    let mut generations: BTreeSet<u16> = own.iter().map(|handle| Handle(*handle).generation()).collect();
    generations.extend([0, 1, 2, 3, 0x7fff, 0x8000, 0xfffe, 0xffff]);
    let mut found = BTreeSet::new();
    for generation in generations {
        for index in 0..=u16::MAX {
            let handle = Handle(u32::from(index) | u32::from(generation) << 16);
            if handle.is_pseudo() {
                continue;
            }
            match raw::inspect(handle) {
                Err(Error::BadHandle) => {}
                Ok(_) => {
                    found.insert(handle.0);
                }
                Err(error) => return fail(format!("{:#x}: {}", handle.0, error.name())),
            }
        }
    }
    // All that a guess finds is ours, and the guesses were not in vain.
    same("handles found by guessing", found, own)?;
    for word in [1 << 32, u64::MAX, 0xdead_beef_0000_0001] {
        let result = raw::any_call(abi::call::Call::Inspect, [word, 0, 0, 0, 0, 0]);
        refused("a word that is no handle", result, Error::BadHandle)?;
    }
    Ok(())
}

fn kinds() -> Check {
    let quota = Handle::SELF_QUOTA;
    let endpoint = works("an endpoint", calls::endpoint_create(quota))?;
    let session = works("a session", calls::session_create(endpoint, 1, 0))?;
    let bits = works("a notification", calls::notification_create(quota))?;
    let memory = works("a memory", calls::memory_create(quota, 1, abi::memory::MemoryFlags::empty()))?;
    let reply = works("a reply", calls::reply_create(quota))?;
    let all = [endpoint, session, bits, memory, reply, Handle::SELF_PROCESS, Handle::SELF_SPACE, Handle::SELF_QUOTA];
    for handle in all {
        let (kind, ..) = works("inspecting", calls::inspect(handle))?;
        let wrong = |what: &str, needs: Kind, result: abi::Result<()>| match result {
            _ if kind == needs => Ok(()),
            result => refused(&format!("{what} of a {}", kind.name()), result, Error::WrongKind),
        };
        wrong("notify", Kind::Notification, calls::notify(handle, 1))?;
        wrong("memory_info", Kind::Memory, calls::memory_info(handle).map(|_| ()))?;
        wrong("session_create", Kind::Endpoint, calls::session_create(handle, 9, 0).map(|_| ()))?;
        wrong("quota_info", Kind::Quota, calls::quota_info(handle).map(|_| ()))?;
        wrong("process_status", Kind::Process, calls::process_status(handle).map(|_| ()))?;
        wrong("system_info", Kind::System, calls::system_info(handle, 0, &mut [0; 4]).map(|_| ()))?;
        wrong("interrupt_acknowledge", Kind::Interrupt, calls::interrupt_acknowledge(handle))?;
        let mut request = Outgoing { deadline_ns: deadline(), ..Outgoing::default() };
        if kind != Kind::Session {
            wrong("call", Kind::Session, message::call(handle, &mut request).map(|_| ()))?;
        }
        wrong("reply", Kind::Reply, message::reply(handle, &message::Answer::default()))?;
    }
    [endpoint, session, bits, memory, reply].into_iter().for_each(calls::close);
    Ok(())
}

fn rights() -> Check {
    let bits = works("a notification", calls::notification_create(Handle::SELF_QUOTA))?;
    let listener = works("one to wait with", calls::derive(bits, Rights::RECEIVE | Rights::DERIVE))?;
    works("the control", calls::notify(bits, 4))?;
    same("what was signalled", works("waiting", calls::wait(listener, deadline()))?, 4)?;
    refused("signalling without SEND", calls::notify(listener, 1), Error::NoRight)?;
    let again = works("deriving with more", calls::derive(listener, Rights::all()))?;
    let (_, rights, ..) = works("inspecting", calls::inspect(again))?;
    same("rights that came of it", rights, Rights::RECEIVE | Rights::DERIVE)?;
    refused("signalling with it", calls::notify(again, 1), Error::NoRight)?;
    let last = works("one that can't derive", calls::derive(bits, Rights::SEND))?;
    refused("deriving from it", calls::derive(last, Rights::SEND), Error::NoRight)?;
    refused("machine control through ourselves", calls::system_control(Handle::SELF_PROCESS, 0, 1), Error::WrongKind)?;
    let own_namespace = calls::namespace_bind(Handle::SELF_NAMESPACE, "x", bits);
    refused("changing a namespace that is only looked at", own_namespace, Error::NoRight)?;
    [bits, listener, again, last].into_iter().for_each(calls::close);
    Ok(())
}

fn malformed() -> Check {
    let endpoint = works("an endpoint", calls::endpoint_create(Handle::SELF_QUOTA))?;
    let session = works("a session", calls::session_create(endpoint, 1, 0))?;
    for extras in [5, 0x50, 1 << 3, 1 << 9, 1 << 16, u64::MAX] {
        let result = raw::any_call(abi::call::Call::Call, [session.word(), 0, extras, 0, 0, 0]);
        refused(&format!("extras {extras:#x}"), result, Error::BadArgument)?;
    }
    let no_transfer = works("a session that stays", calls::derive(session, Rights::SEND))?;
    let cap = |handle, rights| Outgoing {
        caps: [SendCap { handle, rights }].into(),
        deadline_ns: deadline(),
        ..Outgoing::default()
    };
    let result = message::call(session, &mut cap(no_transfer, Rights::SEND));
    refused("sending what may not be", result, Error::NoRight)?;
    let result = message::call(session, &mut cap(Handle(0x7fff_1234), Rights::SEND));
    refused("sending what is not there", result, Error::BadHandle)?;
    refused("badge 0", calls::session_create(endpoint, 0, 0), Error::BadArgument)?;
    refused("a badge again", calls::session_create(endpoint, 1, 0), Error::Exists)?;
    [endpoint, session, no_transfer].into_iter().for_each(calls::close);
    Ok(())
}
