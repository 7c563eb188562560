//! What a server can and can't do with memory that was lent.

use super::{
    check_frames, end, end_lease, kernel, lease, map, memory, process, touch, translated, unmap, PAGE, R, RW, RX, X,
};
use crate::address::VirtAddr;
use crate::mm::fault::Access::{Read, Write};
use crate::mm::lease::MAP_PAGES;
use crate::mm::space::UserRange;
use abi::memory::{MemoryFlags, Protection};
use abi::message::LeaseAccess;
use abi::Error;

const READ: LeaseAccess = LeaseAccess::READ;
const BOTH: LeaseAccess = LeaseAccess::READ.union(LeaseAccess::WRITE);

#[test]
fn three_unaligned_bytes_across_a_page_border_and_not_one_more() {
    let kernel = kernel();
    let ((client, lender), (server, space)) = (process(&kernel), process(&kernel));
    let lent = map(&kernel, lender, memory(&kernel, 2, MemoryFlags::empty()), RW) + PAGE - 2;
    let own = map(&kernel, space, memory(&kernel, 2, MemoryFlags::empty()), RW);
    kernel.user_write(client, lent - 1, b"<abc>").unwrap();
    let l = lease(&kernel, lender, lent, 3, BOTH);
    let copy = |offset, length, write| kernel.lease_copy(l, offset, space, own, length, write);
    assert_eq!(copy(0, 3, false), (3, Ok(())));
    let mut bytes = [0; 4];
    kernel.user_read(server, own, &mut bytes).unwrap();
    assert_eq!(&bytes, b"abc\0");
    kernel.user_write(server, own, b"xyz!").unwrap();
    assert_eq!(copy(0, 3, true), (3, Ok(())));
    assert_eq!(copy(1, 1, true), (1, Ok(())));
    let mut around = [0; 5];
    kernel.user_read(client, lent - 1, &mut around).unwrap();
    assert_eq!(&around, b"<xxz>");
    assert_eq!(copy(3, 0, false), (0, Ok(())));
    for write in [false, true] {
        let far = u64::MAX;
        for (offset, length) in
            [(0, 4), (3, 1), (2, 2), (far, 1), (far, 3), (0, PAGE), (far - PAGE + 1, 3), (4, 0), (1, far)]
        {
            assert_eq!(copy(offset, length, write), (0, Err(Error::LeaseRange)), "{offset:#x} {length:#x}");
        }
    }
    let enter = |offset, length| kernel.lease_enter(l, offset, length, space, 0, R);
    assert_eq!(enter(0, 3), Err(Error::LeaseAccess));
    assert_eq!(enter(2, 1), Err(Error::LeaseAccess));
    assert_eq!(enter(0, PAGE), Err(Error::LeaseRange));
    assert_eq!(enter(2, PAGE), Err(Error::LeaseRange));
    assert_eq!(enter(2u64.wrapping_sub(PAGE), PAGE), Err(Error::LeaseRange));
    kernel.user_read(client, lent - 1, &mut around).unwrap();
    assert_eq!(&around, b"<xxz>");
    end_lease(&kernel, l);
}

