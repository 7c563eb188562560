//! The first process: `bin/init` of the boot archive, with everything there is
//! in its hands.
//!
//! Its capabilities are the core's `boot_init`; where things lie in its memory is [`layout`]'s. Everything is charged to the root account, which init's first capability names.

use crate::elf::{Program, Segment};
use abi::boot::{BootInfo, BootWord};
use abi::fault::FaultReport;
use abi::initfs::Archive;
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::start::layout;
use abi::{Error, Result};
use kernel_core::boot::Init;
use kernel_core::cap::thread::Start;
use kernel_core::mm::fault::Access;
use kernel_core::mm::mapping::Backing;
use kernel_core::object::{Process, ProcessState, Space};
use kernel_core::{FrameNumber, Id, Kernel, Machine, VirtAddr};

/// Where init's program lies in the archive.
pub const PROGRAM: &str = "bin/init";
/// Its name.
const NAME: &[u8] = b"init";
/// Its priority: above everything.
const PRIORITY: u8 = u8::MAX;

/// Why there is no first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no archive, or it is not well formed, or not page-aligned.
    Archive,
    /// The archive holds no `bin/init`.
    NoProgram,
    /// `bin/init` is not a program we can run.
    Program,
    /// The kernel refused something.
    Kernel(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Kernel(error)
    }
}

/// What was found at boot, beside [`BootInfo`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// Physical range that holds the ACPI tables.
    pub tables: (u64, u64),
    /// Processors present.
    pub processors: u32,
    /// Whether there is a hypervisor.
    pub hypervisor: bool,
}

/// Makes init, ready to run. `initfs`: the bytes of the archive that `info` tells of. The process stays known for good.
pub fn start<M: Machine>(
    kernel: &Kernel<M>,
    info: &BootInfo,
    found: &Found,
    initfs: &[u8],
) -> core::result::Result<Id<Process>, Failure> {
    tell(kernel, info, found);
    if info.initfs_length == 0 || !info.initfs_start.is_multiple_of(PAGE_SIZE) {
        return Err(Failure::Archive);
    }
    let archive = Archive::new(initfs).map_err(|_| Failure::Archive)?;
    let file = archive.find(PROGRAM).ok_or(Failure::NoProgram)?;
    let program = Program::new(file.data).map_err(|_| Failure::Program)?;

    let first = found.tables.0 / PAGE_SIZE;
    let process = kernel.boot_init(Init {
        name: NAME,
        initfs: FrameNumber(u32::try_from(info.initfs_start / PAGE_SIZE).map_err(|_| Failure::Archive)?),
        initfs_pages: u32::try_from(info.initfs_length.div_ceil(PAGE_SIZE)).map_err(|_| Failure::Archive)?,
        acpi_first_page: first,
        acpi_pages: found.tables.1.div_ceil(PAGE_SIZE).saturating_sub(first),
    })?;
    let space = kernel.processes[process].space.get().ok_or(Error::Closed)?;
    for segment in program.segments() {
        place(kernel, space, &segment)?;
    }
    let put = |page: u64, length: u64, data: &[u8], protection: Protection| {
        place(kernel, space, &Segment { page, pages: length / PAGE_SIZE, offset: 0, data, protection })
    };
    let writable = Protection::READ | Protection::WRITE;
    put(layout::IPC_BUFFER, PAGE_SIZE, &[], writable)?;
    put(layout::STACK_TOP.wrapping_sub(layout::STACK_LENGTH), layout::STACK_LENGTH, &[], writable)?;
    let mut block = [0; 256];
    let length = start_block(&mut block)?;
    put(layout::START_BLOCK, PAGE_SIZE, block.get(..length).unwrap_or(&[]), Protection::READ)?;
    kernel.thread_make(
        process,
        Start {
            entry: VirtAddr(program.entry),
            stack: VirtAddr(layout::STACK_TOP),
            argument: layout::START_BLOCK,
            buffer: VirtAddr(layout::IPC_BUFFER),
            priority: PRIORITY,
        },
    )?;
    // One more reference, so that its end can be told whatever becomes of it.
    kernel.retain(process);
    Ok(process)
}

/// How init ended, if it has: without it nothing can start or restart anything. A fault's report goes along.
pub fn ended<M: Machine>(kernel: &Kernel<M>, init: Id<Process>) -> Option<(ProcessState, u32, Option<FaultReport>)> {
    let process = &kernel.processes[init];
    let state = process.state.get();
    if state == ProcessState::Running {
        return None;
    }
    let report = kernel.report_oldest().ok().map(|words| FaultReport::from_words(&words));
    Some((state, process.exit_code.get(), report))
}

/// Leaves what init may ask about the boot with the kernel.
fn tell<M: Machine>(kernel: &Kernel<M>, info: &BootInfo, found: &Found) {
    let set = |index: usize, value: u64| {
        if let Some(word) = kernel.boot_words.get(index) {
            word.set(value);
        }
    };
    let screen = &info.framebuffer;
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let line = info.command_line().as_bytes();
    let apart = screen.address != 0 && !kernel.frames.touches_ram(screen.address / PAGE_SIZE, 1);
    let firmware = u64::from(info.firmware) | u64::from(found.hypervisor) << 8 | u64::from(apart) << 9;
    set(BootWord::Rsdp as usize, info.rsdp);
    set(BootWord::FramebufferAddress as usize, screen.address);
    set(BootWord::FramebufferStrideWidth as usize, pair(screen.stride, screen.width));
    set(BootWord::FramebufferHeightFormat as usize, pair(screen.height, screen.format));
    set(BootWord::InitfsLength as usize, info.initfs_length);
    set(BootWord::Firmware as usize, firmware);
    set(BootWord::CommandLineLength as usize, line.len() as u64);
    set(BootWord::Processors as usize, u64::from(found.processors));
    for (i, bytes) in line.chunks(8).enumerate() {
        let word = bytes.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        set((BootWord::CommandLine as usize).saturating_add(i), word);
    }
}

/// Maps fresh memory with a segment's bytes in it.
fn place<M: Machine>(kernel: &Kernel<M>, space: Id<Space>, segment: &Segment) -> Result<()> {
    let memory = kernel.memory_new(kernel.root_quota(), segment.pages, MemoryFlags::empty())?;
    let mut rest = segment.data;
    let mut at = segment.offset;
    while !rest.is_empty() {
        let offset = (at % PAGE_SIZE) as usize;
        let room = (PAGE_SIZE as usize).saturating_sub(offset);
        let (now, later) = rest.split_at(room.min(rest.len()));
        let frame = kernel.memory_bring(memory, at / PAGE_SIZE, Access::Write)?;
        kernel.machine.write_frame(frame, offset, now);
        at = at.saturating_add(now.len() as u64);
        rest = later;
    }
    let protection = segment.protection;
    kernel.space_enter(space, segment.page, segment.pages, Backing::Memory(memory, 0), protection, protection)?;
    Ok(())
}

/// Init's start block: its name, and the fixed handle that every program's runtime looks for by name.
fn start_block(block: &mut [u8]) -> Result<usize> {
    let mut length = 0usize;
    let log = (abi::start::names::LOG, abi::boot::InitHandle::Log.handle());
    abi::start::write(&[NAME], &[], &[log], &mut |bytes| {
        let end = length.saturating_add(bytes.len());
        block.get_mut(length..end).ok_or(Error::BadArgument)?.copy_from_slice(bytes);
        length = end;
        Ok(())
    })?;
    Ok(length)
}

#[cfg(test)]
mod tests;
