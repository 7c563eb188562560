//! Memory, leases, pins and devices through kernel calls, one rule a test.

#[allow(dead_code, reason = "the kit is for all tests of messages; this file uses its part")]
#[path = "ipc/kit.rs"]
mod kit;

use abi::call::Call;
use abi::memory::{MemoryFlags, Protection};
use abi::message::{buffer, LeaseAccess};
use abi::{Error, Handle, Kind, Rights};
use kernel_core::address::VirtAddr;
use kernel_core::irq::range::{PHYSICAL_PAGES, PORTS};
use kernel_core::machine::Machine;
use kernel_core::mm::fault::Access;
use kernel_core::object::{Memory, Notification};
use kernel_core::world::{Outcome, World, CPU, LENT, MEMORY, PAGES};
use kit::{extras, failed, Pair};

const PAGE: u64 = 4096;
const R: u64 = Protection::READ.bits() as u64;
const W: u64 = Protection::WRITE.bits() as u64;
const X: u64 = Protection::EXECUTE.bits() as u64;
const SPACE: u64 = Handle::SELF_SPACE.0 as u64;
const QUOTA: u64 = Handle::SELF_QUOTA.0 as u64;
const BOTH: LeaseAccess = LeaseAccess::READ.union(LeaseAccess::WRITE);

/// One process, one thread.
fn alone(
) -> (World, kernel_core::id::Id<kernel_core::object::Process>, kernel_core::id::Id<kernel_core::object::Thread>) {
    let mut w = World::new();
    let process = w.process();
    let thread = w.thread(process, 10);
    (w, process, thread)
}

#[test]
fn memory_is_made_told_of_read_and_written() {
    let (mut w, p, t) = alone();
    let [m, ..] = w.ok(t, Call::MemoryCreate, &[QUOTA, 3, 0]);
    assert_eq!(w.ok(t, Call::MemoryInfo, &[m])[..3], [3, 0, 0]);
    w.kernel.user_write(p, LENT, b"through the kernel").unwrap();
    assert_eq!(w.ok(t, Call::MemoryWrite, &[m, PAGE - 4, LENT, 18])[0], 18);
    assert_eq!(w.ok(t, Call::MemoryInfo, &[m])[..3], [3, 2, 0]);
    assert_eq!(w.ok(t, Call::MemoryRead, &[m, PAGE - 4, LENT + PAGE, 18])[0], 18);
    let mut back = [0; 18];
    w.kernel.user_read(p, LENT + PAGE, &mut back).unwrap();
    assert_eq!(&back, b"through the kernel");
    for (offset, length) in [(3 * PAGE, 1), (0, 3 * PAGE + 1), (u64::MAX, 2), (1, u64::MAX)] {
        assert_eq!(w.err(t, Call::MemoryRead, &[m, offset, LENT, length]), Error::BadArgument);
        assert_eq!(w.err(t, Call::MemoryWrite, &[m, offset, LENT, length]), Error::BadArgument);
    }
    let end = MEMORY + PAGES * PAGE;
    assert_eq!(w.err(t, Call::MemoryRead, &[m, 0, end - PAGE, 2 * PAGE]), Error::BadAddress);
    assert_eq!(w.kernel.threads[t].registers.rdi.get(), PAGE, "what was copied before is told");
    assert_eq!(w.err(t, Call::MemoryWrite, &[m, 0, end, 1]), Error::BadAddress);
    assert_eq!(w.err(t, Call::MemoryWrite, &[m, 0, 0xffff_8000_0000_0000, 1]), Error::BadAddress);
    for [pages, flags] in [[0, 0], [1, 4], [1, 1 << 32], [1, 2], [1 << 60, 0]] {
        assert_eq!(w.err(t, Call::MemoryCreate, &[QUOTA, pages, flags]), Error::BadArgument);
    }
    assert_eq!(w.err(t, Call::MemoryCreate, &[QUOTA, 1500, 1]), Error::OutOfMemory);
    w.end();
}

