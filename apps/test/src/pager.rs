//! Memory whose pages a server supplies, and pressure.

use crate::messages::Pair;
use crate::part::deadline;
use crate::tap::{check, refused, same, works, Check, Test};
use abi::call::Call;
use abi::memory::{MemoryFlags, PagerFlags, Protection, PAGE_SIZE};
use abi::message::Received;
use abi::{Error, Handle};
use scheme::rt::clone::memory_clone;
use scheme::rt::memory::{self, Mapping};
use scheme::rt::pager::{self, Supply};
use scheme::rt::{calls, message, thread};

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "a-fault-becomes-a-message-to-the-pagers-endpoint", run: fault },
    Test { name: "read-and-write-faults-are-told-apart", run: kinds },
    Test { name: "pages-can-be-taken-back-and-marked-clean", run: taken_back },
    Test { name: "a-pager-can-grant-stores-beforehand", run: grants },
    Test { name: "a-call-waits-for-a-page-as-an-access-does", run: call },
    Test { name: "clean-pages-are-discarded-under-pressure", run: discarded },
    Test { name: "who-watches-an-account-is-told-when-it-runs-short", run: pressure },
    Test { name: "a-private-clone-asks-for-the-pages-behind-it", run: private },
    Test { name: "a-pager-is-as-urgent-as-whoever-waits-for-its-pages", run: urgent },
    Test { name: "what-a-pager-may-not-do-is-refused", run: refusals },
];

const KEY: u64 = 5;
const PAGES: u64 = 8;

/// An endpoint, an object it is the pager of, mapped here, and pages to supply.
struct Scene {
    pair: Pair,
    object: Handle,
    source: Handle,
    mapping: Mapping,
}

impl Scene {
    fn new(flags: PagerFlags) -> Check<Scene> {
        let pair = Pair::new()?;
        let object = works("an object", pager::create(pair.endpoint, Handle::SELF_QUOTA, KEY, PAGES, flags))?;
        let source = works("a source", calls::memory_create(Handle::SELF_QUOTA, PAGES, MemoryFlags::empty()))?;
        let access = Protection::READ | Protection::WRITE;
        let mapping = works("mapping it", memory::map(object, 0, PAGES * PAGE_SIZE, access))?;
        Ok(Scene { pair, object, source, mapping })
    }

    /// The next page that is asked for, and whether it is to be written.
    fn told(&self) -> Check<(u64, bool)> {
        let arrival = works("a request", message::recv(self.pair.endpoint, self.pair.reply, deadline()))?;
        let [key, page, write, ..] = arrival.words;
        same("what came", (arrival.kind, key), (Received::PageRequest, KEY))?;
        Ok((page, write == 1))
    }

    fn supply(&self, page: u64, byte: u8, to: Supply) -> Check {
        works("the content", calls::memory_write(self.source, page * PAGE_SIZE, &[byte]))?;
        same("supplied", works("supplying", pager::supply(self.object, page, 1, self.source, page, to))?, 1)
    }

    /// A thread that loads the first byte of a page.
    fn load(&self, page: u64) -> Check<thread::Thread<u8>> {
        let at = self.mapping.address() as u64 + page * PAGE_SIZE;
        works("a thread", thread::spawn(100, move || crate::raw::load(at)))
    }

    /// A thread that stores to the first byte of a page.
    fn store(&self, page: u64, byte: u8) -> Check<thread::Thread<()>> {
        let at = self.mapping.address() as u64 + page * PAGE_SIZE;
        works("a thread", thread::spawn(100, move || crate::raw::store(at, byte)))
    }

    fn resident(&self) -> Check<u64> {
        works("looking", calls::memory_info(self.object)).map(|(_, resident, _)| resident)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        [self.object, self.source].into_iter().for_each(calls::close);
    }
}

fn fault() -> Check {
    let scene = Scene::new(PagerFlags::empty())?;
    let reader = scene.load(3)?;
    same("what is asked for", scene.told()?, (3, false))?;
    scene.supply(3, 42, Supply::Read)?;
    same("what it read", works("its end", reader.join(deadline()))?, 42)?;
    same("pages there", scene.resident()?, 1)
}

fn kinds() -> Check {
    let scene = Scene::new(PagerFlags::empty())?;
    let writer = scene.store(1, 7)?;
    same("a store", scene.told()?, (1, true))?;
    scene.supply(1, 1, Supply::Write)?;
    works("its end", writer.join(deadline()))?;
    let mut byte = [0];
    works("reading", calls::memory_read(scene.object, PAGE_SIZE, &mut byte))?;
    same("what is there", byte[0], 7)?;
    scene.supply(2, 9, Supply::Read)?;
    same("a load of what is there", works("it", scene.load(2)?.join(deadline()))?, 9)?;
    let writer = scene.store(2, 8)?;
    same("a store to a clean page", scene.told()?, (2, true))?;
    same("granted", works("it", pager::supply(scene.object, 2, 1, scene.source, 2, Supply::Write))?, 1)?;
    works("its end", writer.join(deadline()))
}

