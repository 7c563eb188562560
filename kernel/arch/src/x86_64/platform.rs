//! Takes the machine over: final page tables, traps, interrupt controllers,
//! clock. Once, at boot.

use super::clock::{self, Reference};
use super::features::Features;
use super::kernel_space::Builder;
use super::layout::{page_down, page_up, DIRECT, MEMORY_END, PAGE};
use super::memory_map::{self, Over};
use super::stop::StopRegisters;
use super::{apic, descriptors, early, entry, fpu, lines, per_cpu, stop, trampoline};
use abi::boot::{BootInfo, RegionKind};
use kernel_core::kernel::CPUS;
use raw_cpuid::CpuId;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4};
use x86_64::registers::model_specific::Msr;

/// What the firmware's tables say about the machine, as far as this layer needs it.
#[derive(Clone, Copy, Debug)]
pub struct Platform {
    /// Physical address of the local APICs' registers.
    pub local_apic: u64,
    /// Physical address and first line of each I/O APIC; address 0: none.
    pub io_apics: [(u64, u32); lines::IO_APICS],
    /// Whether the old interrupt controllers are there too.
    pub has_8259: bool,
    /// Physical address of the HPET's registers.
    pub hpet: Option<u64>,
    /// The PM timer's port and its width in bits.
    pub pm_timer: Option<(u16, u32)>,
    /// How to stop.
    pub stop: StopRegisters,
    /// APIC ids of the processors, this one among them; the first `processor_count` count.
    pub processors: [u32; CPUS],
    /// How many there are.
    pub processor_count: usize,
    /// The most that are to be used.
    pub processor_limit: usize,
}

/// What was found and measured.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// The processor.
    pub features: Features,
    /// Time-stamp ticks in a second.
    pub tsc_hz: u64,
    /// Local APIC timer ticks in a second.
    pub timer_hz: u64,
    /// What they were measured against.
    pub reference: Reference,
}

/// Memory below this is kept back: firmware still has words there, and other processors start there.
const LOW: u64 = 1 << 20;
/// Bytes of device registers mapped for one controller.
const REGISTERS: u64 = PAGE;
const IA32_SYSENTER_CS: u32 = 0x174;
const IA32_PAT: u32 = 0x277;
/// DR7 as after reset (SDM 3B, 17.2.4).
const DEBUG_OFF: u64 = 0x400;
/// PAT as after reset: entry 3, which device mappings select, is uncached.
const PAT: u64 = 0x0007_0406_0007_0406;

fn take(info: &mut BootInfo, start: u64, stop: u64) {
    if memory_map::set(info, page_down(start), page_up(stop), RegionKind::Taken, Over::Usable).is_err() {
        early::refuse("the memory map has too many ranges");
    }
}

/// Marks what is in use: low memory, the kernel, initfs.
fn take_used(info: &mut BootInfo) {
    let low: [Option<(u64, u64)>; 8] = {
        let mut usable = info.regions().iter().filter(|r| r.kind == RegionKind::Usable as u32 && r.start < LOW);
        core::array::from_fn(|_| usable.next().map(|r| (r.start, r.start.wrapping_add(r.length).min(LOW))))
    };
    for (start, stop) in low.into_iter().flatten() {
        take(info, start, stop);
    }
    let end = memory_map::memory_end(info);
    if memory_map::set(info, MEMORY_END, end, RegionKind::Reserved, Over::Memory).is_err() {
        early::refuse("the memory map has too many ranges");
    }
    take(info, info.kernel_start, info.kernel_start.saturating_add(info.kernel_length));
    take(info, info.initfs_start, info.initfs_start.saturating_add(info.initfs_length));
}

/// A page of low memory that nobody uses: the last of a usable range, and not the first of all, where the firmware's
/// vectors are.
fn low_page(info: &BootInfo) -> Option<u64> {
    let mut usable = info.regions().iter().filter(|r| r.kind == RegionKind::Usable as u32 && r.start < LOW);
    usable.find_map(|r| {
        let page = page_down(r.start.wrapping_add(r.length).min(LOW)).checked_sub(PAGE)?;
        (page >= page_up(r.start) && page > 0).then_some(page)
    })
}

