//! Interrupts: lines and messages, who is told, and when again.

use crate::part::deadline;
use crate::ports::Serial;
use crate::roots::root;
use crate::tap::{check, refused, same, works, Check, Test};
use abi::boot::InitHandle;
use abi::{Error, Handle, Result, Rights};
use scheme::notification::Notification;
use scheme::rt::calls;

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "an-interrupt-sets-its-bits", run: told },
    Test { name: "a-level-interrupt-comes-again-once-acknowledged", run: level },
    Test { name: "an-interrupt-line-has-one-holder", run: one_holder },
    Test { name: "each-message-interrupt-is-its-own", run: messages },
    Test { name: "an-interrupt-is-bound-by-right", run: by_right },
];

/// The line of the second serial port.
const LINE: u64 = 3;
/// For a message in a line's place.
const MESSAGE: u64 = u64::MAX;
/// A line that interrupts as long as its device asks.
const LEVEL: u64 = 1;

/// The line, held until this is dropped: what a test that failed held is not in the way of the next.
struct Line(Handle);

impl Line {
    fn new(flags: u64) -> Check<Line> {
        works("the line", allocate(LINE, flags)).map(|(handle, ..)| Line(handle))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        calls::close(self.0);
    }
}

fn allocate(line: u64, flags: u64) -> Result<(Handle, u64, u64)> {
    calls::interrupt_allocate(root(InitHandle::Interrupt), line, flags)
}

/// An interrupt that no device raises.
pub fn message() -> Result<Handle> {
    allocate(MESSAGE, 0).map(|(handle, ..)| handle)
}

fn told() -> Check {
    let serial = Serial::new()?;
    serial.be_quiet()?;
    let (first, second) = (works("a notification", Notification::new())?, works("another", Notification::new())?);
    let line = Line::new(0)?;
    works("binding", calls::interrupt_bind(line.0, first.handle(), 0x10))?;
    refused("nobody asks", first.wait_until(1), Error::TimedOut)?;
    for _ in 0..3 {
        serial.ask()?;
        same("its bit", works("waiting", first.wait_until(deadline()))?, 0x10)?;
        serial.be_quiet()?;
        refused("once for each time it asks", first.wait_until(1), Error::TimedOut)?;
    }
    works("binding it to another", calls::interrupt_bind(line.0, second.handle(), 0x21))?;
    serial.ask()?;
    same("its bits", works("waiting", second.wait_until(deadline()))?, 0x21)?;
    refused("the first is not told", first.wait_until(1), Error::TimedOut)?;
    serial.be_quiet()?;
    works("binding it to nobody", calls::interrupt_bind(line.0, Handle::NONE, 0))?;
    serial.ask()?;
    serial.be_quiet()?;
    refused("nobody is told", second.wait_until(1), Error::TimedOut)
}

fn level() -> Check {
    let serial = Serial::new()?;
    serial.be_quiet()?;
    let bell = works("a notification", Notification::new())?;
    let line = Line::new(LEVEL)?;
    works("binding", calls::interrupt_bind(line.0, bell.handle(), 2))?;
    serial.ask()?;
    for _ in 0..3 {
        same("its bit", works("waiting", bell.wait_until(deadline()))?, 2)?;
        // The device asks on and on; who is told of it is told once.
        refused("not acknowledged", bell.wait_until(1), Error::TimedOut)?;
        works("acknowledging", calls::interrupt_acknowledge(line.0))?;
    }
    same("its bit", works("waiting", bell.wait_until(deadline()))?, 2)?;
    serial.be_quiet()?;
    works("acknowledging", calls::interrupt_acknowledge(line.0))?;
    refused("nobody asks", bell.wait_until(1), Error::TimedOut)?;
    serial.ask()?;
    same("and again", works("waiting", bell.wait_until(deadline()))?, 2)?;
    serial.be_quiet()
}

fn one_holder() -> Check {
    let line = Line::new(0)?;
    refused("the same line", allocate(LINE, 0), Error::Exists)?;
    refused("a line that is none", allocate(9999, 0), Error::NotFound)?;
    refused("a line past 32 bits", allocate(1 << 32 | LINE, 0), Error::NotFound)?;
    refused("unknown flags", allocate(LINE + 1, 4), Error::BadArgument)?;
    refused("of what is no root", calls::interrupt_allocate(line.0, LINE + 1, 0), Error::BadArgument)?;
    let copy = works("a copy", calls::derive(line.0, Rights::all()))?;
    drop(line);
    refused("while a copy is held", allocate(LINE, 0), Error::Exists)?;
    calls::close(copy);
    Line::new(0).map(drop)
}

fn messages() -> Check {
    let (first, address, data) = works("a message", allocate(MESSAGE, 0))?;
    let (second, other_address, other_data) = works("another", allocate(MESSAGE, 0))?;
    check(address != 0 && other_address != 0, "there is no address to write to")?;
    check((address, data) != (other_address, other_data), "two messages can't be told apart")?;
    works("acknowledging is no matter", calls::interrupt_acknowledge(first))?;
    [first, second].into_iter().for_each(calls::close);
    Ok(())
}

fn by_right() -> Check {
    let interrupt = works("an interrupt", message())?;
    let bell = works("a notification", Notification::new())?;
    let listener = works("a right less", calls::derive(bell.handle(), Rights::RECEIVE))?;
    let looks = works("a right less", calls::derive(interrupt, Rights::INSPECT | Rights::DERIVE))?;
    refused("no bits", calls::interrupt_bind(interrupt, bell.handle(), 0), Error::BadArgument)?;
    refused("the root", calls::interrupt_bind(root(InitHandle::Interrupt), bell.handle(), 1), Error::BadArgument)?;
    refused("who may not be told", calls::interrupt_bind(interrupt, listener, 1), Error::NoRight)?;
    refused("who is no notification", calls::interrupt_bind(interrupt, interrupt, 1), Error::WrongKind)?;
    refused("without MANAGE", calls::interrupt_bind(looks, bell.handle(), 1), Error::NoRight)?;
    refused("acknowledging without it", calls::interrupt_acknowledge(looks), Error::NoRight)?;
    let root = works("a right less", calls::derive(root(InitHandle::Interrupt), Rights::INSPECT))?;
    refused("taking one without it", calls::interrupt_allocate(root, MESSAGE, 0), Error::NoRight)?;
    works("with all of it", calls::interrupt_bind(interrupt, bell.handle(), 1))?;
    [root, looks, listener, interrupt].into_iter().for_each(calls::close);
    Ok(())
}
