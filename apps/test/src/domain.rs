//! Devices' views of memory, and the pins that hold it.

use crate::objects::settled;
use crate::part::deadline;
use crate::raw;
use crate::roots::root;
use crate::tap::{check, refused, same, works, Check, Test};
use abi::boot::InitHandle;
use abi::call::Call;
use abi::memory::{MemoryFlags, PAGE_SIZE};
use abi::{Error, Handle, Result, Rights};
use scheme::process::Status;
use scheme::rt::{calls, clone, quota};

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "a-view-of-memory-is-found-again-by-its-tag", run: tagged },
    Test { name: "memory-is-pinned-by-right-and-within-its-bounds", run: bounds },
    Test { name: "a-pin-is-derived-and-passed-on-by-nobody", run: alone },
    Test { name: "a-revoked-pin-holds-its-memory-until-its-device-is-stopped", run: revoked },
    Test { name: "a-dead-drivers-pin-holds-its-memory-until-its-device-is-stopped", run: quarantine },
];

/// A tag that nobody else gives.
const TAG: u64 = 0x7e57;
/// Pages of memory to pin.
const PAGES: u64 = 4;
const LENGTH: u64 = PAGES * PAGE_SIZE;

/// Pins the first bytes of a memory, for good: what drops nothing.
pub fn pin(domain: Handle, memory: Handle, length: u64) -> Result<Handle> {
    pin_part(domain, memory, 0, length)
}

fn pin_part(domain: Handle, memory: Handle, offset: u64, length: u64) -> Result<Handle> {
    let words = [domain.word(), memory.word(), offset, length, 0, 0];
    raw::any_call(Call::DomainPin, words).map(|[pin, ..]| Handle(pin as u32))
}

fn view(tag: u64) -> Result<Handle> {
    calls::domain_create(root(InitHandle::DmaDomain), Handle::SELF_QUOTA, tag)
}

fn open(tag: u64) -> Result<Handle> {
    calls::domain_open(root(InitHandle::DmaDomain), tag)
}

fn memory(account: Handle) -> Check<Handle> {
    works("memory", calls::memory_create(account, PAGES, MemoryFlags::empty()))
}

fn tagged() -> Check {
    refused("before there is one", open(TAG), Error::NotFound)?;
    let (first, second) = (works("a view", view(TAG))?, works("another", view(TAG + 1))?);
    refused("the same tag", view(TAG), Error::Exists)?;
    let object = |handle| works("looking", calls::inspect(handle)).map(|(.., object)| object);
    for (tag, made) in [(TAG, first), (TAG + 1, second)] {
        let found = works("finding it", open(tag))?;
        same("which it is", object(found)?, object(made)?)?;
        calls::close(found);
    }
    let nameless = [works("one without a tag", view(0))?, works("another", view(0))?];
    refused("by no tag", open(0), Error::NotFound)?;
    refused("making one of what is no root", calls::domain_create(first, Handle::SELF_QUOTA, 0), Error::BadArgument)?;
    refused("finding one through what is no root", calls::domain_open(first, TAG), Error::BadArgument)?;
    let looks = works("a right less", calls::derive(root(InitHandle::DmaDomain), Rights::INSPECT))?;
    refused("making one without MANAGE", calls::domain_create(looks, Handle::SELF_QUOTA, 0), Error::NoRight)?;
    refused("finding one without it", calls::domain_open(looks, TAG), Error::NoRight)?;
    // A tag is free again when nobody holds its view.
    calls::close(first);
    refused("once it is gone", open(TAG), Error::NotFound)?;
    let again = works("its tag again", view(TAG))?;
    [again, second, looks].into_iter().chain(nameless).for_each(calls::close);
    Ok(())
}

fn bounds() -> Check {
    let domain = works("a view", view(0))?;
    let memory = memory(Handle::SELF_QUOTA)?;
    calls::close(works("all of it", pin(domain, memory, LENGTH))?);
    calls::close(works("a byte at its end", pin_part(domain, memory, LENGTH - 1, 1))?);
    for (what, offset, length) in [
        ("more than it", 0, LENGTH + 1),
        ("past its end", LENGTH, 1),
        ("nothing", 0, 0),
        ("round the end of numbers", u64::MAX, 2),
    ] {
        refused(what, pin_part(domain, memory, offset, length), Error::BadArgument)?;
    }
    refused("for no device", pin(root(InitHandle::DmaDomain), memory, 1), Error::BadArgument)?;
    let reads = works("a right less", calls::derive(memory, Rights::READ))?;
    refused("memory that is not ours to write", pin(domain, reads, 1), Error::NoRight)?;
    let looks = works("a right less", calls::derive(domain, Rights::INSPECT))?;
    refused("without WRITE to the view", pin(looks, memory, 1), Error::NoRight)?;
    [looks, reads, memory, domain].into_iter().for_each(calls::close);
    Ok(())
}

