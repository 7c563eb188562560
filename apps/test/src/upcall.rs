//! Upcalls: they come whatever a thread is doing, and what it was doing goes on.

use crate::messages::Pair;
use crate::part::{content, deadline, status, Part, Role};
use crate::raw;
use crate::tap::{check, refused, same, works, Check, Test};
use abi::thread::{Interrupted, UPCALL_FAULT, UPCALL_FAULTS};
use abi::{Error, Handle};
use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use scheme::message::Outgoing;
use scheme::notification::Notification;
use scheme::process::Status;
use scheme::rt::message::{self, Answer};
use scheme::rt::upcall::{self, Upcall};
use scheme::rt::{calls, thread};
use scheme::time;

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "an-upcall-reaches-a-thread-that-computes", run: computes },
    Test { name: "an-upcall-ends-a-wait-before-its-status-is-seen", run: waits },
    Test { name: "a-call-in-flight-is-answered-during-an-upcall-or-after-it", run: in_flight },
    Test { name: "a-masked-upcall-waits-for-the-mask-to-go", run: masked },
    Test { name: "hostile-frames-are-refused-or-harmless", run: hostile },
    Test { name: "upcalls-that-cannot-be-made-end-the-process", run: impossible },
    Test { name: "a-fault-can-be-an-upcall", run: fault },
];

/// The parts played here.
pub const PARTS: &[Role] = &[("upcall", |words| status(part(words.first().copied().unwrap_or(""))))];

/// The bits that came since this was last looked at, and how often any came.
static BITS: AtomicU64 = AtomicU64::new(0);
static COUNT: AtomicU64 = AtomicU64::new(0);

fn note(upcall: &mut Upcall<'_>) {
    BITS.fetch_or(upcall.bits(), SeqCst);
    COUNT.fetch_add(1, SeqCst);
}

fn computes() -> Check {
    BITS.store(0, SeqCst);
    let ready = works("a notification", Notification::new())?;
    let tell = ready.handle();
    let computing = works(
        "a thread",
        thread::spawn(128, move || -> abi::Result<u64> {
            upcall::handle(note, 0)?;
            calls::notify(tell, 1)?;
            // Nothing here enters the kernel: only the upcall can end it.
            let (mut turns, end) = (0u64, 1 << 36);
            while BITS.load(SeqCst) == 0 && turns < end {
                turns += 1;
            }
            Ok(turns)
        }),
    )?;
    works("its beginning", ready.wait_until(deadline()))?;
    works("an upcall", calls::thread_upcall(computing.handle(), 5))?;
    works("its end", works("its end", computing.join(deadline()))?)?;
    same("the bits", BITS.load(SeqCst), 5)
}

fn waits() -> Check {
    static OVER: AtomicU64 = AtomicU64::new(0);
    COUNT.store(0, SeqCst);
    OVER.store(0, SeqCst);
    let ready = works("a notification", Notification::new())?;
    let tell = ready.handle();
    let sleeper = works(
        "a thread",
        thread::spawn(128, move || {
            let handled = upcall::handle(note, 0);
            let _ = calls::notify(tell, 1);
            let slept = calls::sleep(deadline());
            let count = COUNT.load(SeqCst);
            OVER.store(1, SeqCst);
            (handled, slept, count)
        }),
    )?;
    works("its beginning", ready.wait_until(deadline()))?;
    // The first may come before it sleeps.
    while OVER.load(SeqCst) == 0 {
        works("an upcall", calls::thread_upcall(sleeper.handle(), 1))?;
        works("sleeping", calls::sleep(time::after_ns(time::MILLISECOND)))?;
    }
    let (handled, slept, count) = works("its end", sleeper.join(deadline()))?;
    works("a handler", handled)?;
    refused("sleeping", slept, Error::Interrupted)?;
    check(count > 0, "the upcall came before that was seen")
}

