//! The clock: the time-stamp counter, its rate measured at boot.
//!
//! Measured against the HPET, else the ACPI PM timer, else channel 2 of the PIT: five milliseconds. The
//! local APIC's timer is measured in the same window. A time-stamp counter that changes its rate
//! would make this clock wrong; processors since 2008 don't, and the log says where CPUID does not
//! promise it. References: IA-PC HPET 1.0a; ACPI 6.4, 4.8.3.3; 8254 datasheet.

use super::calibration::{elapsed, frequency, Scale};
use super::{apic, port};
use core::arch::x86_64::_rdtsc;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

static START: AtomicU64 = AtomicU64::new(0);
static SCALE: AtomicU64 = AtomicU64::new(1 << 32);
static HZ: AtomicU64 = AtomicU64::new(0);

/// What the counters are measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The HPET's registers are seen here.
    Hpet(u64),
    /// The PM timer's port, and its width in bits.
    PmTimer(u16, u32),
    /// Channel 2 of the PIT: counts down 16 bits.
    Pit,
}

/// The measurement gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRate;

/// Window, as a part of a second: 1 / 200.
const WINDOW: u64 = 200;
/// Readings before a reference that does not move is given up.
const PATIENCE: u32 = 100_000_000;
const PIT_HZ: u64 = 1_193_182;
const PM_HZ: u64 = 3_579_545;

/// The time-stamp counter.
#[inline(always)]
pub fn tsc() -> u64 {
    // SAFETY: reads a counter.
    unsafe { _rdtsc() }
}

fn hpet(registers: u64, offset: u64) -> *mut u32 {
    registers.wrapping_add(offset) as *mut u32
}

impl Reference {
    /// Starts it; answers its rate and its width in bits.
    fn start(self) -> (u64, u32) {
        match self {
            Reference::Hpet(registers) => {
                const FEMTOSECONDS: u64 = 1_000_000_000_000_000;
                // SAFETY: the mapping of the HPET's page, made at boot. Offset 4: the period; 0x10: bit 0
                // lets the main counter run.
                unsafe {
                    let period = hpet(registers, 4).read_volatile();
                    let control = hpet(registers, 0x10).read_volatile();
                    hpet(registers, 0x10).write_volatile(control | 1);
                    (FEMTOSECONDS.checked_div(u64::from(period)).unwrap_or(0), 32)
                }
            }
            Reference::PmTimer(_, bits) => (PM_HZ, bits),
            Reference::Pit => {
                // Speaker off, gate on; mode 0 from the highest count.
                port::write(0x61, 1, port::read(0x61, 1) & 0xfc | 1);
                port::write(0x43, 1, 0xb0);
                port::write(0x42, 1, 0xff);
                port::write(0x42, 1, 0xff);
                (PIT_HZ, 16)
            }
        }
    }

    fn read(self) -> u64 {
        match self {
            // SAFETY: as in `start`; 0xf0: the low half of the main counter.
            Reference::Hpet(registers) => u64::from(unsafe { hpet(registers, 0xf0).read_volatile() }),
            Reference::PmTimer(at, _) => u64::from(port::read(at, 4)),
            Reference::Pit => {
                port::write(0x43, 1, 0x80);
                let low = port::read(0x42, 1);
                let high = port::read(0x42, 1);
                // It counts down.
                u64::from(0xffffu32.wrapping_sub(low | high << 8))
            }
        }
    }
}

/// A reading of the reference and of the time-stamp counter at the same time: the best of a few, since a
/// hypervisor may take its time with any one.
fn pair(reference: Reference) -> (u64, u64, u64) {
    let mut best = (u64::MAX, 0, 0, 0);
    for _ in 0..4 {
        let before = tsc();
        let value = reference.read();
        let ticks = apic::ticks();
        let after = tsc();
        let width = after.wrapping_sub(before);
        if width < best.0 {
            best = (width, value, before.wrapping_add(width / 2), ticks);
        }
    }
    (best.1, best.2, best.3)
}

/// Measures the rates of the time-stamp counter and of the local APIC's timer, and starts the clock.
/// Errors: the reference does not move, or the rates are absurd.
pub fn initialise(reference: Reference) -> Result<(u64, u64), NoRate> {
    let (reference_hz, bits) = reference.start();
    let window = reference_hz / WINDOW;
    apic::run_free();
    let (value, start, ticks) = pair(reference);
    let passed = (0..PATIENCE).any(|_| elapsed(value, reference.read(), bits) >= window);
    let (last, end, last_ticks) = pair(reference);
    let span = elapsed(value, last, bits);
    if !passed {
        return Err(NoRate);
    }
    let hz = frequency(end.wrapping_sub(start), span, reference_hz).ok_or(NoRate)?;
    let timer_hz = frequency(last_ticks.wrapping_sub(ticks), span, reference_hz).ok_or(NoRate)?;
    HZ.store(hz, Relaxed);
    SCALE.store(Scale::to_ns(hz).0, Relaxed);
    START.store(super::start::entry_tsc(), Relaxed);
    apic::set_rate(timer_hz);
    Ok((hz, timer_hz))
}

/// Nanoseconds since the kernel's first instruction; before the clock runs, ticks.
#[inline(always)]
pub fn now_ns() -> u64 {
    Scale(SCALE.load(Relaxed)).apply(tsc().wrapping_sub(START.load(Relaxed)))
}

/// Time-stamp ticks in a second.
pub fn hz() -> u64 {
    HZ.load(Relaxed)
}