#[test]
fn rights_bound_what_memory_can_be_used_for() {
    let (mut w, _, t) = alone();
    let [m, ..] = w.ok(t, Call::MemoryCreate, &[QUOTA, 2, 0]);
    let rights = (Rights::READ | Rights::DERIVE).bits();
    let [r, ..] = w.ok(t, Call::Derive, &[m, u64::from(rights), 0, 0]);
    assert_eq!(w.err(t, Call::MemoryWrite, &[r, 0, LENT, 1]), Error::NoRight);
    assert_eq!(w.err(t, Call::MemoryInfo, &[r]), Error::NoRight);
    assert_eq!(w.err(t, Call::SpaceMap, &[SPACE, r, 0, 0, 2 * PAGE, R | W]), Error::NoRight);
    assert_eq!(w.err(t, Call::SpaceMap, &[SPACE, r, 0, 0, 2 * PAGE, R | X]), Error::NoRight);
    let [at, ..] = w.ok(t, Call::SpaceMap, &[SPACE, r, 0, 0, 2 * PAGE, R]);
    assert_eq!(w.err(t, Call::SpaceProtect, &[SPACE, at, 2 * PAGE, R | W]), Error::NoRight);
    w.ok(t, Call::SpaceMap, &[SPACE, m, 0, 0, 2 * PAGE, R | W]);
    assert_eq!(w.err(t, Call::SpaceMap, &[SPACE, SPACE, 0, 0, PAGE, R]), Error::WrongKind);
    assert_eq!(w.err(t, Call::SpaceMap, &[SPACE, 0, 0, 0, PAGE, R]), Error::BadHandle);
    assert_eq!(w.err(t, Call::SpaceMap, &[m, m, 0, 0, PAGE, R]), Error::WrongKind);
    w.end();
}

#[test]
fn arguments_of_the_space_calls_are_checked() {
    let (mut w, _, t) = alone();
    let [m, ..] = w.ok(t, Call::MemoryCreate, &[QUOTA, 4, 0]);
    let map =
        |w: &mut World, a: u64, o: u64, l: u64, p: u64| failed(w.call(t, Call::SpaceMap, &[SPACE, m, a, o, l, p]));
    let at = 0x5000_0000;
    for (address, offset, length, protection, error) in [
        (at, 0, 0, R, Error::BadArgument),
        (at, 0, 100, R, Error::BadArgument),
        (at, 1, PAGE, R, Error::BadArgument),
        (at + 1, 0, PAGE, R, Error::BadArgument),
        (at, 0, 5 * PAGE, R, Error::BadArgument),
        (at, 4 * PAGE, PAGE, R, Error::BadArgument),
        (at, !0xfff, PAGE, R, Error::BadArgument),
        (at, 0, PAGE, 8, Error::BadArgument),
        (at, 0, PAGE, 1 << 40, Error::BadArgument),
        (at, 0, PAGE, W | X, Error::BadArgument),
        (0x1000, 0, PAGE, R, Error::BadAddress),
        (0x7fff_ffff_f000, 0, PAGE, R, Error::BadAddress),
        (0xffff_8000_0000_0000, 0, PAGE, R, Error::BadAddress),
        (!0xfff, 0, PAGE, R, Error::BadAddress),
        (MEMORY, 0, PAGE, R, Error::Exists),
    ] {
        assert_eq!(
            map(&mut w, address, offset, length, protection),
            Some(error),
            "{address:#x} {offset:#x} {length:#x}"
        );
    }
    assert_eq!(map(&mut w, at, PAGE, 3 * PAGE, R | W), None);
    for (address, length, error) in [
        (at + 1, PAGE, Error::BadArgument),
        (at, 1, Error::BadArgument),
        (at, 0, Error::BadArgument),
        (0, PAGE, Error::BadAddress),
        (at, !0xfff, Error::BadAddress),
    ] {
        assert_eq!(w.err(t, Call::SpaceUnmap, &[SPACE, address, length]), error);
        assert_eq!(w.err(t, Call::SpaceProtect, &[SPACE, address, length, R]), error);
    }
    assert_eq!(w.err(t, Call::SpaceProtect, &[SPACE, at, 4 * PAGE, R]), Error::BadAddress);
    assert_eq!(w.err(t, Call::SpaceProtect, &[SPACE, at, PAGE, R | W | X]), Error::BadArgument);
    w.ok(t, Call::SpaceProtect, &[SPACE, at, PAGE, R | X]);
    assert_eq!(w.err(t, Call::MemoryWrite, &[m, PAGE, LENT, 1]), Error::Busy);
    w.ok(t, Call::MemoryWrite, &[m, 0, LENT, PAGE]);
    w.ok(t, Call::SpaceUnmap, &[SPACE, at, 3 * PAGE]);
    w.ok(t, Call::SpaceUnmap, &[SPACE, at, 3 * PAGE]);
    w.ok(t, Call::MemoryWrite, &[m, PAGE, LENT, 1]);
    w.end();
}

