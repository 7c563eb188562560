//! Physical memory before the final page tables: the first 4 GiB, mapped one
//! to one.
//!
//! Both starts leave that mapping in place; [`super::kernel_space`] ends it. Used for the start
//! information and the ACPI tables.

use super::console;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Bytes that are mapped one to one at the start.
pub const MAPPED: u64 = 4 << 30;

static OVER: AtomicBool = AtomicBool::new(false);

/// The one-to-one mapping is gone: [`read`] refuses from now on.
pub fn end() {
    OVER.store(true, Relaxed);
}

/// Reads physical memory; `false` where it is not mapped, and once the final page tables are on.
pub fn read(address: u64, out: &mut [u8]) -> bool {
    let last = address.checked_add(out.len() as u64);
    if OVER.load(Relaxed) || address == 0 || last.is_none_or(|end| end > MAPPED) {
        return false;
    }
    for (i, byte) in out.iter_mut().enumerate() {
        // SAFETY: 1. the range lies in the first 4 GiB, which are mapped one to one until `end` was
        // called; 2. `out` is kernel memory, mapped elsewhere; 3. reading is volatile, byte by byte, so
        // nothing is assumed about what lies there.
        *byte = unsafe { core::ptr::read_volatile((address as *const u8).wrapping_add(i)) };
    }
    true
}

/// Says why the machine can't start, and halts.
pub fn refuse(why: &str) -> ! {
    console::initialise(false);
    console::write(b"panic: ");
    console::write(why.as_bytes());
    console::write(b"\n");
    super::stop::halt()
}
