//! What several processors at once could get wrong: `app-test smp NAME ROUNDS`,
//! on a machine that has them.
//!
//! Not among the tests of `app-test list`: one processor shows nothing of this. Every loop ends by its rounds, and what it
//! waits for has a deadline.

use crate::fork;
use crate::part::{content, Part, Role};
use crate::raw;
use crate::tap::{check, fail, refused, same, works, Check};
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::thread::UPCALL_FAULTS;
use abi::{Error, Handle, Result, Rights};
use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use scheme::rt::{calls, clone, thread, upcall};
use scheme::time;

/// The priority of all threads here.
const PRIORITY: u64 = 100;
/// A priority below that.
const LOW: u64 = 60;
const WRITE: Protection = Protection::READ.union(Protection::WRITE);
/// What a load answers where there is no page at the moment.
const NOTHING: u64 = u64::MAX;

/// The parts played here.
pub const PARTS: &[Role] = &[("spin-everywhere", |_| spin())];

/// A test by name; the number is of rounds.
type Test = (&'static str, fn(u64) -> Check);
const ALL: &[Test] = &[
    ("together", together),
    ("migrate", migrate),
    ("unmap", unmap),
    ("copies", copies),
    ("revoke", revoke),
    ("suspend", suspend),
    ("spaces", spaces),
    ("kill", kill),
];

/// Runs what the words ask for; `all`: everything.
pub fn run(words: &[&str]) -> Check {
    let (name, rounds) = match words {
        [name] => (*name, 1),
        [name, rounds] => (*name, rounds.parse().unwrap_or(1)),
        _ => return fail("smp NAME [ROUNDS]"),
    };
    let mut known = ALL.iter().filter(|(each, _)| name == "all" || *each == name).peekable();
    check(known.peek().is_some(), "there is no such test")?;
    // As urgent as the threads made here: on one processor they take turns.
    works("our priority", calls::thread_priority(Handle::SELF_THREAD, PRIORITY))?;
    known.try_for_each(|(name, test)| test(rounds).or_else(|why| fail(format!("{name}: {why:?}"))))
}

/// How many processors there are: the kernel says which it knows.
fn processors() -> u64 {
    let mine = |cpu: &u64| calls::thread_affinity(Handle::SELF_THREAD, 1 << cpu).is_ok();
    let count = (0..64).take_while(mine).count() as u64;
    let _ = calls::thread_affinity(Handle::SELF_THREAD, 0);
    count
}

/// A deadline for whatever is waited for: the host may have fewer processors than the machine, and other work.
fn deadline() -> u64 {
    time::after_ns(60 * time::SECOND)
}

fn bound<T: Send + 'static>(cpu: u64, run: impl FnOnce() -> T + Send + 'static) -> Check<thread::Thread<T>> {
    let thread = works("a thread", thread::spawn(PRIORITY, run))?;
    works("binding it", calls::thread_affinity(thread.handle(), 1 << cpu))?;
    Ok(thread)
}

fn join<T>(thread: thread::Thread<T>) -> Check<T> {
    works("its end", thread.join(deadline()))
}

/// All processors run at the same time, each its own thread; the numbers that they have of themselves are all different.
fn together(_: u64) -> Check {
    static HERE: AtomicU64 = AtomicU64::new(0);
    let count = processors();
    HERE.store(0, SeqCst);
    let threads: Vec<_> = (0..count)
        .map(|cpu| {
            bound(cpu, move || {
                works("binding", calls::thread_affinity(Handle::SELF_THREAD, 1 << cpu))?;
                HERE.fetch_add(1, SeqCst);
                let until = deadline();
                while HERE.load(SeqCst) < count {
                    check(time::now_ns() < until, "not all processors run at once")?;
                }
                Ok(raw::processor())
            })
        })
        .collect::<Check<_>>()?;
    let mut numbers = threads.into_iter().map(|thread| join(thread)?).collect::<Check<Vec<u32>>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    same("different processors", numbers.len() as u64, count)?;
    refused("one that there is not", calls::thread_affinity(Handle::SELF_THREAD, 1 << (count & 63)), Error::BadArgument)
        .or_else(|why| if count == 64 { Ok(()) } else { Err(why) })
}

