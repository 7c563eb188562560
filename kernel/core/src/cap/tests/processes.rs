//! Lives of processes and threads, their ends, and what is told about both.

use crate::address::CpuId;
use crate::fault::{Fault as CpuFault, PAGE_FAULT};
use crate::id::Id;
use crate::kernel::Next;
use crate::machine::Fault;
use crate::object::{Process, Thread};
use crate::test_machine::Driver;
use abi::call::Call;
use abi::fault::{FaultReport, REPORT_WORDS};
use abi::{Error, Handle, Kind, Rights};

const CPU: CpuId = CpuId(0);
const BASE: u64 = Driver::<0>::BASE;

fn thread(d: &mut Driver, process: Id<Process>) -> (Handle, Id<Thread>) {
    let args = [Handle::SELF_PROCESS.word(), 0x40_0000, BASE + 0x8000, 7, BASE, 50];
    let handle = Handle::from_word(d.call_as(process, Call::ThreadCreate, &args).unwrap()[0]).unwrap();
    let (cap, _) = d.kernel.lookup_any(process, handle).unwrap();
    let id = Id::try_new(d.kernel.caps[cap].object.get() as usize).unwrap();
    (handle, id)
}

fn child(d: &mut Driver) -> (Handle, Handle, Id<Process>) {
    d.poke(0, b"child");
    let [process, space, ..] = d.call(Call::ProcessCreate, &[Handle::SELF_QUOTA.word(), BASE, 5, 100, 0]).unwrap();
    let (cap, _) = d.kernel.lookup_any(d.process, Handle(process as u32)).unwrap();
    let id = Id::try_new(d.kernel.caps[cap].object.get() as usize).unwrap();
    (Handle(process as u32), Handle(space as u32), id)
}

#[test]
fn the_arguments_of_process_create_are_checked() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let quota = Handle::SELF_QUOTA.word();
    let create = |d: &mut Driver, args: [u64; 5]| d.call(Call::ProcessCreate, &args).map(|_| ());
    assert_eq!(create(&mut d, [quota, BASE, 33, 1, 0]), Err(Error::NameTooLong));
    assert_eq!(create(&mut d, [quota, BASE, u64::MAX, 1, 0]), Err(Error::NameTooLong));
    assert_eq!(create(&mut d, [quota, 0, 4, 1, 0]), Err(Error::BadAddress));
    assert_eq!(create(&mut d, [quota, BASE, 4, 201, 0]), Err(Error::BadArgument), "above its maker's limit");
    assert_eq!(create(&mut d, [quota, BASE, 4, 1 << 40, 0]), Err(Error::BadArgument));
    assert_eq!(create(&mut d, [quota, BASE, 4, 1, 77]), Err(Error::BadHandle));
    assert_eq!(create(&mut d, [quota, BASE, 4, 1, Handle::SELF_SPACE.word()]), Err(Error::WrongKind));
    assert_eq!(create(&mut d, [Handle::SELF_SPACE.word(), BASE, 4, 1, 0]), Err(Error::WrongKind));
    assert_eq!(create(&mut d, [quota, BASE, 4, 200, Handle::SELF_NAMESPACE.word()]), Ok(()));
}

#[test]
fn a_process_without_thread_ends_with_its_last_capability() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let (process, space, _) = child(&mut d);
    let (warm, _, _) = child(&mut d);
    d.call(Call::Close, &[process.word()]).unwrap();
    d.call(Call::Close, &[space.word()]).unwrap();
    d.settle();
    let free = d.kernel.frames.free();
    let (process, space, _) = child(&mut d);
    assert!(d.kernel.frames.free() < free);
    d.call(Call::Close, &[space.word()]).unwrap();
    d.call(Call::Close, &[process.word()]).unwrap();
    d.settle();
    assert_eq!(d.kernel.frames.free(), free);
    d.call(Call::Close, &[warm.word()]).unwrap();
}

