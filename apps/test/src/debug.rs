//! What others do to threads: stop them, step them, answer their faults; and call
//! numbers that are not the kernel's.

use crate::messages::Pair;
use crate::part::{content, deadline, status, Part, Role};
use crate::raw;
use crate::tap::{check, fail, refused, same, works, Check, Test};
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::thread::{Registers, FAULT_TAG};
use abi::{Error, Handle};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use scheme::process::Status;
use scheme::rt::message::{self, Answer, Arrival};
use scheme::rt::{calls, debug, thread};
use scheme::time;

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "a-suspended-thread-stands-still", run: still },
    Test { name: "a-debugger-steps-a-thread-and-changes-its-registers", run: steps },
    Test { name: "a-fault-handler-maps-the-missing-page", run: page },
    Test { name: "a-fault-that-is-not-answered-well-ends-the-process", run: unanswered },
    Test { name: "foreign-call-numbers-go-to-their-handler", run: foreign },
];

/// The parts played here.
pub const PARTS: &[Role] = &[
    ("fault-handler", |words| status(fault_handler(words.first().copied().unwrap_or("")))),
    ("foreign", |words| status(foreign_part(words.first().copied().unwrap_or("")))),
];

/// Single step (SDM 3A, table 6-1: #DB) and page fault.
const STEP: u64 = 1;
const PAGE: u64 = 14;
/// The flag that asks for it.
const TF: u64 = 1 << 8;
/// An address where nothing is.
const MISSING: u64 = 0x5_0000_0000;

fn still() -> Check {
    let count = Arc::new(AtomicU64::new(0));
    let counting = count.clone();
    let thread = works(
        "a thread",
        thread::spawn(128, move || {
            // It never enters the kernel; its end is a number that it reaches only when it is told to.
            while counting.load(SeqCst) < 1 << 40 {
                counting.fetch_add(1, SeqCst);
            }
        }),
    )?;
    let handle = thread.handle();
    let pause = || works("sleeping", time_passes());
    while count.load(SeqCst) == 0 {
        pause()?;
    }
    refused("registers of one that runs", debug::registers(handle), Error::WrongState)?;
    works("suspending", calls::thread_suspend(handle))?;
    refused("suspending twice", calls::thread_suspend(handle), Error::WrongState)?;
    let before = (count.load(SeqCst), works("its registers", debug::registers(handle))?);
    pause()?;
    same("its count and registers", (count.load(SeqCst), works("them", debug::registers(handle))?), before)?;
    let kernel = Registers { rip: 0xffff_ffff_8000_0000, ..before.1 };
    refused("sending it into the kernel", raw::set_registers(handle, &kernel), Error::BadAddress)?;
    works("setting what was there", raw::set_registers(handle, &before.1))?;
    works("resuming", calls::thread_resume(handle))?;
    while count.load(SeqCst) == before.0 {
        pause()?;
    }
    count.store(1 << 40, SeqCst);
    works("its end", thread.join(deadline()))
}

fn time_passes() -> abi::Result<()> {
    calls::sleep(time::after_ns(2 * time::MILLISECOND))
}

/// Waits for a thread to stand still of itself.
fn stopped(handle: Handle) -> Check<Registers> {
    let until = deadline();
    loop {
        match debug::registers(handle) {
            Ok(registers) => return Ok(registers),
            Err(Error::WrongState) if time::now_ns() < until => works("sleeping", time_passes())?,
            Err(error) => return fail(error.name()),
        }
    }
}

/// The next fault of whoever has its faults sent here.
fn next_fault(pair: &Pair) -> Check<Arrival> {
    let arrival = works("a fault", message::recv(pair.endpoint, pair.reply, deadline()))?;
    same("its tag", arrival.tag, FAULT_TAG)?;
    Ok(arrival)
}

fn go_on(pair: &Pair) -> Check {
    works("letting it go on", message::reply(pair.reply, &Answer::default()))
}

