//! How long interrupts are off: in the measuring build (feature `measure`), and
//! nothing at all otherwise.
//!
//! A window opens on the way in ([`super::trap`]) and closes on the way out, or where the core looks for a pending interrupt
//! and finds none ([`super::idle`]): a later one is found at the next look. [`super::stop`] tells of all. One processor.

use super::{clock::tsc, per_cpu};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel_core::object::Registers;

/// Of each entry (vectors, then calls): the longest window, the longest way from in to out, how many windows of each size.
static ENTRIES: [[AtomicU64; 98]; 512] = [const { [const { AtomicU64::new(0) }; 98] }; 512];
/// The entry, when it was (0: none), when the window opened.
static NOW: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
/// Instructions of the entry code before the first stamp, and after the last.
const AROUND: u64 = 40;

/// The kernel was entered by a vector, or by the call whose number is in `rax` (the short way of a call, tried before, included).
#[inline(always)]
pub fn open(vector: Option<u64>) {
    if cfg!(feature = "measure") {
        let block = per_cpu::this().registers.load(Relaxed) as *const Registers;
        // SAFETY: where the entry code saves the registers of the running thread.
        NOW[0].store(vector.unwrap_or_else(|| 256 | unsafe { &*block }.rax.get() & 255), Relaxed);
        if NOW[1].load(Relaxed) == 0 {
            NOW[1].store(tsc().wrapping_sub(AROUND), Relaxed);
            NOW[2].store(NOW[1].load(Relaxed), Relaxed);
        }
    }
}

/// The kernel is left, for a thread with these registers.
#[inline(always)]
pub fn close(registers: *const Registers) -> *const Registers {
    if cfg!(feature = "measure") {
        note(tsc().wrapping_add(AROUND));
        NOW[1].store(0, Relaxed);
    }
    registers
}

/// The core looked for an interrupt.
#[inline(always)]
pub fn looked(pending: bool) -> bool {
    if cfg!(feature = "measure") && !pending {
        note(tsc());
    }
    pending
}

fn note(now: u64) {
    let [entry, begun, opened] = NOW.each_ref().map(|word| word.load(Relaxed));
    let Some([longest, whole, sizes @ ..]) = ENTRIES.get(entry as usize).filter(|_| begun != 0) else { return };
    let length = now.wrapping_sub(opened).max(4);
    longest.fetch_max(length, Relaxed);
    whole.fetch_max(now.wrapping_sub(begun), Relaxed);
    // Four sizes to each power of two.
    let power = length.ilog2();
    let size = power.wrapping_mul(4) as usize | (length >> power.wrapping_sub(2)) as usize & 3;
    let _ = sizes.get(size.min(95)).map(|count| count.fetch_add(1, Relaxed));
    NOW[2].store(now, Relaxed);
}

/// A line in the log for each entry: its number, windows, the longest, 999 of 1000 below, the longest way from in to out.
pub fn tell() {
    for (entry, [longest, whole, sizes @ ..]) in ENTRIES.iter().enumerate() {
        let (all, mut sum) = (sizes.iter().map(|count| count.load(Relaxed)).sum::<u64>(), 0u64);
        let most = sizes.iter().position(|count| {
            sum = sum.wrapping_add(count.load(Relaxed));
            sum >= all.wrapping_sub(all / 1000)
        });
        let most = most.map_or(0, |size| (size as u64 & 3).wrapping_add(5).wrapping_shl((size / 4) as u32) / 4);
        if cfg!(feature = "measure") && all != 0 {
            log::info!("window {entry} {all} {longest:?} {most} {whole:?}");
        }
    }
}