/// What is told of an object's first two pages: an interrupt may come between them, and then the rest is asked for again.
fn of_two(take: fn(Handle, u64, u64) -> abi::Result<(u64, u64)>, object: Handle) -> Check<u64> {
    let (mut seen, mut told) = (0, 0);
    while seen < 2 {
        let (more, bits) = works("it", take(object, seen, 2 - seen))?;
        check(more > 0, "no page was looked at")?;
        told |= bits << seen;
        seen += more;
    }
    Ok(told)
}

fn taken_back() -> Check {
    let scene = Scene::new(PagerFlags::empty())?;
    scene.supply(0, 1, Supply::Write)?;
    scene.supply(1, 2, Supply::Read)?;
    works("a store", scene.store(0, 5)?.join(deadline()))?;
    same("what stays of a dirty and a clean page", of_two(pager::discard, scene.object)?, 0b01)?;
    same("what was dirty", of_two(pager::clean, scene.object)?, 0b01)?;
    same("the page that was written", works("it", pager::discard(scene.object, 0, 1))?, (1, 0))?;
    same("pages there", scene.resident()?, 0)?;
    let reader = scene.load(0)?;
    same("it is asked for again", scene.told()?, (0, false))?;
    scene.supply(0, 6, Supply::Read)?;
    same("what is there now", works("its end", reader.join(deadline()))?, 6)
}

fn grants() -> Check {
    let scene = Scene::new(PagerFlags::GRANTS)?;
    scene.supply(0, 1, Supply::Read)?;
    same("before", works("it", pager::clean(scene.object, 0, 1))?, (1, 0))?;
    works("a store", scene.store(0, 5)?.join(deadline()))?;
    same("after", works("it", pager::clean(scene.object, 0, 1))?, (1, 1))
}

fn call() -> Check {
    let scene = Scene::new(PagerFlags::empty())?;
    let (at, source) = (scene.mapping.address() as u64, scene.source);
    let writer = works(
        "a thread",
        thread::spawn(100, move || {
            let args = [source.word(), 0, at, 4, 0, 0];
            crate::raw::any_call(Call::MemoryWrite, args)
        }),
    )?;
    same("what is asked for", scene.told()?, (0, false))?;
    works("the content", calls::memory_write(scene.source, PAGE_SIZE, &[77]))?;
    works("supplying", pager::supply(scene.object, 0, 1, scene.source, 1, Supply::Read))?;
    works("the call", works("its end", writer.join(deadline()))?)?;
    let mut byte = [0];
    works("reading", calls::memory_read(scene.source, 0, &mut byte))?;
    same("what the call copied", byte[0], 77)?;
    refused("an absent page, by the object", calls::memory_read(scene.object, PAGE_SIZE, &mut byte), Error::LeaseFault)
}

