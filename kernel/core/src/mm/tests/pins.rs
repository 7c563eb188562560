//! Memory held for devices.

use super::{
    end, end_lease, kernel, lease, map, memory, process, touch, translated, unmap, TestKernel, PAGE, R, RW, RX,
};
use crate::address::FrameNumber;
use crate::id::Id;
use crate::machine::Machine;
use crate::mm::fault::Access::{Execute, Write};
use crate::mm::space::UserRange;
use crate::object::{DmaDomain, Pin};
use abi::memory::MemoryFlags;
use abi::message::{buffer, LeaseAccess};
use abi::{Error, Kind, Rights};
use std::sync::atomic::Ordering::Relaxed;

const BOTH: LeaseAccess = LeaseAccess::READ.union(LeaseAccess::WRITE);

struct World {
    kernel: TestKernel,
    domain: Id<DmaDomain>,
    buffer: FrameNumber,
}

fn world() -> World {
    let kernel = kernel();
    let quota = kernel.root_quota();
    let domain = kernel.domain_new(quota, false).unwrap();
    kernel.retain(domain);
    let buffer = kernel.frame_allocate(quota).unwrap();
    World { kernel, domain, buffer }
}

impl World {
    fn ranges(&self, count: usize) -> Vec<(u64, u64)> {
        let words = self.kernel.machine.frame_words(self.buffer);
        let at = |i: usize| words[buffer::RANGES + i].load(Relaxed);
        (0..count).map(|i| (at(2 * i), at(2 * i + 1))).collect()
    }
    fn pins(&self) -> u32 {
        self.kernel.domains[self.domain].header.references.get() - 1
    }
    fn hold(&self, pin: Id<Pin>) {
        self.kernel.retain(pin);
    }
}

#[test]
fn a_pinned_lease_is_the_clients_own_frames_to_the_byte() {
    let w = world();
    let k = &w.kernel;
    let (client, lender) = process(k);
    let m = memory(k, 6, MemoryFlags::empty());
    let at = map(k, lender, m, RW);
    // Frames in no order: the ranges can't be one.
    for page in [3, 1, 5, 0, 4, 2] {
        k.user_write(client, at + page * PAGE, &[1]).unwrap();
    }
    let l = lease(k, lender, at + 700, 4 * PAGE, BOTH);
    let (pin, count) = k.pin_lease(k.root_quota(), w.domain, l, 100, 3 * PAGE, w.buffer).unwrap();
    w.hold(pin);
    let ranges = w.ranges(count);
    assert_eq!(ranges.iter().map(|r| r.1).sum::<u64>(), 3 * PAGE);
    let mut position = at + 800;
    for (device, length) in ranges {
        for step in (0..length).step_by(64) {
            let t = translated(k, lender, position + step).unwrap();
            assert_eq!(device + step, t.address.0 + (position + step) % PAGE, "device addresses are the frames'");
        }
        position += length;
    }
    let held = |page| k.frame_info(k.memory_frame(m, page).unwrap()).unwrap().references.get();
    assert_eq!([0, 1, 2, 3, 4, 5].map(held), [2, 2, 2, 2, 1, 1]);
    assert_eq!((k.leases[l].pins.get(), k.leases[l].holds.get()), (1, 1));
    // Closing it by its holder frees it.
    k.release(pin);
    assert_eq!([0, 1, 2, 3, 4, 5].map(held), [1; 6]);
    assert_eq!((k.leases[l].pins.get(), k.leases[l].holds.get(), w.pins()), (0, 0, 0));
    end_lease(k, l);
}

