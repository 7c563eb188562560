//! Waiting for an interrupt, and hearing of one that is pending.

use super::{apic, per_cpu, window};
use core::arch::asm;
use core::sync::atomic::Ordering::Relaxed;

/// Waits for an interrupt; answers its vector. The interrupt is not acknowledged yet.
pub fn wait() -> u8 {
    loop {
        // SAFETY: `sti` takes effect after the next instruction, so no interrupt slips in before
        // `hlt`. The trap code notes the vector in the per-CPU block and returns with interrupts off,
        // so there is one at most; it keeps all registers. The core is not entered from there.
        unsafe { asm!("sti", "hlt", "cli") };
        if let Some(vector) = taken() {
            return vector;
        }
    }
}

/// Takes an interrupt that is pending, without waiting for one. `None`: there was none, or nothing is left to do for it.
pub fn take() -> Option<u8> {
    // SAFETY: as in `wait`; interrupts are taken after `nop`.
    unsafe { asm!("sti", "nop", "nop", "cli") };
    taken()
}

fn taken() -> Option<u8> {
    let vector = &per_cpu::this().idle_vector;
    let number = vector.load(Relaxed) as u8;
    vector.store(0, Relaxed);
    (number != 0).then_some(number)
}

/// Whether an interrupt waits for interrupts to be turned on.
pub fn pending() -> bool {
    window::looked(apic::request_pending())
}
