//! The MADT: interrupt controllers and processors (ACPI 6.4, 5.2.12).

use super::table::Table;

/// The most I/O APICs kept.
pub const IO_APICS: usize = 8;

/// The most processors kept.
pub const PROCESSORS: usize = 64;

/// One I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct IoApic {
    /// Physical address of its registers.
    pub address: u64,
    /// The first line (GSI) it serves.
    pub first_line: u32,
}

/// What the MADT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controllers {
    /// Physical address of the local APICs' registers.
    pub local_apic: u64,
    /// The I/O APICs; the first `io_apic_count` are used.
    pub io_apics: [IoApic; IO_APICS],
    /// How many there are.
    pub io_apic_count: usize,
    /// Processors that are enabled; more than [`PROCESSORS`] are not counted.
    pub processors: u32,
    /// Their local APICs' ids; the first `processors` are used.
    pub processor_ids: [u32; PROCESSORS],
    /// Whether there are the two old 8259 controllers as well, to be masked.
    pub has_8259: bool,
}

impl Default for Controllers {
    fn default() -> Controllers {
        Controllers {
            local_apic: 0,
            io_apics: [IoApic::default(); IO_APICS],
            io_apic_count: 0,
            processors: 0,
            processor_ids: [0; PROCESSORS],
            has_8259: false,
        }
    }
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
            0 if field(4, 4).is_some_and(|flags| flags & ENABLED != 0) => controllers.add_processor(field(3, 1)),
            9 if field(8, 4).is_some_and(|flags| flags & ENABLED != 0) => controllers.add_processor(field(4, 4)),
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
    /// Notes a processor, once: one with a small id may be told of in both ways.
    fn add_processor(&mut self, id: Option<u64>) {
        let (known, free) = self.processor_ids.split_at_mut(self.processors as usize);
        let Some(id) = id.map(|id| id as u32).filter(|id| !known.contains(id)) else { return };
        if let Some(place) = free.first_mut() {
            *place = id;
            self.processors = self.processors.saturating_add(1);
        }
    }
}
