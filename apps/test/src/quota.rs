//! Accounts: what is charged, what comes back, and what happens at the limit.

use crate::part::Part;
use crate::tap::{check, refused, same, works, Check, Not, Test};
use abi::memory::{MemoryFlags, PAGE_SIZE};
use abi::{Error, Handle};
use alloc::vec::Vec;
use scheme::process::Status;
use scheme::rt::calls;

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "an-account-ends-where-it-says", run: limit },
    Test { name: "objects-are-charged-and-come-back", run: objects },
    Test { name: "an-account-gives-no-more-than-it-has", run: split },
    Test { name: "a-process-past-its-account-harms-only-itself", run: process },
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
