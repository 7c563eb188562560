//! I/O ports of 1, 2 and 4 bytes.
//!
//! Authority was checked by the core (`IoPorts`), or the port is one that the kernel itself owns.

use x86_64::instructions::port::Port;

/// Reads 1, 2 or 4 bytes; other widths read as all ones, like a port with nothing behind it.
pub fn read(port: u16, width: u8) -> u32 {
    // SAFETY: an I/O read can't touch memory; what a device makes of it is its driver's business,
    // and the driver was given the port.
    unsafe {
        match width {
            1 => u32::from(Port::<u8>::new(port).read()),
            2 => u32::from(Port::<u16>::new(port).read()),
            4 => Port::<u32>::new(port).read(),
            _ => u32::MAX,
        }
    }
}

/// Writes 1, 2 or 4 bytes; other widths write nothing.
pub fn write(port: u16, width: u8, value: u32) {
    // SAFETY: as for `read`; a device that does DMA at a port's word is trusted as its driver is.
    unsafe {
        match width {
            1 => Port::<u8>::new(port).write(value as u8),
            2 => Port::<u16>::new(port).write(value as u16),
            4 => Port::<u32>::new(port).write(value),
            _ => {}
        }
    }
}
