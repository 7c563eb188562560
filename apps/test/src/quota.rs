//! Accounts: what is charged, what comes back, and what happens at the limit.

use crate::part::Part;
use crate::tap::{check, fail, refused, same, works, Check, Not, Test};
use crate::threads;
use abi::memory::{MemoryFlags, PAGE_SIZE};
use abi::quota::Limit;
use abi::{Error, Handle, Rights};
use alloc::vec::Vec;
use scheme::process::Status;
use scheme::rt::{calls, quota};

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "an-account-ends-where-it-says", run: limit },
    Test { name: "objects-are-charged-and-come-back", run: objects },
    Test { name: "an-account-gives-no-more-than-it-has", run: split },
    Test { name: "a-process-past-its-account-harms-only-itself", run: process },
    Test { name: "an-accounts-limits-are-set-from-above", run: limits },
    Test { name: "an-account-tells-its-processes", run: processes },
    Test { name: "the-account-of-a-process-is-only-looked-at", run: of_process },
];

/// Pages of the accounts here.
const PAGES: u64 = 64;

fn account() -> Check<Handle> {
    works("an account", calls::quota_split(Handle::SELF_QUOTA, PAGES, 0))
}

fn used(account: Handle) -> Check<u64> {
    works("looking at it", calls::quota_info(account)).map(|(_, used, _)| used)
}

fn limit() -> Check {
    let account = account()?;
    let before = used(account)?;
    let memory = works("memory larger than it", calls::memory_create(account, 10 * PAGES, MemoryFlags::empty()))?;
    let mut filled = 0;
    let refusal = loop {
        match calls::memory_write(memory, filled * PAGE_SIZE, &[1]) {
            Ok(()) => filled += 1,
            Err(error) => break error,
        }
        check(filled <= PAGES, "an account gave more than it had")?;
    };
    same("what ended it", refusal, Error::OutOfQuota)?;
    check(filled >= PAGES / 2, "an account ended long before its limit")?;
    check(used(account)? <= PAGES, "more is used than there is")?;
    refused("one page more", calls::memory_write(memory, filled * PAGE_SIZE, &[1]), Error::OutOfQuota)?;
    calls::close(memory);
    same("what is used afterwards", used(account)?, before)?;
    calls::close(account);
    Ok(())
}

fn objects() -> Check {
    let account = account()?;
    let before = used(account)?;
    let mut made = Vec::new();
    let refusal = loop {
        match calls::notification_create(account) {
            Ok(handle) => made.push(handle),
            Err(error) => break error,
        }
        check(made.len() < 1 << 16, "there was no end")?;
    };
    check(matches!(refusal, Error::OutOfQuota | Error::TableFull), "another error than that of the limit")?;
    check(made.len() > 500, "objects cost too much")?;
    made.into_iter().for_each(calls::close);
    same("what is used afterwards", used(account)?, before)?;
    calls::close(account);
    Ok(())
}

fn split() -> Check {
    let account = account()?;
    refused("more than it has", calls::quota_split(account, PAGES + 1, 0), Error::OutOfQuota)?;
    refused("nothing", calls::quota_split(account, 0, 0), Error::BadArgument)?;
    let part = works("a part of it", calls::quota_split(account, PAGES / 2, 0))?;
    refused("the same again", calls::quota_split(account, PAGES / 2 + 1, 0), Error::OutOfQuota)?;
    calls::close(part);
    let again = works("once it is back", calls::quota_split(account, PAGES / 2, 0))?;
    [again, account].into_iter().for_each(calls::close);
    Ok(())
}

fn process() -> Check {
    let too_small = match Part::new("live", &[]).of_pages(8).start() {
        Err(Not::Ok(why)) => why.contains("OutOfQuota"),
        _ => false,
    };
    check(too_small, "a process started in an account that is too small for it")?;
    let before = used(Handle::SELF_QUOTA)?;
    let status = Part::new("eat", &[]).of_pages(1024).run()?;
    check(
        matches!(status, Status::Exited(101) | Status::Faulted(14)),
        "a process that eats its account ended otherwise",
    )?;
    same("what its account gave back", used(Handle::SELF_QUOTA)?, before)
}

/// A process without threads.
fn empty(account: Handle) -> abi::Result<Handle> {
    let (process, space) = calls::process_create(account, "empty", 1, Handle::NONE)?;
    calls::close(space);
    Ok(process)
}

fn end(process: Handle) -> Check {
    works("ending it", calls::process_kill(process, 0))?;
    calls::close(process);
    Ok(())
}