#[test]
fn a_long_unmap_lets_interrupts_in_and_goes_on() {
    let (mut w, p, t) = alone();
    let [m, ..] = w.ok(t, Call::MemoryCreate, &[QUOTA, 300, 0]);
    let [at, ..] = w.ok(t, Call::SpaceMap, &[SPACE, m, 0, 0, 300 * PAGE, R | W]);
    for n in 0..300 {
        w.kernel.user_write(p, at + n * PAGE, &[1]).unwrap();
    }
    let r = &w.kernel.threads[t].registers;
    let rip = r.rip.get();
    w.kernel.machine.interrupt_every(1);
    let mut again = 0;
    loop {
        assert!(matches!(w.call(t, Call::SpaceUnmap, &[SPACE, at, 300 * PAGE]), Outcome::Done(_) | Outcome::Failed(_)));
        let r = &w.kernel.threads[t].registers;
        if r.rip.get() == rip {
            break;
        }
        // The call is made again by the instruction itself.
        r.rip.set(rip);
        again += 1;
    }
    assert!(again > 4, "{again}");
    w.kernel.machine.interrupt_every(0);
    assert_eq!(w.kernel.user_read(p, at, &mut [0]), Err(Error::BadAddress));
    w.end();
}

#[test]
fn registers_are_mapped_uncached_and_ram_never() {
    let (mut w, p, t) = alone();
    let quota = w.kernel.root_quota();
    let all = w.kernel.device_memory_new(quota, 0, PHYSICAL_PAGES).unwrap();
    let handle = w.kernel.cap_insert(p, Kind::DeviceMemory, all.raw(), Rights::all(), None).unwrap().word();
    let map = |w: &mut World, h: u64, offset: u64, pages: u64, p: u64| {
        w.call(t, Call::SpaceMap, &[SPACE, h, 0, offset, pages * PAGE, p])
    };
    // Memory, kernel's image, a range that touches a page of it, everything: refused, with all rights in hand.
    for (offset, pages) in [(0x10_0000, 1), (16 * PAGE, 1), (15 * PAGE, 2), (2047 * PAGE, 2), (0, PHYSICAL_PAGES)] {
        assert_eq!(failed(map(&mut w, handle, offset, pages, R)), Some(Error::NoRight), "{offset:#x}");
    }
    assert!(w.kernel.device_page_keep(0xfee00));
    assert_eq!(failed(map(&mut w, handle, 0xfee0_0000, 1, R)), Some(Error::NoRight));
    assert_eq!(failed(map(&mut w, handle, 0xfe00_0000, 0x1000, R)), Some(Error::NoRight));
    assert_eq!(failed(map(&mut w, handle, 0xfd00_0000, 1, R | X)), Some(Error::NoRight));
    let [bar, ..] = w.ok(t, Call::Derive, &[handle, 0xffff & u64::from(Rights::all().bits()), 0xfd00_0000, 2 * PAGE]);
    assert_eq!(failed(map(&mut w, bar, 0, 3, R)), Some(Error::BadArgument));
    let Outcome::Done([at, ..]) = map(&mut w, bar, PAGE, 1, R | W) else { panic!("its own registers") };
    let space = w.kernel.processes[p].space.get().unwrap();
    w.kernel.resolve_fault(space, at, Access::Write).unwrap();
    let to = w.kernel.machine.translate(w.kernel.space_root(space), VirtAddr(at)).unwrap();
    assert_eq!((to.address.0, to.device), (0xfd00_1000, true));
    assert_eq!(w.err(t, Call::Derive, &[bar, 0, 0xfd00_0000, 3 * PAGE]), Error::BadArgument);
    assert_eq!(w.err(t, Call::SpaceProtect, &[SPACE, at, PAGE, R | X]), Error::NoRight);
    w.end();
}

