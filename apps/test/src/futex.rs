//! Futexes: threads that wait at a word, in one process and over several.

use crate::part::{deadline, end_of, given, status, Part, Role};
use crate::tap::{check, refused, same, works, Check, Test};
use abi::memory::{MemoryFlags, Protection};
use abi::{Error, Handle, Rights};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use scheme::process::Status;
use scheme::rt::event::{futex_requeue, futex_wait, futex_wake};
use scheme::rt::memory::{self, Mapping};
use scheme::rt::{calls, thread};
use scheme::time::{after_ns, now_ns, MILLISECOND};

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "a-futex-wait-looks-at-the-value-and-the-time", run: waits },
    Test { name: "a-mutex-of-a-futex-keeps-four-threads-apart", run: mutex },
    Test { name: "a-futex-in-shared-memory-works-across-processes", run: shared },
    Test { name: "waiters-can-be-moved-to-another-word", run: requeue },
];

/// The parts played here.
pub const PARTS: &[Role] = &[("futex-answer", |_| status(answer()))];

const WORD: usize = 512;

fn waits() -> Check {
    let word = AtomicU32::new(5);
    refused("another value", futex_wait(&word, 4, deadline()), Error::WouldBlock)?;
    let until = after_ns(10 * MILLISECOND);
    refused("nobody wakes", futex_wait(&word, 5, until), Error::TimedOut)?;
    check(now_ns() >= until, "the wait ended early")?;
    same("nobody waits", works("waking", futex_wake(&word, 9))?, 0)
}

/// The usual mutex: 0 free, 1 taken, 2 taken and perhaps waited for.
#[derive(Default)]
struct Shared {
    lock: AtomicU32,
    counter: AtomicU32,
    slept: AtomicU32,
}

impl Shared {
    fn locked(&self, run: impl FnOnce()) -> abi::Result<()> {
        if self.lock.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            while self.lock.swap(2, Acquire) != 0 {
                self.slept.fetch_add(1, Relaxed);
                match futex_wait(&self.lock, 2, deadline()) {
                    Ok(()) | Err(Error::WouldBlock) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        run();
        if self.lock.swap(0, Release) == 2 {
            futex_wake(&self.lock, 1)?;
        }
        Ok(())
    }
}

fn mutex() -> Check {
    const ROUNDS: u32 = 500;
    let shared = Arc::new(Shared::default());
    let mut threads = Vec::new();
    for _ in 0..4 {
        let shared = shared.clone();
        let work = move || -> abi::Result<()> {
            for _ in 0..ROUNDS {
                shared.locked(|| {
                    // Not atomic as a whole, and with a turn of the others in its middle.
                    let before = shared.counter.load(Relaxed);
                    let _ = calls::thread_yield();
                    shared.counter.store(before + 1, Relaxed);
                })?;
            }
            Ok(())
        };
        threads.push(works("a thread", thread::spawn(128, work))?);
    }
    for thread in threads {
        works("its work", works("its end", thread.join(deadline()))?)?;
    }
    same("the counter", shared.counter.load(Relaxed), 4 * ROUNDS)?;
    check(shared.slept.load(Relaxed) > 0, "nobody ever had to wait")
}

fn map(memory: Handle) -> Check<Mapping> {
    works("mapping", memory::map(memory, 0, 4096, Protection::READ | Protection::WRITE))
}

/// Adds one whenever the word is odd, until it is 21.
fn answer() -> Check {
    let mapping = map(given("memory"))?;
    let word = works("its word", mapping.word(WORD))?;
    loop {
        let value = word.load(SeqCst);
        if value >= 21 {
            return Ok(());
        }
        if value % 2 == 1 {
            word.store(value + 1, SeqCst);
            works("waking", futex_wake(word, 1))?;
        } else {
            match futex_wait(word, value, deadline()) {
                Err(Error::WouldBlock) => {}
                other => works("waiting", other)?,
            }
        }
    }
}

fn shared() -> Check {
    let memory = works("memory", calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty()))?;
    let mapping = map(memory)?;
    let word = works("its word", mapping.word(WORD))?;
    let rights = Rights::READ | Rights::WRITE;
    let part = Part::new("futex-answer", &[]).with("memory", memory, rights).start()?;
    while word.load(SeqCst) < 20 {
        let value = word.load(SeqCst);
        word.store(value + 1, SeqCst);
        works("waking", futex_wake(word, 1))?;
        while word.load(SeqCst) == value + 1 {
            match futex_wait(word, value + 1, deadline()) {
                Err(Error::WouldBlock) => {}
                other => works("waiting", other)?,
            }
        }
    }
    word.store(21, SeqCst);
    works("waking", futex_wake(word, 1))?;
    same("the other side", end_of(&part)?, Status::Exited(0))?;
    calls::close(memory);
    Ok(())
}

fn requeue() -> Check {
    let words = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let mut threads = Vec::new();
    for _ in 0..4 {
        let words = words.clone();
        threads.push(works("a thread", thread::spawn(128, move || futex_wait(&words[0], 0, deadline())))?);
    }
    refused("another value", futex_requeue(&words[0], 1, 1, &words[1], 9), Error::WouldBlock)?;
    refused("the same word", futex_requeue(&words[0], 0, 1, &words[0], 9), Error::BadArgument)?;
    let (mut woken, mut moved) = (0, 0);
    let until = deadline();
    while woken + moved < 4 {
        check(now_ns() < until, "four threads never came to wait")?;
        let count = u32::from(woken == 0);
        let (w, m) = works("moving", futex_requeue(&words[0], 0, count, &words[1], 9))?;
        (woken, moved) = (woken + w, moved + m);
        works("yielding", calls::thread_yield())?;
    }
    same("woken", woken, 1)?;
    same("nobody waits at the first", works("waking", futex_wake(&words[0], 9))?, 0)?;
    same("the others wait at the second", works("waking", futex_wake(&words[1], 9))?, 3)?;
    for thread in threads {
        works("its wait", works("its end", thread.join(deadline()))?)?;
    }
    Ok(())
}
