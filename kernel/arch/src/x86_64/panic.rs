//! A defect of the kernel: say what and where, and stop.
//!
//! The first line starts with `panic: `, which is what the test harness looks for. Return addresses
//! follow (frame pointers are kept in all kernel code); `mk/symbolise` or `addr2line` names them.

use super::layout::{LARGE, STACKS};
use super::{console, smp, start, stop};
use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use kernel_core::kernel::CPUS;

static PANICKING: AtomicBool = AtomicBool::new(false);
/// The most return addresses shown.
const DEPTH: usize = 32;

struct Out;
impl Write for Out {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        console::write(text.as_bytes());
        Ok(())
    }
}

/// Shows a panic and stops the machine. The kernel binary's panic handler.
pub fn report(info: &PanicInfo) -> ! {
    x86_64::instructions::interrupts::disable();
    smp::halt_others();
    if PANICKING.swap(true, Relaxed) {
        console::write(b"panic: while panicking\n");
        die();
    }
    let _ = match info.location() {
        Some(place) => writeln!(Out, "panic: {} at {}:{}", info.message(), place.file(), place.line()),
        None => writeln!(Out, "panic: {}", info.message()),
    };
    let frame: u64;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    backtrace(frame);
    die()
}

fn die() -> ! {
    stop::leave_emulator(stop::PANIC_VALUE);
    stop::halt()
}

/// Shows the return addresses found along the frame pointers, innermost first.
pub fn backtrace(mut frame: u64) {
    let (image, end) = start::image();
    // Frames lie on the kernel's stacks: the first processor's are part of its image.
    let stacks = STACKS..STACKS.wrapping_add(LARGE.wrapping_mul(CPUS as u64));
    for depth in 0..DEPTH {
        let inside = (image..end.wrapping_sub(16)).contains(&frame) || stacks.contains(&frame);
        if !frame.is_multiple_of(8) || !inside {
            break;
        }
        // SAFETY: the two words lie in the kernel's image, or among its stacks. A guard page is the worst that can be hit
        // there, by a frame pointer that was overwritten; that ends in the double-fault report.
        let (next, address) = unsafe { (*(frame as *const u64), *((frame as *const u64).wrapping_add(1))) };
        if address < image || address >= end {
            break;
        }
        let _ = writeln!(Out, "  #{depth} {address:#x}");
        if next <= frame {
            break;
        }
        frame = next;
    }
}