#[test]
fn ports_are_reached_inside_the_range_and_bytes_only_through_good_memory() {
    let (mut w, p, t) = alone();
    let all = w.kernel.ports_new(w.kernel.root_quota(), 0, PORTS).unwrap();
    let root = w.kernel.cap_insert(p, Kind::IoPorts, all.raw(), Rights::all(), None).unwrap().word();
    let rights = u64::from((Rights::READ | Rights::WRITE | Rights::DERIVE).bits());
    let [uart, ..] = w.ok(t, Call::Derive, &[root, rights, 0x3f8, 8]);
    w.ok(t, Call::PortWrite, &[uart, 0x3f8, 1, 0x41]);
    assert_eq!(w.ok(t, Call::PortRead, &[uart, 0x3f8, 1])[0], 0x41);
    assert_eq!(w.err(t, Call::PortRead, &[uart, 0x3f7, 1]), Error::BadArgument);
    assert_eq!(w.err(t, Call::PortWrite, &[uart, 0x3ff, 2, 0]), Error::BadArgument);
    assert_eq!(w.err(t, Call::PortRead, &[uart, 0x3f8, 8]), Error::BadArgument);
    let [read, ..] = w.ok(t, Call::Derive, &[uart, u64::from(Rights::READ.bits()), 0, 0]);
    assert_eq!(w.err(t, Call::PortWrite, &[read, 0x3f8, 1, 0]), Error::NoRight);
    assert_eq!(w.err(t, Call::PortWriteBytes, &[read, 0x3f8, LENT, 1]), Error::NoRight);
    w.kernel.user_write(p, LENT + PAGE - 300, &[9; 600]).unwrap();
    w.ok(t, Call::PortWriteBytes, &[uart, 0x3f8, LENT + PAGE - 300, 600]);
    assert_eq!(w.kernel.machine.port_bytes.borrow().len(), 600);
    let end = MEMORY + PAGES * PAGE;
    for (address, length, error) in [
        (end - 10, 11, Error::BadAddress),
        (LENT, PAGE + 1, Error::BadArgument),
        (0, 1, Error::BadAddress),
        (u64::MAX, 2, Error::BadAddress),
    ] {
        assert_eq!(w.err(t, Call::PortWriteBytes, &[uart, 0x3f8, address, length]), error);
        assert_eq!(w.err(t, Call::PortReadBytes, &[uart, 0x3f8, address, length]), error);
    }
    assert_eq!(w.kernel.machine.port_bytes.borrow().len(), 600, "nothing was written by a refused call");
    w.ok(t, Call::PortReadBytes, &[uart, 0x3f8, LENT, 300]);
    let mut bytes = [0; 301];
    w.kernel.user_read(p, LENT, &mut bytes).unwrap();
    assert!(bytes[..300].iter().all(|b| *b == 0x41) && bytes[300] == 0);
}

