//! The FPU state of threads: one frame a thread, saved and restored when
//! another thread runs.
//!
//! The kernel itself is built without floating point. XSAVE where the processor has it (with
//! XSAVEOPT's short cuts), FXSAVE else. Images are written by the kernel alone, so a restore can't
//! fault. References: SDM 1, 13.4 (layout), 13.6 (initial states), 10.5 (FXSAVE).

use super::features::Features;
use super::kernel_space::Direct;
use super::per_cpu;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, AtomicU8, Ordering::Relaxed};
use kernel_core::address::FrameNumber;
use x86_64::registers::xcontrol::XCr0;

const FX: u8 = 0;
const X: u8 = 1;
const XOPT: u8 = 2;

static KIND: AtomicU8 = AtomicU8::new(FX);
static COMPONENTS: AtomicU64 = AtomicU64::new(0);

/// Turns on what is to be saved. CR4 is set already.
pub fn initialise(features: &Features) {
    if features.xsave {
        // SAFETY: CPUID lists these components, and CR4.OSXSAVE is on.
        unsafe { XCr0::write_raw(features.components) };
        COMPONENTS.store(features.components, Relaxed);
        KIND.store(if features.xsaveopt { XOPT } else { X }, Relaxed);
    }
}

/// Makes a zeroed frame a fresh state: x87 control 0x37f, MXCSR 0x1f80, all else initial (SDM 1, 13.6).
pub fn fresh(frame: FrameNumber) {
    let area = Direct::pointer(frame);
    // SAFETY: the frame is RAM, in the direct map, and the caller's alone.
    unsafe {
        area.cast::<u16>().write_volatile(0x37f);
        area.wrapping_add(24).cast::<u32>().write_volatile(0x1f80);
    }
}

/// Puts the state in the processor away and loads `to`'s.
pub fn switch(to: FrameNumber) {
    let block = per_cpu::this();
    let from = block.fpu.load(Relaxed);
    let kind = KIND.load(Relaxed);
    let components = COMPONENTS.load(Relaxed);
    let (low, high) = (components as u32, (components >> 32) as u32);
    // SAFETY: 1. both frames are RAM in the direct map and belong to threads' FPU states alone: the
    // core tells (`fpu_forget`) before it frees one; 2. a page is aligned as XSAVE asks and, by the
    // choice of components, large enough; 3. `to` holds what `fresh` or a save wrote.
    unsafe {
        if from != 0 {
            let area = Direct::pointer(FrameNumber(from));
            match kind {
                XOPT => asm!("xsaveopt64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack)),
                X => asm!("xsave64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack)),
                _ => asm!("fxsave64 [{}]", in(reg) area, options(nostack)),
            }
        }
        let area = Direct::pointer(to);
        match kind {
            FX => asm!("fxrstor64 [{}]", in(reg) area, options(nostack)),
            _ => asm!("xrstor64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack)),
        }
    }
    block.fpu.store(to.0, Relaxed);
}

/// The frame stops being a thread's state: nothing is saved to it any more.
pub fn forget(frame: FrameNumber) {
    let block = per_cpu::this();
    if block.fpu.load(Relaxed) == frame.0 {
        block.fpu.store(0, Relaxed);
        block.thread.store(0, Relaxed);
    }
}
