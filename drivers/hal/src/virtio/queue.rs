//! The split virtqueue (virtio 1.2, section 2.7), driver side.
//!
//! The device is not trusted: an id it returns is used only if it heads a chain in flight, a length
//! only if it fits; anything else marks the queue broken, and the driver starts the device anew.
//! Chains use no indirect tables. Interrupts are always on: nothing polls.

use crate::access::DmaMemory;
use abi::error::{Error, Result};
use alloc::vec;
use alloc::vec::Vec;

/// One part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The device's address.
    pub address: u64,
    /// Bytes.
    pub length: u32,
    /// Whether the device writes it (else it reads it).
    pub device_writes: bool,
}

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const FREE_END: u16 = u16::MAX;

/// A virtqueue over memory that holds its three parts.
pub struct Queue<D: DmaMemory> {
    memory: D,
    size: u16,
    available_at: usize,
    used_at: usize,
    free: u16,
    free_count: u16,
    /// Driver's own copy of the free list and chains: the device can't write it.
    next: Vec<u16>,
    /// For each head: how many descriptors its chain has; 0 where none is in flight.
    chain: Vec<u16>,
    available_index: u16,
    used_index: u16,
    broken: bool,
}

/// Bytes of device memory that a queue of `size` entries takes, and where available and used ring begin.
pub fn layout(size: u16) -> (usize, usize, usize) {
    let size = usize::from(size);
    let available = size.saturating_mul(16);
    let used = available.saturating_add(size.saturating_mul(2)).saturating_add(6).next_multiple_of(4);
    let total = used.saturating_add(size.saturating_mul(8)).saturating_add(6);
    (total, available, used)
}

impl<D: DmaMemory> Queue<D> {
    /// A queue in zeroed memory. `size` is a power of two up to 32768. Errors: `BadArgument`.
    pub fn new(memory: D, size: u16) -> Result<Queue<D>> {
        let (total, available_at, used_at) = layout(size);
        if !size.is_power_of_two() || size > 32768 || memory.length() < total {
            return Err(Error::BadArgument);
        }
        let mut next: Vec<u16> = (1..=size).collect();
        if let Some(last) = next.last_mut() {
            *last = FREE_END;
        }
        Ok(Queue {
            memory,
            size,
            available_at,
            used_at,
            free: 0,
            free_count: size,
            next,
            chain: vec![0; usize::from(size)],
            available_index: 0,
            used_index: 0,
            broken: false,
        })
    }

    /// Device addresses of descriptors, available ring and used ring.
    pub fn addresses(&self) -> (u64, u64, u64) {
        let at = |offset| self.memory.device_address(offset);
        (at(0), at(self.available_at), at(self.used_at))
    }

    /// Entries.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Descriptors that are free.
    pub fn free_count(&self) -> u16 {
        self.free_count
    }

    /// Whether the device broke the rules; nothing more is submitted.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Puts a chain in the available ring; answers its head. The device is to be notified after.
    /// Errors: `WouldBlock` (too few descriptors free now), `BadArgument` (empty, or never fits), `Io` (broken).
    pub fn submit(&mut self, segments: &[Segment]) -> Result<u16> {
        if self.broken {
            return Err(Error::Io);
        }
        let count = u16::try_from(segments.len()).map_err(|_| Error::BadArgument)?;
        if count == 0 || count > self.size {
            return Err(Error::BadArgument);
        }
        if count > self.free_count {
            return Err(Error::WouldBlock);
        }
        let head = self.free;
        let mut at = head;
        for (i, segment) in segments.iter().enumerate() {
            let next = self.next.get(usize::from(at)).copied().ok_or(Error::Io)?;
            let last = i.saturating_add(1) == segments.len();
            let flags = if last { 0 } else { NEXT } | if segment.device_writes { WRITE } else { 0 };
            let mut bytes = [0u8; 16];
            let words = segment.address.to_le_bytes().into_iter().chain(segment.length.to_le_bytes());
            let words = words.chain(flags.to_le_bytes()).chain(if last { 0 } else { next }.to_le_bytes());
            bytes.iter_mut().zip(words).for_each(|(b, w)| *b = w);
            self.memory.write(usize::from(at).saturating_mul(16), &bytes)?;
            if last {
                self.free = next;
            } else {
                at = next;
            }
        }
        self.free_count = self.free_count.saturating_sub(count);
        if let Some(length) = self.chain.get_mut(usize::from(head)) {
            *length = count;
        }
        let slot = usize::from(self.available_index & self.size.wrapping_sub(1));
        self.memory.write_u16(self.available_at.saturating_add(4).saturating_add(slot.saturating_mul(2)), head)?;
        // The entry before the index (2.7.13.2), the index before the notification (2.7.13.4).
        self.memory.fence();
        self.available_index = self.available_index.wrapping_add(1);
        self.memory.write_u16(self.available_at.saturating_add(2), self.available_index)?;
        self.memory.fence();
        Ok(head)
    }

