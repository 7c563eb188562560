//! The local APIC: interrupts in, the timer.
//!
//! Through its registers in memory, or through MSRs where the processor has x2APIC. References: SDM
//! 3A, chapter 11 (registers: table 11-1; timer: 11.5.4; x2APIC: 11.12).

use super::calibration::{self, Scale};
use super::layout::{ERROR_VECTOR, INTERRUPT_FIRST, SPURIOUS_VECTOR, TIMER_VECTOR};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use x86_64::registers::model_specific::Msr;

const ID: u32 = 0x20;
const TASK_PRIORITY: u32 = 0x80;
const END: u32 = 0xb0;
const SPURIOUS: u32 = 0xf0;
const REQUESTS: u32 = 0x200;
const ERROR_STATUS: u32 = 0x280;
const COMMAND: u32 = 0x300;
const COMMAND_TO: u32 = 0x310;
const SENDING: u32 = 1 << 12;
/// Bits of [`send`]'s command: an edge that is asserted; INIT; start at a page (its number in the low byte); NMI; to all
/// processors but this one.
pub const ASSERT: u32 = 1 << 14;
/// See [`ASSERT`].
pub const INIT: u32 = 5 << 8;
/// See [`ASSERT`].
pub const START: u32 = 6 << 8;
/// See [`ASSERT`].
pub const NMI: u32 = 4 << 8;
/// See [`ASSERT`].
pub const OTHERS: u32 = 3 << 18;
const CORRECTED: u32 = 0x2f0;
const TIMER: u32 = 0x320;
const THERMAL: u32 = 0x330;
const PERFORMANCE: u32 = 0x340;
const LINE_0: u32 = 0x350;
const LINE_1: u32 = 0x360;
const ERROR: u32 = 0x370;
const INITIAL: u32 = 0x380;
const CURRENT: u32 = 0x390;
const DIVIDE: u32 = 0x3e0;

const MASKED: u32 = 1 << 16;
const SOFTWARE_ENABLE: u32 = 1 << 8;
/// Timer clock divided by 16.
const DIVIDE_16: u32 = 3;
const BASE_MSR: u32 = 0x1b;
const BASE_ENABLE: u64 = 1 << 11;
const BASE_X2: u64 = 1 << 10;
const X2_MSRS: u32 = 0x800;

/// Where the registers are seen; 0: x2APIC.
static REGISTERS: AtomicU64 = AtomicU64::new(0);
/// Timer ticks in a nanosecond, as [`Scale`].
static TIMER_SCALE: AtomicU64 = AtomicU64::new(0);
/// Which of the eight words of request bits can have any: one bit a word.
static USED: AtomicU32 = AtomicU32::new(1 << (TIMER_VECTOR / 32));

fn read(register: u32) -> u32 {
    let base = REGISTERS.load(Relaxed);
    // SAFETY: `base` is the mapping of the local APIC's page, made at boot for good, or the MSRs exist
    // because `initialise` turned x2APIC on. Reading has no side effect on memory.
    unsafe {
        if base != 0 {
            core::ptr::read_volatile(base.wrapping_add(u64::from(register)) as *const u32)
        } else {
            Msr::new(X2_MSRS.wrapping_add(register >> 4)).read() as u32
        }
    }
}

fn write(register: u32, value: u32) {
    let base = REGISTERS.load(Relaxed);
    // SAFETY: as for `read`; the APIC does what its registers say and touches no memory.
    unsafe {
        if base != 0 {
            core::ptr::write_volatile(base.wrapping_add(u64::from(register)) as *mut u32, value);
        } else {
            Msr::new(X2_MSRS.wrapping_add(register >> 4)).write(u64::from(value));
        }
    }
}