#[test]
fn pins_are_bounded_and_refused_outside_what_was_lent() {
    let w = world();
    let k = &w.kernel;
    let (_, lender) = process(k);
    let at = map(k, lender, memory(k, 700, MemoryFlags::empty()), RW);
    let l = lease(k, lender, at, 600 * PAGE, BOTH);
    let pin = |offset, length| k.pin_lease(k.root_quota(), w.domain, l, offset, length, w.buffer).map(|p| p.1);
    let free = k.frames.free();
    assert_eq!(pin(0, 600 * PAGE + 1), Err(Error::LeaseRange));
    assert_eq!(pin(u64::MAX, 2), Err(Error::LeaseRange));
    assert_eq!(pin(0, 0), Err(Error::BadArgument));
    assert_eq!(pin(0, 257 * PAGE), Err(Error::BadArgument));
    assert_eq!(k.pin_lease(k.root_quota(), w.domain, l, 0, 8, FrameNumber(0)).map(|p| p.1), Err(Error::BadAddress));
    unmap(k, lender, at + 2 * PAGE, 1);
    assert_eq!(pin(0, 3 * PAGE), Err(Error::LeaseFault));
    assert_eq!((k.leases[l].pins.get(), w.pins()), (0, 0));
    let root = k.domain_new(k.root_quota(), true).unwrap();
    k.retain(root);
    assert_eq!(k.pin_lease(k.root_quota(), root, l, 0, 8, w.buffer).map(|p| p.1), Err(Error::BadArgument));
    // What came in on the way to the failure belongs to the object, and nothing else was kept.
    assert!(free - k.frames.free() <= 8);
    // Every second page missing a neighbour: more ranges than the buffer holds.
    let order: Vec<u64> = (0..250).step_by(2).chain((1..250).step_by(2)).collect();
    let scattered = memory(k, 260, MemoryFlags::empty());
    for page in order {
        k.memory_bring(scattered, page, Write).unwrap();
    }
    let at = map(k, lender, scattered, RW);
    let l = lease(k, lender, at, 260 * PAGE, BOTH);
    assert_eq!(k.pin_lease(k.root_quota(), w.domain, l, 0, 250 * PAGE, w.buffer).map(|p| p.1), Err(Error::BadArgument));
    for page in 0..250 {
        assert_eq!(k.frame_info(k.memory_frame(scattered, page).unwrap()).unwrap().references.get(), 1);
    }
}

#[test]
fn a_run_is_one_range_whatever_its_length() {
    let w = world();
    let k = &w.kernel;
    let m = memory(k, 900, MemoryFlags::CONTIGUOUS | MemoryFlags::BELOW_4G);
    let first = k.memories[m].first.get().address().0;
    let pin = |offset, length| k.pin_memory(k.root_quota(), w.domain, m, offset, length, w.buffer);
    let (id, count) = pin(5, 900 * PAGE - 10).unwrap();
    w.hold(id);
    assert_eq!((count, w.ranges(1)), (1, vec![(first + 5, 900 * PAGE - 10)]));
    assert_eq!(pin(1, 900 * PAGE).map(|p| p.1), Err(Error::BadArgument));
    assert_eq!(pin(u64::MAX, 2).map(|p| p.1), Err(Error::BadArgument));
    k.release(id);
    assert_eq!(k.memories[m].pins.get(), 0);
}