#[test]
fn a_killed_process_gives_everything_back_and_is_told_of_when_it_has() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let quota = Handle::SELF_QUOTA.word();
    let bell = d.make(Call::NotificationCreate, &[quota]).unwrap();
    let (cap, _) = d.kernel.lookup_any(d.process, bell).unwrap();
    let bell_id = Id::try_new(d.kernel.caps[cap].object.get() as usize).unwrap();
    // Once through, so that the pages that this process's own table and account keep are there already.
    let mut free = 0;
    for round in 0..3 {
        let (process, space, id) = child(&mut d);
        d.call(Call::SpaceMap, &[space.word(), 0, 0, 0, 0, 0]).unwrap_err();
        let memory = d.make(Call::MemoryCreate, &[quota, 16, 0]).unwrap();
        d.call(Call::SpaceMap, &[space.word(), memory.word(), BASE, 0, 16 * 4096, 3]).unwrap();
        d.call(Call::ProcessGrant, &[process.word(), memory.word(), u64::from(Rights::all().bits())]).unwrap();
        d.call(Call::Close, &[memory.word()]).unwrap();
        for _ in 0..3 {
            thread(&mut d, id);
        }
        for _ in 0..300 {
            d.call_as(id, Call::NotificationCreate, &[quota]).unwrap();
        }
        let watch = [process.word(), bell.word(), 1 << round];
        assert_eq!(d.call(Call::ProcessWatch, &[process.word(), bell.word(), 0]), Err(Error::BadArgument));
        d.call(Call::ProcessWatch, &watch).unwrap();
        d.call(Call::ProcessWatch, &watch).unwrap();
        d.kernel.machine.interrupt_every(1);
        d.call(Call::ProcessKill, &[process.word(), 9]).unwrap();
        d.kernel.reap();
        assert_eq!(d.kernel.notifications[bell_id].bits.get() >> round, 0, "not before all is given back");
        d.settle();
        assert_eq!(d.kernel.notifications[bell_id].bits.get() >> round, 1);
        let id_number = d.call(Call::ProcessStatus, &[process.word()]).unwrap()[2];
        assert_eq!(d.call(Call::ProcessStatus, &[process.word()]).unwrap(), [2, 9, id_number, 0]);
        d.call(Call::ProcessKill, &[process.word(), 10]).unwrap();
        assert_eq!(d.call(Call::ProcessStatus, &[process.word()]).unwrap()[1], 9, "it ends once");
        assert_eq!(d.call(Call::ProcessGrant, &[process.word(), bell.word(), 0]), Err(Error::Closed));
        let args = [process.word(), 0x40_0000, BASE, 0, BASE, 1];
        assert_eq!(d.call(Call::ThreadCreate, &args), Err(Error::Closed));
        assert_eq!(d.call(Call::ProcessNamespace, &[process.word()]), Err(Error::Closed));
        d.call(Call::Close, &[process.word()]).unwrap();
        d.call(Call::Close, &[space.word()]).unwrap();
        d.settle();
        if round > 0 {
            assert_eq!(d.kernel.frames.free(), free);
        }
        free = d.kernel.frames.free();
    }
}

#[test]
fn a_watch_on_what_has_ended_tells_at_once() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let bell = d.make(Call::NotificationCreate, &[Handle::SELF_QUOTA.word()]).unwrap();
    let (process, _, _) = child(&mut d);
    d.call(Call::ProcessKill, &[process.word(), 0]).unwrap();
    d.settle();
    d.call(Call::ProcessWatch, &[process.word(), bell.word(), 4]).unwrap();
    let (cap, _) = d.kernel.lookup_any(d.process, bell).unwrap();
    let id = Id::try_new(d.kernel.caps[cap].object.get() as usize).unwrap();
    assert_eq!(d.kernel.notifications[id].bits.get(), 4);
}