/// Turns this processor's APIC on with every source masked. `registers`: its mapping, `None` for x2APIC.
pub fn initialise(registers: Option<u64>) {
    let mut base = Msr::new(BASE_MSR);
    // SAFETY: enabling keeps the address; x2APIC was found in CPUID by the caller.
    unsafe {
        let word = base.read() | BASE_ENABLE;
        base.write(if registers.is_some() { word } else { word | BASE_X2 });
    }
    REGISTERS.store(registers.unwrap_or(0), Relaxed);
    write(SPURIOUS, SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR));
    write(TASK_PRIORITY, 0);
    for line in [CORRECTED, THERMAL, PERFORMANCE, LINE_0] {
        // Lines that an APIC does not have ignore the write; in x2APIC mode a write to one would fault,
        // and the last of them, CMCI, is not everywhere.
        if registers.is_some() || line != CORRECTED {
            write(line, MASKED);
        }
    }
    write(LINE_1, NMI);
    write(ERROR_STATUS, 0);
    write(ERROR, u32::from(ERROR_VECTOR));
    write(DIVIDE, DIVIDE_16);
    write(TIMER, MASKED | u32::from(TIMER_VECTOR));
    write(INITIAL, 0);
    super::per_cpu::this().apic_id.store(id(), Relaxed);
}

/// The same on a processor after the first, with the timer's rate known.
pub fn initialise_another() {
    initialise(Some(REGISTERS.load(Relaxed)).filter(|registers| *registers != 0));
    write(TIMER, u32::from(TIMER_VECTOR));
}

/// Sends to the processor with an APIC id, or with [`OTHERS`] to all but this one: `command` is the low half of the
/// interrupt command (SDM 3A, 11.6.1). An id that the APIC can't send to is left alone.
pub fn send(id: u32, command: u32) {
    if REGISTERS.load(Relaxed) == 0 {
        // SAFETY: x2APIC is on. Writes to its registers overtake stores: the fence keeps what is asked before the asking.
        unsafe {
            core::arch::asm!("mfence", "lfence", options(nostack, preserves_flags));
            Msr::new(X2_MSRS.wrapping_add(COMMAND >> 4)).write(u64::from(id) << 32 | u64::from(command));
        }
    } else if id < 0xff {
        while read(COMMAND) & SENDING != 0 {
            core::hint::spin_loop();
        }
        write(COMMAND_TO, id << 24);
        write(COMMAND, command);
    }
}

/// This processor's APIC id.
pub fn id() -> u32 {
    let word = read(ID);
    if REGISTERS.load(Relaxed) != 0 {
        word >> 24
    } else {
        word
    }
}

/// The boot processor's APIC id: interrupts go there.
pub fn boot_id() -> u32 {
    super::per_cpu::block(0).apic_id.load(Relaxed)
}

/// Lets the counter run from its highest value, for calibration.
pub fn run_free() {
    write(INITIAL, u32::MAX);
}

/// Ticks since [`run_free`].
pub fn ticks() -> u64 {
    u64::from(u32::MAX.wrapping_sub(read(CURRENT)))
}

/// Ends calibration: the timer's rate is known, and it may interrupt.
pub fn set_rate(hz: u64) {
    write(INITIAL, 0);
    TIMER_SCALE.store(Scale::from_ns(hz).0, Relaxed);
    write(TIMER, u32::from(TIMER_VECTOR));
}

/// One interrupt in `ns` nanoseconds, or as late as the counter reaches; `None`: none.
pub fn shoot(ns: Option<u64>) {
    write(INITIAL, ns.map_or(0, |ns| calibration::shot(Scale(TIMER_SCALE.load(Relaxed)), ns)));
}

/// Acknowledges the interrupt being served.
pub fn end_of_interrupt() {
    write(END, 0);
}

/// The APIC's own error, for the log.
pub fn error() -> u32 {
    write(ERROR_STATUS, 0);
    read(ERROR_STATUS)
}

/// Interrupt id `id` may come from now on.
pub fn expect(id: usize) {
    let vector = usize::from(INTERRUPT_FIRST).wrapping_add(id);
    USED.fetch_or(1u32.wrapping_shl((vector / 32) as u32), Relaxed);
}

/// Whether an interrupt has arrived that was not taken yet: any request bit of a vector in use.
pub fn request_pending() -> bool {
    let mut used = USED.load(Relaxed);
    while used != 0 {
        let word = used.trailing_zeros();
        if read(REQUESTS.wrapping_add(word.wrapping_mul(16))) != 0 {
            return true;
        }
        used &= used.wrapping_sub(1);
    }
    false
}