fn steps() -> Check {
    let pair = Pair::new()?;
    let thread = works("a thread", thread::spawn(128, raw::climb))?;
    let handle = thread.handle();
    let at = stopped(handle)?;
    works("a fault handler", calls::thread_fault_handler(handle, pair.session))?;
    works("asking for steps", raw::set_registers(handle, &Registers { rflags: at.rflags | TF, rax: 100, ..at }))?;
    works("resuming", calls::thread_resume(handle))?;
    let mut before = at.rip;
    for step in 1..=raw::STEPS {
        let arrival = next_fault(&pair)?;
        same("the fault", arrival.words[0], STEP)?;
        let now = works("its registers", debug::registers(handle))?;
        same("rip as the message says", now.rip, arrival.words[3])?;
        check(now.rip > before && now.rip <= before + 3, "a step of one instruction")?;
        before = now.rip;
        let wanted = if step <= 4 { 100 + step } else { 1000 + step - 4 };
        same("the count", now.rax, wanted)?;
        let mut next = now;
        if step == 4 {
            next.rax = 1000;
        }
        if step == raw::STEPS {
            next.rflags &= !TF;
        }
        works("setting them", raw::set_registers(handle, &next))?;
        go_on(&pair)?;
    }
    same("what it counted to", works("its end", thread.join(deadline()))?, 1000 + raw::STEPS - 4)
}

fn page() -> Check {
    let pair = Pair::new()?;
    let ready = works("a notification", calls::notification_create(Handle::SELF_QUOTA))?;
    let load = move || calls::wait(ready, deadline()).map(|_| raw::load(MISSING + 5));
    let thread = works("a thread", thread::spawn(128, load))?;
    works("a fault handler", calls::thread_fault_handler(thread.handle(), pair.session))?;
    works("letting it load", calls::notify(ready, 1))?;
    // Answered without a page, it faults again.
    for _ in 0..3 {
        let arrival = next_fault(&pair)?;
        same("the fault", (arrival.words[0], arrival.words[2]), (PAGE, MISSING + 5))?;
        go_on(&pair)?;
    }
    next_fault(&pair)?;
    let memory = works("memory", calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty()))?;
    works("its content", calls::memory_write(memory, 5, &[77]))?;
    works("a page", raw::map_at(memory, MISSING, PAGE_SIZE, Protection::READ))?;
    go_on(&pair)?;
    same("what it loaded", works("its load", works("its end", thread.join(deadline()))?)?, 77)?;
    works("unmapping", raw::unmap(MISSING, PAGE_SIZE))?;
    [memory, ready].into_iter().for_each(calls::close);
    Ok(())
}

/// A part whose thread faults, and whose other thread answers in some way.
fn fault_handler(how: &str) -> Check {
    let pair = Pair::new()?;
    let (endpoint, reply, closes) = (pair.endpoint, pair.reply, how == "closed");
    works("a fault handler", calls::thread_fault_handler(Handle::SELF_THREAD, pair.session))?;
    let tag = u64::from(how != "well");
    works(
        "a thread",
        thread::spawn(128, move || -> abi::Result<()> {
            message::recv(endpoint, reply, deadline())?;
            if closes {
                calls::close(reply);
                return Ok(());
            }
            if tag == 0 {
                let memory = calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty())?;
                raw::map_at(memory, MISSING, PAGE_SIZE, Protection::READ)?;
            }
            message::reply(reply, &Answer { tag, ..Answer::default() })
        }),
    )?;
    same("what it loads", raw::load(MISSING), 0)
}

fn unanswered() -> Check {
    for how in ["refused", "closed"] {
        same(how, Part::new("fault-handler", &[how]).run()?, Status::Faulted(PAGE))?;
    }
    content(Part::new("fault-handler", &["well"]).run()?)
}

fn foreign_part(how: &str) -> Check {
    works("a handler", raw::foreign_handler(Handle::SELF_PROCESS, true))?;
    let text = b"hello";
    let written = raw::any_number(1, [1, text.as_ptr() as u64, text.len() as u64, 0, 0, 0]);
    same("write(1, …)", written, text.len() as u64)?;
    same("another number", raw::any_number(39, [0; 6]), 38u64.wrapping_neg())?;
    check(calls::clock().is_ok(), "the kernel's own numbers are the kernel's")?;
    refused("a handler in the kernel", raw::foreign_handler_at(0xffff_ffff_8000_0000), Error::BadAddress)?;
    if how == "none" {
        works("no handler", raw::foreign_handler(Handle::SELF_PROCESS, false))?;
        raw::any_number(39, [0; 6]);
        return fail("it lived on");
    }
    Ok(())
}

fn foreign() -> Check {
    content(Part::new("foreign", &["well"]).run()?)?;
    same("without a handler", Part::new("foreign", &["none"]).run()?, Status::Faulted(0x100))
}