/// Threads that go from processor to processor, by themselves and sent by others, keep their registers.
fn migrate(rounds: u64) -> Check {
    let count = processors();
    let threads: Vec<_> = (0..count + 2)
        .map(|number| {
            let move_about = move || -> Check {
                let mut pattern = [0u8; raw::VECTORS];
                for round in 0..rounds * 50 {
                    pattern
                        .iter_mut()
                        .enumerate()
                        .for_each(|(i, byte)| *byte = (i as u64 * 7 + number * 31 + round) as u8);
                    let mode = (number + round) % 2 == 0;
                    raw::fill_registers(&pattern, mode);
                    let to = (number + round) % count;
                    works("moving", calls::thread_affinity(Handle::SELF_THREAD, 1 << to))?;
                    let there = raw::processor();
                    works("yielding", calls::thread_yield())?;
                    check(raw::registers_hold(&pattern, mode), "registers changed on the way")?;
                    // Whoever sends us meanwhile sends us elsewhere: only without that is the place sure.
                    check(there < 64, "no such processor")?;
                }
                Ok(())
            };
            works("a thread", thread::spawn(PRIORITY, move_about))
        })
        .collect::<Check<_>>()?;
    for round in 0..rounds * 20 {
        for (number, thread) in threads.iter().enumerate() {
            match calls::thread_affinity(thread.handle(), 1 << ((round + number as u64) % count)) {
                Ok(()) | Err(Error::Closed) => {}
                Err(error) => return fail(format!("sending one: {error:?}")),
            }
        }
    }
    threads.into_iter().try_for_each(|thread| join(thread)?)
}

/// What the page holds since when: a reader that finds less has an old page.
static PAGE: AtomicU64 = AtomicU64::new(0);
static NOW: AtomicU64 = AtomicU64::new(0);
static OVER: AtomicBool = AtomicBool::new(false);
static LOOKS: AtomicU32 = AtomicU32::new(0);

fn step_over(upcall: &mut upcall::Upcall<'_>) {
    raw::skip_load(upcall, NOTHING);
}

/// Reads the page until it is over. Loads that find no page are stepped over.
fn reader() -> Check<u64> {
    works("a handler", upcall::handle(step_over, UPCALL_FAULTS))?;
    let mut seen = 0;
    while !OVER.load(SeqCst) {
        let least = NOW.load(SeqCst);
        let found = raw::load_or_skip(PAGE.load(SeqCst));
        if found != NOTHING {
            if found < least {
                OVER.store(true, SeqCst);
                return fail("a page was read that had been taken away");
            }
            seen += 1;
        }
        LOOKS.fetch_add(1, SeqCst);
    }
    Ok(seen)
}

/// Lets `change` bring a new page under the readers again and again; each has to see it at once.
fn under_readers(rounds: u64, mut change: impl FnMut(u64) -> Check) -> Check {
    let count = processors();
    OVER.store(false, SeqCst);
    works("binding", calls::thread_affinity(Handle::SELF_THREAD, 1))?;
    let readers: Vec<_> = (1..count).map(|cpu| bound(cpu, reader)).collect::<Check<_>>()?;
    let changed = (1..=rounds * 10).try_for_each(|round| {
        change(round)?;
        NOW.store(round, SeqCst);
        // They are to look at it, or the change was for nothing.
        let (looks, until) = (LOOKS.load(SeqCst), deadline());
        while LOOKS.load(SeqCst).wrapping_sub(looks) < 2 * (count as u32 - 1) && !OVER.load(SeqCst) {
            check(time::now_ns() < until, "the readers do not read")?;
        }
        Ok(())
    });
    OVER.store(true, SeqCst);
    let seen = readers.into_iter().map(|reader| join(reader)?).collect::<Check<Vec<u64>>>();
    works("binding", calls::thread_affinity(Handle::SELF_THREAD, 0))?;
    let seen = seen?;
    changed?;
    check(count == 1 || seen.iter().all(|seen| *seen > 0), "a reader never saw the page")
}