fn discarded() -> Check {
    let pair = Pair::new()?;
    let account = works("an account", calls::quota_split(Handle::SELF_QUOTA, 32, 0))?;
    let object = works("an object", pager::create(pair.endpoint, account, KEY, 16, PagerFlags::empty()))?;
    let source = works("a source", calls::memory_create(Handle::SELF_QUOTA, 16, MemoryFlags::empty()))?;
    // An interrupt may come between two pages: then the rest is asked for again.
    let mut supplied = 0;
    while supplied < 16 {
        let more = works("supplying", pager::supply(object, supplied, 16 - supplied, source, supplied, Supply::Read))?;
        check(more > 0, "nothing was supplied")?;
        supplied += more;
    }
    let fresh = works("memory", calls::memory_create(account, 64, MemoryFlags::empty()))?;
    let mut written = 0;
    let refusal = loop {
        match calls::memory_write(fresh, written * PAGE_SIZE, &[1]) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    same("what ends it", refusal, Error::OutOfQuota)?;
    same("clean pages left", works("looking", calls::memory_info(object))?.1, 0)?;
    let (limit, used, _) = works("looking", calls::quota_info(account))?;
    same("the account is full", used, limit)?;
    [fresh, object, source, account].into_iter().for_each(calls::close);
    Ok(())
}

fn pressure() -> Check {
    let account = works("an account", calls::quota_split(Handle::SELF_QUOTA, 32, 0))?;
    let watch = works("a notification", calls::notification_create(Handle::SELF_QUOTA))?;
    works("watching", pager::watch_pressure(account, watch, 4, 8))?;
    refused("nothing to tell", calls::wait(watch, 1), Error::TimedOut)?;
    for _ in 0..2 {
        let fresh = works("memory", calls::memory_create(account, 64, MemoryFlags::empty()))?;
        let mut written = 0;
        while calls::memory_write(fresh, written * PAGE_SIZE, &[1]).is_ok() {
            written += 1;
        }
        check(written > 8, "the account held less than it said")?;
        same("the bits", works("waiting", calls::wait(watch, deadline()))?, 4)?;
        refused("told once", calls::wait(watch, 1), Error::TimedOut)?;
        calls::close(fresh);
        // Its pages come back in steps.
        while works("looking", calls::quota_info(account))?.1 > 16 {
            works("yielding", calls::thread_yield())?;
        }
    }
    [account, watch].into_iter().for_each(calls::close);
    Ok(())
}

/// A private mapping of a file: what is written stays in the clone, and a clone of the clone has it as it was.
fn private() -> Check {
    let scene = Scene::new(PagerFlags::empty())?;
    let clone = works("a clone", memory_clone(scene.object, Handle::SELF_QUOTA, 2, 2))?;
    let access = Protection::READ | Protection::WRITE;
    let mapping = works("mapping it", memory::map(clone, 0, 2 * PAGE_SIZE, access))?;
    let at = mapping.address() as u64;
    let writer = works("a thread", thread::spawn(100, move || crate::raw::store(at, 7)))?;
    same("a store asks to read", scene.told()?, (2, false))?;
    scene.supply(2, 1, Supply::Read)?;
    works("its end", writer.join(deadline()))?;
    let second = works("a clone of the clone", memory_clone(clone, Handle::SELF_QUOTA, 0, 2))?;
    crate::raw::store(at, 8);
    let byte = |memory: Handle, page: u64| {
        let mut byte = [0];
        works("reading", calls::memory_read(memory, page * PAGE_SIZE, &mut byte)).map(|()| byte[0])
    };
    same("the object, the clone, its clone", (byte(scene.object, 2)?, byte(clone, 0)?, byte(second, 0)?), (1, 8, 7))?;
    refused("a page that is not there", calls::memory_read(second, PAGE_SIZE, &mut [0]), Error::LeaseFault)?;
    scene.supply(3, 4, Supply::Read)?;
    same("once it is", byte(second, 1)?, 4)?;
    same("the pager's pages", scene.resident()?, 2)?;
    [clone, second].into_iter().for_each(calls::close);
    Ok(())
}

/// The pager's priority, seen where it matters: it runs before a thread between its own and that of whoever waits.
fn urgent() -> Check {
    use core::sync::atomic::{AtomicBool, Ordering::SeqCst};
    static BETWEEN_RAN: AtomicBool = AtomicBool::new(false);
    BETWEEN_RAN.store(false, SeqCst);
    let scene = Scene::new(PagerFlags::empty())?;
    let (endpoint, reply) = (scene.pair.endpoint, scene.pair.reply);
    let (object, source) = (scene.object, scene.source);
    // The pager has the least priority of the three, and tells whether the thread between ran before it had supplied.
    let pager = works(
        "the pager",
        thread::spawn(60, move || {
            let arrival = message::recv(endpoint, reply, deadline())?;
            let [_, page, ..] = arrival.words;
            let early = BETWEEN_RAN.load(SeqCst);
            pager::supply(object, page, 1, source, 0, Supply::Read).map(|_| early)
        }),
    )?;
    // It runs until it waits, below which we are for a moment.
    for priority in [50, scheme::process::DEFAULT_PRIORITY] {
        works("our priority", calls::thread_priority(Handle::SELF_THREAD, priority))?;
        works("yielding", calls::thread_yield())?;
    }
    let at = scene.mapping.address() as u64;
    let reader = works("the reader", thread::spawn(100, move || crate::raw::load(at)))?;
    let between = works("the one between", thread::spawn(80, || BETWEEN_RAN.store(true, SeqCst)))?;
    let early = works("its end", works("the pager's", pager.join(deadline()))?)?;
    works("the reader's end", reader.join(deadline()))?;
    works("the end of the one between", between.join(deadline()))?;
    check(!early, "a thread of middling priority ran before the pager of an urgent one")
}

fn refusals() -> Check {
    let scene = Scene::new(PagerFlags::empty())?;
    let (object, source) = (scene.object, scene.source);
    refused("ordinary memory", pager::supply(source, 0, 1, source, 1, Supply::Read), Error::NoRight)?;
    refused("pages of a paged object", pager::supply(object, 0, 1, object, 1, Supply::Read), Error::BadArgument)?;
    refused("past the end", pager::supply(object, PAGES, 1, source, 0, Supply::Read), Error::BadArgument)?;
    let clone = works("a clone", memory_clone(object, Handle::SELF_QUOTA, 0, 1))?;
    refused("pages of a clone", pager::supply(object, 0, 1, clone, 0, Supply::Read), Error::BadArgument)?;
    calls::close(clone);
    refused("nothing to fail", pager::fail(object, 0, 0, Error::Io), Error::BadArgument)?;
    same("the control", works("it", pager::supply(object, 0, 1, source, 0, Supply::Read))?, 1)
}
