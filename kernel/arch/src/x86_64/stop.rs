//! Stopping: the emulator's exit port, ACPI's sleep and reset registers, and
//! older ways to reset.
//!
//! Powering off needs the value of `SLP_TYPa` for S5, which only AML knows; `kernel/services` finds
//! it by a bounded scan of the DSDT for the `_S5_` package and hands it in. Where that fails, power
//! off is a halt with a message. References: ACPI 6.4, 4.8.3.2 (PM1 control), 4.8.3.6 (reset
//! register), 7.4.2 (`_S5`); the reset control register 0xcf9 (PIIX3, ICH9); the keyboard
//! controller's pulse command.

use super::{console, port, smp, window};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel_core::machine::Stop;

const EXIT_PORT: u16 = 0xf4;
/// The value written at a panic: exit status 2 × 62 + 1 = 125.
pub const PANIC_VALUE: u32 = 62;

/// What the ACPI tables say about stopping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopRegisters {
    /// Port of PM1a control; 0: none.
    pub pm1a_control: u16,
    /// Port of PM1b control; 0: none.
    pub pm1b_control: u16,
    /// `SLP_TYPa` and `SLP_TYPb` of S5, if they are known.
    pub sleep_type: Option<(u8, u8)>,
    /// Port and value of the reset register, if it is a port.
    pub reset: Option<(u16, u8)>,
    /// Port and value that switch ACPI mode on, where the firmware has not.
    pub enable: Option<(u16, u8)>,
}

static PM1: AtomicU64 = AtomicU64::new(0);
static RESET: AtomicU64 = AtomicU64::new(0);
static ENABLE: AtomicU64 = AtomicU64::new(0);

fn pack(pair: Option<(u16, u8)>) -> u64 {
    pair.map_or(0, |(port, value)| 1 << 32 | u64::from(port) << 8 | u64::from(value))
}

fn unpack(word: u64) -> Option<(u16, u8)> {
    (word >> 32 == 1).then_some(((word >> 8) as u16, word as u8))
}

/// Keeps what the tables say.
pub fn initialise(registers: &StopRegisters) {
    if let (Some((a, b)), true) = (registers.sleep_type, registers.pm1a_control != 0) {
        let ports = u64::from(registers.pm1a_control) | u64::from(registers.pm1b_control) << 16;
        PM1.store(ports | u64::from(a & 7) << 32 | u64::from(b & 7) << 40 | 1 << 63, Relaxed);
    }
    RESET.store(pack(registers.reset), Relaxed);
    ENABLE.store(pack(registers.enable), Relaxed);
}

/// Halts for good.
pub fn halt() -> ! {
    loop {
        x86_64::instructions::interrupts::disable();
        x86_64::instructions::hlt();
    }
}

/// Leaves the emulator with status `2 * value + 1`, if its exit device is there (it reads as 0; a
/// port with nothing behind it as all ones).
pub fn leave_emulator(value: u32) {
    if port::read(EXIT_PORT, 4) == 0 {
        port::write(EXIT_PORT, 4, value);
    }
}

fn power_off() {
    const SCI_ENABLE: u32 = 1;
    const SLEEP_ENABLE: u32 = 1 << 13;
    let word = PM1.load(Relaxed);
    if word >> 63 == 0 {
        return;
    }
    let (a, b) = (word as u16, (word >> 16) as u16);
    if let Some((command, value)) = unpack(ENABLE.load(Relaxed)).filter(|_| port::read(a, 2) & SCI_ENABLE == 0) {
        port::write(command, 1, u32::from(value));
        let _ = (0..1_000_000).any(|_| port::read(a, 2) & SCI_ENABLE != 0);
    }
    let kept = !(7 << 10 | SLEEP_ENABLE);
    let sleep = |port: u16, kind: u32| port::write(port, 2, port::read(port, 2) & kept | kind << 10 | SLEEP_ENABLE);
    sleep(a, (word >> 32) as u32 & 7);
    if b != 0 {
        sleep(b, (word >> 40) as u32 & 7);
    }
}

fn reboot() {
    const KEYBOARD_COMMAND: u16 = 0x64;
    const KEYBOARD_FULL: u32 = 2;
    const RESET_CONTROL: u16 = 0xcf9;
    if let Some((port, value)) = unpack(RESET.load(Relaxed)) {
        port::write(port, 1, u32::from(value));
        pause();
    }
    port::write(RESET_CONTROL, 1, 2);
    port::write(RESET_CONTROL, 1, 6);
    pause();
    let _ = (0..100_000).any(|_| port::read(KEYBOARD_COMMAND, 1) & KEYBOARD_FULL == 0);
    port::write(KEYBOARD_COMMAND, 1, 0xfe);
    pause();
}

/// Some milliseconds, for a reset to take hold.
fn pause() {
    for _ in 0..10_000 {
        port::read(0x80, 1);
    }
}

/// Stops the machine.
pub fn stop(how: Stop) -> ! {
    smp::halt_others();
    window::tell();
    match how {
        Stop::Exit(value) => {
            leave_emulator(value);
            power_off();
        }
        Stop::PowerOff => power_off(),
        Stop::Reboot => reboot(),
    }
    pause();
    console::write(b"The machine can be switched off now.\n");
    halt()
}