/// A page is unmapped and another one mapped in its place.
fn unmap(rounds: u64) -> Check {
    let pages = [(); 2].map(|()| calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty()));
    let [first, second] = pages.map(|page| works("memory", page));
    let pages = [first?, second?];
    let place = works("mapping it", raw::map(pages[0], 0, PAGE_SIZE, Protection::READ))?;
    NOW.store(0, SeqCst);
    PAGE.store(place, SeqCst);
    under_readers(rounds, |round| {
        let page = pages.get(round as usize % 2).copied().unwrap_or(Handle::NONE);
        works("unmapping", raw::unmap(place, PAGE_SIZE))?;
        works("the next page's word", calls::memory_write(page, 0, &round.to_le_bytes()))?;
        works("mapping it there", raw::map_at(page, place, PAGE_SIZE, Protection::READ)).map(drop)
    })?;
    works("unmapping", raw::unmap(place, PAGE_SIZE))?;
    pages.into_iter().for_each(calls::close);
    Ok(())
}

/// A store makes a page that is shared with a clone another one.
fn copies(rounds: u64) -> Check {
    let memory = works("memory", calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty()))?;
    let place = works("mapping it", raw::map(memory, 0, PAGE_SIZE, WRITE))?;
    NOW.store(0, SeqCst);
    PAGE.store(place, SeqCst);
    under_readers(rounds, |round| {
        let copy = works("cloning it", clone::memory_clone(memory, Handle::SELF_QUOTA, 0, 1))?;
        raw::borrowed(place, 8).copy_from_slice(&round.to_le_bytes());
        let mut old = [0; 8];
        works("what the clone has", calls::memory_read(copy, 0, &mut old))?;
        same("that", u64::from_le_bytes(old), round - 1)?;
        calls::close(copy);
        Ok(())
    })?;
    works("unmapping", raw::unmap(place, PAGE_SIZE))?;
    calls::close(memory);
    Ok(())
}

/// Capabilities are revoked while others use them and make more: when `revoke` is back, all are gone.
fn revoke(rounds: u64) -> Check {
    static SHOWN: AtomicU32 = AtomicU32::new(0);
    OVER.store(false, SeqCst);
    let user = || -> Check {
        while !OVER.load(SeqCst) {
            let handle = Handle(SHOWN.load(SeqCst));
            match calls::memory_info(handle) {
                Ok(_) | Err(Error::BadHandle | Error::NoRight) => {}
                Err(error) => return fail(format!("using it: {error:?}")),
            }
            match calls::derive(handle, Rights::all()) {
                Ok(_) | Err(Error::BadHandle | Error::NoRight | Error::Retry | Error::TableFull) => {}
                Err(error) => return fail(format!("deriving from it: {error:?}")),
            }
        }
        Ok(())
    };
    let users: Vec<_> = (1..processors()).map(|cpu| bound(cpu, user)).collect::<Check<_>>()?;
    let revoked = (0..rounds * 20).try_for_each(|_| {
        let root = works("memory", calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty()))?;
        let child = works("a child", calls::derive(root, Rights::all()))?;
        SHOWN.store(child.0, SeqCst);
        for _ in 0..20 {
            works("a grandchild", calls::derive(child, Rights::READ))?;
        }
        works("revoking", calls::revoke(root))?;
        refused("what was revoked", calls::memory_info(child), Error::BadHandle)?;
        calls::close(root);
        Ok(())
    });
    OVER.store(true, SeqCst);
    let used = users.into_iter().try_for_each(|user| join(user)?);
    revoked.and(used)
}

