//! Requests against a fake device that shares the memory of the queue.

use abi::error::Error;
use hal::access::{DmaMemory, FakeDma, FAKE_BASE};
use hal::virtio::queue::{layout, Queue};
use virtio_blk::disk::{slots_length, Disk, Finished, Kind};

const SIZE: u16 = 16;

/// A device over the same fake memory: queue, slots and data are three areas, told apart by their owner.
struct Device {
    queue: FakeDma,
    slots: FakeDma,
    medium: Vec<u8>,
    taken: u16,
    used: u16,
}

impl Device {
    /// Serves the next request; `data` is what the one data range names.
    fn serve(&mut self, data: &mut [u8], status: u8) {
        let (_, available, used) = layout(SIZE);
        let head = self.queue.read_u16(available + 4 + 2 * usize::from(self.taken % SIZE)).unwrap();
        self.taken += 1;
        let descriptor = |at: u16| {
            let mut d = [0; 16];
            self.queue.read(usize::from(at) * 16, &mut d).unwrap();
            let address = u64::from_le_bytes(d[..8].try_into().unwrap());
            (address, u16::from_le_bytes([d[12], d[13]]), u16::from_le_bytes([d[14], d[15]]))
        };
        let (first, _, mut next) = descriptor(head);
        let mut header = [0; 16];
        self.slots.read((first - FAKE_BASE) as usize, &mut header).unwrap();
        let sector = u64::from_le_bytes(header[8..].try_into().unwrap()) as usize * 512;
        let (mut address, mut flags, mut following) = descriptor(next);
        if flags & 1 != 0 {
            match header[0] {
                0 => data.copy_from_slice(&self.medium[sector..sector + data.len()]),
                1 => self.medium[sector..sector + data.len()].copy_from_slice(data),
                _ => {}
            }
            next = following;
            (address, flags, following) = descriptor(next);
        }
        assert_eq!((flags, following), (2, 0), "the last descriptor is the status byte");
        self.slots.write((address - FAKE_BASE) as usize, &[status]).unwrap();
        let entry = used + 4 + 8 * usize::from(self.used % SIZE);
        self.queue.write(entry, &u32::from(head).to_le_bytes()).unwrap();
        self.used += 1;
        self.queue.write_u16(used + 2, self.used).unwrap();
    }
}

fn pair() -> (Disk<FakeDma, u32>, Device) {
    let (queue, slots) = (FakeDma::new(layout(SIZE).0), FakeDma::new(slots_length(SIZE)));
    let device = Device { queue: queue.clone(), slots: slots.clone(), medium: vec![7; 8192], taken: 0, used: 0 };
    (Disk::new(Queue::new(queue, SIZE).unwrap(), slots).unwrap(), device)
}

fn finished(disk: &mut Disk<FakeDma, u32>) -> Vec<Finished<u32>> {
    let mut all = Vec::new();
    disk.interrupt(&mut |f| all.push(f)).unwrap();
    all
}

#[test]
fn reads_and_writes_reach_the_medium() {
    let (mut disk, mut device) = pair();
    disk.submit(Kind::Write, 2, &[(0x5000, 512)], 1).unwrap();
    disk.submit(Kind::Read, 2, &[(0x6000, 512)], 2).unwrap();
    disk.submit(Kind::Flush, 0, &[], 3).unwrap();
    assert_eq!(disk.counters().outstanding(), 3);
    device.serve(&mut [9; 512], 0);
    let mut out = [0; 512];
    device.serve(&mut out, 0);
    device.serve(&mut [], 0);
    assert_eq!(out, [9; 512]);
    let tokens: Vec<u32> = finished(&mut disk).iter().map(|f| f.token).collect();
    assert_eq!(tokens, [1, 2, 3]);
    assert_eq!((disk.counters().interrupts, disk.counters().outstanding()), (1, 0));
}

#[test]
fn errors_of_the_device_reach_their_request_only() {
    let (mut disk, mut device) = pair();
    for (token, status) in [(1, 1), (2, 0), (3, 2), (4, 0xff)] {
        disk.submit(Kind::Read, 0, &[(0x5000, 512)], token).unwrap();
        device.serve(&mut [0; 512], status);
    }
    let results: Vec<_> = finished(&mut disk).iter().map(|f| f.result).collect();
    assert_eq!(results, [Err(Error::Io), Ok(()), Err(Error::NotSupported), Err(Error::Io)]);
    assert_eq!(disk.counters().failed, 3);
}

#[test]
fn a_full_queue_asks_to_wait_and_loses_nothing() {
    let (mut disk, mut device) = pair();
    let mut count = 0;
    while disk.submit(Kind::Read, 0, &[(0x5000, 512)], count).is_ok() {
        count += 1;
    }
    assert_eq!(count, u32::from(SIZE) / 3);
    for _ in 0..count {
        device.serve(&mut [0; 512], 0);
    }
    assert_eq!(finished(&mut disk).len(), count as usize);
    assert!(disk.submit(Kind::Read, 0, &[(0x5000, 512)], 0).is_ok());
}

#[test]
fn an_interrupt_without_work_is_counted_as_such() {
    let (mut disk, _) = pair();
    assert!(finished(&mut disk).is_empty());
    assert_eq!((disk.counters().interrupts, disk.counters().idle_interrupts), (1, 1));
}
