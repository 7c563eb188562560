//! Interrupt lines: the I/O APICs, and the two old controllers put to sleep.
//!
//! References: 82093AA (I/O APIC) datasheet, 3.2; 8259A datasheet. All interrupts go to the boot
//! processor.

use super::layout::{INTERRUPT_FIRST, PIC_FIRST};
use super::{apic, port};
use spin::Mutex;

/// The most I/O APICs used.
pub const IO_APICS: usize = 8;

/// One I/O APIC.
#[derive(Clone, Copy, Debug, Default)]
pub struct IoApic {
    /// Where its registers are seen.
    pub registers: u64,
    /// The first line it serves.
    pub first_line: u32,
    /// Lines it serves.
    pub lines: u32,
}

static ALL: Mutex<[IoApic; IO_APICS]> = Mutex::new([IoApic { registers: 0, first_line: 0, lines: 0 }; IO_APICS]);

const VERSION: u32 = 1;
const TABLE: u32 = 0x10;
const MASKED: u32 = 1 << 16;
const LEVEL: u32 = 1 << 15;
const ACTIVE_LOW: u32 = 1 << 13;

impl IoApic {
    fn read(&self, register: u32) -> u32 {
        // SAFETY: `registers` is the mapping of an I/O APIC made at boot: a select register at 0, a
        // window at 0x10. The lock around the table keeps the two accesses together.
        unsafe {
            core::ptr::write_volatile(self.registers as *mut u32, register);
            core::ptr::read_volatile(self.registers.wrapping_add(0x10) as *const u32)
        }
    }

    fn write(&self, register: u32, value: u32) {
        // SAFETY: as for `read`.
        unsafe {
            core::ptr::write_volatile(self.registers as *mut u32, register);
            core::ptr::write_volatile(self.registers.wrapping_add(0x10) as *mut u32, value);
        }
    }

    /// The register of a line's low half, if the line is this one's.
    fn entry(&self, line: u32) -> Option<u32> {
        let offset = line.checked_sub(self.first_line).filter(|offset| *offset < self.lines)?;
        Some(TABLE.wrapping_add(offset.wrapping_mul(2)))
    }
}

/// Takes an I/O APIC into use, every line masked. `false`: there are too many.
pub fn add(registers: u64, first_line: u32) -> bool {
    let mut all = ALL.lock();
    let Some(slot) = all.iter_mut().find(|slot| slot.registers == 0) else { return false };
    slot.registers = registers;
    slot.first_line = first_line;
    slot.lines = (slot.read(VERSION) >> 16 & 0xff).wrapping_add(1);
    for line in 0..slot.lines {
        slot.write(TABLE.wrapping_add(line.wrapping_mul(2)), MASKED);
    }
    true
}

/// Routes a line to interrupt id `id`, masked.
pub fn route(line: u32, id: usize, level: bool, active_low: bool) -> bool {
    let all = ALL.lock();
    let Some((io_apic, entry)) = all.iter().find_map(|io| io.entry(line).map(|entry| (io, entry))) else { return false };
    let vector = u32::from(INTERRUPT_FIRST).wrapping_add(id as u32);
    let bits = MASKED | if level { LEVEL } else { 0 } | if active_low { ACTIVE_LOW } else { 0 };
    io_apic.write(entry, MASKED);
    io_apic.write(entry.wrapping_add(1), apic::boot_id() << 24);
    io_apic.write(entry, bits | vector);
    apic::expect(id);
    true
}

/// Masks or unmasks a line; a line that no controller has is left alone.
pub fn mask(line: u32, masked: bool) {
    let all = ALL.lock();
    if let Some((io_apic, entry)) = all.iter().find_map(|io| io.entry(line).map(|entry| (io, entry))) {
        let bits = io_apic.read(entry) & !MASKED;
        io_apic.write(entry, if masked { bits | MASKED } else { bits });
    }
}

/// Moves the two 8259 controllers to vectors of their own and masks them. They can still send a
/// spurious interrupt, which nobody hears.
pub fn silence_8259() {
    for (port, values) in [(0x20u16, [0x11, PIC_FIRST, 4, 1]), (0xa0, [0x11, PIC_FIRST.wrapping_add(8), 2, 1])] {
        let mut at = port;
        for value in values {
            port::write(at, 1, u32::from(value));
            // A write to a port that nothing listens to gives the old chip time.
            port::write(0x80, 1, 0);
            at = port.wrapping_add(1);
        }
        port::write(port.wrapping_add(1), 1, 0xff);
    }
}
