//! Interrupts, ports and registers: who is told, and what a range reaches.

use super::range::{PHYSICAL_PAGES, PORTS};
use crate::address::CpuId;
use crate::id::Id;
use crate::kernel::Kernel;
use crate::object::{IoPorts, Notification};
use crate::test_machine::TestMachine;
use abi::{Error, Kind};

fn kernel() -> Kernel<TestMachine> {
    TestMachine::<0>::kernel(2048)
}

fn notification(kernel: &Kernel<TestMachine>) -> Id<Notification> {
    let id = kernel.allocate_object::<Notification>(kernel.root_quota()).unwrap();
    kernel.retain(id);
    id
}

fn masked(kernel: &Kernel<TestMachine>, line: u32) -> bool {
    kernel.machine.lines.borrow()[&line].3
}

#[test]
fn a_level_line_is_masked_at_each_interrupt_until_acknowledged() {
    let mut kernel = kernel();
    let id = kernel.interrupt_line(kernel.root_quota(), 9, true, true).unwrap();
    kernel.retain(id);
    let number = kernel.interrupts[id].number.get() as usize;
    assert_eq!(kernel.machine.lines.borrow()[&9], (number, true, true, true), "masked until somebody is told");
    kernel.interrupt(CpuId(0), number);
    let n = notification(&kernel);
    kernel.interrupt_attach(id, n, 0b101);
    assert!(!masked(&kernel, 9));
    assert_eq!(kernel.notifications[n].bits.get(), 0);
    kernel.interrupt(CpuId(0), number);
    assert!(masked(&kernel, 9));
    assert_eq!(kernel.notifications[n].bits.get(), 0b101);
    kernel.interrupt_rearm(id);
    assert!(!masked(&kernel, 9));
    kernel.interrupt_unbind(id);
    kernel.interrupt_rearm(id);
    assert!(masked(&kernel, 9), "nobody is told: nothing to acknowledge");
    assert_eq!(kernel.irq.count.get(), 2);
}

#[test]
fn edges_and_messages_are_not_masked() {
    let mut kernel = kernel();
    let quota = kernel.root_quota();
    let line = kernel.interrupt_line(quota, 4, false, false).unwrap();
    let (message, place) = kernel.interrupt_message(quota).unwrap();
    for id in [line, message] {
        kernel.retain(id);
        let n = notification(&kernel);
        kernel.interrupt_attach(id, n, 1);
        kernel.interrupt(CpuId(0), kernel.interrupts[id].number.get() as usize);
        assert_eq!(kernel.notifications[n].bits.get(), 1);
    }
    assert!(!masked(&kernel, 4));
    assert_eq!(place.data, kernel.interrupts[message].number.get());
    assert_ne!(kernel.interrupts[line].number.get(), kernel.interrupts[message].number.get());
}

#[test]
fn lines_are_given_once_and_come_back() {
    let kernel = kernel();
    let quota = kernel.root_quota();
    let id = kernel.interrupt_line(quota, 9, true, false).unwrap();
    kernel.retain(id);
    let n = notification(&kernel);
    kernel.interrupt_attach(id, n, 1);
    assert_eq!(kernel.interrupt_line(quota, 9, true, false), Err(Error::Exists));
    assert_eq!(kernel.interrupt_line(quota, 99, true, false), Err(Error::NotFound));
    assert_eq!(kernel.interrupt_line(quota, u32::MAX, true, false), Err(Error::NotFound));
    kernel.release(id);
    assert!(masked(&kernel, 9));
    assert_eq!(kernel.notifications[n].header.references.get(), 1);
    let again = kernel.interrupt_line(quota, 9, false, false).unwrap();
    kernel.retain(again);
    kernel.release(again);
}

#[test]
fn ids_run_out_and_come_back() {
    let kernel = kernel();
    let quota = kernel.root_quota();
    let mut all = Vec::new();
    while let Ok((id, _)) = kernel.interrupt_message(quota) {
        kernel.retain(id);
        all.push(id);
    }
    assert_eq!(all.len(), 32);
    assert_eq!(kernel.interrupt_message(quota).map(|_| ()), Err(Error::OutOfMemory));
    kernel.release(all[7]);
    assert!(kernel.interrupt_message(quota).is_ok());
}

#[test]
fn an_interrupt_of_nobody_or_out_of_range_is_dropped() {
    let mut kernel = kernel();
    for number in [0, 31, 32, 255, 256, usize::MAX] {
        kernel.interrupt(CpuId(0), number);
    }
    assert_eq!(kernel.irq.count.get(), 6);
}

#[test]
fn a_port_is_reached_only_inside_the_range() {
    let kernel = kernel();
    let quota = kernel.root_quota();
    let all = kernel.ports_new(quota, 0, PORTS).unwrap();
    let raw = kernel.derive_range(quota, Kind::IoPorts, all.raw(), 0x3f8, 8).unwrap();
    let uart = &kernel.ports[Id::<IoPorts>::try_new(raw as usize).unwrap()];
    assert_eq!(uart.check(0x3f8, 1), Ok(0x3f8));
    assert_eq!(uart.check(0x3ff, 1), Ok(0x3ff));
    assert_eq!(uart.check(0x3fc, 4), Ok(0x3fc));
    for (port, width) in
        [(0x3f7, 1), (0x400, 1), (0x3ff, 2), (0x3fd, 4), (0x3f8, 3), (0x3f8, 0), (0x103f8, 1), (u64::MAX, 1)]
    {
        assert_eq!(uart.check(port, width), Err(Error::BadArgument), "{port:#x} {width}");
    }
    assert_eq!(kernel.ports[all].check(0xffff, 2), Err(Error::BadArgument));
    for (start, length) in [(0x3f7, 2), (0x3ff, 2), (0, 0x10000), (0x3f8, 0), (u64::MAX, 2), (0x1_0000_03f8, 1)] {
        assert_eq!(kernel.derive_range(quota, Kind::IoPorts, raw, start, length), Err(Error::BadArgument));
    }
    assert_eq!(kernel.derive_range(quota, Kind::Memory, raw, 0, 1), Err(Error::NotSupported));
}

#[test]
fn registers_are_narrowed_by_whole_pages() {
    let kernel = kernel();
    let quota = kernel.root_quota();
    let all = kernel.device_memory_new(quota, 0, PHYSICAL_PAGES).unwrap();
    let derive = |of, start, length| kernel.derive_range(quota, Kind::DeviceMemory, of, start, length);
    let bar = derive(all.raw(), 0xfe00_0000, 0x4000).unwrap();
    assert!(derive(bar, 0xfe00_3000, 0x1000).is_ok());
    for (start, length) in [
        (0xfdff_f000, 0x2000),
        (0xfe00_3000, 0x2000),
        (0xfe00_0001, 0x1000),
        (0xfe00_0000, 0x800),
        (0xfe00_0000, 0),
        (u64::MAX - 0xfff, 0x1000),
    ] {
        assert_eq!(derive(bar, start, length), Err(Error::BadArgument), "{start:#x} {length:#x}");
    }
    assert!(kernel.device_memory_new(quota, PHYSICAL_PAGES, 1).is_err());
}
