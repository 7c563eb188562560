//! Asynchronous messages: a ring with one producer and one consumer, in memory
//! that both have mapped, with a notification on each side.
//!
//! An entry is a fixed number of bytes. The producer writes entries and the count of all it ever wrote, the consumer the
//! count of all it ever took; each keeps its own count to itself and only tells it, so neither believes the other more than
//! that: a count that can't be is [`Error::Corrupt`], and bytes are copied out before they are looked at. Whoever finds nothing to do
//! says that it waits; the other side then signals, once.
//!
//! - [`Shape`]: capacity and entries, and where things lie
//! - [`Producer`], [`Consumer`]: the two ends, which never wait
//! - [`Sender`], [`Receiver`]: the same with notifications, which do

use crate::notification::Notification;
use crate::rt::memory::{self, Mapping};
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::{Error, Handle, Result};
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// Where the counts and flags lie, each on a cache line of its own: written, taken, the producer waits, the consumer waits.
const WRITTEN: usize = 0;
const TAKEN: usize = 64;
const PRODUCER_WAITS: usize = 128;
const CONSUMER_WAITS: usize = 192;
/// Where the entries begin.
const ENTRIES: usize = 256;
/// The bit that the notifications carry.
const BELL: u64 = 1;

/// How many entries of how many bytes a ring has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    capacity: u32,
    entry: u32,
}

impl Shape {
    /// Entries (a power of two) and bytes in each (at most a page). Errors: `BadArgument`.
    pub fn new(capacity: u32, entry: u32) -> Result<Shape> {
        let fits = capacity.is_power_of_two() && capacity <= 1 << 20 && (1..=PAGE_SIZE as u32).contains(&entry);
        fits.then_some(Shape { capacity, entry }).ok_or(Error::BadArgument)
    }

    /// Bytes of memory that it takes.
    pub fn bytes(self) -> u64 {
        ENTRIES as u64 + u64::from(self.capacity) * u64::from(self.entry)
    }

    fn place(self, count: u32) -> usize {
        ENTRIES + (count & (self.capacity - 1)) as usize * self.entry as usize
    }
}

/// Memory that both ends have mapped.
pub trait Shared {
    /// A word of it. Errors: `BadArgument` outside or not aligned.
    fn word(&self, offset: usize) -> Result<&AtomicU32>;
    /// Copies out. Errors: `BadArgument` outside.
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<()>;
    /// Copies in. Errors: `BadArgument` outside.
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<()>;
}

impl Shared for Mapping {
    fn word(&self, offset: usize) -> Result<&AtomicU32> {
        Mapping::word(self, offset)
    }
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<()> {
        Mapping::read(self, offset, out)
    }
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<()> {
        Mapping::write(self, offset, data)
    }
}

/// One end: the memory, and its own count.
#[derive(Debug)]
struct End<M> {
    memory: M,
    shape: Shape,
    count: u32,
}

impl<M: Shared> End<M> {
    /// Entries between the two counts, of which the other's stands at `other`. Errors: `Corrupt`.
    fn between(&self, other: usize, is_producer: bool) -> Result<u32> {
        let theirs = self.memory.word(other)?.load(Acquire);
        let filled = if is_producer { self.count.wrapping_sub(theirs) } else { theirs.wrapping_sub(self.count) };
        (filled <= self.shape.capacity).then_some(filled).ok_or(Error::Corrupt)
    }

    /// Tells the own count, and whether the other side has to be woken.
    fn tell(&mut self, own: usize, waits: usize) -> Result<bool> {
        self.count = self.count.wrapping_add(1);
        self.memory.word(own)?.store(self.count, Release);
        // The count is seen before the flag is looked at: else both sides could miss each other.
        core::sync::atomic::fence(SeqCst);
        let flag = self.memory.word(waits)?;
        Ok(flag.load(Relaxed) != 0 && flag.swap(0, SeqCst) != 0)
    }

    fn announce(&self, waits: usize, waiting: bool) -> Result<()> {
        self.memory.word(waits)?.store(u32::from(waiting), SeqCst);
        core::sync::atomic::fence(SeqCst);
        Ok(())
    }
}

/// The end that writes.
#[derive(Debug)]
pub struct Producer<M>(End<M>);

impl<M: Shared> Producer<M> {
    /// The producer's end of a ring that nobody has used yet, or that the producer before left. Errors: `Corrupt`, the memory's.
    pub fn new(memory: M, shape: Shape) -> Result<Producer<M>> {
        let count = memory.word(WRITTEN)?.load(Acquire);
        let end = End { memory, shape, count };
        end.between(TAKEN, true)?;
        Ok(Producer(end))
    }

    /// Adds an entry; answers whether the consumer has to be woken. Errors: `WouldBlock` (it is full), `BadArgument` (not an entry's
    /// length), `Corrupt` (the consumer's count can't be).
    pub fn push(&mut self, entry: &[u8]) -> Result<bool> {
        let end = &mut self.0;
        if entry.len() != end.shape.entry as usize {
            return Err(Error::BadArgument);
        }
        if end.between(TAKEN, true)? == end.shape.capacity {
            return Err(Error::WouldBlock);
        }
        let place = end.shape.place(end.count);
        end.memory.write(place, entry)?;
        end.tell(WRITTEN, CONSUMER_WAITS)
    }