/// What the handler of a thread in a call does: a session to call (0: none), a notification to set, one to wait for (0: none).
static NESTED: AtomicU64 = AtomicU64::new(0);
static BEGUN: AtomicU64 = AtomicU64::new(0);
static WAITED: AtomicU64 = AtomicU64::new(0);
/// What it saw: `Interrupted` as a number, the nested call's answer.
static SAW: AtomicU64 = AtomicU64::new(0);
static ANSWER: AtomicU64 = AtomicU64::new(0);

fn handle_of(word: &AtomicU64) -> Option<Handle> {
    Handle::from_word(word.load(SeqCst)).filter(|handle| !handle.is_none())
}

fn nests(upcall: &mut Upcall<'_>) {
    SAW.store(upcall.interrupted() as u64, SeqCst);
    if let Some(session) = handle_of(&NESTED) {
        let mut request = Outgoing { tag: 40, words: [4; 6], ..Outgoing::default() };
        let answer = message::call(session, &mut request).map_or(0, |incoming| incoming.tag);
        ANSWER.store(answer, SeqCst);
    }
    if let Some(begun) = handle_of(&BEGUN) {
        let _ = calls::notify(begun, 2);
    }
    if let Some(wait) = handle_of(&WAITED) {
        let _ = calls::wait(wait, deadline());
    }
}

/// A client calls; its call is received; it is interrupted, and the answer comes during the handler, which waits for it, or when the
/// handler is over. The handler makes a call of its own, or not.
fn in_flight() -> Check {
    for (during, nested) in [(false, false), (true, false), (false, true), (true, true)] {
        let what = format!(
            "answered {}, {}",
            if during { "during" } else { "after" },
            if nested { "nested" } else { "plain" }
        );
        let (pair, other) = (Pair::new()?, Pair::new()?);
        let (told, go) = (works("a notification", Notification::new())?, works("one", Notification::new())?);
        NESTED.store(if nested { other.session.word() } else { 0 }, SeqCst);
        BEGUN.store(told.handle().word(), SeqCst);
        WAITED.store(if during { go.handle().word() } else { 0 }, SeqCst);
        ANSWER.store(0, SeqCst);
        let session = pair.session;
        let client = works(
            "a client",
            thread::spawn(128, move || -> abi::Result<(u64, [u64; 6])> {
                upcall::handle(nests, 0)?;
                let mut request = Outgoing { tag: 30, words: [1, 2, 3, 4, 5, 6], ..Outgoing::default() };
                let incoming = message::call(session, &mut request)?;
                Ok((incoming.tag, incoming.words))
            }),
        )?;
        let call = works("its call", message::recv(pair.endpoint, pair.reply, deadline()))?;
        same("its tag", call.tag, 30)?;
        works("an upcall", calls::thread_upcall(client.handle(), 1))?;
        if nested {
            let call = works("the handler's call", message::recv(other.endpoint, other.reply, deadline()))?;
            same("its tag", call.tag, 40)?;
            works("an answer", message::reply(other.reply, &Answer { tag: 41, ..Answer::default() }))?;
        }
        works("the handler's sign", told.wait_until(deadline()))?;
        if !during {
            // It has nothing left to do but to go back, and does so while this waits.
            let passed = works("a time", Notification::new())?;
            works("a timer", passed.timer(1, time::after_ns(time::MILLISECOND)))?;
            works("its end", passed.wait_until(deadline()))?;
        }
        works("the answer", message::reply(pair.reply, &Answer { tag: 31, words: [9, 8, 7, 6, 5, 4], caps: &[] }))?;
        works("letting it go on", go.signal(1))?;
        let (tag, words) = works(&what, works("the client's end", client.join(deadline()))?)?;
        same(&what, (tag, words), (31, [9, 8, 7, 6, 5, 4]))?;
        same(&what, SAW.load(SeqCst), Interrupted::Call as u64)?;
        same("the nested answer", ANSWER.load(SeqCst), if nested { 41 } else { 0 })?;
    }
    Ok(())
}