#[test]
fn a_dead_drivers_pins_stay_in_quarantine_until_the_device_is_stopped() {
    let mut w = world();
    let k = &w.kernel;
    let ((_, lender), (driver, _)) = (process(k), process(k));
    let m = memory(k, 4, MemoryFlags::empty());
    let at = map(k, lender, m, RW);
    let l = lease(k, lender, at, 4 * PAGE, BOTH);
    let quota = k.root_quota();
    let (lent, _) = k.pin_lease(quota, w.domain, l, 0, 4 * PAGE, w.buffer).unwrap();
    k.cap_insert(driver, Kind::Pin, lent.raw(), Rights::INSPECT, None).unwrap();
    let rings = memory(k, 8, MemoryFlags::CONTIGUOUS);
    let (own, _) = k.pin_memory(quota, w.domain, rings, 0, 8 * PAGE, w.buffer).unwrap();
    let handle = k.cap_insert(driver, Kind::Pin, own.raw(), Rights::INSPECT, None).unwrap();
    let (closed, _) = k.pin_memory(quota, w.domain, rings, 0, 8, w.buffer).unwrap();
    let third = k.cap_insert(driver, Kind::Pin, closed.raw(), Rights::INSPECT, None).unwrap();
    k.cap_close(driver, third).unwrap();
    assert_eq!((k.memories[rings].pins.get(), handle.is_none()), (1, false));
    let first = k.memories[rings].first.get();
    k.release(rings);
    end(&mut w.kernel, driver);
    let k = &mut w.kernel;
    k.reap();
    let held = |k: &TestKernel, frame| k.frame_info(frame).unwrap().references.get();
    assert_eq!(k.domains[w.domain].quarantined.get(), 2);
    assert_eq!(held(k, first), 1, "the device may still write there");
    assert_eq!(held(k, k.memory_frame(m, 0).unwrap()), 2);
    assert_eq!(k.leases[l].holds.get(), 1, "the call can't end yet");
    k.machine.interrupt_every(1);
    let mut again = 0;
    while !k.domain_let_go(w.domain) {
        again += 1;
    }
    assert_eq!(again, 1);
    k.machine.interrupt_every(0);
    k.reap();
    assert_eq!((k.domains[w.domain].quarantined.get(), k.leases[l].holds.get()), (0, 0));
    assert_eq!(held(k, first), 0);
    assert_eq!(held(k, k.memory_frame(m, 0).unwrap()), 1);
    assert_eq!(w.pins(), 0);
    end_lease(&w.kernel, l);
}

#[test]
fn what_a_device_may_write_is_not_executed() {
    let w = world();
    let k = &w.kernel;
    let (_, space) = process(k);
    let m = memory(k, 2, MemoryFlags::empty());
    let text = map(k, space, m, RX);
    assert_eq!(k.pin_memory(k.root_quota(), w.domain, m, 0, PAGE, w.buffer).map(|p| p.1), Err(Error::Busy));
    let range = UserRange::pages(text, 2 * PAGE).unwrap();
    k.space_change(space, range, RW).unwrap();
    touch(k, space, text, Write).unwrap();
    let l = lease(k, space, text, PAGE, BOTH);
    let (pin, _) = k.pin_lease(k.root_quota(), w.domain, l, 0, PAGE, w.buffer).unwrap();
    w.hold(pin);
    k.space_change(space, range, RX).unwrap();
    assert_eq!(touch(k, space, text, Execute), Err(Error::Busy));
    touch(k, space, text + PAGE, Execute).unwrap();
    k.release(pin);
    touch(k, space, text, Execute).unwrap();
    k.space_change(space, range, R).unwrap();
    end_lease(k, l);
}

#[test]
fn unmapping_during_dma_keeps_the_frames() {
    let mut w = world();
    let k = &w.kernel;
    let (client, lender) = process(k);
    let m = memory(k, 1, MemoryFlags::empty());
    let at = map(k, lender, m, RW);
    k.user_write(client, at, b"dma").unwrap();
    let frame = k.memory_frame(m, 0).unwrap();
    let l = lease(k, lender, at, PAGE, BOTH);
    let (pin, _) = k.pin_lease(k.root_quota(), w.domain, l, 0, PAGE, w.buffer).unwrap();
    w.hold(pin);
    unmap(k, lender, at, 1);
    k.release(m);
    w.kernel.reap();
    let k = &w.kernel;
    assert_eq!(k.frame_info(frame).unwrap().references.get(), 1);
    let mut bytes = [0; 3];
    k.machine.read_frame(frame, 0, &mut bytes);
    assert_eq!(&bytes, b"dma");
    k.release(pin);
    assert_eq!(k.frame_info(frame).unwrap().references.get(), 0);
    end_lease(k, l);
}
