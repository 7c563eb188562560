//! All that talks to the firmware, and the order it is done in.
//!
//! Up to [`leave`] anything may fail, with a message on the firmware's console, and the firmware goes
//! on to its next boot choice. From `exit_boot_services` on there is no console, no allocator and no
//! way back, so nothing there may fail.
//!
//! - [`files`]: the volume the loader came from
//! - [`memory`]: pages that stay
//! - [`screen`]: the framebuffer
//! - [`handover`]: the jump
//! - [`failure`]: what is said when it ends badly

mod failure;
mod files;
mod handover;
mod memory;
mod screen;

use self::failure::{say, Failure};
use self::files::Volume;
use self::handover::Handover;
use self::memory::Pages;
use ::boot::kernel::Plan;
use ::boot::options::Options;
use ::boot::regions::{kind_of, Map};
use ::boot::tables::{self, Access, Tables};
use ::boot::{pages, IDENTITY_END, PAGE};
use abi::boot::{BootInfo, RegionKind};
use abi::initfs::Archive;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::time::Duration;
use uefi::mem::memory_map::{MemoryMap, MemoryType};
use uefi::table::cfg::ConfigTableEntry;
use uefi::{boot, cstr16, system, Status};
use x86_64::registers::control::{Cr4, Cr4Flags};

/// Pages of the stack the kernel starts on.
const STACK: u64 = 16;
/// Ranges that the memory map may grow by between counting and leaving.
const SLACK: usize = 256;

/// Where the firmware starts us.
#[uefi::entry]
fn main() -> Status {
    let failure = match start() {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    say(format_args!("LimitlessOS loader: {failure}\n"));
    // Long enough to be read before the firmware's next choice clears the screen.
    boot::stall(Duration::from_secs(5));
    Status::LOAD_ERROR
}

/// Everything that can fail.
fn start() -> Result<Infallible, Failure> {
    say(format_args!("LimitlessOS loader {}\n", env!("CARGO_PKG_VERSION")));
    if Cr4::read().contains(Cr4Flags::L5_PAGING) {
        // Turning it off means leaving 64-bit mode; firmware that turns it on lets it be turned off.
        return Err(Failure::because(
            "this processor",
            "is set to 5-level paging: turn it off in the firmware's setup",
        ));
    }
    let mut volume = Volume::open()?;
    let options = match volume.read(cstr16!("\\limitless\\cmdline.txt"))? {
        Some(file) => Options::parse(&file).map_err(|bad| Failure::because("cmdline.txt", bad.text()))?,
        None => Options::default(),
    };
    let kernel = volume.read(cstr16!("\\limitless\\kernel.elf"))?;
    let kernel = kernel.ok_or(Failure::because("\\limitless\\kernel.elf", "is not there"))?;
    let plan = Plan::new(&kernel).map_err(|bad| Failure::because("kernel.elf", bad.text()))?;
    let mut image = Pages::for_kernel(plan.physical(), plan.pages())?;
    if !plan.load(&kernel, image.bytes()) {
        return Err(Failure::because("kernel.elf", "does not fit its own plan"));
    }
    drop(kernel);
    let initfs = volume.load(cstr16!("\\limitless\\initfs.img"))?;
    let (mut initfs, initfs_length) = initfs.ok_or(Failure::because("\\limitless\\initfs.img", "is not there"))?;
    check_initfs(initfs.bytes(), initfs_length)?;
    drop(volume);

    let stack = Pages::new(STACK)?;
    let mut pool = Pages::new(tables::needed(IDENTITY_END, &plan))?;
    let info = Pages::new(pages(size_of::<BootInfo>() as u64))?;
    let root = page_tables(&mut pool, &plan, image.address())?;

    let handover = Handover {
        root,
        stack_top: stack.end(),
        entry: plan.entry,
        boot_info: info.address(),
        no_execute: no_execute(),
    };
    let kept = [&image, &initfs, &stack, &pool].map(|run| (run.address(), run.count()));
    let kept = kept.into_iter().chain([(info.address(), info.count())]).collect::<Vec<_>>();

    let info = info.boot_info()?;
    info.firmware = 1;
    info.rsdp = rsdp();
    info.kernel_start = image.address();
    info.kernel_length = plan.length;
    info.initfs_start = initfs.address();
    info.initfs_length = initfs_length;
    let line = options.line.as_bytes();
    for (to, from) in info.command_line.iter_mut().zip(line) {
        *to = *from;
    }
    info.command_line_length = line.len() as u32;
    // Last, because setting a mode leaves the firmware's console behind.
    info.framebuffer = screen::prepare(options.video);
    let count = boot::memory_map(MemoryType::LOADER_DATA).map_err(|e| Failure::firmware("the memory map", &e))?;
    let mut map = Map::new(count.len().saturating_add(kept.len()).saturating_add(SLACK));
    drop(count);
    for (address, count) in kept {
        map.add(address, count, RegionKind::Taken);
    }
    leave(info, map, handover)
}

/// The last step: the firmware's map is final, boot services end, the kernel begins.
fn leave(info: &mut BootInfo, mut map: Map, handover: Handover) -> ! {
    // Frame 0 stays untold: to too much code a null address means "none".
    map.add(0, 1, RegionKind::Reserved);
    let firmware = handover::exit_boot_services();
    for range in firmware.entries() {
        map.add(range.phys_start, range.page_count, kind_of(range.ty.0, range.att.bits()));
    }
    info.region_count = map.finish(&mut info.regions);
    handover.go()
}

fn check_initfs(bytes: &[u8], length: u64) -> Result<(), Failure> {
    let bytes = bytes.get(..length as usize).unwrap_or(bytes);
    if Archive::total_length(bytes) != Some(length) || Archive::new(bytes).is_err() {
        return Err(Failure::because("initfs.img", "is not an initfs archive, or is cut off"));
    }
    Ok(())
}

/// Builds the kernel's first page tables and gives their root.
fn page_tables(pool: &mut Pages, plan: &Plan, image: u64) -> Result<u64, Failure> {
    let small = |_| Failure::because("the page tables", "need more room than was counted");
    let address = pool.address();
    let trampoline = handover::trampoline() & !PAGE.wrapping_sub(1);
    let mut tables = Tables::new(pool.tables(), address, no_execute()).map_err(small)?;
    tables.identity(IDENTITY_END).map_err(small)?;
    tables.map(trampoline, trampoline, Access::Execute).map_err(small)?;
    tables.kernel(plan, image).map_err(small)?;
    Ok(tables.root())
}

/// Whether pages can be marked not executable.
fn no_execute() -> bool {
    let extended = raw_cpuid::CpuId::new().get_extended_processor_and_feature_identifiers();
    extended.is_some_and(|features| features.has_execute_disable())
}

/// ACPI's root pointer: the one of version 2 or later, else the first version's, else 0.
fn rsdp() -> u64 {
    system::with_config_table(|table| {
        let find = |guid| table.iter().find(|entry| entry.guid == guid).map(|entry| entry.address as u64);
        find(ConfigTableEntry::ACPI2_GUID).or_else(|| find(ConfigTableEntry::ACPI_GUID)).unwrap_or(0)
    })
}
