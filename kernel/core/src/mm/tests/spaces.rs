//! Mapping, unmapping, protecting, faulting: one rule a test.

use super::{check_frames, end, kernel, map, memory, process, touch, translated, unmap, ALL, PAGE, R, RW, RX, W, X};
use crate::address::{FrameNumber, VirtAddr};
use crate::mm::fault::Access::{Execute, Read, Write};

use crate::mm::mapping::Backing;
use crate::mm::space::UserRange;
use abi::memory::{MemoryFlags, Protection, LARGE_PAGE_SIZE, USER_END};
use abi::Error;

#[test]
fn memory_comes_zeroed_on_demand_and_is_charged() {
    let kernel = kernel();
    let (process, space) = process(&kernel);
    let m = memory(&kernel, 10, MemoryFlags::empty());
    let at = map(&kernel, space, m, RW);
    assert_eq!(kernel.memories[m].resident.get(), 0);
    let mut bytes = [1; 16];
    kernel.user_read(process, at + 3 * PAGE - 8, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 16]);
    assert_eq!(kernel.memories[m].resident.get(), 2);
    let used = kernel.quotas[kernel.root_quota()].used_pages.get();
    kernel.user_write(process, at, b"x").unwrap();
    assert_eq!(kernel.quotas[kernel.root_quota()].used_pages.get(), used + 1);
}

#[test]
fn addresses_outside_what_is_mapped_are_refused_without_a_fault() {
    let kernel = kernel();
    let (process, space) = process(&kernel);
    let m = memory(&kernel, 2, MemoryFlags::empty());
    let at = map(&kernel, space, m, R);
    for bad in [0, 0xffff, at - 1, at + 2 * PAGE, USER_END, 1 << 47, u64::MAX - 1, 0xffff_8000_0000_0000] {
        assert_eq!(kernel.user_read(process, bad, &mut [0; 4]), Err(Error::BadAddress), "{bad:#x}");
        assert_eq!(kernel.resolve_fault(space, bad, Read), Err(Error::BadAddress));
    }
    assert_eq!(kernel.user_read(process, at + 2 * PAGE - 2, &mut [0; 4]), Err(Error::BadAddress));
    assert_eq!(kernel.user_write(process, at, b"x"), Err(Error::BadAddress));
    assert_eq!(kernel.user_read_words(process, at + 2 * PAGE - 64, &mut [0; 8]), Ok(()));
    assert_eq!(kernel.user_read_words(process, u64::MAX - 7, &mut [0; 2]), Err(Error::BadAddress));
}

#[test]
fn words_travel_through_user_memory_unaligned_and_across_pages() {
    let kernel = kernel();
    let (process, space) = process(&kernel);
    let m = memory(&kernel, 4, MemoryFlags::empty());
    let at = map(&kernel, space, m, RW);
    let words: [u64; 100] = std::array::from_fn(|i| i as u64 * 0x0101_0101_0101_0107);
    kernel.user_write_words(process, at + PAGE - 35, &words).unwrap();
    let mut back = [0; 100];
    kernel.user_read_words(process, at + PAGE - 35, &mut back).unwrap();
    assert_eq!(words, back);
}

#[test]
fn ranges_that_are_taken_or_malformed_are_refused() {
    let kernel = kernel();
    let (_, space) = process(&kernel);
    let m = memory(&kernel, 8, MemoryFlags::empty());
    let enter = |at: u64, pages: u64| kernel.space_enter(space, at, pages, Backing::Memory(m, 0), R, ALL);
    assert_eq!(enter(0x40_0000, 8), Ok(0x40_0000));
    assert_eq!(enter(0x40_7000, 1), Err(Error::Exists));
    assert_eq!(enter(0x3f_f000, 8), Err(Error::Exists));
    assert_eq!(enter(0x40_8000, 1), Ok(0x40_8000));
    assert_eq!(enter(0x3f_f000, 1), Ok(0x3f_f000));
    assert_eq!(enter(0x50_0001, 1), Err(Error::BadArgument));
    assert_eq!(enter(0xf000, 1), Err(Error::BadAddress));
    assert_eq!(enter(USER_END - PAGE, 2), Err(Error::BadAddress));
    assert_eq!(enter(USER_END - PAGE, 1), Ok(USER_END - PAGE));
    assert_eq!(UserRange::pages(!0xfff, PAGE), Err(Error::BadAddress));
    assert_eq!(UserRange::pages(0x40_0000, !0xfff), Err(Error::BadAddress));
    assert_eq!(UserRange::pages(0x40_0000, 0), Err(Error::BadArgument));
}

