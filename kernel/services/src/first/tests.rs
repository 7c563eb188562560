//! Init on the test machine: what it finds in its table and in its memory.

use super::{ended, start, start_block, Failure, Found, PROGRAM};
use abi::boot::{BootInfo, BootWord, InitHandle, Region, RegionKind};
use abi::initfs;
use abi::start::{layout, Start};
use abi::{Handle, Kind, Rights};
use kernel_core::address::{CpuId, FrameNumber};
use kernel_core::id::Id;
use kernel_core::machine::Machine;
use kernel_core::object::{Process, ProcessState};
use kernel_core::test_machine::TestMachine;
use kernel_core::{Kernel, Next};

const FRAMES: u32 = 4096;
const INITFS: u64 = 32 * 4096;

/// An archive of one file.
fn archive(name: &str, file: &[u8]) -> Vec<u8> {
    let total = 4096 + file.len().next_multiple_of(4096);
    let mut bytes = initfs::header(1, total as u64).to_vec();
    bytes.extend(initfs::entry(name, initfs::EXECUTABLE, 4096, file.len() as u64).unwrap());
    bytes.resize(4096, 0);
    bytes.extend(file);
    bytes.resize(total, 0);
    bytes
}

fn boot(archive: &[u8]) -> (Kernel<TestMachine>, BootInfo) {
    let end = INITFS + (archive.len() as u64).next_multiple_of(4096).max(4096);
    let usable = RegionKind::Usable as u32;
    let region = |start: u64, stop: u64, kind: u32| Region { start, length: stop - start, kind, reserved: 0 };
    let regions = [
        region(16 * 4096, INITFS, usable),
        region(INITFS, end, RegionKind::Taken as u32),
        region(end, u64::from(FRAMES) * 4096, usable),
    ];
    let machine = TestMachine::with_frames(FRAMES);
    for (i, page) in archive.chunks(4096).enumerate() {
        machine.write_frame(FrameNumber((INITFS / 4096) as u32 + i as u32), 0, page);
    }
    let mut info = BootInfo::EMPTY;
    info.region_count = regions.len() as u32;
    info.regions[..regions.len()].copy_from_slice(&regions);
    (info.initfs_start, info.initfs_length, info.rsdp) = (INITFS, archive.len() as u64, 0xf_0000);
    info.command_line[..11].copy_from_slice(b"quiet x=1 y");
    info.command_line_length = 11;
    (Kernel::new(machine, &regions).unwrap(), info)
}

fn found() -> Found {
    Found { tables: (0x8000_0000, 0x8000_1234), processors: 4, hypervisor: true }
}

fn read(kernel: &Kernel<TestMachine>, process: Id<Process>, address: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    kernel.user_read(process, address, &mut bytes).unwrap();
    bytes
}

#[test]
fn init_has_its_program_its_block_and_the_capabilities_of_the_contract() {
    let bytes = archive(PROGRAM, &crate::elf::tests::sample());
    let (kernel, info) = boot(&bytes);
    let init = start(&kernel, &info, &found(), &bytes).unwrap();

    assert_eq!(read(&kernel, init, 0x20_0000, 4), b"abc\0");
    assert_eq!(read(&kernel, init, 0x30_07ff, 5), b"\0de\0\0");
    assert!(kernel.user_write(init, 0x20_0000, b"x").is_err(), "code can't be written");
    let block = read(&kernel, init, layout::START_BLOCK, 200);
    assert_eq!(Start::new(&block).unwrap().arguments().collect::<Vec<_>>(), [b"init"]);
    kernel.user_write(init, layout::STACK_TOP - 8, &[1; 8]).unwrap();
    kernel.user_write(init, layout::STACK_TOP - layout::STACK_LENGTH, &[1; 8]).unwrap();
    assert!(kernel.user_write(init, layout::STACK_TOP - layout::STACK_LENGTH - 1, b"x").is_err(), "a guard lies below");

    let kinds = [
        (InitHandle::Quota, Kind::Quota, Rights::MANAGE),
        (InitHandle::System, Kind::System, Rights::MANAGE),
        (InitHandle::Log, Kind::Log, Rights::READ | Rights::WRITE),
        (InitHandle::IoPorts, Kind::IoPorts, Rights::READ | Rights::WRITE),
        (InitHandle::DeviceMemory, Kind::DeviceMemory, Rights::READ | Rights::WRITE),
        (InitHandle::Interrupt, Kind::Interrupt, Rights::MANAGE),
        (InitHandle::DmaDomain, Kind::DmaDomain, Rights::MANAGE | Rights::WRITE),
        (InitHandle::Initfs, Kind::Memory, Rights::READ | Rights::EXECUTE),
        (InitHandle::AcpiTables, Kind::DeviceMemory, Rights::READ),
    ];
    for (which, kind, rights) in kinds {
        kernel.lookup(init, which.handle(), kind, rights).unwrap_or_else(|e| panic!("{which:?}: {e:?}"));
    }
    assert!(kernel.lookup(init, InitHandle::Initfs.handle(), Kind::Memory, Rights::WRITE).is_err());
    assert!(kernel.lookup(init, Handle::new(10, 1), Kind::Memory, Rights::empty()).is_err(), "there is nothing more");

    assert_eq!(kernel.boot_words[BootWord::Rsdp as usize].get(), 0xf_0000);
    assert_eq!(kernel.boot_words[BootWord::Processors as usize].get(), 4);
    assert_eq!(kernel.boot_words[BootWord::CommandLine as usize].get(), u64::from_le_bytes(*b"quiet x="));
    assert_eq!(kernel.boot_words[BootWord::Firmware as usize].get(), 1 << 8);
}

#[test]
fn init_runs_first_at_its_entry_and_its_end_is_told() {
    let bytes = archive(PROGRAM, &crate::elf::tests::sample());
    let (mut kernel, info) = boot(&bytes);
    let init = start(&kernel, &info, &found(), &bytes).unwrap();
    let Next::Run(thread) = kernel.reschedule(CpuId(0)) else { panic!("nothing runs") };
    let registers = &kernel.threads[thread].registers;
    assert_eq!((registers.rip.get(), registers.rdi.get()), (0x20_0000, layout::START_BLOCK));
    assert_eq!(registers.rsp.get(), layout::STACK_TOP);
    assert!(ended(&kernel, init).is_none());

    // A call number that is nobody's ends it.
    registers.rax.set(1);
    kernel.syscall(CpuId(0));
    let (state, _, report) = ended(&kernel, init).expect("init has ended");
    assert_eq!((state, report.unwrap().state[0]), (ProcessState::Faulted, 0x20_0000));
}

#[test]
fn without_a_sound_archive_and_program_there_is_no_init() {
    let good = archive(PROGRAM, &crate::elf::tests::sample());
    let cases: [(Vec<u8>, Failure); 4] = [
        (Vec::new(), Failure::Archive),
        (good[..5000].to_vec(), Failure::Archive),
        (archive("bin/other", &crate::elf::tests::sample()), Failure::NoProgram),
        (archive(PROGRAM, b"not a program"), Failure::Program),
    ];
    for (bytes, want) in cases {
        let (kernel, info) = boot(&bytes);
        assert_eq!(start(&kernel, &info, &found(), &bytes).unwrap_err(), want);
    }
}

#[test]
fn the_start_block_has_to_fit() {
    assert!(start_block(&mut [0; 16]).is_err());
}