#[test]
fn an_interrupt_reaches_the_thread_that_waits_for_it() {
    let (mut w, p, t) = alone();
    let root = w.kernel.interrupt_root(w.kernel.root_quota()).unwrap();
    let root = w.kernel.cap_insert(p, Kind::Interrupt, root.raw(), Rights::all(), None).unwrap().word();
    let [n, ..] = w.ok(t, Call::NotificationCreate, &[QUOTA]);
    let [line, address, data, _] = w.ok(t, Call::InterruptAllocate, &[root, 11, 3]);
    assert_eq!((address, data), (0, 0));
    let [message, address, data, _] = w.ok(t, Call::InterruptAllocate, &[root, u64::MAX, 0]);
    assert_eq!(address, 0xfee0_0000);
    for (line, flags, error) in
        [(11, 0, Error::Exists), (500, 0, Error::NotFound), (1 << 40, 0, Error::NotFound), (5, 4, Error::BadArgument)]
    {
        assert_eq!(w.err(t, Call::InterruptAllocate, &[root, line, flags]), error);
    }
    assert_eq!(w.err(t, Call::InterruptAllocate, &[line, 5, 0]), Error::BadArgument);
    assert_eq!(w.err(t, Call::InterruptBind, &[root, n, 1]), Error::BadArgument);
    assert_eq!(w.err(t, Call::InterruptBind, &[line, n, 0]), Error::BadArgument);
    assert_eq!(w.err(t, Call::InterruptBind, &[line, root, 1]), Error::WrongKind);
    w.ok(t, Call::InterruptBind, &[line, n, 0b10]);
    w.ok(t, Call::InterruptBind, &[message, n, 0b100]);
    w.waits(t, Call::Wait, &[n, 0]);
    let id = w.kernel.machine.lines.borrow()[&11].0;
    assert_eq!(w.kernel.interrupt(CPU, id), kernel_core::Next::Run(t));
    assert!(matches!(w.outcome(t), Outcome::Done([0b10, ..])));
    assert!(w.kernel.machine.lines.borrow()[&11].3, "masked until acknowledged");
    w.ok(t, Call::InterruptAcknowledge, &[line]);
    assert!(!w.kernel.machine.lines.borrow()[&11].3);
    w.kernel.interrupt(CPU, data as usize);
    assert_eq!(w.ok(t, Call::Wait, &[n, 0])[0], 0b100);
    w.ok(t, Call::InterruptBind, &[message, 0, 0]);
    w.kernel.interrupt(CPU, data as usize);
    assert_eq!(w.kernel.notifications[w.object::<Notification>(p, n)].bits.get(), 0);
    w.ok(t, Call::Close, &[line]);
    assert!(w.kernel.machine.lines.borrow()[&11].3);
    w.ok(t, Call::InterruptAllocate, &[root, 11, 0]);
    w.end();
    assert_eq!(w.kernel.interrupts.iter_used().count(), 0);
}

/// A client whose call, with one lease, was received.
fn lent(address: u64, length: u64, access: LeaseAccess) -> Pair {
    let mut p = Pair::new();
    p.w.lend(p.c, 0, address, length, access, 0);
    p.server_waits();
    p.w.waits(p.c, Call::Call, &[p.session, 0, extras(0, 1, false)]);
    p
}

#[test]
fn a_mapped_lease_is_the_clients_memory_until_the_very_reply() {
    let mut p = lent(LENT, 4 * PAGE, BOTH);
    let [at, ..] = p.w.ok(p.s, Call::LeaseMap, &[p.reply, 0, PAGE, 2 * PAGE, 0, R | W]);
    let space = p.w.kernel.processes[p.server].space.get().unwrap();
    let root = p.w.kernel.space_root(space);
    for n in 0..2 {
        let to = p.w.kernel.machine.translate(root, VirtAddr(at + n * PAGE)).unwrap();
        assert_eq!(to.address, p.w.frame(p.client, LENT + (n + 1) * PAGE).address());
    }
    p.w.kernel.user_write(p.server, at, b"granted").unwrap();
    assert!(matches!(p.server_replies(0), Outcome::Done(_)));
    assert_eq!(p.w.kernel.user_read(p.server, at, &mut [0]), Err(Error::BadAddress));
    assert!(!p.w.kernel.machine.is_stale(root, VirtAddr(at)));
    let mut bytes = [0; 7];
    p.w.kernel.user_read(p.client, LENT + PAGE, &mut bytes).unwrap();
    assert_eq!(&bytes, b"granted");
    for call in [Call::LeaseRead, Call::LeaseWrite, Call::LeaseMap] {
        assert_eq!(p.w.err(p.s, call, &[p.reply, 0, 0, PAGE, 0, R]), Error::WrongState);
    }
    p.w.end();
}