#[test]
fn only_what_was_lent_for_it_can_be_done() {
    let kernel = kernel();
    let ((_, lender), (_, space)) = (process(&kernel), process(&kernel));
    let at = map(&kernel, lender, memory(&kernel, 4, MemoryFlags::empty()), RW);
    let own = map(&kernel, space, memory(&kernel, 4, MemoryFlags::empty()), RW);
    let (read, write) =
        (lease(&kernel, lender, at, 4 * PAGE, READ), lease(&kernel, lender, at, 4 * PAGE, LeaseAccess::WRITE));
    assert_eq!(kernel.lease_copy(read, 0, space, own, 8, true), (0, Err(Error::LeaseAccess)));
    assert_eq!(kernel.lease_copy(write, 0, space, own, 8, false), (0, Err(Error::LeaseAccess)));
    assert_eq!(kernel.lease_copy(write, 0, space, own, 8, true), (8, Ok(())));
    assert_eq!(kernel.lease_enter(read, 0, PAGE, space, 0, RW), Err(Error::LeaseAccess));
    assert_eq!(kernel.lease_enter(read, 0, PAGE, space, 0, X), Err(Error::LeaseAccess));
    assert_eq!(kernel.lease_enter(read, 0, PAGE, space, 0, RX), Err(Error::LeaseAccess));
    assert_eq!(kernel.lease_enter(read, 0, PAGE, space, 0, Protection::empty()), Err(Error::BadArgument));
    assert_eq!(kernel.lease_enter(read, 0, 0, space, 0, R), Err(Error::BadArgument));
    assert_eq!(kernel.lease_enter(read, 0, PAGE, space, own, R), Err(Error::Exists));
    assert_eq!(kernel.lease_enter(read, 1, PAGE, space, 0, R), Err(Error::LeaseAccess));
    let mapped = kernel.lease_enter(read, PAGE, 2 * PAGE, space, 0, R).unwrap();
    let range = UserRange::pages(mapped, 2 * PAGE).unwrap();
    assert_eq!(kernel.space_change(space, range, RW), Err(Error::NoRight));
    assert_eq!(kernel.space_change(space, range, Protection::empty()), Err(Error::BadArgument));
    end_lease(&kernel, read);
    end_lease(&kernel, write);
}

#[test]
fn a_mapped_lease_is_the_lenders_own_frames_until_the_reply() {
    let kernel = kernel();
    let ((client, lender), (server, space)) = (process(&kernel), process(&kernel));
    let m = memory(&kernel, 16, MemoryFlags::empty());
    let at = map(&kernel, lender, m, RW);
    let l = lease(&kernel, lender, at + 100, 16 * PAGE - 100, BOTH);
    let mapped = kernel.lease_enter(l, PAGE - 100, 15 * PAGE, space, 0, RW).unwrap();
    for n in 0..15 {
        let (mine, theirs) = (mapped + n * PAGE, at + (n + 1) * PAGE);
        let t = translated(&kernel, space, mine).unwrap();
        assert_eq!(t.address, touch(&kernel, lender, theirs, Read).unwrap().address);
        assert_eq!(kernel.frame_info(t.address.frame().unwrap()).unwrap().references.get(), 2);
    }
    kernel.user_write(server, mapped + 5, b"grant").unwrap();
    let mut bytes = [0; 5];
    kernel.user_read(client, at + PAGE + 5, &mut bytes).unwrap();
    assert_eq!(&bytes, b"grant");
    assert!(kernel.leases[l].holds.get() > 0);
    kernel.lease_end_pages(l);
    for n in 0..15 {
        assert_eq!(translated(&kernel, space, mapped + n * PAGE), None);
        assert!(
            !kernel.machine.is_stale(kernel.space_root(space), VirtAddr(mapped + n * PAGE)),
            "flushed before the reply"
        );
        assert_eq!(kernel.resolve_fault(space, mapped + n * PAGE, Read), Err(Error::BadAddress));
        let frame = kernel.memory_frame(m, n + 1).unwrap();
        assert_eq!(kernel.frame_info(frame).unwrap().references.get(), 1);
    }
    assert_eq!(kernel.leases[l].holds.get(), 0);
    end_lease(&kernel, l);
}