#[test]
fn addresses_of_the_kernels_choice_leave_guard_pages_and_are_used_again() {
    let kernel = kernel();
    let (_, space) = process(&kernel);
    let m = memory(&kernel, 4, MemoryFlags::empty());
    let a = map(&kernel, space, m, R);
    let b = map(&kernel, space, m, R);
    assert!(b >= a + 5 * PAGE);
    unmap(&kernel, space, a, 4);
    assert_eq!(map(&kernel, space, m, R), a);
    for _ in 0..500 {
        let c = map(&kernel, space, m, R);
        unmap(&kernel, space, c, 4);
    }
    assert!(kernel.spaces[space].tables.get() <= 3);
}

#[test]
fn nothing_is_writable_and_executable() {
    let kernel = kernel();
    let (_, space) = process(&kernel);
    let m = memory(&kernel, 4, MemoryFlags::empty());
    for both in [W | X, ALL] {
        assert_eq!(kernel.space_enter(space, 0, 4, Backing::Memory(m, 0), both, ALL), Err(Error::BadArgument));
    }
    let at = map(&kernel, space, m, RW);
    touch(&kernel, space, at, Write).unwrap();
    let range = UserRange::pages(at, 4 * PAGE).unwrap();
    assert_eq!(kernel.space_change(space, range, W | X), Err(Error::BadArgument));
    kernel.space_change(space, range, RX).unwrap();
    assert_eq!(touch(&kernel, space, at, Write), Err(Error::BadAddress));
    touch(&kernel, space, at, Execute).unwrap();
    check_frames(&kernel);
}

#[test]
fn an_alias_is_not_writable_while_another_is_executable() {
    let kernel = kernel();
    let ((_, one), (_, two)) = (process(&kernel), process(&kernel));
    let m = memory(&kernel, 4, MemoryFlags::empty());
    let enter = |space, page, pages, p| kernel.space_enter(space, 0, pages, Backing::Memory(m, page), p, ALL);
    let text = enter(one, 0, 2, RX).unwrap();
    assert_eq!(enter(two, 0, 4, RW), Err(Error::Busy));
    assert_eq!(enter(two, 1, 1, RW), Err(Error::Busy));
    // Other pages of the same object are another matter: text and data of one program.
    let data = enter(two, 2, 2, RW).unwrap();
    assert_eq!(enter(one, 3, 1, RX), Err(Error::Busy));
    let range = UserRange::pages(data, 2 * PAGE).unwrap();
    kernel.space_change(two, range, R).unwrap();
    let late = enter(one, 3, 1, RX).unwrap();
    assert_eq!(kernel.space_change(two, range, RW), Err(Error::Busy));
    unmap(&kernel, one, late, 1);
    kernel.space_change(two, range, RW).unwrap();
    unmap(&kernel, one, text, 2);
    enter(two, 0, 2, RW).unwrap();
}

#[test]
fn protection_never_exceeds_the_capability_it_was_mapped_with() {
    let kernel = kernel();
    let (_, space) = process(&kernel);
    let m = memory(&kernel, 4, MemoryFlags::empty());
    assert_eq!(kernel.space_enter(space, 0, 4, Backing::Memory(m, 0), RW, R), Err(Error::NoRight));
    let at = kernel.space_enter(space, 0, 4, Backing::Memory(m, 0), R, R).unwrap();
    let range = UserRange::pages(at, 4 * PAGE).unwrap();
    assert_eq!(kernel.space_change(space, range, RW), Err(Error::NoRight));
    assert_eq!(kernel.space_change(space, range, RX), Err(Error::NoRight));
    kernel.space_change(space, range, Protection::empty()).unwrap();
    assert_eq!(touch(&kernel, space, at, Read), Err(Error::BadAddress));
    kernel.space_change(space, range, R).unwrap();
    touch(&kernel, space, at, Read).unwrap();
}

#[test]
fn unmapping_takes_effect_at_once_and_splits_what_reaches_out() {
    let kernel = kernel();
    let (process, space) = process(&kernel);
    let m = memory(&kernel, 10, MemoryFlags::empty());
    let at = map(&kernel, space, m, RW);
    for n in 0..10 {
        kernel.user_write(process, at + n * PAGE, &[n as u8]).unwrap();
    }
    unmap(&kernel, space, at + 4 * PAGE, 2);
    assert_eq!(kernel.spaces[space].mapping_count.get(), 2);
    for n in 0..10 {
        let mut byte = [0xff];
        let read = kernel.user_read(process, at + n * PAGE, &mut byte);
        match n {
            4 | 5 => assert_eq!(read, Err(Error::BadAddress)),
            _ => assert_eq!((read, byte[0]), (Ok(()), n as u8)),
        }
    }
    unmap(&kernel, space, at, 10);
    assert_eq!(kernel.spaces[space].mapping_count.get(), 0);
    unmap(&kernel, space, at, 10);
}

