//! x86_64: start, page tables, traps, APIC, clock, thread switch.
//!
//! Pure, tested on the host:
//! - [`layout`]: where things are
//! - [`memory_map`], [`start_info`]: from what the firmware says to `BootInfo`
//! - [`paging`]: page-table entries and walks
//! - [`features`]: what the processor can do
//! - [`calibration`]: rates and scales
//!
//! The machine itself, bare target only:
//! - [`start`]: the two ways in; [`early`]: memory before the final page tables
//! - [`platform`]: takes the machine over, once
//! - [`kernel_space`]: the kernel's half of every address space
//! - [`descriptors`], [`entry`], [`trap`]: segments and gates, the assembly, what follows from each entry
//! - [`per_cpu`], [`fpu`], [`idle`]: what belongs to a processor, the FPU state of threads, waiting
//! - [`smp`], [`trampoline`]: the other processors: what they are asked, how they start
//! - [`apic`], [`lines`], [`clock`]: interrupts and time
//! - [`port`], [`console`], [`stop`], [`panic`]: ports, early console, the ways out
//! - [`window`]: how long interrupts are off, in the measuring build
//! - [`machine`]: `Machine` for all of it

pub mod calibration;
pub mod features;
pub mod layout;
pub mod memory_map;
pub mod paging;
pub mod start_info;

macro_rules! bare {
    ($($name:ident)+) => { $(#[cfg(target_os = "none")] pub mod $name;)+ };
}
bare! {
    apic clock console descriptors early entry fpu idle kernel_space lines machine panic per_cpu platform port smp start
    stop trampoline trap window
}
