//! Waiting for an interrupt, and hearing of one that is pending.

use super::{apic, per_cpu, window};
use core::arch::asm;
use core::sync::atomic::Ordering::Relaxed;

/// Waits for an interrupt; answers its vector. The interrupt is not acknowledged yet.
pub fn wait() -> u8 {
    let block = per_cpu::this();
    loop {
        block.idle_vector.store(0, Relaxed);
        // SAFETY: `sti` takes effect after the next instruction, so no interrupt slips in before
        // `hlt`. The trap code notes the vector in the per-CPU block and returns with interrupts off,
        // so there is one at most; it keeps all registers. The core is not entered from there.
        unsafe { asm!("sti", "hlt", "cli") };
        let vector = block.idle_vector.load(Relaxed);
        if vector != 0 {
            return vector as u8;
        }
    }
}

/// Whether an interrupt waits for interrupts to be turned on.
pub fn pending() -> bool {
    window::looked(apic::request_pending())
}