fn masked() -> Check {
    let thread = works(
        "a thread",
        thread::spawn(128, || -> abi::Result<[u64; 4]> {
            upcall::handle(note, 0)?;
            COUNT.store(0, SeqCst);
            let before = calls::upcall_mask(1)?;
            calls::thread_upcall(Handle::SELF_THREAD, 1)?;
            calls::thread_upcall(Handle::SELF_THREAD, 2)?;
            let held = COUNT.load(SeqCst);
            BITS.store(0, SeqCst);
            let masked = calls::upcall_mask(0)?;
            Ok([before, held, masked, COUNT.load(SeqCst) << 8 | BITS.load(SeqCst)])
        }),
    )?;
    let saw = works("what it saw", works("its end", thread.join(deadline()))?)?;
    same("masked before, upcalls held, masked, upcalls and bits after", saw, [0, 0, 1, 1 << 8 | 3])
}

fn hostile() -> Check {
    // Addresses that are none; frames that would lead out of the user half are tried on the host, each kind.
    for bad in [16, 0x7fff_ffff_f000, 0x8000_0000_0000, 0xffff_ffff_8000_0000, !15] {
        refused("a frame nowhere", raw::upcall_return(bad), Error::BadAddress)?;
    }
    refused("an odd address", raw::upcall_return(0x10_0008), Error::BadArgument)?;
    for (entry, stack, length) in [(0xffff_ffff_8000_0000, 0, 0), (0x1_0000, 0xffff_8000_0000_0000, 8192)] {
        refused("a handler in the kernel", raw::upcall_handler(entry, stack, length, 0), Error::BadAddress)?;
    }
    // Every flag but the single step: those that are the system's are gone.
    let found = raw::odd_frame(!(1 << 8));
    same("flags", found & !(1 << 16), 0x24_0ed7)?;
    // The control: what is harmless stays as it is.
    same("no flags", raw::odd_frame(0), 0x202)
}

fn part(how: &str) -> Check {
    let own = Handle::SELF_THREAD;
    match how {
        "step" => {
            raw::odd_frame(u64::MAX);
        }
        "entry" => {
            works("a handler", raw::upcall_handler(0x5_0000_0000, 0, 0, 0))?;
            works("an upcall", calls::thread_upcall(own, 1))?;
        }
        "stack" => {
            works("a handler", raw::upcall_handler(0x5_0000_0000, 0x6_0000_0000, 8192, 0))?;
            works("an upcall", calls::thread_upcall(own, 1))?;
        }
        "fault" => {
            works("a handler", upcall::handle(note, 0))?;
            raw::load(8);
        }
        "handler-faults" => {
            let faults = |_: &mut Upcall<'_>| {
                raw::load(8);
            };
            works("a handler", upcall::handle(faults, UPCALL_FAULTS))?;
            raw::load(16);
        }
        "well" => {
            works("a handler", upcall::handle(note, UPCALL_FAULTS))?;
            works("an upcall", calls::thread_upcall(own, 1))?;
            same("its bits", BITS.load(SeqCst), 1)?;
        }
        other => return check(false, other),
    }
    check(how == "well", "it lived on")
}

fn impossible() -> Check {
    for (how, vector) in [("step", 1), ("entry", 14), ("stack", 14), ("fault", 14), ("handler-faults", 14)] {
        same(how, Part::new("upcall", &[how]).run()?, Status::Faulted(vector))?;
    }
    content(Part::new("upcall", &["well"]).run()?)
}

fn step_over(upcall: &mut Upcall<'_>) {
    note(upcall);
    SAW.store(upcall.fault()[2], SeqCst);
    raw::skip_load(upcall, 99);
}

fn fault() -> Check {
    let thread = works(
        "a thread",
        thread::spawn(128, || -> abi::Result<(u64, u64, u64)> {
            upcall::handle(step_over, UPCALL_FAULTS)?;
            BITS.store(0, SeqCst);
            let loaded = raw::load_or_skip(24);
            Ok((loaded, BITS.load(SeqCst), SAW.load(SeqCst)))
        }),
    )?;
    let saw = works("what it saw", works("its end", thread.join(deadline()))?)?;
    same("value, bits and address", saw, (99, UPCALL_FAULT, 24))
}