#[test]
fn the_arguments_of_thread_create_are_checked() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let own = Handle::SELF_PROCESS.word();
    let create = |d: &mut Driver, args: [u64; 6]| d.call(Call::ThreadCreate, &args).map(|_| ());
    let (entry, stack) = (0x40_0000, 0x50_0000);
    assert_eq!(create(&mut d, [own, 0, stack, 0, BASE, 1]), Err(Error::BadAddress));
    assert_eq!(create(&mut d, [own, 1 << 63, stack, 0, BASE, 1]), Err(Error::BadAddress));
    assert_eq!(create(&mut d, [own, entry, u64::MAX, 0, BASE, 1]), Err(Error::BadAddress));
    assert_eq!(create(&mut d, [own, entry, stack, 0, BASE + 8, 1]), Err(Error::BadAddress));
    assert_eq!(create(&mut d, [own, entry, stack, 0, 0x90_0000, 1]), Err(Error::BadAddress), "nothing is there");
    assert_eq!(create(&mut d, [own, entry, stack, 0, BASE, 201]), Err(Error::BadArgument));
    assert_eq!(create(&mut d, [own, entry, stack, 0, BASE, 1 << 32]), Err(Error::BadArgument));
    assert_eq!(create(&mut d, [own, entry, abi::memory::USER_END, 0, BASE, 200]), Ok(()));
}

#[test]
fn threads_start_where_they_are_told_and_the_last_to_end_ends_the_process() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let process = d.process;
    let (_, first) = thread(&mut d, process);
    let (_, second) = thread(&mut d, process);
    let r = &d.kernel.threads[first].registers;
    assert_eq!((r.rip.get(), r.rsp.get(), r.rdi.get()), (0x40_0000, BASE + 0x8000, 7));
    for expected in [first, second] {
        let next = d.kernel.leave(CPU);
        assert_eq!(next, Next::Run(expected));
        d.kernel.threads[expected].registers.rax.set(Call::ThreadExit as u64);
        d.kernel.syscall(CPU);
    }
    assert_eq!(d.kernel.leave(CPU), Next::Idle);
    assert!(!d.kernel.processes.is_used(process));
}

#[test]
fn a_fault_ends_the_process_with_a_report_and_nothing_else() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let me = d.process;
    let system = d.kernel.cap_insert(me, Kind::System, 0, Rights::all(), None).unwrap().word();
    let bell = d.make(Call::NotificationCreate, &[Handle::SELF_QUOTA.word()]).unwrap();
    d.call(Call::SystemWatch, &[system, bell.word(), 2]).unwrap();
    let victim = d.spawn();
    let (_, id) = thread(&mut d, victim);
    // A chain of two frames on its stack: saved rbp and return address, the outermost saved rbp being 0.
    d.process = victim;
    d.poke(0x6000, &[(BASE + 0x6100).to_le_bytes(), 0x40_1111u64.to_le_bytes()].concat());
    d.poke(0x6100, &[0u64.to_le_bytes(), 0x40_2222u64.to_le_bytes()].concat());
    d.process = me;
    assert_eq!(d.kernel.leave(CPU), Next::Run(id));
    d.kernel.threads[id].registers.words[1].set(BASE + 0x6000);
    d.kernel.threads[id].registers.words[0].set(0xbb);
    let number = d.kernel.processes[victim].header.object_id.get();
    let next = d.kernel.fault(CPU, CpuFault { vector: PAGE_FAULT, code: 6, address: 0 });
    assert_eq!(next, Next::Idle);
    assert!(!d.kernel.processes.is_used(victim));
    assert_eq!(d.call(Call::SystemInfo, &[system, 2, BASE, 8]), Err(Error::BadArgument), "a report only whole");
    assert_eq!(d.call(Call::SystemInfo, &[system, 2, 0, 4096]), Err(Error::BadAddress));
    assert_eq!(d.call(Call::SystemInfo, &[system, 2, BASE, 4096]).unwrap()[0], REPORT_WORDS as u64 * 8);
    let words: [u64; REPORT_WORDS] = d.peek_words(0, REPORT_WORDS).try_into().unwrap();
    let report = FaultReport::from_words(&words);
    assert_eq!((report.process, report.vector, report.code, report.address), (number, 14, 6, 0));
    assert_eq!((report.state[0], report.registers[1], report.registers[6]), (0x40_0000, 0xbb, BASE + 0x6000));
    assert_eq!(report.frames[..4], [0x40_0000, 0x40_1111, 0x40_2222, 0]);
    assert_eq!(&report.name[..4], b"test");
    assert_eq!(d.call(Call::SystemInfo, &[system, 2, BASE, 4096]), Err(Error::NotFound));
    let (cap, _) = d.kernel.lookup_any(me, bell).unwrap();
    let bell = Id::try_new(d.kernel.caps[cap].object.get() as usize).unwrap();
    assert_eq!(d.kernel.notifications[bell].bits.get(), 2);
}