#[test]
fn a_lease_over_several_objects_maps_as_one_range() {
    let kernel = kernel();
    let ((client, lender), (_, space)) = (process(&kernel), process(&kernel));
    let base = 0x50_0000;
    for (n, pages) in [(0, 3), (3, 1), (4, 2)] {
        let m = memory(&kernel, pages, MemoryFlags::empty());
        let backing = crate::mm::mapping::Backing::Memory(m, 0);
        kernel.space_enter(lender, base + n * PAGE, pages, backing, RW, RW).unwrap();
    }
    for n in 0..6u8 {
        kernel.user_write(client, base + u64::from(n) * PAGE, &[n]).unwrap();
    }
    let l = lease(&kernel, lender, base, 6 * PAGE, READ);
    let mapped = kernel.lease_enter(l, 0, 6 * PAGE, space, 0, R).unwrap();
    for n in 0..6 {
        let t = translated(&kernel, space, mapped + n * PAGE).unwrap();
        assert_eq!(
            Some(t),
            translated(&kernel, lender, base + n * PAGE).map(|o| crate::machine::Translation { protection: R, ..o })
        );
    }
    end_lease(&kernel, l);
    // A hole in it is the lender's fault, and nothing of the map is left.
    unmap(&kernel, lender, base + 4 * PAGE, 1);
    let l = lease(&kernel, lender, base, 6 * PAGE, READ);
    let before = kernel.spaces[space].mapping_count.get();
    assert_eq!(kernel.lease_enter(l, 0, 6 * PAGE, space, 0, R), Err(Error::LeaseFault));
    assert_eq!((kernel.spaces[space].mapping_count.get(), kernel.leases[l].holds.get()), (before, 0));
    assert_eq!(kernel.lease_copy(l, 0, space, mapped, 6 * PAGE, false), (0, Err(Error::BadAddress)));
    let own = map(&kernel, space, memory(&kernel, 8, MemoryFlags::empty()), RW);
    assert_eq!(kernel.lease_copy(l, 0, space, own, 6 * PAGE, false), (4 * PAGE, Err(Error::LeaseFault)));
    end_lease(&kernel, l);
}

#[test]
fn unmapping_or_dying_lenders_pull_nothing_from_under_a_mapped_lease() {
    let mut kernel = kernel();
    let before = kernel.frames.free();
    let ((client, lender), (server, space)) = (process(&kernel), process(&kernel));
    let m = memory(&kernel, 4, MemoryFlags::empty());
    let at = map(&kernel, lender, m, RW);
    kernel.release(m);
    kernel.user_write(client, at, b"kept").unwrap();
    let l = lease(&kernel, lender, at, 4 * PAGE, BOTH);
    let mapped = kernel.lease_enter(l, 0, 4 * PAGE, space, 0, RW).unwrap();
    let frame = translated(&kernel, space, mapped).unwrap().address;
    unmap(&kernel, lender, at, 4);
    end(&mut kernel, client);
    assert_eq!(translated(&kernel, space, mapped).unwrap().address, frame);
    let mut bytes = [0; 4];
    kernel.user_read(server, mapped, &mut bytes).unwrap();
    assert_eq!(&bytes, b"kept");
    kernel.user_write(server, mapped + PAGE, b"still mine").unwrap();
    check_frames(&kernel);
    // The reply: now the frames go.
    end_lease(&kernel, l);
    assert_eq!(kernel.user_read(server, mapped, &mut bytes), Err(Error::BadAddress));
    end(&mut kernel, server);
    assert_eq!(before, kernel.frames.free());
}

#[test]
fn a_server_that_dies_lets_go_of_what_it_mapped() {
    let mut kernel = kernel();
    let ((client, lender), (server, space)) = (process(&kernel), process(&kernel));
    let m = memory(&kernel, 4, MemoryFlags::empty());
    let at = map(&kernel, lender, m, RW);
    let l = lease(&kernel, lender, at, 4 * PAGE, BOTH);
    kernel.lease_enter(l, 0, 4 * PAGE, space, 0, RW).unwrap();
    assert_ne!(kernel.leases[l].holds.get(), 0);
    end(&mut kernel, server);
    assert_eq!(kernel.leases[l].holds.get(), 0, "the call may end now");
    for n in 0..4 {
        let frame = kernel.memory_frame(m, n).unwrap();
        assert_eq!(kernel.frame_info(frame).unwrap().references.get(), 1);
    }
    kernel.user_write(client, at, b"mine").unwrap();
    end_lease(&kernel, l);
}

