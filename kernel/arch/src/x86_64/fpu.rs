//! The FPU state of threads: one frame a thread, saved and restored when
//! another thread runs (`entry`).
//!
//! The kernel itself is built without floating point. XSAVE where the processor has it (with
//! XSAVEOPT's short cuts), FXSAVE else. Images are written by the kernel alone, so a restore can't
//! fault. References: SDM 1, 13.4 (layout), 13.6 (initial states), 10.5 (FXSAVE).

use super::features::Features;
use super::kernel_space::Direct;
use super::{per_cpu, smp};
use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::Ordering::Relaxed;
use kernel_core::address::FrameNumber;
use x86_64::registers::xcontrol::XCr0;

/// FXSAVE.
pub const FX: u8 = 0;
/// XSAVE.
pub const X: u8 = 1;
/// XSAVEOPT.
pub const XOPT: u8 = 2;

/// Where a state is put that nobody needs.
#[repr(C, align(4096))]
struct Nobody(UnsafeCell<[u8; 4096]>);
// SAFETY: only the processor's save instructions write here, and nothing reads what they wrote.
unsafe impl Sync for Nobody {}

static NOBODY: Nobody = Nobody(UnsafeCell::new([0; 4096]));

/// Turns on what is to be saved. CR4 is set already.
pub fn initialise(features: &Features) {
    let block = per_cpu::this();
    block.fpu_area.store(NOBODY.0.get() as u64, Relaxed);
    if features.xsave {
        // SAFETY: CPUID lists these components, and CR4.OSXSAVE is on.
        unsafe { XCr0::write_raw(features.components) };
        // All that are saved have numbers below 32.
        block.fpu_components.store(features.components as u32, Relaxed);
        block.fpu_kind.store(if features.xsaveopt { XOPT } else { X }, Relaxed);
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

/// Puts the state in this processor away, to where any processor can load it from, and forgets whose it was.
pub fn put_away() {
    let block = per_cpu::this();
    let area = block.fpu_area.swap(NOBODY.0.get() as u64, Relaxed);
    block.registers.store(0, Relaxed);
    // SAFETY: as in `entry`: the area is a frame of a thread's FPU state, or nobody's; a page is aligned as XSAVE asks and, by
    // the choice of components, large enough.
    unsafe {
        if block.fpu_kind.load(Relaxed) == FX {
            asm!("fxsave64 [{}]", in(reg) area, options(nostack));
        } else {
            let components = block.fpu_components.load(Relaxed);
            asm!("xsave64 [{}]", in(reg) area, in("eax") components, in("edx") 0, options(nostack));
        }
    }
}

/// The frame stops being a thread's state: no processor saves anything to it any more, and its thread's registers are no
/// longer where an entry would save them.
pub fn forget(frame: FrameNumber) {
    for block in smp::blocks().filter(|block| block.fpu_area.load(Relaxed) == Direct::pointer(frame) as u64) {
        block.fpu_area.store(NOBODY.0.get() as u64, Relaxed);
        block.registers.store(0, Relaxed);
    }
}