#[test]
fn a_fault_on_memory_that_is_mapped_is_no_fault() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let process = d.process;
    let (_, id) = thread(&mut d, process);
    assert_eq!(d.kernel.leave(CPU), Next::Run(id));
    let fault = CpuFault { vector: PAGE_FAULT, code: 6, address: BASE + 0x3123 };
    assert_eq!(d.kernel.fault(CPU, fault), Next::Run(id));
}

#[test]
fn a_call_number_that_is_not_the_kernels_ends_the_process_and_an_unknown_one_is_refused() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let process = d.process;
    let (_, id) = thread(&mut d, process);
    d.kernel.leave(CPU);
    d.kernel.threads[id].registers.rax.set(abi::call::FIRST + 0xfff);
    assert_eq!(d.kernel.syscall(CPU), Next::Run(id));
    assert_eq!(d.kernel.threads[id].registers.rax.get(), u64::from(Error::NoSuchCall.number()));
    d.kernel.threads[id].registers.rax.set(1);
    assert_eq!(d.kernel.syscall(CPU), Next::Idle);
    let words = d.kernel.report_oldest().unwrap();
    let report = FaultReport::from_words(&words);
    assert_eq!((report.vector, report.code), (0x100, 1));
}

#[test]
fn reports_are_a_ring_that_loses_the_oldest() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let made = crate::log::REPORTS + 5;
    for _ in 0..made {
        let process = d.spawn();
        thread(&mut d, process);
        d.kernel.leave(CPU);
        d.kernel.fault(CPU, CpuFault { vector: 6, code: 0, address: 0 });
    }
    let mut read = 0;
    while d.kernel.report_oldest().is_ok() {
        d.kernel.report_taken();
        read += 1;
    }
    assert_eq!(read, crate::log::REPORTS);
}

#[test]
fn only_the_results_of_the_row_are_written() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let process = d.process;
    let (_, id) = thread(&mut d, process);
    d.kernel.leave(CPU);
    let r = &d.kernel.threads[id].registers;
    for register in [&r.rdi, &r.rsi, &r.rdx, &r.r8, &r.r9, &r.r10] {
        register.set(0x5a5a);
    }
    r.rax.set(Call::ThreadId as u64);
    d.kernel.syscall(CPU);
    let r = &d.kernel.threads[id].registers;
    assert_eq!(r.rax.get(), 0);
    assert_eq!(r.rdi.get(), d.kernel.threads[id].header.object_id.get());
    assert_eq!([&r.rdx, &r.r8, &r.r9, &r.r10].map(|x| x.get()), [0x5a5a; 4]);
    r.rax.set(Call::MemoryInfo as u64);
    r.rdi.set(99);
    d.kernel.syscall(CPU);
    let r = &d.kernel.threads[id].registers;
    assert_eq!(
        (r.rax.get(), r.rdi.get()),
        (u64::from(Error::BadHandle.number()), 99),
        "an error writes its number alone"
    );
}

#[test]
fn the_capabilities_of_a_process_can_be_listed() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let (process, _, id) = child(&mut d);
    let bell = d.make(Call::NotificationCreate, &[Handle::SELF_QUOTA.word()]).unwrap();
    let granted = d.make(Call::ProcessGrant, &[process.word(), bell.word(), u64::from(Rights::SEND.bits())]).unwrap();
    let [next, ..] = d.call(Call::ProcessCapability, &[process.word(), 0, BASE]).unwrap();
    let words = d.peek_words(0, abi::start::CAPABILITY_INFO_WORDS);
    let mine = d.kernel.processes[d.process].header.object_id.get();
    let kind_rights = Kind::Notification as u64 | u64::from(Rights::SEND.bits()) << 8;
    assert_eq!(words[..2], [granted.word(), kind_rights]);
    assert_eq!(words[4..6], [0, mine], "where it came from: not this table, but that process");
    assert_eq!(d.call(Call::ProcessCapability, &[process.word(), next, BASE]), Err(Error::NotFound));
    assert_eq!(d.call(Call::ProcessCapability, &[process.word(), u64::MAX, BASE]), Err(Error::NotFound));
    assert_eq!(d.call(Call::ProcessCapability, &[process.word(), 0, 0]), Err(Error::BadAddress));
    d.call(Call::ProcessInfo, &[process.word(), BASE]).unwrap();
    let info = d.peek_words(0, abi::start::PROCESS_INFO_WORDS);
    assert_eq!(info[0], d.kernel.processes[id].header.object_id.get());
    assert_eq!((info[1], info[3], info[5], info[6]), (0, 0, 1, 100));
    assert_eq!(info[8].to_le_bytes(), *b"child\0\0\0");
}

