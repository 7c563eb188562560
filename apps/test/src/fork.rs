//! Copy-on-write: clones of memory, and of this process.

use crate::part::{content, deadline};
use crate::raw;
use crate::tap::{check, refused, same, works, Check, Test};
use abi::call::Call;
use abi::memory::{Inherit, MemoryFlags, Protection, PAGE_SIZE};
use abi::{Error, Handle, Rights};
use alloc::vec::Vec;
use scheme::process::Status;
use scheme::rt::{calls, clone};

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "memory-can-be-cloned-copy-on-write", run: memory },
    Test { name: "a-clone-costs-its-account-what-it-writes", run: cost },
    Test { name: "fork-is-a-space-clone-and-a-table-copy", run: fork },
    Test { name: "a-forked-childs-stores-are-its-own", run: apart },
    Test { name: "a-fork-gets-of-each-mapping-what-that-says", run: inherited },
    Test { name: "handle-numbers-are-kept-but-for-replies-and-threads", run: handles },
    Test { name: "a-hundred-forks-leave-nothing-behind", run: many },
];

const PAGES: u64 = 64;
/// SDM 3A, table 6-1: #PF.
const PAGE_FAULT: u64 = 14;

fn byte(memory: Handle, page: u64) -> Check<u8> {
    let mut byte = [0];
    works("reading", calls::memory_read(memory, page * PAGE_SIZE, &mut byte))?;
    Ok(byte[0])
}

fn memory() -> Check {
    let source = works("memory", calls::memory_create(Handle::SELF_QUOTA, PAGES, MemoryFlags::empty()))?;
    for page in 0..PAGES {
        works("filling it", calls::memory_write(source, page * PAGE_SIZE, &[page as u8 + 1]))?;
    }
    let copy = works("cloning it", clone::memory_clone(source, Handle::SELF_QUOTA, 16, 32))?;
    let second = works("cloning the clone", clone::memory_clone(copy, Handle::SELF_QUOTA, 0, 32))?;
    works("a store into the source", calls::memory_write(source, 16 * PAGE_SIZE, &[100]))?;
    works("a store into the clone", calls::memory_write(copy, PAGE_SIZE, &[101]))?;
    same("the first page of all", (byte(source, 16)?, byte(copy, 0)?, byte(second, 0)?), (100, 17, 17))?;
    same("the second", (byte(source, 17)?, byte(copy, 1)?, byte(second, 1)?), (18, 101, 18))?;
    refused("more than there is", clone::memory_clone(source, Handle::SELF_QUOTA, 40, 32), Error::BadArgument)?;
    let write_only = works("a right less", calls::derive(source, Rights::WRITE))?;
    refused("without the right to read", clone::memory_clone(write_only, Handle::SELF_QUOTA, 0, 1), Error::NoRight)?;
    [source, copy, second, write_only].into_iter().for_each(calls::close);
    Ok(())
}

fn cost() -> Check {
    let account = works("an account", calls::quota_split(Handle::SELF_QUOTA, PAGES / 2, 0))?;
    let source = works("memory", calls::memory_create(Handle::SELF_QUOTA, PAGES, MemoryFlags::empty()))?;
    for page in 0..PAGES {
        works("filling it", calls::memory_write(source, page * PAGE_SIZE, &[1]))?;
    }
    let used = |account| works("looking", calls::quota_info(account)).map(|(_, used, _)| used);
    let copy = works("cloning it", clone::memory_clone(source, account, 0, PAGES))?;
    check(used(account)? <= 4, "a clone was charged for pages it shares")?;
    let mut written = 0;
    let refusal = loop {
        match calls::memory_write(copy, written * PAGE_SIZE, &[2]) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        check(written < PAGES, "a clone wrote more than its account has")?;
    };
    same("what ended it", refusal, Error::OutOfQuota)?;
    check(written >= PAGES / 4, "stores cost too much")?;
    same("what could not be written", byte(copy, written)?, 1)?;
    [copy, source, account].into_iter().for_each(calls::close);
    Ok(())
}

/// Forks, and waits for the end of the child.
pub fn child(run: impl FnOnce() -> u64 + 'static) -> Check<Status> {
    child_of(Handle::SELF_QUOTA, run)
}

