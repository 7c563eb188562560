//! The kernel's rows: what is measured in init's place, where nothing else
//! runs.
//!
//! Targets are those of the design pages: the table of what seL4 and Linux reach on the same yardstick.

use crate::counters::Counters;
use crate::raw;
use crate::row::Row;
use crate::server::{Server, COPIED, COPY, COPY_WORD, MAP, MAPPED};
use crate::{interrupt, objects};
use abi::error::check;
use abi::memory::{MemoryFlags, PAGE_SIZE};
use abi::message::{Extras, LeaseAccess};
use abi::{Handle, Result};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use scheme::notification::Notification;
use scheme::process::DEFAULT_PRIORITY;
use scheme::rt::{calls, memory, thread};

/// How often short operations are done.
pub const MANY: u64 = 2000;
/// How often long ones.
pub const FEW: u64 = 50;

/// Every row. `program` is this program's own file, for second processes. Errors: the kernel's.
pub fn all(program: &[u8], print: &mut dyn FnMut(&Row)) -> Result<()> {
    let counters = Counters::new()?;
    print(
        &counters
            .run("empty syscall", MANY, || {
                raw::empty();
                Ok(())
            })?
            .to_reach(80),
    );
    let server = Server::start(program)?;
    messages(&counters, server.session, print)?;
    notification(&counters, print)?;
    print(&switch(&counters)?.to_reach(260));
    interrupt::all(&counters, program, print)?;
    print(&fault(&counters, server.session)?.to_reach(1200));
    drop(server);
    print(&page_fault(&counters)?.beside_copy(PAGE_SIZE / 8, 1000));
    objects::all(&counters, print)
}

/// Calls to another process: words in registers, and lent memory.
fn messages(counters: &Counters, session: Handle, print: &mut dyn FnMut(&Row)) -> Result<()> {
    print(&counters.run("call and reply_recv, 0 words", MANY, || check(raw::call_bare(session, 0, 0)))?.to_reach(430));
    let mut words = [1, 2, 3, 4, 5, 6];
    print(
        &counters
            .run("call and reply_recv, 6 words", MANY, || check(raw::call_words(session, 0, &mut words)))?
            .to_reach(430),
    );
    let (memory, mut mapping) = memory::create(Handle::SELF_QUOTA, MAPPED as u64, MemoryFlags::empty())?;
    for page in 0..MAPPED / PAGE_SIZE as usize {
        mapping.write(page * PAGE_SIZE as usize, &[1])?;
    }
    let address = mapping.address() as *const u8;
    let extras = Extras::new(0, 1, false).0;
    let read = u64::from(LeaseAccess::READ.bits());
    let lent = |length: usize, tag: u64| {
        raw::lend(address, length as u64, read);
        check(raw::call_bare(session, tag, extras))
    };
    let word = counters.run("call with 4 KiB lease, one word copied", MANY, || lent(COPIED, COPY_WORD))?;
    let page = counters.run("call with 4 KiB lease, copied", MANY, || lent(COPIED, COPY))?;
    // The copy by itself: what a page takes more than a word (whose own copy is one turn of `movsq`).
    let copy = page.value().saturating_sub(word.value()).saturating_add(1);
    print(&word);
    print(&page.beside_copy(copy, 800));
    print(&counters.run("call with 64 KiB lease, mapped", FEW * 4, || lent(MAPPED, MAP))?.to_reach(4000));
    drop(mapping);
    calls::close(memory);
    Ok(())
}

/// Signalling a thread of higher priority that waits: until it runs, and until the signaller does again.
fn notification(counters: &Counters, print: &mut dyn FnMut(&Row)) -> Result<()> {
    static SIGNALLED: AtomicU64 = AtomicU64::new(0);
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let wake = Notification::new()?;
    let handle = wake.handle();
    let waiter = thread::spawn(DEFAULT_PRIORITY, move || {
        while calls::wait(handle, 0).is_ok_and(|bits| bits & 2 == 0) {
            TAKEN.fetch_add(raw::tsc().wrapping_sub(SIGNALLED.load(Relaxed)), Relaxed);
        }
    })?;
    // The waiter is above us from now on, and reaches its wait before we go on.
    calls::thread_priority(Handle::SELF_THREAD, DEFAULT_PRIORITY - 8)?;
    calls::thread_yield()?;
    let signal = || {
        SIGNALLED.store(raw::tsc(), Relaxed);
        calls::notify(handle, 1)
    };
    signal()?;
    TAKEN.store(0, Relaxed);
    let before = counters.now()?;
    (0..MANY).try_for_each(|_| signal())?;
    let taken = TAKEN.load(Relaxed);
    let row = counters.summed("notify a waiting thread of higher priority, until it runs", MANY, taken, &before)?;
    print(&row.to_reach(480));
    print(&counters.run("notify a waiting thread of higher priority, and back", MANY, || calls::notify(handle, 1))?);
    calls::notify(handle, 2)?;
    waiter.join(0)?;
    calls::thread_priority(Handle::SELF_THREAD, DEFAULT_PRIORITY)
}

/// Two threads of one process that yield to each other: two switches a turn.
fn switch(counters: &Counters) -> Result<Row> {
    static DONE: AtomicBool = AtomicBool::new(false);
    DONE.store(false, Relaxed);
    let other = thread::spawn(DEFAULT_PRIORITY, || {
        while !DONE.load(Relaxed) {
            let _ = calls::thread_yield();
        }
    })?;
    let mut row = counters.run("yield and switch", MANY, calls::thread_yield)?;
    // A turn is there and back.
    row.count = row.count.saturating_mul(2);
    DONE.store(true, Relaxed);
    other.join(0)?;
    Ok(row)
}

/// A fault that another process answers.
fn fault(counters: &Counters, session: Handle) -> Result<Row> {
    calls::thread_fault_handler(Handle::SELF_THREAD, session)?;
    let row = counters.run("fault to a handler in another process, and back", MANY, || {
        raw::breakpoint();
        Ok(())
    });
    calls::thread_fault_handler(Handle::SELF_THREAD, Handle::NONE)?;
    row
}

/// The first write to each page of fresh memory.
fn page_fault(counters: &Counters) -> Result<Row> {
    let pages = 256u64;
    let (memory, mut mapping) = memory::create(Handle::SELF_QUOTA, (pages + 1) * PAGE_SIZE, MemoryFlags::empty())?;
    let mut page = 0usize;
    let row = counters.run("fresh page: fault, zero, map, return", pages, || {
        page += 1;
        mapping.write((page - 1) * PAGE_SIZE as usize, &[1])
    });
    calls::close(memory);
    row
}