#[test]
fn borrowed_pages_and_registers_are_not_lent_again() {
    let kernel = kernel();
    let ((_, lender), (_, space), (_, third)) = (process(&kernel), process(&kernel), process(&kernel));
    let at = map(&kernel, lender, memory(&kernel, 2, MemoryFlags::empty()), RW);
    let l = lease(&kernel, lender, at, 2 * PAGE, BOTH);
    let mapped = kernel.lease_enter(l, 0, 2 * PAGE, space, 0, RW).unwrap();
    let again = lease(&kernel, space, mapped, 2 * PAGE, READ);
    assert_eq!(kernel.lease_enter(again, 0, PAGE, third, 0, R), Err(Error::LeaseAccess));
    assert_eq!(kernel.space_frame(space, mapped, true), Err(Error::BadAddress));
    let registers = crate::mm::mapping::Backing::Device(0xfe000);
    let r = kernel.space_enter(lender, 0, 1, registers, RW, RW).unwrap();
    let device = lease(&kernel, lender, r, PAGE, READ);
    assert_eq!(kernel.lease_enter(device, 0, PAGE, space, 0, R), Err(Error::LeaseAccess));
    let own = map(&kernel, space, memory(&kernel, 1, MemoryFlags::empty()), RW);
    assert_eq!(kernel.lease_copy(device, 0, space, own, 4, false), (0, Err(Error::LeaseFault)));
    end_lease(&kernel, again);
    end_lease(&kernel, device);
    end_lease(&kernel, l);
}

#[test]
fn the_lender_can_not_make_executable_what_a_server_may_write() {
    let kernel = kernel();
    let ((_, lender), (_, space)) = (process(&kernel), process(&kernel));
    let m = memory(&kernel, 2, MemoryFlags::empty());
    let at = map(&kernel, lender, m, RW);
    let l = lease(&kernel, lender, at, 2 * PAGE, BOTH);
    kernel.lease_enter(l, 0, 2 * PAGE, space, 0, RW).unwrap();
    let range = UserRange::pages(at, 2 * PAGE).unwrap();
    assert_eq!(kernel.space_change(lender, range, RX), Err(Error::Busy));
    end_lease(&kernel, l);
    kernel.space_change(lender, range, RX).unwrap();
    check_frames(&kernel);
}

#[test]
fn a_server_may_unmap_part_of_a_lease_and_the_rest_stays() {
    let kernel = kernel();
    let ((_, lender), (_, space)) = (process(&kernel), process(&kernel));
    let m = memory(&kernel, 5, MemoryFlags::empty());
    let at = map(&kernel, lender, m, RW);
    let l = lease(&kernel, lender, at, 5 * PAGE, BOTH);
    let mapped = kernel.lease_enter(l, 0, 5 * PAGE, space, 0, RW).unwrap();
    unmap(&kernel, space, mapped + 2 * PAGE, 1);
    assert_eq!(kernel.leases[l].holds.get(), 2);
    let held = |page| kernel.frame_info(kernel.memory_frame(m, page).unwrap()).unwrap().references.get();
    assert_eq!([0, 1, 2, 3, 4].map(held), [2, 2, 1, 2, 2]);
    kernel.space_change(space, UserRange::pages(mapped, PAGE).unwrap(), R).unwrap();
    assert_eq!(kernel.resolve_fault(space, mapped, Write), Err(Error::BadAddress));
    end_lease(&kernel, l);
    assert_eq!([0, 1, 2, 3, 4].map(held), [1; 5]);
}