/// The same, with the child charged to an account.
pub fn child_of(account: Handle, run: impl FnOnce() -> u64 + 'static) -> Check<Status> {
    let process = works("forking", clone::fork(account, "fork", 64, run))?;
    let over = works("a notification", calls::notification_create(Handle::SELF_QUOTA))?;
    works("watching it", calls::process_watch(process, over, 1))?;
    let end = calls::wait(over, deadline());
    if end.is_err() {
        let _ = calls::process_kill(process, 0);
    }
    works("waiting for its end", end)?;
    let status = works("how it ended", scheme::process::status(process))?;
    [process, over].into_iter().for_each(calls::close);
    Ok(status)
}

fn fork() -> Check {
    let numbers: Vec<u64> = (0..1000).collect();
    let bell = works("a notification", calls::notification_create(Handle::SELF_QUOTA))?;
    let status = child(move || {
        let sum: u64 = numbers.iter().sum();
        let told = calls::notify(bell, sum).is_ok();
        if told {
            0
        } else {
            1
        }
    })?;
    content(status)?;
    let bits = works("what it said", calls::wait(bell, deadline()))?;
    same("what it said", bits, 499_500)?;
    calls::close(bell);
    Ok(())
}

fn apart() -> Check {
    use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
    static SHARED: AtomicU64 = AtomicU64::new(1);
    SHARED.store(5, SeqCst);
    let status = child(|| {
        let before = SHARED.swap(77, SeqCst);
        let large: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        u64::from(before != 5 || large.get(1000) != Some(&232))
    })?;
    content(status)?;
    same("what the parent sees", SHARED.load(SeqCst), 5)
}

/// A page that is mapped as a clone is to get it, with a byte of ours.
fn mapped(inherit: Inherit) -> Check<u64> {
    let memory = works("memory", calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty()))?;
    let protection = Protection::READ | Protection::WRITE;
    let place = works("mapping it", raw::map_inherited(memory, PAGE_SIZE, protection, inherit))?;
    calls::close(memory);
    raw::store(place, 1);
    Ok(place)
}

fn inherited() -> Check {
    let (copied, shared, left) = (mapped(Inherit::Copy)?, mapped(Inherit::Share)?, mapped(Inherit::Nothing)?);
    let status = child(move || {
        let seen = [copied, shared].map(raw::load);
        raw::store(copied, 2);
        raw::store(shared, 3);
        u64::from(seen != [1, 1])
    })?;
    content(status)?;
    same("a store into a copy", raw::load(copied), 1)?;
    same("a store into what is shared", raw::load(shared), 3)?;
    raw::store(shared, 4);
    same("ours is seen too", child(move || u64::from(raw::load(shared)))?, Status::Exited(4))?;
    same("what is left out", child(move || u64::from(raw::load(left)))?, Status::Faulted(PAGE_FAULT))?;
    same("it stays ours", raw::load(left), 1)?;
    let nothing_known = u64::from(Protection::READ.bits()) | 3 << Inherit::SHIFT;
    let memory = works("memory", calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty()))?;
    let words = [Handle::SELF_SPACE.word(), memory.word(), 0, 0, PAGE_SIZE, nothing_known];
    refused("another word for it", raw::any_call(Call::SpaceMap, words), Error::BadArgument)?;
    calls::close(memory);
    [copied, shared, left].into_iter().try_for_each(|place| works("unmapping", raw::unmap(place, PAGE_SIZE)))
}

fn handles() -> Check {
    let memory = works("memory", calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty()))?;
    let reply = works("a reply", calls::reply_create(Handle::SELF_QUOTA))?;
    works("a store", calls::memory_write(memory, 0, &[42]))?;
    let status = child(move || {
        let mut byte = [0];
        let same = calls::memory_read(memory, 0, &mut byte).is_ok() && byte[0] == 42;
        let written = calls::memory_write(memory, 0, &[43]).is_ok();
        let gone = calls::inspect(reply) == Err(Error::BadHandle);
        u64::from(!(same && written && gone))
    })?;
    content(status)?;
    same("a Memory capability is the same memory", byte(memory, 0)?, 43)?;
    works("the parent's reply is its own", calls::inspect(reply))?;
    [memory, reply].into_iter().for_each(calls::close);
    Ok(())
}

fn many() -> Check {
    content(child(|| 0)?)?;
    let used = || works("looking", calls::quota_info(Handle::SELF_QUOTA)).map(|(_, used, _)| used);
    let before = used()?;
    for n in 0..100u64 {
        same("its exit code", child(move || n)?, Status::Exited(n))?;
    }
    same("what is used", used()?, before)
}
