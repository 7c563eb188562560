//! Processes: how they start, end, are ended and watched.

use crate::part::{deadline, end_of, given, Part, Role};
use crate::tap::{check, fail, refused, same, works, Check, Test};
use abi::{Error, Handle, Rights};
use alloc::vec::Vec;
use scheme::notification::Notification;
use scheme::process::Status;
use scheme::rt::{calls, start};

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "exit-codes-come-back", run: codes },
    Test { name: "a-killed-process-ends-wherever-it-is", run: killed },
    Test { name: "ends-can-be-watched-before-and-after", run: watched },
    Test { name: "a-process-has-what-it-was-given-and-no-more", run: given_only },
    Test { name: "the-last-thread-ends-its-process", run: last_thread },
    Test { name: "a-process-of-the-same-account-is-not-ours-to-end", run: not_ours },
    Test { name: "a-hundred-processes-leave-nothing-behind", run: hundred },
];

/// The parts played here.
pub const PARTS: &[Role] = &[
    ("code", |words| words.first().and_then(|word| word.parse().ok()).unwrap_or(94)),
    ("wait", |_| calls::wait(given("bits"), 0).unwrap_or(95)),
    ("spin", |_| loop {
        core::hint::spin_loop();
    }),
    ("sleep", |_| calls::sleep(0).map_or(1, |()| 0)),
    ("look", |words| crate::part::status(look(words))),
    ("eat", |_| eat()),
];

/// Takes memory until there is none: the allocator then ends the program, or a page can't be had.
fn eat() -> u64 {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(alloc::vec![1; 64 * 1024]);
        if all.len() > 1 << 20 {
            return 96;
        }
    }
}

fn codes() -> Check {
    for code in [0, 1, 42, 255, 70_000] {
        let word = alloc::format!("{code}");
        same("the code", Part::new("code", &[&word]).run()?, Status::Exited(code))?;
    }
    Ok(())
}

fn killed() -> Check {
    let bits = works("a notification", Notification::new())?;
    for name in ["wait", "spin"] {
        let process = Part::new(name, &[]).with("bits", bits.handle(), Rights::RECEIVE).start()?;
        for _ in 0..20 {
            works("yielding", calls::thread_yield())?;
        }
        same("it runs", works("its status", process.status())?, Status::Running)?;
        works("ending it", process.kill(77))?;
        same(name, end_of(&process)?, Status::Killed(77))?;
        works("ending it again is no matter", process.kill(78))?;
        same("it ended once", works("its status", process.status())?, Status::Killed(77))?;
    }
    // What it waited for is still good.
    works("signalling", bits.signal(1))?;
    same("the bit", works("waiting", bits.wait_until(deadline()))?, 1)
}

fn watched() -> Check {
    let news = works("a notification", Notification::new())?;
    let bits = works("another", Notification::new())?;
    let process = Part::new("wait", &[]).with("bits", bits.handle(), Rights::RECEIVE).start()?;
    works("watching", process.watch(&news, 2))?;
    works("watching twice", process.watch(&news, 4))?;
    refused("watching for nothing", process.watch(&news, 0), Error::BadArgument)?;
    refused("no news yet", news.wait_until(scheme::time::after_ns(2 * scheme::time::MILLISECOND)), Error::TimedOut)?;
    works("letting it go", bits.signal(9))?;
    let mut seen = 0;
    while seen != 6 {
        seen |= works("the news", news.wait_until(deadline()))?;
    }
    same("its end", works("its status", process.status())?, Status::Exited(9))?;
    works("watching what has ended", process.watch(&news, 8))?;
    same("told at once", works("the news", news.wait_until(deadline()))?, 8)
}

fn look(words: &[&str]) -> Check {
    same("arguments", words, &["a b", ""])?;
    let names: Vec<&str> = start::start().into_iter().flat_map(|s| s.handles().map(|(name, _)| name)).collect();
    let mut count = 0u32;
    let mut index = 0;
    loop {
        match calls::process_capability(Handle::SELF_PROCESS, index) {
            Ok((_, next)) => {
                count += 1;
                index = next;
            }
            Err(Error::NotFound) => break,
            Err(error) => return fail(error.name()),
        }
    }
    same("as many capabilities as names", count as usize, names.len())?;
    check(names.contains(&"gift"), "the gift is missing")?;
    let (_, rights, ..) = works("looking at the gift", calls::inspect(given("gift")))?;
    same("its rights", rights, Rights::INSPECT)?;
    refused("an empty namespace", calls::namespace_entry(Handle::SELF_NAMESPACE, 0), Error::NotFound)
}

fn given_only() -> Check {
    let memory = works("memory", calls::memory_create(Handle::SELF_QUOTA, 1, abi::memory::MemoryFlags::empty()))?;
    let status = Part::new("look", &["a b", ""]).with("gift", memory, Rights::INSPECT).run()?;
    calls::close(memory);
    crate::part::content(status)
}

fn last_thread() -> Check {
    // A thread that returns does not end its process; the main one that returns does, whoever else waits.
    let other = works("a thread", scheme::rt::thread::spawn(128, || 5))?;
    same("its value", works("its end", other.join(deadline()))?, 5)?;
    let bits = works("a notification", Notification::new())?;
    let status = Part::new("code", &["3"]).with("bits", bits.handle(), Rights::RECEIVE).run()?;
    same("a part that returns", status, Status::Exited(3))
}

fn not_ours() -> Check {
    let bits = works("a notification", Notification::new())?;
    let process = Part::new("wait", &[]).with("bits", bits.handle(), Rights::RECEIVE).start()?;
    let id = works("its id", process.id())?;
    let seen = works("seeing it in our account", calls::quota_open(Handle::SELF_QUOTA, id))?;
    works("looking at it", calls::process_info(seen))?;
    refused("ending it with that", calls::process_kill(seen, 1), Error::NoRight)?;
    refused("giving it something", calls::process_grant(seen, bits.handle(), Rights::SEND), Error::NoRight)?;
    refused("a process that is not ours", calls::quota_open(Handle::SELF_QUOTA, 1), Error::NotFound)?;
    calls::close(seen);
    works("letting it go", bits.signal(1))?;
    same("it ended by itself", end_of(&process)?, Status::Exited(1))
}

fn hundred() -> Check {
    let used = || works("our account", calls::quota_info(Handle::SELF_QUOTA)).map(|(_, used, _)| used);
    // The first leaves room behind in the heap and in arenas that the others use.
    same("the first", Part::new("code", &["0"]).run()?, Status::Exited(0))?;
    let before = used()?;
    for _ in 0..100 {
        same("one of them", Part::new("code", &["0"]).run()?, Status::Exited(0))?;
    }
    let after = used()?;
    check(after <= before + 4, &alloc::format!("{before} pages before, {after} after"))
}