#[test]
fn a_hole_stops_a_protect_where_it_is() {
    let kernel = kernel();
    let (_, space) = process(&kernel);
    let m = memory(&kernel, 6, MemoryFlags::empty());
    let at = map(&kernel, space, m, RW);
    unmap(&kernel, space, at + 3 * PAGE, 1);
    let range = UserRange::pages(at, 6 * PAGE).unwrap();
    assert_eq!(kernel.space_change(space, range, R), Err(Error::BadAddress));
    assert_eq!(touch(&kernel, space, at + 2 * PAGE, Write).unwrap_err(), Error::BadAddress);
    touch(&kernel, space, at + 4 * PAGE, Write).unwrap();
}

#[test]
fn protecting_in_steps_leaves_one_mapping_and_no_old_translation_behind_it() {
    let kernel = kernel();
    let (_, space) = process(&kernel);
    let m = memory(&kernel, 200, MemoryFlags::empty());
    let at = map(&kernel, space, m, RW);
    let write = |n: u64| touch(&kernel, space, at + n * PAGE, Write);
    for n in 0..200 {
        write(n).unwrap();
    }
    let range = |from: u64| UserRange { start: from, end: at + 150 * PAGE };
    let mut from = at + 10 * PAGE;
    let mut steps = 0;
    while from < range(0).end {
        let to = kernel.space_change_step(space, range(from), R).unwrap();
        assert!(to > from && to - from <= 64 * PAGE, "a step is bounded");
        // Part of it may be written, the other part not, at every moment.
        let at_page = |address: u64| (address - at) / PAGE;
        assert!(write(at_page(to) - 1).is_err() && write(at_page(to)).is_ok());
        assert_eq!(kernel.spaces[space].mapping_count.get(), 3);
        (from, steps) = (to, steps + 1);
    }
    assert!(steps > 2, "more than one step");
    for n in [0, 9, 150, 199] {
        write(n).unwrap();
    }
    assert!((10..150).all(|n| write(n).is_err()));
    assert_eq!(kernel.memories[m].writable.get(), 2);
    // The rest too: what is changed now joins what was changed before it.
    kernel.space_change(space, UserRange { start: at, end: at + 200 * PAGE }, R).unwrap();
    assert_eq!(kernel.spaces[space].mapping_count.get(), 2);
    assert_eq!(kernel.memories[m].writable.get(), 0);
}

#[test]
fn runs_and_registers_are_mapped_large_where_they_fit() {
    let kernel = kernel();
    let (process, space) = process(&kernel);
    let m = memory(&kernel, 1024, MemoryFlags::CONTIGUOUS);
    let at = map(&kernel, space, m, RW);
    assert_eq!(at % LARGE_PAGE_SIZE, u64::from(kernel.memories[m].first.get().0) * PAGE % LARGE_PAGE_SIZE);
    assert!(touch(&kernel, space, at + 5, Write).unwrap().large);
    kernel.user_write(process, at + 0x12_3456, b"inside").unwrap();
    let frame = kernel.memory_frame(m, 0x123).unwrap();
    let mut bytes = [0; 6];
    crate::machine::Machine::read_frame(&kernel.machine, frame, 0x456, &mut bytes);
    assert_eq!(&bytes, b"inside");
    // A cut through a large page: the rest comes back in small ones.
    unmap(&kernel, space, at + 16 * PAGE, 1);
    assert_eq!(kernel.user_read(process, at + 16 * PAGE, &mut bytes), Err(Error::BadAddress));
    kernel.user_read(process, at + 0x12_3456, &mut bytes).unwrap();
    assert_eq!(&bytes, b"inside");
    assert!(!touch(&kernel, space, at, Read).unwrap().large);
    let registers = kernel.space_enter(space, 0, 1024, Backing::Device(0xc_0000), RW, RW).unwrap();
    let t = touch(&kernel, space, registers + LARGE_PAGE_SIZE, Write).unwrap();
    assert!(t.large && t.device && t.address.0 == 0xc020_0000);
    // Registers are never copied from or to by the kernel.
    assert_eq!(kernel.user_read(process, registers, &mut bytes), Err(Error::BadAddress));
    assert_eq!(kernel.space_frame(space, registers, false), Err(Error::BadAddress));
}