#[test]
fn the_lenders_lack_of_memory_is_the_lenders_to_see_to() {
    let mut kernel = kernel();
    let ((_, lender), (server, space)) = (process(&kernel), process(&kernel));
    let quota = kernel.quota_make_child(kernel.root_quota(), 4).unwrap();
    kernel.retain(quota);
    let m = kernel.memory_new(quota, 100, MemoryFlags::empty()).unwrap();
    kernel.retain(m);
    let at = map(&kernel, lender, m, RW);
    let l = lease(&kernel, lender, at, 100 * PAGE, BOTH);
    assert_eq!(kernel.lease_enter(l, 0, 100 * PAGE, space, 0, RW), Err(Error::LeaseFault));
    assert_eq!(kernel.leases[l].holds.get(), 0);
    let own = map(&kernel, space, memory(&kernel, 16, MemoryFlags::empty()), RW);
    let (done, result) = kernel.lease_copy(l, 0, space, own, 16 * PAGE, true);
    assert_eq!(result, Err(Error::LeaseFault));
    assert!(done > 0 && done % PAGE == 0);
    end_lease(&kernel, l);
    end(&mut kernel, server);
}

#[test]
fn long_copies_stop_early_for_an_interrupt_and_go_on() {
    let kernel = kernel();
    let ((client, lender), (server, space)) = (process(&kernel), process(&kernel));
    let at = map(&kernel, lender, memory(&kernel, 40, MemoryFlags::empty()), RW) + 123;
    let own = map(&kernel, space, memory(&kernel, 40, MemoryFlags::empty()), RW) + 7;
    let data: Vec<u8> = (0..150_000u32).map(|n| (n * 7 / 3) as u8).collect();
    kernel.user_write(client, at, &data).unwrap();
    let l = lease(&kernel, lender, at, data.len() as u64, READ);
    kernel.machine.interrupt_every(3);
    let (mut done, mut calls) = (0, 0);
    while done < data.len() as u64 {
        let (n, result) = kernel.lease_copy(l, done, space, own + done, data.len() as u64 - done, false);
        assert!(result == Ok(()) && n > 0 && n <= 65536);
        done += n;
        calls += 1;
    }
    assert!(calls > 3);
    let mut back = vec![0; data.len()];
    kernel.user_read(server, own, &mut back).unwrap();
    assert_eq!(back, data);
    end_lease(&kernel, l);
}

#[test]
fn one_map_call_takes_a_bounded_number_of_pages() {
    let kernel = kernel();
    let ((_, lender), (_, space)) = (process(&kernel), process(&kernel));
    let at = map(&kernel, lender, memory(&kernel, 4096, MemoryFlags::empty()), RW);
    let l = lease(&kernel, lender, at, 4096 * PAGE, BOTH);
    assert_eq!(kernel.lease_enter(l, 0, (MAP_PAGES + 1) * PAGE, space, 0, RW), Err(Error::BadArgument));
    kernel.lease_enter(l, 0, MAP_PAGES * PAGE, space, 0, RW).unwrap();
    end_lease(&kernel, l);
}

/// A server that maps one lease after another uses the same addresses, and with them the same page tables.
#[test]
fn leases_that_are_over_leave_their_addresses_to_the_next() {
    let kernel = kernel();
    let ((_, lender), (_, space)) = (process(&kernel), process(&kernel));
    let at = map(&kernel, lender, memory(&kernel, 100, MemoryFlags::empty()), RW);
    let mut first = None;
    for _ in 0..50 {
        let lent = lease(&kernel, lender, at, 100 * PAGE, BOTH);
        let mapped = kernel.lease_enter(lent, 0, 40 * PAGE, space, 0, R).unwrap();
        let second = kernel.lease_enter(lent, 50 * PAGE, 40 * PAGE, space, 0, R).unwrap();
        let (place, tables) = *first.get_or_insert(((mapped, second), kernel.spaces[space].tables.get()));
        assert_eq!(((mapped, second), kernel.spaces[space].tables.get()), (place, tables));
        end_lease(&kernel, lent);
    }
}