    /// Says that this end waits for room; answers whether there is none, after it was said. Errors: as `push`.
    pub fn wait_announced(&self) -> Result<bool> {
        self.0.announce(PRODUCER_WAITS, true)?;
        let full = self.0.between(TAKEN, true)? == self.0.shape.capacity;
        if !full {
            self.0.announce(PRODUCER_WAITS, false)?;
        }
        Ok(full)
    }
}

/// The end that reads.
#[derive(Debug)]
pub struct Consumer<M>(End<M>);

impl<M: Shared> Consumer<M> {
    /// The consumer's end, as [`Producer::new`].
    pub fn new(memory: M, shape: Shape) -> Result<Consumer<M>> {
        let count = memory.word(TAKEN)?.load(Acquire);
        let end = End { memory, shape, count };
        end.between(WRITTEN, false)?;
        Ok(Consumer(end))
    }

    /// Takes the oldest entry; answers whether the producer has to be woken. Errors: `WouldBlock` (there is none), `BadArgument` (not an
    /// entry's length), `Corrupt` (the producer's count can't be).
    pub fn pop(&mut self, entry: &mut [u8]) -> Result<bool> {
        let end = &mut self.0;
        if entry.len() != end.shape.entry as usize {
            return Err(Error::BadArgument);
        }
        if end.between(WRITTEN, false)? == 0 {
            return Err(Error::WouldBlock);
        }
        end.memory.read(end.shape.place(end.count), entry)?;
        end.tell(TAKEN, PRODUCER_WAITS)
    }

    /// Says that this end waits for an entry; answers whether there is none, after it was said. Errors: as `pop`.
    pub fn wait_announced(&self) -> Result<bool> {
        self.0.announce(CONSUMER_WAITS, true)?;
        let empty = self.0.between(WRITTEN, false)? == 0;
        if !empty {
            self.0.announce(CONSUMER_WAITS, false)?;
        }
        Ok(empty)
    }
}

/// What both ends of a ring need, to be handed to whoever is to have one: the memory, and a notification for each side.
#[derive(Debug)]
pub struct Ring {
    /// The shape.
    pub shape: Shape,
    /// The memory, which both ends map.
    pub memory: Handle,
    /// Set when there is an entry for a consumer that waits.
    pub filled: Notification,
    /// Set when there is room for a producer that waits.
    pub drained: Notification,
}

impl Ring {
    /// A new one, charged to this process. Errors: the kernel's.
    pub fn new(shape: Shape) -> Result<Ring> {
        let pages = memory::page_align(shape.bytes())? / PAGE_SIZE;
        let (filled, drained) = (Notification::new()?, Notification::new()?);
        let memory = crate::rt::calls::memory_create(Handle::SELF_QUOTA, pages, MemoryFlags::empty())?;
        Ok(Ring { shape, memory, filled, drained })
    }

    fn map(&self) -> Result<Mapping> {
        memory::map(self.memory, 0, self.shape.bytes(), Protection::READ | Protection::WRITE)
    }

    /// This process's end for writing. Errors: `Corrupt`, the kernel's.
    pub fn sender(self) -> Result<Sender> {
        Ok(Sender { producer: Producer::new(self.map()?, self.shape)?, ring: self })
    }

    /// This process's end for reading. Errors: `Corrupt`, the kernel's.
    pub fn receiver(self) -> Result<Receiver> {
        Ok(Receiver { consumer: Consumer::new(self.map()?, self.shape)?, ring: self })
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        crate::rt::calls::close(self.memory);
    }
}

/// A producer with its notifications.
#[derive(Debug)]
pub struct Sender {
    producer: Producer<Mapping>,
    ring: Ring,
}

impl Sender {
    /// Adds an entry, waiting for room until a time (0: for ever). Errors: `TimedOut`, those of [`Producer::push`], the kernel's.
    pub fn send(&mut self, entry: &[u8], deadline_ns: u64) -> Result<()> {
        loop {
            match self.producer.push(entry) {
                Ok(false) => return Ok(()),
                Ok(true) => return self.ring.filled.signal(BELL),
                Err(Error::WouldBlock) if self.producer.wait_announced()? => {
                    self.ring.drained.wait_until(deadline_ns)?;
                }
                Err(Error::WouldBlock) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A consumer with its notifications.
#[derive(Debug)]
pub struct Receiver {
    consumer: Consumer<Mapping>,
    ring: Ring,
}

impl Receiver {
    /// Takes an entry, waiting for one until a time (0: for ever). Errors: `TimedOut`, those of [`Consumer::pop`], the kernel's.
    pub fn receive(&mut self, entry: &mut [u8], deadline_ns: u64) -> Result<()> {
        loop {
            match self.consumer.pop(entry) {
                Ok(false) => return Ok(()),
                Ok(true) => return self.ring.drained.signal(BELL),
                Err(Error::WouldBlock) if self.consumer.wait_announced()? => {
                    self.ring.filled.wait_until(deadline_ns)?;
                }
                Err(Error::WouldBlock) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests;