#[test]
fn lease_calls_check_the_reply_and_the_index() {
    let mut p = lent(LENT, 4 * PAGE, BOTH);
    for call in [Call::LeaseRead, Call::LeaseWrite, Call::LeaseMap, Call::LeasePin] {
        for index in [1, 4, u64::MAX] {
            assert_eq!(p.w.err(p.s, call, &[p.reply, index, 0, LENT, 1, R]), Error::BadArgument);
        }
        assert_eq!(p.w.err(p.s, call, &[p.endpoint, 0, 0, LENT, 1, R]), Error::WrongKind);
        assert_eq!(p.w.err(p.s, call, &[99, 0, 0, LENT, 1, R]), Error::BadHandle);
    }
    assert_eq!(p.w.err(p.s, Call::LeaseRead, &[p.reply, 0, 0, 0, 8]), Error::BadAddress);
    assert_eq!(p.w.err(p.s, Call::LeaseMap, &[p.reply, 0, 0, PAGE, MEMORY, R]), Error::Exists);
    assert_eq!(p.w.err(p.s, Call::LeaseMap, &[p.reply, 0, 0, PAGE, 0, R | X]), Error::LeaseAccess);
    assert_eq!(p.w.err(p.s, Call::LeaseMap, &[p.reply, 0, 0, PAGE, 0, 64]), Error::BadArgument);
    p.w.end();
}

#[test]
fn a_client_that_dies_leaves_mapped_frames_with_the_server_until_it_answers() {
    let mut p = lent(LENT, 4 * PAGE, BOTH);
    let [at, ..] = p.w.ok(p.s, Call::LeaseMap, &[p.reply, 0, 0, PAGE, 0, R | W]);
    let frame = p.w.frame(p.client, LENT);
    p.w.kill(p.client);
    p.w.kernel.user_write(p.server, at, b"held").unwrap();
    assert_eq!(p.w.kernel.frame_info(frame).unwrap().references.get(), 2);
    assert_eq!(p.w.err(p.s, Call::LeaseRead, &[p.reply, 0, PAGE, LENT, 8]), Error::Cancelled);
    p.server_replies(0);
    assert_eq!(p.w.kernel.frame_info(frame).unwrap().references.get(), 0);
    p.w.end();
}

#[test]
fn a_dead_driver_keeps_the_caller_waiting_until_its_device_is_stopped() {
    let mut p = lent(LENT + 100, 3 * PAGE, BOTH);
    let quota = p.w.kernel.root_quota();
    let root = p.w.kernel.domain_new(quota, true).unwrap();
    let root = p.w.kernel.cap_insert(p.keeper, Kind::DmaDomain, root.raw(), Rights::all(), None).unwrap().word();
    let [domain, ..] = p.w.ok(p.k, Call::DomainCreate, &[root, p.k_quota]);
    assert_eq!(p.w.err(p.k, Call::DomainCreate, &[domain, p.k_quota]), Error::BadArgument);
    // A bus manager that was restarted finds the views of memory again by their tags.
    let [tagged, ..] = p.w.ok(p.k, Call::DomainCreate, &[root, p.k_quota, 7]);
    assert_eq!(p.w.err(p.k, Call::DomainCreate, &[root, p.k_quota, 7]), Error::Exists);
    let [again, ..] = p.w.ok(p.k, Call::DomainOpen, &[root, 7]);
    let number = |p: &mut Pair, handle| p.w.ok(p.k, Call::Inspect, &[handle])[2];
    assert_eq!(number(&mut p, again), number(&mut p, tagged));
    for tag in [0, 8] {
        assert_eq!(p.w.err(p.k, Call::DomainOpen, &[root, tag]), Error::NotFound);
    }
    assert_eq!(p.w.err(p.k, Call::DomainOpen, &[domain, 7]), Error::BadArgument);
    for handle in [again, tagged] {
        p.w.ok(p.k, Call::Close, &[handle]);
    }
    assert_eq!(p.w.err(p.k, Call::DomainOpen, &[root, 7]), Error::NotFound, "nobody had it any more");
    let mine = Rights::TRANSFER | Rights::WRITE;
    let (driver, ..) = p.w.kernel.cap_transfer(p.keeper, Handle::from_word(domain).unwrap(), mine, p.server).unwrap();
    assert_eq!(p.w.err(p.s, Call::DomainRelease, &[driver.word()]), Error::NoRight);
    let [_, count, ..] = p.w.ok(p.s, Call::LeasePin, &[p.reply, 0, 0, 3 * PAGE, driver.word()]);
    let mut total = 0;
    for n in 0..count as usize {
        total += p.w.buffer(p.s, buffer::RANGES + 2 * n + 1);
    }
    assert_eq!(total, 3 * PAGE);
    let first = p.w.frame(p.client, LENT);
    assert_eq!(p.w.buffer(p.s, buffer::RANGES), first.address().0 + 100, "the client's own frame");
    assert_eq!(failed(p.server_replies(0)), Some(Error::Busy), "an answer waits for the pin");
    // Its own rings too.
    let [rings, ..] = p.w.ok(p.s, Call::MemoryCreate, &[p.quota, 2, u64::from(MemoryFlags::CONTIGUOUS.bits())]);
    let [pin, count, ..] = p.w.ok(p.s, Call::DomainPin, &[driver.word(), rings, 8, PAGE]);
    let ring = p.w.kernel.memories[p.w.object::<Memory>(p.server, rings)].first.get();
    assert_eq!((count, p.w.buffer(p.s, buffer::RANGES)), (1, ring.address().0 + 8));
    let server_root = p.w.kernel.domains.iter_used().count();
    p.w.kill(p.server);
    assert!(!pin.eq(&0) && server_root == 2);
    assert_eq!(p.w.outcome(p.c), Outcome::Waits);
    assert_eq!(p.w.kernel.frame_info(ring).unwrap().references.get(), 1, "quarantined");
    p.w.ok(p.k, Call::DomainRelease, &[domain]);
    assert_eq!(failed(p.w.outcome(p.c)), Some(Error::Restarted));
    assert_eq!(p.w.kernel.frame_info(ring).unwrap().references.get(), 0);
    p.w.end();
}

