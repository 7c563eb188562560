//! The MADT: interrupt controllers and processors (ACPI 6.4, 5.2.12).

use super::table::Table;

/// The most I/O APICs kept.
pub const IO_APICS: usize = 8;

/// One I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct IoApic {
    /// Physical address of its registers.
    pub address: u64,
    /// The first line (GSI) it serves.
    pub first_line: u32,
}

/// What the MADT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Controllers {
    /// Physical address of the local APICs' registers.
    pub local_apic: u64,
    /// The I/O APICs; the first `io_apic_count` are used.
    pub io_apics: [IoApic; IO_APICS],
    /// How many there are.
    pub io_apic_count: usize,
    /// Processors that are enabled.
    pub processors: u32,
    /// Whether there are the two old 8259 controllers as well, to be masked.
    pub has_8259: bool,
}

impl Controllers {
    /// The I/O APICs.
    pub fn io_apics(&self) -> &[IoApic] {
        self.io_apics.get(..self.io_apic_count).unwrap_or(&[])
    }
}

const ENABLED: u64 = 1;

/// Reads a MADT. Entries that run past its end, or are too short for what they say they are, are left out.
pub fn read(table: &Table) -> Controllers {
    let mut controllers = Controllers {
        local_apic: table.number(36, 4).unwrap_or(0),
        has_8259: table.number(40, 4).unwrap_or(0) & 1 != 0,
        ..Controllers::default()
    };
    let mut at = 44u64;
    while let (Some(kind), Some(length)) = (table.number(at, 1), table.number(at.saturating_add(1), 1)) {
        let end = at.saturating_add(length);
        if length < 2 || end > table.length() {
            break;
        }
        let field = |offset: u64, width: u64| {
            let start = at.saturating_add(offset);
            (start.saturating_add(width) <= end).then(|| table.number(start, width)).flatten()
        };
        match kind {
            // A processor's local APIC, and one with a wide id.
            0 if field(4, 4).is_some_and(|flags| flags & ENABLED != 0) => controllers.add_processor(),
            9 if field(8, 4).is_some_and(|flags| flags & ENABLED != 0) => controllers.add_processor(),
            1 => {
                if let (Some(address), Some(first)) = (field(4, 4), field(8, 4)) {
                    let io_apic = IoApic { address, first_line: first as u32 };
                    if let Some(slot) = controllers.io_apics.get_mut(controllers.io_apic_count) {
                        *slot = io_apic;
                        controllers.io_apic_count = controllers.io_apic_count.saturating_add(1);
                    }
                }
            }
            // The local APICs stand elsewhere, past 4 GiB perhaps.
            5 => controllers.local_apic = field(4, 8).unwrap_or(controllers.local_apic),
            _ => {}
        }
        at = end;
    }
    controllers
}

impl Controllers {
    fn add_processor(&mut self) {
        self.processors = self.processors.saturating_add(1);
    }
}
