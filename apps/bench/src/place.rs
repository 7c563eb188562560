//! This program in init's place: a machine with nothing on it but what is
//! measured.
//!
//! It starts itself as an ordinary process, in an account of its own, with what only init could grant: the counters, the
//! real-time clock. The rows go to the kernel's log; then the machine is switched off.

use crate::{counters, interrupt, windows};
use abi::boot::{BootWord, InitHandle};
use abi::initfs::Archive;
use abi::memory::PAGE_SIZE;
use abi::start::names;
use abi::{Error, Handle, Kind, Result, Rights};
use alloc::vec::Vec;
use scheme::process::{Account, Command, Status};
use scheme::rt::{calls, memory};

/// The name of the process that measures, in the log.
pub const NAME: &str = "rows";
/// The name of the archive that is granted to it.
pub const FILE: &str = "archive";
/// Pages of its account: 128 MiB.
const PAGES: u64 = 1 << 15;

/// Whether init's capabilities are ours: nobody else has the one of the system at its place.
pub fn is_ours() -> bool {
    calls::inspect(InitHandle::System.handle()).is_ok_and(|(kind, ..)| kind == Kind::System)
}

/// Measures and switches off; returns where that does not work.
pub fn run() -> Result<()> {
    let ended = if asked_for(windows::WORD)? {
        windows::run(file(InitHandle::Initfs.handle())?)
    } else {
        measure().and_then(|status| (status == Status::Exited(0)).then_some(()).ok_or(Error::Closed))
    };
    match ended {
        Ok(()) => log::info!("measured"),
        Err(error) => log::error!("{error}"),
    }
    calls::system_control(InitHandle::System.handle(), 0, 0)?;
    Err(Error::WrongState)
}

/// Whether a word stands on the kernel's command line.
fn asked_for(word: &str) -> Result<bool> {
    let mut words = [0u64; BootWord::CommandLine as usize + abi::boot::COMMAND_LINE / 8];
    calls::system_info(InitHandle::System.handle(), 0, &mut words)?;
    let line: Vec<u8> = words.iter().skip(BootWord::CommandLine as usize).flat_map(|word| word.to_le_bytes()).collect();
    let line = line.split(|byte| *byte == 0).next().unwrap_or(&[]);
    Ok(line.split(|byte| *byte == b' ').any(|known| known == word.as_bytes()))
}

fn measure() -> Result<Status> {
    let archive = InitHandle::Initfs.handle();
    let program = file(archive)?;
    let system = InitHandle::System.handle();
    let ports = InitHandle::IoPorts.handle();
    let ports = calls::derive_range(ports, Rights::all(), interrupt::FIRST_PORT, interrupt::PORT_COUNT)?;
    let (line, ..) = calls::interrupt_allocate(InitHandle::Interrupt.handle(), interrupt::GSI, 0)?;
    let mut command = Command::new(NAME);
    command
        .argument(NAME)
        .account(Account::Split { parent: Handle::SELF_QUOTA, pages: PAGES })
        .grant(names::LOG, InitHandle::Log.handle(), Rights::WRITE)
        .grant(FILE, archive, Rights::READ | Rights::INSPECT)
        .grant(counters::SYSTEM, system, Rights::INSPECT)
        .grant(interrupt::PORTS, ports, Rights::READ | Rights::WRITE)
        .grant(interrupt::LINE, line, Rights::MANAGE);
    command.spawn(program)?.wait(0)
}

/// This program's file in an archive. Errors: there is none in it, the kernel's.
pub fn file(archive: Handle) -> Result<&'static [u8]> {
    let (pages, ..) = calls::memory_info(archive)?;
    let bytes = memory::fixed_bytes(archive, pages.saturating_mul(PAGE_SIZE))?;
    Archive::new(bytes)?.find("bin/init").map(|entry| entry.data).ok_or(Error::NotFound)
}