#[test]
fn a_listing_that_is_interrupted_goes_on_where_it_was() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let process = d.process;
    let handles: Vec<u64> =
        (0..600).map(|_| d.make(Call::NotificationCreate, &[Handle::SELF_QUOTA.word()]).unwrap().word()).collect();
    for handle in &handles[..599] {
        d.call(Call::Close, &[*handle]).unwrap();
    }
    let (_, id) = thread(&mut d, process);
    d.call(Call::Close, &[Handle::new(2, 2).word()]).unwrap_err();
    d.kernel.leave(CPU);
    d.kernel.machine.interrupt_every(1);
    let mut tries = 0;
    let (rip, mut at) = (d.kernel.threads[id].registers.rip.get(), 3);
    loop {
        let r = &d.kernel.threads[id].registers;
        r.rax.set(Call::ProcessCapability as u64);
        r.rdi.set(Handle::SELF_PROCESS.word());
        r.rsi.set(at);
        r.rdx.set(BASE);
        r.rip.set(rip);
        assert_eq!(d.kernel.syscall(CPU), Next::Run(id));
        let r = &d.kernel.threads[id].registers;
        if r.rax.get() != Call::ProcessCapability as u64 {
            assert_eq!((r.rax.get(), r.rip.get()), (0, rip));
            break;
        }
        assert_eq!(r.rip.get(), rip - 2, "the instruction is run again");
        assert!(r.rsi.get() > at, "and gets on");
        at = r.rsi.get();
        tries += 1;
    }
    let found = Handle(d.peek_words(0, 1)[0] as u32);
    assert!(found.index() >= 590 && tries >= 3, "{found:?} after {tries}");
}

#[test]
fn the_log_keeps_what_programs_wrote_and_lets_nobody_forge_lines() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let me = d.process;
    let log = d.kernel.cap_insert(me, Kind::Log, 0, Rights::READ | Rights::WRITE, None).unwrap().word();
    d.kernel.machine.set_now(3_000_042_000);
    d.poke(0, "h\u{e9}llo\x1b[2J\r\u{9b}x\n[    0.000000] kernel: forged".as_bytes());
    d.call(Call::LogWrite, &[log, BASE, 60]).unwrap();
    assert_eq!(d.call(Call::LogWrite, &[log, 0, 60]), Err(Error::BadAddress));
    let [length, position, ..] = d.call(Call::LogRead, &[log, 0, BASE + 4096, 4096]).unwrap();
    let text = String::from_utf8(d.peek(4096, length as usize)).unwrap_or_default();
    assert!(text.is_empty() || !text.contains("forged"));
    let bytes = d.peek(4096, length as usize);
    let line = String::from_utf8_lossy(&bytes).into_owned();
    assert!(line.starts_with("[    3.000042] test: h\u{e9}llo?[2J?"), "{line:?}");
    assert!(line.ends_with("x\n") && !line.contains("forged") && !line.contains('\u{9b}'), "{line:?}");
    assert_eq!(*d.kernel.machine.console.borrow(), bytes);
    assert_eq!(d.call(Call::LogRead, &[log, position, BASE, 4096]).unwrap(), [0, position, 0, 0]);
    // Far more than it keeps: the oldest goes, and a reader from 0 starts with the oldest kept.
    d.poke(0, &[b'z'; 600]);
    for _ in 0..1000 {
        d.call(Call::LogWrite, &[log, BASE, 600]).unwrap();
    }
    let (mut at, mut total) = (0, 0);
    loop {
        let [length, next, ..] = d.call(Call::LogRead, &[log, at, BASE, 4096]).unwrap();
        if length == 0 {
            break;
        }
        (at, total) = (next, total + length);
    }
    assert_eq!(total, crate::log::CAPACITY);
    assert_eq!(at, d.kernel.log.written.get());
}