#[test]
fn a_pin_that_is_closed_lets_the_answer_go() {
    let mut p = lent(LENT, PAGE, LeaseAccess::READ);
    let domain = p.w.kernel.domain_new(p.w.kernel.root_quota(), false).unwrap();
    let domain = p.w.kernel.cap_insert(p.server, Kind::DmaDomain, domain.raw(), Rights::WRITE, None).unwrap().word();
    let [pin, ..] = p.w.ok(p.s, Call::LeasePin, &[p.reply, 0, 0, PAGE, domain]);
    assert_eq!(failed(p.server_replies(0)), Some(Error::Busy));
    assert_eq!(p.w.err(p.s, Call::LeasePin, &[p.reply, 0, 1, PAGE, domain]), Error::LeaseRange);
    assert_eq!(p.w.err(p.s, Call::LeasePin, &[p.reply, 0, 0, PAGE, p.reply]), Error::WrongKind);
    let [m, ..] = p.w.ok(p.s, Call::MemoryCreate, &[p.quota, 1, 0]);
    let [r, ..] = p.w.ok(p.s, Call::Derive, &[m, u64::from(Rights::READ.bits()), 0, 0]);
    assert_eq!(p.w.err(p.s, Call::DomainPin, &[domain, r, 0, 8]), Error::NoRight);
    assert_eq!(p.w.err(p.s, Call::DomainPin, &[domain, m, 0, PAGE + 1]), Error::BadArgument);
    p.w.ok(p.s, Call::Close, &[pin]);
    assert!(matches!(p.server_replies(0), Outcome::Done(_)));
    p.w.end();
}

/// A domain that the server may pin for.
fn domain(p: &Pair) -> u64 {
    let domain = p.w.kernel.domain_new(p.w.kernel.root_quota(), false).unwrap();
    p.w.kernel.cap_insert(p.server, Kind::DmaDomain, domain.raw(), Rights::WRITE, None).unwrap().word()
}

