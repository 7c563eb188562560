//! The worst cases for interrupts, beside a thread that must not be late.
//!
//! In init's place, on the measuring build of the kernel: it tells of its windows itself when the machine is switched off. Here a
//! thread of high priority sleeps until one time after another and finds how late it is.

use crate::objects::done;
use crate::raw;
use crate::server::{Server, LARGE, LARGE_COPY};
use abi::call::Call;
use abi::error::check;
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::message::{Extras, LeaseAccess};
use abi::{Error, Handle, Result, Rights};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use scheme::process::DEFAULT_PRIORITY;
use scheme::rt::{calls, memory, thread};

/// The word on the kernel's command line that asks for this.
pub const WORD: &str = "windows";
/// Between two times of the thread that must not be late: not a divisor of anything that goes on beside it.
const PERIOD_NS: u64 = 47_111;
/// Its priority.
const URGENT: u64 = 250;
/// What a table takes, with some to spare.
const A_TABLE: u64 = 15_000;
/// Capabilities that stem from one.
const TREE: u64 = 100_000;
/// Pages in 1 GiB.
const GIB: u64 = 1 << 18;
/// A process's threads and capabilities.
const THREADS: u64 = 1000;
const CAPABILITIES: u64 = 10_000;
/// Who waits at one word, or for one notification.
const WAITERS: usize = 256;
const FAR: u64 = 0x2000_0000_0000;
const CODE: u64 = 0x40_0000;
const BUFFER: u64 = 0x50_0000;
const SPACE: u64 = Handle::SELF_SPACE.word();
const WRITE: u64 = (Protection::READ.bits() | Protection::WRITE.bits()) as u64;

static WORST: AtomicU64 = AtomicU64::new(0);
static TIMES: AtomicU64 = AtomicU64::new(0);

/// Goes through all of it; `program` is this program's file. A line in the log for each: how late the thread was at most, in
/// nanoseconds, which are instructions here, and how often it was looked. Errors: the kernel's.
pub fn run(program: &[u8]) -> Result<()> {
    thread::spawn(URGENT, || -> Result<()> {
        let mut next = calls::clock()?.saturating_add(PERIOD_NS);
        loop {
            calls::sleep(next)?;
            let now = calls::clock()?;
            WORST.fetch_max(now.saturating_sub(next), Relaxed);
            TIMES.fetch_add(1, Relaxed);
            next = next.max(now).saturating_add(PERIOD_NS);
        }
    })?;
    // The processor is never idle: waiting, the emulator's clock goes by the host's.
    thread::spawn(1, || loop {
        core::hint::spin_loop();
    })?;
    calls::thread_priority(Handle::SELF_THREAD, DEFAULT_PRIORITY)?;
    beside("nothing", || calls::sleep(calls::clock()?.saturating_add(PERIOD_NS * 100)))?;
    revoke()?;
    unmap()?;
    // Above us, each comes to its wait before the next is made; below, none.
    kill(DEFAULT_PRIORITY + 1, "ending a process with them, which wait")?;
    kill(DEFAULT_PRIORITY - 1, "ending a process with them, which are ready")?;
    wake()?;
    copy(program)
}

/// Does something, and tells how late the thread was meanwhile.
fn beside(what: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
    WORST.store(0, Relaxed);
    TIMES.store(0, Relaxed);
    let begun = calls::clock()?;
    act()?;
    let taken = calls::clock()?.saturating_sub(begun);
    log::info!("late {} {} {taken} {what}", WORST.load(Relaxed), TIMES.load(Relaxed));
    Ok(())
}

/// A tree of capabilities in as many processes as it takes.
fn revoke() -> Result<()> {
    let root = calls::notification_create(Handle::SELF_QUOTA)?;
    let mut holders = Vec::new();
    beside("granting 100,000 capabilities", || {
        for grant in 0..TREE {
            if grant % A_TABLE == 0 {
                holders.push(calls::process_create(Handle::SELF_QUOTA, "holder", 1, Handle::NONE)?);
            }
            let (holder, _) = holders.last().copied().ok_or(Error::Corrupt)?;
            calls::process_grant(holder, root, Rights::SEND)?;
        }
        Ok(())
    })?;
    beside("revoking 100,000 capabilities", || calls::revoke(root))?;
    // A chain: each stems from the one before.
    let mut last = root;
    let mut chain = Vec::new();
    beside("deriving a chain of 10,000", || {
        for _ in 0..CAPABILITIES {
            last = calls::derive(last, Rights::all())?;
            chain.push(last);
        }
        Ok(())
    })?;
    beside("revoking a chain of 10,000", || calls::revoke(root))?;
    for (process, space) in holders {
        calls::process_kill(process, 0)?;
        [process, space].into_iter().for_each(calls::close);
    }
    calls::close(root);
    Ok(())
}