    /// Takes one finished chain: its head and how many bytes the device says it wrote. Errors: `Io` when
    /// the device returned what it does not have.
    pub fn finished(&mut self) -> Result<Option<(u16, u32)>> {
        if self.broken {
            return Err(Error::Io);
        }
        let index = self.memory.read_u16(self.used_at.saturating_add(2))?;
        let ahead = index.wrapping_sub(self.used_index);
        if ahead == 0 {
            return Ok(None);
        }
        if ahead > self.size {
            self.broken = true;
            return Err(Error::Io);
        }
        // The index before the entry (2.7.14).
        self.memory.fence();
        let slot = usize::from(self.used_index & self.size.wrapping_sub(1));
        let entry = self.used_at.saturating_add(4).saturating_add(slot.saturating_mul(8));
        let id = self.memory.read_u32(entry)?;
        let written = self.memory.read_u32(entry.saturating_add(4))?;
        self.used_index = self.used_index.wrapping_add(1);
        let length = usize::try_from(id).ok().and_then(|i| self.chain.get_mut(i)).map(core::mem::take).unwrap_or(0);
        let (Ok(head), true) = (u16::try_from(id), length > 0) else {
            self.broken = true;
            return Err(Error::Io);
        };
        // Give the chain back, following our own links, not the device's.
        let mut last = head;
        for _ in 1..length {
            last = self.next.get(usize::from(last)).copied().ok_or(Error::Io)?;
        }
        if let Some(link) = self.next.get_mut(usize::from(last)) {
            *link = self.free;
        }
        self.free = head;
        self.free_count = self.free_count.saturating_add(length);
        Ok(Some((head, written)))
    }
}

#[cfg(test)]
mod tests {
    use super::{layout, Queue, Segment};
    use crate::access::{DmaMemory, FakeDma};
    use abi::error::Error;

    fn segment(n: u64) -> Segment {
        Segment { address: 0x1000 * n, length: 512, device_writes: n.is_multiple_of(2) }
    }

    /// Address, length and flags of each descriptor.
    type Chain = Vec<(u64, u32, u16)>;

    /// Completes like a device: takes available entries and puts them in the used ring.
    struct Device {
        memory: FakeDma,
        size: u16,
        taken: u16,
        used: u16,
    }

    impl Device {
        fn take(&mut self) -> Option<(u16, Chain)> {
            let (_, available, _) = layout(self.size);
            if self.memory.read_u16(available + 2).unwrap() == self.taken {
                return None;
            }
            let head = self.memory.read_u16(available + 4 + 2 * usize::from(self.taken % self.size)).unwrap();
            self.taken = self.taken.wrapping_add(1);
            let mut chain = Vec::new();
            let mut at = head;
            loop {
                let mut d = [0; 16];
                self.memory.read(usize::from(at) * 16, &mut d).unwrap();
                let flags = u16::from_le_bytes([d[12], d[13]]);
                chain.push((
                    u64::from_le_bytes(d[..8].try_into().unwrap()),
                    u32::from_le_bytes(d[8..12].try_into().unwrap()),
                    flags,
                ));
                if flags & 1 == 0 {
                    return Some((head, chain));
                }
                at = u16::from_le_bytes([d[14], d[15]]);
            }
        }
        fn give(&mut self, id: u32, length: u32) {
            let (_, _, used) = layout(self.size);
            let entry = used + 4 + 8 * usize::from(self.used % self.size);
            self.memory.write(entry, &id.to_le_bytes()).unwrap();
            self.memory.write(entry + 4, &length.to_le_bytes()).unwrap();
            self.used = self.used.wrapping_add(1);
            self.memory.write_u16(used + 2, self.used).unwrap();
        }
    }

    fn pair(size: u16) -> (Queue<FakeDma>, Device) {
        let memory = FakeDma::new(layout(size).0);
        (Queue::new(memory.clone(), size).unwrap(), Device { memory, size, taken: 0, used: 0 })
    }

    #[test]
    fn chains_reach_the_device_whole_and_come_back_in_any_order() {
        let (mut queue, mut device) = pair(8);
        let a = queue.submit(&[segment(1), segment(2), segment(3)]).unwrap();
        let b = queue.submit(&[segment(4)]).unwrap();
        assert_eq!(queue.submit(&[segment(1); 5]), Err(Error::WouldBlock));
        let (head, chain) = device.take().unwrap();
        assert_eq!((head, chain.len()), (a, 3));
        assert_eq!(chain.iter().map(|c| c.0).collect::<Vec<_>>(), [0x1000, 0x2000, 0x3000]);
        assert_eq!(chain.iter().map(|c| c.2 & 2).collect::<Vec<_>>(), [0, 2, 0]);
        assert_eq!(device.take().unwrap().0, b);
        device.give(b.into(), 7);
        device.give(a.into(), 512);
        assert_eq!(queue.finished(), Ok(Some((b, 7))));
        assert_eq!(queue.finished(), Ok(Some((a, 512))));
        assert_eq!(queue.finished(), Ok(None));
        assert_eq!(queue.free_count(), 8);
    }

    #[test]
    fn indices_wrap_and_no_descriptor_is_lost_over_many_turns() {
        let (mut queue, mut device) = pair(4);
        for turn in 0..200_000u32 {
            let count = 1 + (turn % 4) as usize;
            let head = queue.submit(&vec![segment(2); count]).unwrap();
            assert_eq!(device.take().unwrap().1.len(), count);
            device.give(head.into(), turn);
            assert_eq!(queue.finished(), Ok(Some((head, turn))));
        }
        assert_eq!(queue.free_count(), 4);
    }

    #[test]
    fn a_device_that_lies_breaks_its_queue_only() {
        for lie in [4u32, 1, 0xffff_ffff] {
            let (mut queue, mut device) = pair(4);
            assert_eq!(queue.submit(&[segment(1)]), Ok(0));
            device.give(lie, 1);
            assert_eq!(queue.finished(), Err(Error::Io), "id {lie}");
            assert_eq!(queue.submit(&[segment(1)]), Err(Error::Io));
        }
        let (mut queue, mut device) = pair(4);
        queue.submit(&[segment(1)]).unwrap();
        device.give(0, 1);
        device.give(0, 1);
        assert_eq!(queue.finished(), Ok(Some((0, 1))));
        assert_eq!(queue.finished(), Err(Error::Io), "completed twice");
        let (mut queue, mut device) = pair(4);
        device.used = 100;
        device.give(0, 0);
        assert_eq!(queue.finished(), Err(Error::Io), "index jump");
    }
}