#[test]
fn foreign_memory_is_neither_charged_nor_freed() {
    let mut kernel = kernel();
    let run = kernel.frames.take_run(4, false).unwrap();
    let used = (kernel.frames.free(), kernel.quotas[kernel.root_quota()].used_pages.get());
    let (p, space) = process(&kernel);
    let m = kernel.memory_foreign(kernel.root_quota(), run, 4).unwrap();
    kernel.retain(m);
    let at = map(&kernel, space, m, RX);
    assert_eq!(touch(&kernel, space, at + PAGE, Execute).unwrap().address, run.add(1).unwrap().address());
    kernel.release(m);
    end(&mut kernel, p);
    assert_eq!((kernel.frames.free(), kernel.quotas[kernel.root_quota()].used_pages.get()), used);
    for n in 0..4 {
        assert_eq!(kernel.frame_info(run.add(n).unwrap()).unwrap().references.get(), 1);
    }
    assert_eq!(kernel.memory_foreign(kernel.root_quota(), FrameNumber(1 << 30), 1), Err(Error::BadArgument));
}

#[test]
fn an_end_gives_back_every_frame_in_bounded_steps() {
    let mut kernel = kernel();
    let before = (kernel.frames.free(), kernel.quotas[kernel.root_quota()].used_pages.get());
    let (p, space) = process(&kernel);
    // A sparse object four levels deep, one of a page, runs, and mappings all over the address space.
    let sparse = memory(&kernel, 1 << 30, MemoryFlags::empty());
    for page in [0, 1, 511, 512, 1 << 18, (1 << 18) + 513, (1 << 27) + 5, (1 << 30) - 1] {
        kernel.memory_bring(sparse, page, Write).unwrap();
    }
    let single = memory(&kernel, 1, MemoryFlags::empty());
    let run = memory(&kernel, 600, MemoryFlags::CONTIGUOUS | MemoryFlags::BELOW_4G);
    for (m, at) in [(sparse, 0x40_0000_0000), (single, 0x1_0000), (run, 0x7fff_0000_0000)] {
        let pages = kernel.memories[m].length_pages.get();
        kernel.space_enter(space, at, pages, Backing::Memory(m, 0), RW, ALL).unwrap();
        for page in [0, pages / 2, pages - 1] {
            kernel.user_write(p, at + page * PAGE, &[7]).unwrap();
        }
        kernel.release(m);
    }
    kernel.machine.interrupt_every(1);
    kernel.process_end(p, crate::object::ProcessState::Killed, 0);
    let mut steps = 0;
    while kernel.reap_pending() {
        kernel.reap();
        steps += 1;
        assert!(steps < 10_000_000);
    }
    assert!(steps > 50, "a step is small");
    let after = (kernel.frames.free(), kernel.quotas[kernel.root_quota()].used_pages.get());
    assert_eq!(before, after);
}

#[test]
fn a_space_that_is_ending_takes_nothing_more() {
    let kernel = kernel();
    let (process, space) = process(&kernel);
    let m = memory(&kernel, 1, MemoryFlags::empty());
    let at = map(&kernel, space, m, RW);
    kernel.retain(space);
    while !kernel.space_empty_step(space) {}
    assert_eq!(kernel.space_enter(space, 0, 1, Backing::Memory(m, 0), RW, ALL), Err(Error::Closed));
    assert_eq!(kernel.user_write(process, at, b"x"), Err(Error::BadAddress));
    assert_eq!(translated(&kernel, space, at), None);
    assert!(!kernel.machine.is_stale(kernel.space_root(space), VirtAddr(at)));
}

#[test]
fn out_of_quota_is_an_error_and_leaves_nothing_behind() {
    let mut kernel = kernel();
    let quota = kernel.quota_make_child(kernel.root_quota(), 12).unwrap();
    kernel.retain(quota);
    let m = kernel.memory_new(quota, 100, MemoryFlags::empty()).unwrap();
    kernel.retain(m);
    let mut got = 0;
    while kernel.memory_bring(m, got, Write).is_ok() {
        got += 1;
    }
    assert_eq!(kernel.memory_bring(m, 99, Write), Err(Error::OutOfQuota));
    assert!((5..12).contains(&got), "{got}");
    assert_eq!(kernel.quotas[quota].used_pages.get(), 12);
    assert_eq!(kernel.memory_new(quota, 2, MemoryFlags::CONTIGUOUS), Err(Error::OutOfQuota));
    kernel.release(m);
    kernel.reap();
    assert_eq!(kernel.quotas[quota].used_pages.get(), 0);
    assert_eq!(kernel.memory_new(quota, 1 << 40, MemoryFlags::empty()), Err(Error::BadArgument));
    assert_eq!(kernel.memory_new(quota, 0, MemoryFlags::empty()), Err(Error::BadArgument));
    assert_eq!(kernel.memory_new(quota, 1, MemoryFlags::BELOW_4G), Err(Error::BadArgument));
    let root = kernel.root_quota();
    assert_eq!(kernel.memory_new(root, 3000, MemoryFlags::CONTIGUOUS), Err(Error::OutOfMemory));
}