/// As much memory as is asked for, touched page by page, unmapped at once, and given up.
fn unmap() -> Result<()> {
    let length = GIB * PAGE_SIZE;
    let memory = calls::memory_create(Handle::SELF_QUOTA, GIB, MemoryFlags::empty())?;
    done(Call::SpaceMap, [SPACE, memory.word(), FAR, 0, length, WRITE])?;
    beside("touching 1 GiB", || {
        (0..GIB).for_each(|page| raw::store(FAR + page * PAGE_SIZE, 1));
        Ok(())
    })?;
    let read = u64::from(Protection::READ.bits());
    beside("protecting 1 GiB", || done(Call::SpaceProtect, [SPACE, FAR, length, read, 0, 0]).map(drop))?;
    beside("unmapping 1 GiB", || done(Call::SpaceUnmap, [SPACE, FAR, length, 0, 0, 0]).map(drop))?;
    beside("freeing 1 GiB", || {
        calls::close(memory);
        Ok(())
    })
}

/// A process with many threads and many capabilities: threads that wait, or that are about to run.
fn kill(priority: u64, what: &str) -> Result<()> {
    let (process, space) = calls::process_create(Handle::SELF_QUOTA, "many", DEFAULT_PRIORITY + 1, Handle::NONE)?;
    let code = calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty())?;
    calls::memory_write(code, 0, &raw::waiting_code())?;
    let page = calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty())?;
    let run = u64::from((Protection::READ | Protection::EXECUTE).bits());
    done(Call::SpaceMap, [space.word(), code.word(), CODE, 0, PAGE_SIZE, run])?;
    done(Call::SpaceMap, [space.word(), page.word(), BUFFER, 0, PAGE_SIZE, WRITE])?;
    let (bell, ended) =
        (calls::notification_create(Handle::SELF_QUOTA)?, calls::notification_create(Handle::SELF_QUOTA)?);
    let theirs = calls::process_grant(process, bell, Rights::RECEIVE)?;
    calls::process_watch(process, ended, 1)?;
    beside("1,000 threads, 10,000 capabilities", || {
        for _ in 0..THREADS {
            let start = [process.word(), CODE, BUFFER + PAGE_SIZE, theirs.word(), BUFFER, priority];
            calls::close(Handle::from_word(done(Call::ThreadCreate, start)?).ok_or(Error::Corrupt)?);
        }
        (0..CAPABILITIES).try_for_each(|_| calls::process_grant(process, bell, Rights::SEND).map(drop))
    })?;
    beside(what, || {
        calls::process_kill(process, 0)?;
        calls::wait(ended, 0)?;
        [process, space].into_iter().for_each(calls::close);
        Ok(())
    })?;
    [code, page, bell, ended].into_iter().for_each(calls::close);
    Ok(())
}

/// Many who wait at one word are woken by one call; those who wait for a notification, by its end.
fn wake() -> Result<()> {
    let (page, mapping) = memory::create(Handle::SELF_QUOTA, PAGE_SIZE, MemoryFlags::empty())?;
    let (word, buffer) = (raw::first_word(&mapping).as_ptr() as u64, mapping.address() as u64);
    let own = Handle::SELF_PROCESS.word();
    let start = [own, raw::sleeper(), buffer, word + 8, buffer, DEFAULT_PRIORITY + 1];
    let threads = (0..WAITERS).map(|_| done(Call::ThreadCreate, start)).collect::<Result<Vec<_>>>()?;
    beside("waking 256 at a word", || {
        let woken = done(Call::FutexWake, [word + 8, WAITERS as u64, 0, 0, 0, 0])?;
        (woken == WAITERS as u64).then_some(()).ok_or(Error::Corrupt)
    })?;
    threads.into_iter().try_for_each(|thread| done(Call::Close, [thread, 0, 0, 0, 0, 0]).map(drop))?;
    let endpoint = calls::endpoint_create(Handle::SELF_QUOTA)?;
    let session = calls::session_create(endpoint, 1, 0)?;
    let callers: Vec<_> = (0..WAITERS)
        .map(|_| thread::spawn(DEFAULT_PRIORITY + 1, move || raw::call_bare(session, 0, 0)))
        .collect::<Result<_>>()?;
    beside("ending an endpoint that 256 callers wait at", || {
        calls::close(endpoint);
        callers.into_iter().try_for_each(|caller| {
            let status = caller.join(0)?;
            (check(status) == Err(Error::Closed)).then_some(()).ok_or(Error::Corrupt)
        })
    })?;
    [session, page].into_iter().for_each(calls::close);
    Ok(())
}

/// A large lease, copied by the server.
fn copy(program: &[u8]) -> Result<()> {
    let server = Server::start(program)?;
    let (memory, mut mapping) = memory::create(Handle::SELF_QUOTA, LARGE as u64, MemoryFlags::empty())?;
    for page in 0..LARGE / PAGE_SIZE as usize {
        mapping.write(page * PAGE_SIZE as usize, &[1])?;
    }
    let read = u64::from(LeaseAccess::READ.bits());
    for _ in 0..2 {
        beside("copying a lease of 1 MiB", || {
            raw::lend(mapping.address() as *const u8, LARGE as u64, read);
            check(raw::call_bare(server.session, LARGE_COPY, Extras::new(0, 1, false).0))
        })?;
    }
    calls::close(memory);
    Ok(())
}
