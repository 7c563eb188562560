//! The security policy as the kernel takes it: once; and the notes of the audit
//! record.

use crate::raw;
use crate::roots::root;
use crate::tap::{check, fail, refused, same, works, Check, Test};
use abi::boot::InitHandle;
use abi::call::Call;
use abi::security::{Kind, Record, Shape, Verdict, DEFAULT_SUBJECT, INIT_SUBJECT, NAME, PATH, RING_ALL};
use abi::{Error, Handle, Rights};
use alloc::vec::Vec;
use scheme::rt::{calls, security};

/// The tests, in this order: the first loads the policy.
pub const TESTS: &[Test] = &[
    Test { name: "a-policy-is-loaded-once-and-sealed", run: sealed },
    Test { name: "a-note-stands-in-the-audit-record", run: noted },
];

const SYSTEM: Handle = root(InitHandle::System);
/// A type that the policy lets us make sessions of, and one that it does not.
const OURS: u32 = 1;
const OTHERS: u32 = 2;

/// A policy that lets us make sessions of these types.
fn policy(types: &[u32]) -> Vec<u8> {
    let shape = Shape { subjects: 3, types: 3 };
    let mut bytes = alloc::vec![0; shape.length()];
    for (place, byte) in bytes.iter_mut().zip(shape.header()) {
        *place = byte;
    }
    types.iter().for_each(|number| shape.allow(&mut bytes, INIT_SUBJECT, *number, Rights::MANAGE | Rights::SEND));
    bytes
}

/// Whether sessions of these two types can be made.
fn can_make(badge: u64) -> Check<[abi::Result<()>; 2]> {
    let endpoint = works("an endpoint", calls::endpoint_create(Handle::SELF_QUOTA))?;
    let made = [(badge, OURS), (badge + 1, OTHERS)]
        .map(|(badge, number)| calls::session_create(endpoint, badge, u64::from(number)).map(calls::close));
    calls::close(endpoint);
    Ok(made)
}

fn records() -> Check<Vec<Record>> {
    let (mut all, mut at) = (Vec::new(), 0);
    loop {
        let (some, next, _) = works("the record", security::audit_read(SYSTEM, RING_ALL, at))?;
        if some.is_empty() {
            return Ok(all);
        }
        all.extend(some);
        at = next;
    }
}

fn sealed() -> Check {
    refused("a record before there is a policy", security::audit_read(SYSTEM, RING_ALL, 0), Error::WrongState)?;
    refused("a note before there is one", security::audit_write(SYSTEM, "test", "early"), Error::WrongState)?;
    same("what may be made without one", can_make(1)?, [Ok(()), Ok(())])?;
    let good = policy(&[OURS]);
    let looks = works("a right less", calls::derive(SYSTEM, Rights::INSPECT))?;
    refused("without MANAGE", security::policy_load(looks, &good), Error::NoRight)?;
    calls::close(looks);
    // What is refused is as if it had never come.
    let shorter = good.get(..good.len() - 1).unwrap_or(&[]);
    let mut default_may = good.clone();
    Shape { subjects: 3, types: 3 }.allow(&mut default_may, DEFAULT_SUBJECT, OURS, Rights::SEND);
    for (what, bytes) in [("nothing", &[][..]), ("half of one", shorter), ("the default subject may", &default_may)] {
        refused(what, security::policy_load(SYSTEM, bytes), Error::BadArgument)?;
    }
    let nowhere = raw::any_call(Call::PolicyLoad, [SYSTEM.word(), 0, good.len() as u64, 0, 0, 0]);
    refused("one that can't be read", nowhere, Error::BadAddress)?;
    refused("a record still", security::audit_read(SYSTEM, RING_ALL, 0), Error::WrongState)?;

    works("loading", security::policy_load(SYSTEM, &good))?;
    same("what may be made under it", can_make(1)?, [Ok(()), Err(Error::Denied)])?;
    refused("one that allows more", security::policy_load(SYSTEM, &policy(&[OURS, OTHERS])), Error::WrongState)?;
    refused("the same again", security::policy_load(SYSTEM, &good), Error::WrongState)?;
    same("what may be made as before", can_make(1)?, [Ok(()), Err(Error::Denied)])?;
    let Some(first) = records()?.into_iter().next() else { return fail("there is no record") };
    let id = works("our id", calls::thread_id())?.1;
    same("the first record", (first.kind, first.verdict, first.process), (Kind::Policy, Verdict::Allowed, id))
}

fn noted() -> Check {
    let before = records()?.len();
    works("a note", security::audit_write(SYSTEM, "a-service", "was started, it says"))?;
    works("one that fills its place", security::audit_write(SYSTEM, &"s".repeat(NAME), &"t".repeat(PATH)))?;
    works("one without a text", security::audit_write(SYSTEM, "b", ""))?;
    let all = records()?;
    let new = all.get(before..).unwrap_or(&[]);
    let wanted = [("a-service", "was started, it says"), (&"s".repeat(NAME), &"t".repeat(PATH)), ("b", "")];
    same("records", new.len(), wanted.len())?;
    for (record, (service, text)) in new.iter().zip(wanted) {
        same("what it is", (record.kind, record.verdict), (Kind::Note, Verdict::Allowed))?;
        let name = record.scheme.iter().copied().take_while(|byte| *byte != 0).collect::<Vec<u8>>();
        check(name == service.as_bytes(), "it names another service")?;
        check(record.path() == text.as_bytes(), "it tells something else")?;
    }
    let bytes = [0u8; NAME + PATH + 1];
    let write =
        |address: u64, length: usize| raw::any_call(Call::AuditWrite, [SYSTEM.word(), address, length as u64, 0, 0, 0]);
    let at = bytes.as_ptr() as u64;
    refused("shorter than a name", write(at, NAME - 1), Error::BadArgument)?;
    refused("longer than there is room", write(at, NAME + PATH + 1), Error::BadArgument)?;
    refused("from nowhere", write(0, NAME), Error::BadAddress)?;
    let looks = works("a right less", calls::derive(SYSTEM, Rights::INSPECT))?;
    refused("without MANAGE", security::audit_write(looks, "c", "forged"), Error::NoRight)?;
    same("records", records()?.len(), all.len())?;
    works("reading without it", security::audit_read(looks, RING_ALL, 0))?;
    calls::close(looks);
    Ok(())
}
