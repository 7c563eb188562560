//! Threads and address spaces of other processes: the rules of their kinds, and
//! what a thread's priority is good for.

use crate::messages::{request, Pair};
use crate::objects::{charged, child, closed, full, granted, revoked, right, settled, tests, Sort};
use crate::part::deadline;
use crate::raw;
use crate::tap::{fail, refused, same, works, Check, Test};
use abi::call::Call;
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::thread::{Registers, REGISTER_WORDS};
use abi::{Error, Handle, Kind, Result, Rights};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use scheme::rt::message::{self, Answer};
use scheme::rt::{calls, thread};
use scheme::time;

/// Where the program of a made process lies, and the page that is its buffer and its stack.
const CODE: u64 = 0x40_0000;
const BUFFER: u64 = 0x50_0000;
/// The priority of its thread: it need not even begin.
const LEAST: u64 = 1;
/// A priority below ours, and one between.
const LOW: u64 = 60;
const MIDDLE: u64 = 90;
/// An address of the kernel's half.
const KERNEL: u64 = 0xffff_ffff_8000_0000;

/// Processes that were made for the sake of their threads, until they are ended.
static HOLDERS: [AtomicU32; 64] = [const { AtomicU32::new(0) }; 64];

/// Ends the processes that tests of threads made.
pub fn end_holders() {
    for place in &HOLDERS {
        let process = Handle(place.swap(0, SeqCst));
        if !process.is_none() {
            let _ = calls::process_kill(process, 0);
            calls::close(process);
        }
    }
}

fn keep(process: Handle) -> Result<()> {
    let free = |place: &&AtomicU32| place.compare_exchange(0, process.0, SeqCst, SeqCst).is_ok();
    HOLDERS.iter().find(free).map(|_| ()).ok_or(Error::TableFull)
}

/// A program that sleeps for good.
fn sleeper() -> Vec<u8> {
    let mut code = Vec::from([0x48, 0xc7, 0xc7, 0xff, 0xff, 0xff, 0xff]); // mov rdi, -1
    code.push(0xb8); // mov eax, …
    code.extend((Call::Sleep as u32).to_le_bytes());
    code.extend([0x0f, 0x05]); // syscall
    code.extend([0xeb, 0xf0]); // jmp to the beginning
    code
}

/// A thread of a process of its own, charged to an account.
pub fn make(account: Handle) -> Result<Handle> {
    let (process, space) = calls::process_create(account, "holder", LEAST, Handle::NONE)?;
    let begun = begin(account, process, space);
    calls::close(space);
    let kept = begun.and_then(|thread| keep(process).map(|()| thread));
    if kept.is_err() {
        let _ = calls::process_kill(process, 0);
        calls::close(process);
    }
    kept
}

fn begin(account: Handle, process: Handle, space: Handle) -> Result<Handle> {
    for (address, data, protection) in [
        (CODE, sleeper(), Protection::READ | Protection::EXECUTE),
        (BUFFER, Vec::new(), Protection::READ | Protection::WRITE),
    ] {
        let memory = calls::memory_create(account, 1, MemoryFlags::empty())?;
        let placed = calls::memory_write(memory, 0, &data)
            .and_then(|()| calls::space_map(space, memory, address, 0, PAGE_SIZE, protection));
        calls::close(memory);
        placed?;
    }
    calls::thread_create(process, CODE, BUFFER + PAGE_SIZE, 0, BUFFER, LEAST)
}

const THREAD: Sort = Sort {
    kind: Kind::Thread,
    make,
    call: Call::ThreadPriority,
    args: [LEAST, 0, 0, 0, 0],
    right: Rights::MANAGE,
    answer: Ok(()),
    pages: 96,
};
const SPACE: Sort = Sort {
    kind: Kind::AddressSpace,
    make: |account| {
        let (process, space) = calls::process_create(account, "empty", LEAST, Handle::NONE)?;
        calls::close(process);
        Ok(space)
    },
    call: Call::SpaceUnmap,
    args: [CODE, PAGE_SIZE, 0, 0, 0],
    right: Rights::MANAGE,
    answer: Ok(()),
    pages: 96,
};

tests! {
    "thread" THREAD: closed charged full right child revoked granted;
    "space" SPACE: closed charged full right child revoked granted;
}

/// The tests of priorities.
pub const PRIORITIES: &[Test] = &[
    Test { name: "a-threads-priority-is-changed-where-it-waits", run: changed },
    Test { name: "a-thread-gets-no-priority-above-its-processs-limit", run: limited },
];

/// Waits until a thread waits in the kernel for something. Registers that no thread can have are refused in one way while it does, in
/// another when it is merely stopped.
pub fn until_it_waits(thread: Handle) -> Check {
    let nowhere = Registers { rip: KERNEL, ..Registers::from_words([0; REGISTER_WORDS]) };
    let until = deadline();
    loop {
        works("suspending it", calls::thread_suspend(thread))?;
        let probe = raw::set_registers(thread, &nowhere);
        works("resuming it", calls::thread_resume(thread))?;
        match probe {
            Err(Error::WrongState) => return Ok(()),
            Err(Error::BadAddress) if time::now_ns() < until => {
                works("letting it run", calls::sleep(time::after_ns(time::MILLISECOND)))?;
            }
            other => return fail(alloc::format!("a thread that should wait: {other:?}")),
        }
    }
}

/// The tags of two calls in the order in which they are received. The first waits before the second; `change` comes when both wait.
fn order(change: impl Fn(Handle, Handle) -> Check) -> Check<[u64; 2]> {
    let pair = Pair::new()?;
    let session = pair.session;
    let client = |tag| {
        let call = move || message::call(session, &mut request(tag, [0; 6])).map(|answer| answer.tag);
        let client = works("a client", thread::spawn(LOW, call))?;
        until_it_waits(client.handle())?;
        Ok(client)
    };
    let (first, second) = (client(1)?, client(2)?);
    change(first.handle(), second.handle())?;
    let mut tags = [0; 2];
    for tag in &mut tags {
        *tag = works("receiving", message::recv(pair.endpoint, pair.reply, deadline()))?.tag;
        works("answering", message::reply(pair.reply, &Answer { tag: *tag + 10, ..Answer::default() }))?;
    }
    for (client, answer) in [(first, 11), (second, 12)] {
        same("its answer", works("its call", works("its end", client.join(deadline()))?)?, answer)?;
    }
    Ok(tags)
}

fn changed() -> Check {
    same("two of the same priority", order(|_, _| Ok(()))?, [1, 2])?;
    let raise = |_, second| works("raising the second", calls::thread_priority(second, MIDDLE));
    same("when the second is more urgent", order(raise)?, [2, 1])?;
    let lower = |first, _| works("lowering the first", calls::thread_priority(first, LEAST));
    same("when the first is less urgent", order(lower)?, [2, 1])
}

fn limited() -> Check {
    let sleeper = make(Handle::SELF_QUOTA);
    let tried = works("a thread", sleeper).and_then(|sleeper| {
        works("its limit", calls::thread_priority(sleeper, LEAST))?;
        refused("above it", calls::thread_priority(sleeper, LEAST + 1), Error::BadArgument)?;
        refused("above all", calls::thread_priority(sleeper, 256), Error::BadArgument)?;
        end_holders();
        settled(|| match calls::thread_priority(sleeper, LEAST) {
            Ok(()) => Ok(false),
            other => refused("of one that has ended", other, Error::Closed).map(|()| true),
        })?;
        calls::close(sleeper);
        Ok(())
    });
    end_holders();
    tried
}
