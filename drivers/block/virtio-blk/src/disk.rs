//! Requests on the queue of a virtio disk (virtio 1.2, section 5.2.6).
//!
//! A request is a header the device reads, the data, and a status byte it writes. Headers and status bytes lie in
//! slots of the driver's own memory; the data is wherever the caller's pinned pages are.

use abi::error::{Error, Result};
use alloc::vec;
use alloc::vec::Vec;
use hal::access::DmaMemory;
use hal::virtio::queue::{Queue, Segment};

/// Bytes in a sector, the unit of the protocol whatever the device's blocks are.
pub const SECTOR: u64 = 512;
/// Bytes of driver memory a request takes: header at 0, status at 16.
const SLOT: usize = 32;
/// The status byte before the device wrote one.
const UNWRITTEN: u8 = 0xff;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Device to memory.
    Read,
    /// Memory to device.
    Write,
    /// Everything written before becomes durable.
    Flush,
}

/// What the driver counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests given to the device.
    pub submitted: u64,
    /// Requests it finished.
    pub finished: u64,
    /// Requests it finished with an error.
    pub failed: u64,
    /// Interrupts taken.
    pub interrupts: u64,
    /// Interrupts that found nothing finished.
    pub idle_interrupts: u64,
}

impl Counters {
    /// Requests that the device has now.
    pub fn outstanding(&self) -> u64 {
        self.submitted.saturating_sub(self.finished)
    }

    /// The wire form: the fields in order, then the outstanding ones, u64 little-endian.
    pub fn to_bytes(&self) -> [u8; 48] {
        let words =
            [self.submitted, self.finished, self.failed, self.interrupts, self.idle_interrupts, self.outstanding()];
        let mut out = [0; 48];
        for (bytes, word) in out.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        out
    }
}

/// A finished request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished<T> {
    /// What was given with it.
    pub token: T,
    /// How it ended.
    pub result: Result<()>,
}

/// A disk's queue with the memory of its requests.
pub struct Disk<D: DmaMemory, T: Copy> {
    queue: Queue<D>,
    slots: D,
    free: Vec<usize>,
    /// By the head of the chain: slot and token.
    flying: Vec<Option<(usize, T)>>,
    counters: Counters,
}

/// Bytes of driver memory for the slots of a queue of `size`.
pub fn slots_length(size: u16) -> usize {
    usize::from(size).saturating_mul(SLOT)
}

impl<D: DmaMemory, T: Copy> Disk<D, T> {
    /// A disk over a fresh queue. Errors: `BadArgument` when `slots` is too small.
    pub fn new(queue: Queue<D>, slots: D) -> Result<Disk<D, T>> {
        let size = usize::from(queue.size());
        if slots.length() < slots_length(queue.size()) {
            return Err(Error::BadArgument);
        }
        // Every request has at least two descriptors, so half as many slots always suffice; all are kept simple.
        Ok(Disk {
            queue,
            slots,
            free: (0..size).rev().collect(),
            flying: vec![None; size],
            counters: Counters::default(),
        })
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The most data ranges that one request can ever have.
    pub fn most_ranges(&self) -> usize {
        usize::from(self.queue.size()).saturating_sub(2)
    }

    /// Whether the device broke the rules: everything in flight is lost.
    pub fn is_broken(&self) -> bool {
        self.queue.is_broken()
    }

    /// Puts a request in the queue; the device is to be notified after. `ranges` (device address, length) add up to
    /// whole sectors. Errors: `WouldBlock` (no room now), `BadArgument`, `Io` (broken).
    pub fn submit(&mut self, kind: Kind, sector: u64, ranges: &[(u64, u64)], token: T) -> Result<()> {
        let slot = *self.free.last().ok_or(Error::WouldBlock)?;
        let at = slot.saturating_mul(SLOT);
        let number: u32 = match kind {
            Kind::Read => 0,
            Kind::Write => 1,
            Kind::Flush => 4,
        };
        let mut header = [0; 16];
        let bytes = number.to_le_bytes().into_iter().chain([0; 4]).chain(sector.to_le_bytes());
        header.iter_mut().zip(bytes).for_each(|(h, b)| *h = b);
        let status = at.saturating_add(16);
        self.slots.write(at, &header)?;
        self.slots.write(status, &[UNWRITTEN])?;
        let driver = |offset, length, device_writes| Segment {
            address: self.slots.device_address(offset),
            length,
            device_writes,
        };
        let mut segments = Vec::with_capacity(ranges.len().saturating_add(2));
        segments.push(driver(at, 16, false));
        for (address, length) in ranges {
            let length = u32::try_from(*length).map_err(|_| Error::BadArgument)?;
            segments.push(Segment { address: *address, length, device_writes: kind == Kind::Read });
        }
        segments.push(driver(status, 1, true));
        let head = self.queue.submit(&segments)?;
        self.free.pop();
        if let Some(place) = self.flying.get_mut(usize::from(head)) {
            *place = Some((slot, token));
        }
        self.counters.submitted = self.counters.submitted.saturating_add(1);
        Ok(())
    }

    /// An interrupt came: hands every finished request to `done`. Errors: `Io` when the device broke the rules.
    pub fn interrupt(&mut self, done: &mut dyn FnMut(Finished<T>)) -> Result<()> {
        self.counters.interrupts = self.counters.interrupts.saturating_add(1);
        let mut any = false;
        while let Some((head, _)) = self.queue.finished()? {
            any = true;
            let (slot, token) = self.flying.get_mut(usize::from(head)).and_then(Option::take).ok_or(Error::Io)?;
            let mut status = [UNWRITTEN];
            self.slots.read(slot.saturating_mul(SLOT).saturating_add(16), &mut status)?;
            self.free.push(slot);
            let result = match status {
                [0] => Ok(()),
                [2] => Err(Error::NotSupported),
                _ => Err(Error::Io),
            };
            self.counters.finished = self.counters.finished.saturating_add(1);
            if result.is_err() {
                self.counters.failed = self.counters.failed.saturating_add(1);
            }
            done(Finished { token, result });
        }
        if !any {
            self.counters.idle_interrupts = self.counters.idle_interrupts.saturating_add(1);
        }
        Ok(())
    }
}