fn limits() -> Check {
    let above = works("an account", calls::quota_split(Handle::SELF_QUOTA, 8 * PAGES, 0))?;
    let account = works("one below", calls::quota_split(above, 4 * PAGES, 0))?;
    let set = |what: Limit, value: u64| quota::set_limit(above, account, what, value);
    // Pages are the account's above.
    let before = used(above)?;
    works("more pages", set(Limit::Pages, 5 * PAGES))?;
    same("its pages", works("looking", calls::quota_info(account))?.0, 5 * PAGES)?;
    same("what is taken above", used(above)?, before + PAGES)?;
    works("fewer", set(Limit::Pages, 3 * PAGES))?;
    same("what is given back", used(above)?, before - PAGES)?;
    refused("more than there are above", set(Limit::Pages, 16 * PAGES), Error::OutOfQuota)?;
    let first = works("a process", empty(account))?;
    refused("fewer than are used", set(Limit::Pages, 1), Error::Busy)?;
    works("one process", set(Limit::Processes, 1))?;
    refused("a second", empty(account).map(|_| ()), Error::OutOfQuota)?;
    works("two", set(Limit::Processes, 2))?;
    let second = works("a second", empty(account))?;
    [first, second].into_iter().try_for_each(end)?;
    works("as many as there are pages for", set(Limit::Processes, 0))?;
    works("one thread", set(Limit::Threads, 1))?;
    let threads = [works("a thread", threads::make(account)), works("two", threads::make(account))];
    threads::end_holders();
    let [first, second] = threads;
    calls::close(first?);
    check(matches!(&second, Err(Not::Ok(why)) if why.contains("OutOfQuota")), "a second thread was made")?;
    // Nobody raises their own, and nobody another's.
    refused("of an account not below", quota::set_limit(account, above, Limit::Pages, PAGES), Error::BadArgument)?;
    refused("of itself", quota::set_limit(account, account, Limit::Pages, PAGES), Error::BadArgument)?;
    let looks = works("a right less", calls::derive(above, Rights::INSPECT))?;
    refused("without MANAGE", quota::set_limit(looks, account, Limit::Pages, PAGES), Error::NoRight)?;
    [looks, account, above].into_iter().for_each(calls::close);
    Ok(())
}

fn processes() -> Check {
    let account = works("an account", calls::quota_split(Handle::SELF_QUOTA, 4 * PAGES, 0))?;
    let below = works("one below", calls::quota_split(account, 2 * PAGES, 0))?;
    let beside = works("one beside", calls::quota_split(Handle::SELF_QUOTA, 2 * PAGES, 0))?;
    let mut made = Vec::new();
    for place in [account, below, beside] {
        made.push(works("a process", empty(place))?);
    }
    let told = |account: Handle| -> Check<Vec<u64>> {
        let (mut ids, mut after) = (Vec::new(), 0);
        loop {
            match calls::quota_process(account, after) {
                Ok(id) if id > after => ids.push(id),
                Ok(id) => return fail(alloc::format!("{id} comes after {after}")),
                Err(error) => return refused("at the end", Err::<(), _>(error), Error::NotFound).map(|()| ids),
            }
            after = ids.last().copied().unwrap_or(0);
        }
    };
    let mut ids = Vec::new();
    for process in &made {
        ids.push(works("its id", calls::process_status(*process))?.2);
    }
    same("those of the account and below", told(account)?, ids.iter().copied().take(2).collect())?;
    same("those below", told(below)?, ids.iter().copied().skip(1).take(1).collect())?;
    let blind = works("a right less", calls::derive(account, Rights::MANAGE))?;
    refused("without INSPECT", calls::quota_process(blind, 0), Error::NoRight)?;
    made.into_iter().try_for_each(end)?;
    [blind, below, account, beside].into_iter().for_each(calls::close);
    Ok(())
}

fn of_process() -> Check {
    let account = works("an account", calls::quota_split(Handle::SELF_QUOTA, 2 * PAGES, 0))?;
    let process = works("a process", empty(account))?;
    let seen = works("its account", calls::process_quota(process))?;
    let object = |handle| works("looking", calls::inspect(handle)).map(|(kind, _, _, object)| (kind, object));
    same("which it is", object(seen)?, object(account)?)?;
    same("the rights to it", works("looking", calls::inspect(seen))?.1, Rights::INSPECT)?;
    same("what is used", used(seen)?, used(account)?)?;
    refused("taking pages from it", calls::quota_split(seen, 1, 0), Error::NoRight)?;
    let blind = works("a right less", calls::derive(process, Rights::MANAGE))?;
    refused("without INSPECT", calls::process_quota(blind), Error::NoRight)?;
    works("ending the process", calls::process_kill(process, 0))?;
    crate::objects::settled(|| match calls::process_quota(process) {
        Ok(still) => {
            calls::close(still);
            Ok(false)
        }
        other => refused("of one that has ended", other, Error::Closed).map(|()| true),
    })?;
    [blind, seen, process, account].into_iter().for_each(calls::close);
    Ok(())
}