/// Sets the registers that all processors have alike, with the kernel's tables loaded.
pub fn set_registers(features: &Features) {
    let cleared = Cr0Flags::EMULATE_COPROCESSOR | Cr0Flags::TASK_SWITCHED | Cr0Flags::ALIGNMENT_MASK;
    // SAFETY: PAT as after reset, which is what the mappings were made for. Without SYSENTER's code segment that
    // instruction faults; no debug registers and no local descriptor table are in use. CR4 follows from CPUID; it keeps
    // PAE on and turns protections on that no mapping of the kernel's offends. CR0: write protection, no
    // FPU emulation or lazy switching.
    unsafe {
        Msr::new(IA32_PAT).write(PAT);
        Msr::new(IA32_SYSENTER_CS).write(0);
        core::arch::asm!("lldt {0:x}", "mov dr7, {1}", in(reg) 0u64, in(reg) DEBUG_OFF, options(nomem, nostack, preserves_flags));
        Cr4::write_raw(features.control());
        Cr0::update(|flags| {
            flags.remove(cleared);
            flags.insert(Cr0Flags::WRITE_PROTECT | Cr0Flags::MONITOR_COPROCESSOR | Cr0Flags::NUMERIC_ERROR);
        });
    }
}

/// Takes over. Does not come back where something is missing that the kernel can't do without.
pub fn initialise(info: &mut BootInfo, platform: &Platform) -> Report {
    let features = Features::read(&CpuId::new());
    if let Some(missing) = features.missing() {
        early::refuse(missing);
    }
    let low = low_page(info);
    take_used(info);
    let stacks = descriptors::boot_stacks();
    descriptors::initialise(0, stacks);
    per_cpu::initialise(0, stacks[0], features.smap);

    let mut builder = Builder::new(info, features.huge_pages);
    builder.roots();
    builder.image();
    builder.direct_map();
    let local_apic = (!features.x2apic).then(|| builder.device(platform.local_apic, REGISTERS));
    let io_apics = platform.io_apics.map(|(at, first)| (if at != 0 { builder.device(at, REGISTERS) } else { 0 }, first));
    let hpet = platform.hpet.map(|at| builder.device(at, REGISTERS));
    let others = platform.processor_count.min(platform.processor_limit).saturating_sub(1);
    let low = low.filter(|_| others > 0).map(|page| {
        (1..=others).for_each(|cpu| builder.stacks(cpu));
        (page, builder.low(page))
    });
    builder.switch();
    set_registers(&features);
    fpu::initialise(&features);
    entry::initialise();
    if platform.has_8259 {
        lines::silence_8259();
    }
    apic::initialise(local_apic);
    for (registers, first) in io_apics.into_iter().filter(|(registers, _)| *registers != 0) {
        lines::add(registers, first);
    }
    stop::initialise(&platform.stop);

    let references = [hpet.map(Reference::Hpet), platform.pm_timer.map(|(port, bits)| Reference::PmTimer(port, bits)), Some(Reference::Pit)];
    for reference in references.into_iter().flatten() {
        if let Ok((tsc_hz, timer_hz)) = clock::initialise(reference) {
            if let Some((page, root)) = low {
                let me = apic::boot_id();
                let ids = platform.processors.into_iter().take(platform.processor_count);
                trampoline::start(ids.filter(move |id| *id != me).take(others), page, root, &features);
            }
            return Report { features, tsc_hz, timer_hz, reference };
        }
    }
    early::refuse("no timer to measure the clock against");
}

/// The bytes of the boot archive, which stay where they are and are never written.
pub fn initfs(info: &BootInfo) -> &'static [u8] {
    let end = info.initfs_start.saturating_add(info.initfs_length);
    if info.initfs_length == 0 || !memory_map::is_memory(info, info.initfs_start, end) {
        return &[];
    }
    // SAFETY: 1. the range is memory from end to end, so it is in the direct map; 2. it was taken out of the
    // usable memory at the start, and init's capability to it can't write: nothing changes it.
    unsafe { core::slice::from_raw_parts((DIRECT | info.initfs_start) as *const u8, info.initfs_length as usize) }
}

/// The range of the ACPI tables that init is given: as it was found, or where memory lies in it, the
/// firmware's region around the root table.
pub fn tables_range(info: &BootInfo, found: (u64, u64), root: u64) -> (u64, u64) {
    let memory = |kind: u32| kind == RegionKind::Usable as u32 || kind == RegionKind::Taken as u32;
    let end = |start: u64, length: u64| start.saturating_add(length);
    let mixed = info.regions().iter().any(|r| memory(r.kind) && r.start < found.1 && end(r.start, r.length) > found.0);
    if !mixed {
        return found;
    }
    let around = info.regions().iter().find(|r| !memory(r.kind) && r.start <= root && root < end(r.start, r.length));
    around.map_or((0, 0), |r| (r.start, end(r.start, r.length)))
}