#[test]
fn a_pin_or_a_map_without_room_says_which_and_holds_nothing() {
    for expected in [Error::TableFull, Error::OutOfQuota, Error::OutOfMemory] {
        let mut p = lent(LENT, 4 * PAGE, BOTH);
        let domain = domain(&p);
        p.w.kernel.user_write(p.client, LENT, b"there").unwrap();
        let kernel = &p.w.kernel;
        match expected {
            Error::TableFull => {
                let raw = p.server.raw();
                while kernel.cap_insert(p.server, Kind::Process, raw, Rights::INSPECT, None).is_ok() {}
            }
            Error::OutOfQuota => while kernel.charge(kernel.root_quota(), 1).is_ok() {},
            _ => while kernel.frames.take().is_some() {},
        }
        assert_eq!(p.w.err(p.s, Call::LeasePin, &[p.reply, 0, 0, PAGE, domain]), expected);
        if expected == Error::OutOfMemory {
            // Far from every other mapping: tables are needed.
            let far = 0x6000_0000_0000;
            assert_eq!(p.w.err(p.s, Call::LeaseMap, &[p.reply, 0, 0, PAGE, far, R]), Error::OutOfMemory);
        }
        assert!(matches!(p.server_replies(0), Outcome::Done(_)), "nothing is held");
    }
}

#[test]
fn a_lender_without_its_page_and_addresses_that_can_not_be() {
    let mut p = lent(LENT, 4 * PAGE, BOTH);
    let domain = domain(&p);
    let outside = abi::memory::USER_END;
    assert_eq!(p.w.err(p.s, Call::LeaseMap, &[p.reply, 0, 0, PAGE, outside, R]), Error::BadAddress);
    let other = p.c_other();
    p.w.ok(other, Call::SpaceUnmap, &[SPACE, LENT + PAGE, PAGE]);
    assert_eq!(p.w.err(p.s, Call::LeaseMap, &[p.reply, 0, PAGE, PAGE, 0, R]), Error::LeaseFault);
    assert_eq!(p.w.err(p.s, Call::LeasePin, &[p.reply, 0, PAGE, PAGE, domain]), Error::LeaseFault);
    assert_eq!(p.w.err(p.s, Call::LeaseWrite, &[p.reply, 0, PAGE, MEMORY, 8]), Error::LeaseFault);
    let buffer = p.w.kernel.threads[p.s].buffer.replace(kernel_core::address::FrameNumber(0));
    assert_eq!(p.w.err(p.s, Call::LeasePin, &[p.reply, 0, 0, PAGE, domain]), Error::BadAddress);
    let deadline = extras(0, 0, true);
    assert_eq!(failed(p.server_replies(0)), None);
    assert_eq!(p.w.err(p.s, Call::Recv, &[p.endpoint, 0, deadline, p.reply]), Error::BadArgument);
    p.w.kernel.threads[p.s].buffer.set(buffer);
    assert_eq!(p.w.err(p.s, Call::LeasePin, &[p.reply, 0, 0, PAGE, domain]), Error::WrongState, "it was answered");
    p.w.end();
}

#[test]
fn what_is_borrowed_is_not_pinned() {
    // The server maps what was lent to it, and lends that on as if it were its own.
    let mut p = lent(LENT, PAGE, BOTH);
    let [at, ..] = p.w.ok(p.s, Call::LeaseMap, &[p.reply, 0, 0, PAGE, 0, R]);
    let session = p.new_session(55, p.server);
    let helper = p.w.thread(p.server, 10);
    let reply = p.w.ok(helper, Call::ReplyCreate, &[p.quota])[0];
    let domain = domain(&p);
    p.w.lend(p.s, 0, at, PAGE, LeaseAccess::READ, 0);
    p.w.waits(p.s, Call::Call, &[session, 0, extras(0, 1, false)]);
    p.w.ok(helper, Call::Recv, &[p.endpoint, 0, 0, reply]);
    assert_eq!(p.w.err(helper, Call::LeasePin, &[reply, 0, 0, PAGE, domain]), Error::LeaseAccess);
    p.w.end();
}

#[test]
fn who_answers_and_receives_is_told_that_the_endpoint_ended() {
    let mut p = lent(LENT, PAGE, BOTH);
    p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 0, 0, p.reply]);
    let other = p.w.thread(p.server, 10);
    p.w.ok(other, Call::Close, &[p.endpoint]);
    p.w.ok(p.k, Call::Close, &[p.k_endpoint]);
    assert_eq!(failed(p.w.outcome(p.s)), Some(Error::Closed));
    p.w.end();
}