#[test]
fn the_system_is_inspected_and_stopped_through_its_capability() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let me = d.process;
    let system = d.kernel.cap_insert(me, Kind::System, 0, Rights::all(), None).unwrap().word();
    d.kernel.boot_words[abi::boot::BootWord::Rsdp as usize].set(0xe0000);
    d.kernel.boot_words[abi::boot::BootWord::CommandLineLength as usize].set(9);
    assert_eq!(d.call(Call::SystemInfo, &[system, 0, BASE, 4096]).unwrap()[0], 80);
    assert_eq!(d.peek_words(0, 1), [0xe0000]);
    assert_eq!(d.call(Call::SystemInfo, &[system, 0, BASE, 20]).unwrap()[0], 16, "whole words");
    assert_eq!(d.call(Call::SystemInfo, &[system, 1, BASE, 4096]).unwrap()[0], 80);
    let counters = d.peek_words(0, 10);
    assert_eq!((counters[0], counters[3]), (7, u64::from(d.kernel.frames.free())));
    assert_eq!(d.call(Call::SystemInfo, &[system, 3, BASE, 4096]), Err(Error::BadArgument));
    d.call(Call::SystemControl, &[system, 1, 0]).unwrap();
    assert!(d.kernel.machine.released.get());
    assert_eq!(d.call(Call::SystemControl, &[system, 2, 0]), Err(Error::BadArgument));
    for (value, how) in
        [(0, crate::machine::Stop::PowerOff), (1, crate::machine::Stop::Reboot), (33, crate::machine::Stop::Exit(33))]
    {
        d.call(Call::SystemControl, &[system, 0, value]).unwrap();
        assert_eq!(d.kernel.machine.stopped.get(), Some(how));
    }
    let weak = d.kernel.cap_insert(me, Kind::System, 0, Rights::INSPECT, None).unwrap().word();
    assert_eq!(d.call(Call::SystemControl, &[weak, 0, 0]), Err(Error::NoRight));
}

#[test]
fn init_finds_its_capabilities_at_the_handles_of_the_contract() {
    use abi::boot::InitHandle;
    let mut d = Driver::<{ Fault::NONE }>::default();
    let initfs = d.kernel.frames.take_run(4, false).unwrap();
    let init = crate::boot::Init { name: b"init", initfs, initfs_pages: 4, acpi_first_page: 0x10_0000, acpi_pages: 2 };
    let process = d.kernel.boot_init(init).unwrap();
    let expected = [
        (InitHandle::Quota, Kind::Quota),
        (InitHandle::System, Kind::System),
        (InitHandle::Log, Kind::Log),
        (InitHandle::IoPorts, Kind::IoPorts),
        (InitHandle::DeviceMemory, Kind::DeviceMemory),
        (InitHandle::Interrupt, Kind::Interrupt),
        (InitHandle::DmaDomain, Kind::DmaDomain),
        (InitHandle::Initfs, Kind::Memory),
        (InitHandle::AcpiTables, Kind::DeviceMemory),
    ];
    for (at, kind) in expected {
        let [told, ..] = d.call_as(process, Call::Inspect, &[at.handle().word()]).unwrap();
        assert_eq!(told & 0xff, kind as u64, "{at:?}");
    }
    let [all, used, ..] = d.call_as(process, Call::QuotaInfo, &[InitHandle::Quota.handle().word()]).unwrap();
    assert_eq!(all - used, u64::from(d.kernel.frames.free()) + 4, "every frame that is free is init's to give");
    let ports = InitHandle::IoPorts.handle().word();
    let some = d.call_as(process, Call::Derive, &[ports, u64::from(Rights::all().bits()), 0x60, 5]).unwrap()[0];
    assert_eq!(d.call_as(process, Call::Inspect, &[some]).unwrap()[1], 0x60 | 5 << 32);
    let beyond = d.call_as(process, Call::Derive, &[some, u64::from(Rights::all().bits()), 0x60, 6]);
    assert_eq!(beyond, Err(Error::BadArgument));
}
