//! The early console: the emulator's debug port, and COM1 until a driver takes
//! it.
//!
//! Port 0xe9 is Bochs' debug console, which QEMU has as `isa-debugcon`: reading it answers 0xe9. The
//! log always goes there when it is there; to COM1 unless `quiet` was asked for, until
//! [`release`]. Writing never blocks for long: a serial port that takes nothing is given up.

use super::port;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use spin::Mutex;
use uart_16550::backend::PioBackend;
use uart_16550::{BaudRate, Config, Uart16550};

const DEBUG_PORT: u16 = 0xe9;
const COM1: u16 = 0x3f8;
/// How often the port is asked whether it takes a byte: some ten milliseconds, ten times what a byte needs at 9600 baud.
const PATIENCE: u32 = 20_000;

static DEBUG: AtomicBool = AtomicBool::new(false);
static SERIAL: Mutex<Option<Uart16550<PioBackend>>> = Mutex::new(None);

/// Looks for both ports. `quiet`: leave COM1 alone.
pub fn initialise(quiet: bool) {
    DEBUG.store(port::read(DEBUG_PORT, 1) == u32::from(DEBUG_PORT), Relaxed);
    if quiet {
        return;
    }
    // SAFETY: COM1 is the kernel's until `release`; the crate touches its eight ports alone.
    let uart = unsafe { Uart16550::new_port(COM1) };
    let Ok(mut uart) = uart else { return };
    if uart.init(Config { baud_rate: BaudRate::Baud115200, ..Config::DEFAULT }).is_ok() {
        *SERIAL.lock() = Some(uart);
    }
}

/// Shows bytes. Lines end in `\n`; COM1 gets a carriage return before it.
pub fn write(bytes: &[u8]) {
    if DEBUG.load(Relaxed) {
        for byte in bytes {
            port::write(DEBUG_PORT, 1, u32::from(*byte));
        }
    }
    // A panic while the port is held must not wait for itself.
    let Some(mut serial) = SERIAL.try_lock() else { return };
    let Some(uart) = serial.as_mut() else { return };
    let mut alive = true;
    for byte in bytes {
        if *byte == b'\n' {
            alive = alive && send(uart, b'\r');
        }
        alive = alive && send(uart, *byte);
    }
    if !alive {
        *serial = None;
    }
}

fn send(uart: &mut Uart16550<PioBackend>, byte: u8) -> bool {
    (0..PATIENCE).any(|_| uart.try_send_byte(byte).is_ok())
}

/// Leaves COM1 to its driver. The debug port goes on.
pub fn release() {
    *SERIAL.lock() = None;
}
