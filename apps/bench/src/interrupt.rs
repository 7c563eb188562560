//! A device's interrupt, until its driver's waiting thread runs in user mode.
//!
//! The device is the PC's real-time clock (MC146818), which interrupts 8,192 times a second when it is asked to. A thread of
//! the lowest priority stores the time-stamp counter again and again; the driver's reads it as its first act. What is told is at
//! most five instructions too much, which lie between two of these stores.

use crate::counters::Counters;
use crate::raw;
use crate::row::Row;
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::{Handle, Result, Rights};
use core::sync::atomic::Ordering::Relaxed;
use scheme::process::Command;
use scheme::rt::{calls, memory, start, thread};

/// Names of the capabilities that a program in init's place grants: the clock's ports, its interrupt line.
pub const PORTS: &str = "ports";
/// Its interrupt line.
pub const LINE: &str = "line";
/// The clock's two ports: a register's number, its value.
pub const FIRST_PORT: u64 = 0x70;
/// How many ports it has.
pub const PORT_COUNT: u64 = 2;
/// Its line.
pub const GSI: u64 = 8;

/// Registers A, B and C.
const A: u64 = 0x0a;
const B: u64 = 0x0b;
const C: u64 = 0x0c;
/// In A: the usual time base, and 8,192 interrupts a second.
const RATE: u64 = 0x23;
/// In B: 24 hours a day; periodic interrupts.
const HOURS: u64 = 0x02;
const PERIODIC: u64 = 0x40;
/// How many interrupts are waited for.
const TIMES: u64 = 200;
/// The name of the memory that the other process stores in.
const SHARED: &str = "stamp";

/// Both rows: another thread of the driver's process was interrupted, or another process. Nothing without the clock's
/// capabilities. Errors: the kernel's.
pub fn all(counters: &Counters, program: &[u8], print: &mut dyn FnMut(&Row)) -> Result<()> {
    let (Some(ports), Some(line)) = (start::handle(PORTS), start::handle(LINE)) else { return Ok(()) };
    let clock = Clock { ports, line, bell: calls::notification_create(Handle::SELF_QUOTA)? };
    calls::interrupt_bind(line, clock.bell, 1)?;
    let (shared, mapping) = memory::create(Handle::SELF_QUOTA, PAGE_SIZE, MemoryFlags::empty())?;
    raw::first_word(&mapping).store(0, Relaxed);
    clock.ask(true)?;

    let mut command = Command::new("stamp");
    command.argument("stamp").priority(1, 1).grant(SHARED, shared, Rights::READ | Rights::WRITE);
    let process = command.spawn(program)?;
    let name = "interrupt to its driver's thread, another process ran";
    print(&clock.measure(counters, name, &mapping)?.to_reach(400));
    process.kill(0)?;
    process.wait(0)?;

    // Never joined: it stamps until the process ends, at a priority where it disturbs nobody.
    let own = memory::map(shared, 0, PAGE_SIZE, Protection::READ | Protection::WRITE)?;
    let stamper = thread::spawn(1, move || raw::stamp_for_ever(raw::first_word(&own)))?;
    let name = "interrupt to its driver's thread, a thread of its process ran";
    print(&clock.measure(counters, name, &mapping)?.to_reach(400));
    calls::thread_suspend(stamper.handle())?;
    clock.ask(false)?;
    [clock.bell, shared].into_iter().for_each(calls::close);
    Ok(())
}

/// What the other process does: stores the time for ever. Errors: it was not given where.
pub fn stamp() -> Result<()> {
    let shared = start::handle(SHARED).ok_or(abi::Error::NotFound)?;
    let mapping = memory::map(shared, 0, PAGE_SIZE, Protection::READ | Protection::WRITE)?;
    raw::stamp_for_ever(raw::first_word(&mapping))
}

/// The real-time clock, held by its driver.
struct Clock {
    ports: Handle,
    line: Handle,
    bell: Handle,
}

impl Clock {
    fn set(&self, register: u64, value: u64) -> Result<()> {
        calls::port_write(self.ports, FIRST_PORT, 1, register)?;
        calls::port_write(self.ports, FIRST_PORT + 1, 1, value)
    }

    /// Has it interrupt, or not.
    fn ask(&self, asks: bool) -> Result<()> {
        self.set(A, RATE)?;
        self.set(B, if asks { HOURS | PERIODIC } else { HOURS })?;
        self.acknowledge()
    }

    /// Register C is read: it may interrupt again (MC146818 data sheet).
    fn acknowledge(&self) -> Result<()> {
        calls::port_write(self.ports, FIRST_PORT, 1, C)?;
        calls::port_read(self.ports, FIRST_PORT + 1, 1)?;
        calls::interrupt_acknowledge(self.line)
    }

    /// Waits again and again; nothing else is above the lowest priority.
    fn measure(&self, counters: &Counters, name: &'static str, mapping: &memory::Mapping) -> Result<Row> {
        let stamp = raw::first_word(mapping);
        let mut taken = 0u64;
        // The first may have been pending; in the second the stamping has begun.
        for _ in 0..4 {
            calls::wait(self.bell, 0)?;
            self.acknowledge()?;
        }
        let before = counters.now()?;
        for _ in 0..TIMES {
            calls::wait(self.bell, 0)?;
            let now = raw::tsc();
            taken = taken.saturating_add(now.wrapping_sub(stamp.load(Relaxed)));
            self.acknowledge()?;
        }
        counters.summed(name, TIMES, taken, &before)
    }
}
