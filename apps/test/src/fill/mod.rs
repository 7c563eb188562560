//! A process that fills its account with one kind of object, dies, and leaves
//! nothing behind for any other kind to trip on.
//!
//! - [`sorts`]: how one more of each kind is made
//! - [`tally`]: what a filler has made, by its own count, as it tells it
//! - [`filler`]: the part that fills
//! - [`books`]: what the kernel lists of a filler, to be held against its count

mod books;
mod filler;
mod sorts;
mod tally;

use crate::part::{deadline, Part, Role};
use crate::tap::{check, fail, same, works, Check, Test};
use abi::memory::MemoryFlags;
use abi::{Handle, Rights};
use alloc::format;
use alloc::vec::Vec;
use books::{free_frames, Books};
use scheme::client::File;
use scheme::notification::Notification;
use scheme::process::Process;
use scheme::rt::{calls, quota};
use sorts::{Sort, SORTS};
use tally::Tally;

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "caps-and-quota-agree-with-a-count-of-what-was-made", run: listed },
    Test { name: "an-account-full-of-any-kind-leaves-room-for-as-many-of-every-other", run: every_other },
];

/// The part played here.
pub const PARTS: &[Role] = &[("fill", filler::play)];

/// Pages that a filler has for what it makes, beside what it needs itself.
const ROOM: u64 = 160;
/// What it needs itself, at most; how much it is, is measured.
const OWN: u64 = 1024;
/// What a filler says: it is ready; it is done.
const READY: u64 = 1;
const DONE: u64 = 2;

/// A filler that has done its work and waits for its end.
struct Filled {
    process: Process,
    before: Books,
    after: Books,
    tally: Tally,
}

/// What all fillers have in common.
struct Fillers {
    board: Handle,
    news: Notification,
    go: Notification,
    /// Pages of an account for one.
    pages: u64,
}

impl Fillers {
    fn new() -> Check<Fillers> {
        let board = works("a board", calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty()))?;
        let news = works("a notification", Notification::new())?;
        let go = works("another", Notification::new())?;
        let mut fillers = Fillers { board, news, go, pages: OWN };
        let idle = fillers.run("Notification", 0)?;
        fillers.pages = idle.before.used + ROOM;
        fillers.end(idle)?;
        Ok(fillers)
    }

    /// Has a process make up to `most` of a kind, in an account of its own.
    fn run(&self, sort: &str, most: u64) -> Check<Filled> {
        let word = format!("{most}");
        let process = Part::new("fill", &[sort, &word])
            .with("board", self.board, Rights::all())
            .with("news", self.news.handle(), Rights::SEND)
            .with("go", self.go.handle(), Rights::RECEIVE)
            .of_pages(self.pages)
            .start()?;
        self.told(READY)?;
        let before = Books::of(&process)?;
        works("letting it begin", self.go.signal(1))?;
        self.told(DONE)?;
        let mut bytes = [0; tally::BYTES];
        works("reading its count", calls::memory_read(self.board, 0, &mut bytes))?;
        let after = Books::of(&process)?;
        Ok(Filled { process, before, after, tally: Tally::from_bytes(&bytes) })
    }

    fn told(&self, bit: u64) -> Check {
        let bits = works("waiting for a filler", self.news.wait_until(deadline()))?;
        same("what it tells", bits, bit)
    }

    /// Ends a filler and, as whoever owns the account can, every process that it made: one with threads goes on without
    /// anybody who holds it.
    fn end(&self, filled: Filled) -> Check {
        let account = filled.process.quota();
        works("ending it", filled.process.kill(0))?;
        crate::part::end_of(&filled.process)?;
        while let Ok(id) = calls::quota_process(account, 0) {
            let other = works("a process of its account", calls::quota_open(account, id))?;
            works("ending that", calls::process_kill(other, 0))?;
            calls::close(other);
        }
        Ok(())
    }
}

/// What is not to change: frames that are free, and what our account says.
fn whole() -> Check<(u64, quota::QuotaUsage)> {
    Ok((free_frames()?, works("our account", quota::usage(Handle::SELF_QUOTA))?))
}

/// Waits until all is as it was: ends go in steps.
fn settled(before: &(u64, quota::QuotaUsage), after: &str) -> Check {
    let until = deadline();
    loop {
        let now = whole()?;
        if now == *before {
            return Ok(());
        }
        if scheme::time::now_ns() > until {
            let (frames, pages) = (now.0 as i64 - before.0 as i64, now.1.pages.0 as i64 - before.1.pages.0 as i64);
            let same = now.1.objects == before.1.objects;
            return fail(format!(
                "after {after}: {frames} frames, {pages} pages more than before; same objects: {same}"
            ));
        }
        works("yielding", calls::thread_yield())?;
    }
}

/// What a filler counted is what the kernel lists of it, and what ended it is what should have.
fn agrees(sort: &Sort, filled: &Filled) -> Check {
    filled.tally.compare(sort.name, &filled.before, &filled.after)?;
    check(filled.after.used <= filled.after.limit, "an account holds more than it may")?;
    same("its table's entries", filled.after.handles_are_apart(), true)
}

fn listed() -> Check {
    let fillers = Fillers::new()?;
    for sort in SORTS {
        for most in [1, 4] {
            let filled = fillers.run(sort.name, most)?;
            same(sort.name, (filled.tally.error(), filled.tally.rounds()), (None, most))?;
            agrees(sort, &filled)?;
            fillers.end(filled)?;
        }
    }
    calls::close(fillers.board);
    Ok(())
}

fn every_other() -> Check {
    let fillers = Fillers::new()?;
    // Once for the kernel's own page tables, which stay where an arena has once reached, and to know the numbers.
    let mut counts = Vec::with_capacity(SORTS.len());
    let fill = |sort: &Sort, most: u64| -> Check<u64> {
        let filled = fillers.run(sort.name, most)?;
        agrees(sort, &filled)?;
        let rounds = filled.tally.rounds();
        match filled.tally.error() {
            None => same(sort.name, rounds, most)?,
            Some(error) if most == u64::MAX && sort.ends_with(error) => {}
            Some(error) => return fail(format!("{}: {error:?} after {rounds} of {most}", sort.name)),
        }
        fillers.end(filled)?;
        Ok(rounds)
    };
    for sort in SORTS {
        counts.push(fill(sort, u64::MAX)?);
    }
    let before = whole()?;
    for sort in SORTS {
        fill(sort, u64::MAX)?;
        settled(&before, sort.name)?;
        for (other, count) in SORTS.iter().zip(&counts).filter(|(other, _)| other.name != sort.name) {
            fill(other, *count)?;
            settled(&before, other.name)?;
        }
    }
    calls::close(fillers.board);
    Ok(())
}

/// The program's services, which tell of frames.
fn services() -> Check<File> {
    works("services:", File::root_of("services:")).map(|(file, _)| file)
}