fn alone() -> Check {
    let domain = works("a view", view(0))?;
    let memory = memory(Handle::SELF_QUOTA)?;
    let pin = works("a pin", pin(domain, memory, LENGTH))?;
    same("its rights", works("looking", calls::inspect(pin))?.1, Rights::INSPECT)?;
    refused("deriving from it", calls::derive(pin, Rights::INSPECT), Error::NoRight)?;
    refused("passing it on", calls::process_grant(Handle::SELF_PROCESS, pin, Rights::INSPECT), Error::NoRight)?;
    [pin, memory, domain].into_iter().for_each(calls::close);
    Ok(())
}

fn used(account: Handle) -> Check<u64> {
    works("looking", calls::quota_info(account)).map(|(_, used, _)| used)
}

/// How many pins an account pays for.
fn pins_of(account: Handle) -> Check<u64> {
    let usage = works("looking", quota::usage(account))?;
    Ok(usage.objects.iter().filter(|(name, _)| *name == "Pin").map(|(_, count)| count).sum())
}

fn revoked() -> Check {
    let account = works("an account", calls::quota_split(Handle::SELF_QUOTA, 64, 0))?;
    let (before, own) = (used(account)?, pins_of(Handle::SELF_QUOTA)?);
    let (domain, memory) = (works("a view", view(0))?, memory(account)?);
    let lent = works("what is lent to a driver", calls::derive(memory, Rights::all()))?;
    let pin = works("its pin", pin(domain, lent, LENGTH))?;
    works("revoking", calls::revoke(memory))?;
    refused("the pin", calls::inspect(pin), Error::BadHandle)?;
    refused("the memory", calls::inspect(lent), Error::BadHandle)?;
    calls::close(memory);
    // Nobody has asked the device whether it is done.
    same("pins", pins_of(Handle::SELF_QUOTA)?, own + 1)?;
    check(used(account)? >= before + PAGES, "the memory is gone")?;
    works("the device is stopped", calls::domain_release(domain))?;
    settled(|| Ok((used(account)?, pins_of(Handle::SELF_QUOTA)?) == (before, own)))?;
    [domain, account].into_iter().for_each(calls::close);
    Ok(())
}

fn quarantine() -> Check {
    let account = works("an account", calls::quota_split(Handle::SELF_QUOTA, 4096, 0))?;
    let (used, pins) = (|| used(account), || pins_of(account));
    let before = used()?;
    let (domain, memory) = (works("a view", view(0))?, memory(account)?);
    let notification = || works("a notification", calls::notification_create(Handle::SELF_QUOTA));
    let (over, ready, go) = (notification()?, notification()?, notification()?);
    let driver = move || match pin(domain, memory, LENGTH) {
        Ok(_) => calls::notify(ready, 1).and_then(|()| calls::wait(go, deadline())).map_or(1, |_| 0),
        Err(_) => 2,
    };
    let process = works("a driver", clone::fork(account, "driver", 64, driver))?;
    works("watching it", calls::process_watch(process, over, 1))?;
    works("it has pinned", calls::wait(ready, deadline()))?;
    same("pins", pins()?, 1)?;
    works("what is let go while it lives", calls::domain_release(domain))?;
    same("pins", pins()?, 1)?;
    works("letting it end", calls::notify(go, 1))?;
    works("its end", calls::wait(over, deadline()))?;
    same("how it ended", works("its status", scheme::process::status(process))?, Status::Exited(0))?;
    [process, memory].into_iter().for_each(calls::close);
    // It is dead, and nobody else names the memory: its device may write there all the same.
    same("pins of the dead", pins()?, 1)?;
    check(used()? >= before + PAGES, "the memory is gone")?;
    let looks = works("a right less", calls::derive(domain, Rights::INSPECT))?;
    refused("letting go without MANAGE", calls::domain_release(looks), Error::NoRight)?;
    same("pins of the dead", pins()?, 1)?;
    works("the device is stopped", calls::domain_release(domain))?;
    settled(|| Ok((used()?, pins()?) == (before, 0)))?;
    works("nothing is left to let go", calls::domain_release(domain))?;
    [looks, domain, over, ready, go, account].into_iter().for_each(calls::close);
    Ok(())
}