/// A thread on another processor that is suspended stands still, and goes on where it was.
fn suspend(rounds: u64) -> Check {
    static TURNS: AtomicU64 = AtomicU64::new(0);
    let count = processors();
    OVER.store(false, SeqCst);
    let turn = || -> Result<u64> {
        let (mut turns, mut asked) = (0u64, 0);
        while !OVER.load(SeqCst) {
            turns += 1;
            TURNS.store(turns, SeqCst);
            if turns.is_multiple_of(64) {
                // In a call, too, it is to be met.
                calls::thread_id()?;
                asked += 1;
            }
        }
        Ok(asked)
    };
    let runner = bound(count - 1, turn)?;
    let suspended = (0..rounds * 20).try_for_each(|round| {
        let (before, until) = (TURNS.load(SeqCst), deadline());
        while TURNS.load(SeqCst) == before {
            check(time::now_ns() < until, "it does not run")?;
        }
        works("suspending it", calls::thread_suspend(runner.handle()))?;
        let stood = TURNS.load(SeqCst);
        let registers = works("its registers", scheme::rt::debug::registers(runner.handle()))?;
        check(registers.rip != 0 && registers.rsp != 0, "they are nothing")?;
        for _ in 0..200 {
            same("a suspended thread's counter", TURNS.load(SeqCst), stood)?;
        }
        if round % 2 == 1 {
            works("sending it", calls::thread_affinity(runner.handle(), 1 << (round % count)))?;
        }
        works("resuming it", calls::thread_resume(runner.handle()))
    });
    OVER.store(true, SeqCst);
    suspended?;
    let asked = works("what it was answered", join(runner)?)?;
    check(asked > 0, "it made no call")
}

/// Address spaces are cloned and torn down while threads of this one run on all processors.
fn spaces(rounds: u64) -> Check {
    OVER.store(false, SeqCst);
    let busy = |cpu: u64| {
        move || -> Check<u64> {
            let mut data = alloc::vec![cpu; 512];
            let mut sum = 0u64;
            while !OVER.load(SeqCst) {
                data.iter_mut().for_each(|word| *word += 1);
                let first = data.first().copied().unwrap_or(0);
                check(data.iter().all(|word| *word == first), "memory is not what was stored")?;
                sum = sum.wrapping_add(first);
            }
            Ok(sum)
        }
    };
    let threads: Vec<_> = (1..processors()).map(|cpu| bound(cpu, busy(cpu))).collect::<Check<_>>()?;
    let cloned = (0..rounds * 3).try_for_each(|_| {
        let numbers = alloc::vec![7u64; 2048];
        content(fork::child(move || numbers.iter().sum::<u64>().wrapping_sub(7 * 2048))?)
    });
    OVER.store(true, SeqCst);
    let ran = threads.into_iter().try_for_each(|thread| join(thread)?.map(drop));
    cloned.and(ran)
}

/// What the part that is killed does: threads on all processors that never end, less urgent than who is to kill them.
fn spin() -> u64 {
    let spinner = |cpu: u64| -> Result<thread::Thread<()>> {
        let thread = thread::spawn(LOW, || loop {
            (0..1000).for_each(|_| core::hint::spin_loop());
            let _ = calls::thread_id();
        })?;
        calls::thread_affinity(thread.handle(), 1 << cpu)?;
        Ok(thread)
    };
    let spinners: Result<Vec<_>> = (0..processors()).map(spinner).collect();
    let told = calls::notify(crate::part::given("bell"), 1);
    // Killed in here, or late.
    let _ = calls::sleep(deadline());
    1 + u64::from(spinners.is_err()) + u64::from(told.is_err())
}

/// A process that runs on all processors is killed.
fn kill(rounds: u64) -> Check {
    for _ in 0..rounds * 2 {
        let bell = works("a notification", calls::notification_create(Handle::SELF_QUOTA))?;
        let process = Part::new("spin-everywhere", &[]).with("bell", bell, Rights::all()).start()?;
        works("that it runs", calls::wait(bell, deadline()))?;
        works("killing it", process.kill(3))?;
        works("its end", process.wait(deadline()))?;
        calls::close(bell);
    }
    Ok(())
}
