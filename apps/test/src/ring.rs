//! Asynchronous messages: a ring in shared memory with a notification on each
//! side, between two processes.

use crate::part::{content, deadline, end_of, given, status, Part, Role};
use crate::tap::{refused, same, works, Check, Test};
use abi::{Error, Rights};
use scheme::notification::Notification;
use scheme::process::Process;
use scheme::ring::{Ring, Shape};
use scheme::rt::calls;

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "asynchronous-messages-go-through-a-ring-in-order", run: ordered },
    Test { name: "a-ring-whose-other-end-lies-is-corrupt", run: corrupt },
];

/// The part played here.
pub const PARTS: &[Role] = &[("ring", |_| status(take_all()))];

const ENTRIES: u64 = 500;
/// Few places, so that both sides have to wait.
const CAPACITY: u32 = 8;
const ENTRY: u32 = 16;

fn shape() -> Check<Shape> {
    works("a shape", Shape::new(CAPACITY, ENTRY))
}

fn entry(number: u64) -> [u8; ENTRY as usize] {
    let mut entry = [0; ENTRY as usize];
    let (low, high) = entry.split_at_mut(8);
    low.copy_from_slice(&number.to_le_bytes());
    high.copy_from_slice(&(!number).to_le_bytes());
    entry
}

/// Takes all entries and looks at each.
fn take_all() -> Check {
    let [filled, drained] = ["filled", "drained"].map(|name| Notification::from_handle(given(name)));
    let ring = Ring { shape: shape()?, memory: given("memory"), filled, drained };
    let mut receiver = works("the end for reading", ring.receiver())?;
    for number in 0..ENTRIES {
        let mut got = [0; ENTRY as usize];
        works("an entry", receiver.receive(&mut got, deadline()))?;
        same("an entry", got, entry(number))?;
    }
    Ok(())
}

fn reader(ring: &Ring) -> Check<Process> {
    Part::new("ring", &[])
        .with("memory", ring.memory, Rights::READ | Rights::WRITE | Rights::INSPECT)
        .with("filled", ring.filled.handle(), Rights::SEND | Rights::RECEIVE)
        .with("drained", ring.drained.handle(), Rights::SEND | Rights::RECEIVE)
        .start()
}

fn ordered() -> Check {
    let ring = works("a ring", Ring::new(shape()?))?;
    let reader = reader(&ring)?;
    let mut sender = works("the end for writing", ring.sender())?;
    for number in 0..ENTRIES {
        works("sending", sender.send(&entry(number), deadline()))?;
    }
    content(end_of(&reader)?)
}

fn corrupt() -> Check {
    let ring = works("a ring", Ring::new(shape()?))?;
    let memory = works("its memory", calls::derive(ring.memory, Rights::all()))?;
    let mut sender = works("the end for writing", ring.sender())?;
    for number in 0..u64::from(CAPACITY) {
        works("sending", sender.send(&entry(number), deadline()))?;
    }
    let soon = scheme::time::after_ns(scheme::time::MILLISECOND);
    refused("one more than there is room for", sender.send(&entry(9), soon), Error::TimedOut)?;
    // What was taken is said to be more than was ever written.
    works("a lie", calls::memory_write(memory, 64, &u32::MAX.to_le_bytes()))?;
    refused("sending", sender.send(&entry(9), deadline()), Error::Corrupt)?;
    calls::close(memory);
    Ok(())
}
