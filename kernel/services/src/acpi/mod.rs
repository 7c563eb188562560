//! The few things the kernel reads from the firmware's ACPI tables.
//!
//! The interrupt controllers (MADT), a timer to calibrate against (HPET, the PM timer of the FADT), and
//! how to stop (FADT, and `_S5_` from the DSDT). All else of ACPI is read in user mode. The crate
//! `acpi` is not used here: `docs/decisions/0009-acpi-in-the-kernel.md`.
//!
//! Nothing read is trusted further than it reaches: every table has its length checked against
//! [`table::LARGEST`] and its checksum verified; a table that fails is as good as absent, and says so.
//! References: ACPI 6.4, 5.2.5 (RSDP), 5.2.9 (FADT), 5.2.12 (MADT); IA-PC HPET 1.0a, 3.2.4.

pub mod fadt;
pub mod madt;
pub mod sleep;
pub mod table;

use fadt::Fixed;
use madt::Controllers;
use table::{Read, Table};

/// What the tables say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tables {
    /// The interrupt controllers and processors.
    pub controllers: Controllers,
    /// Physical address of the HPET's registers.
    pub hpet: Option<u64>,
    /// Ports of the fixed hardware.
    pub fixed: Fixed,
    /// `SLP_TYPa` and `SLP_TYPb` of S5.
    pub sleep_type: Option<(u8, u8)>,
    /// Physical address of the root table.
    pub root: u64,
    /// First and one past the last byte of the tables reached from the root table, itself included.
    pub range: (u64, u64),
}

/// There are no usable tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTables;

/// The most tables looked at.
const TABLES: u64 = 128;

/// Follows the root pointer. Errors: the root pointer or the root table is not well formed, or
/// there is no MADT.
pub fn read(read: Read, rsdp: u64) -> Result<Tables, NoTables> {
    let mut pointer = [0; 36];
    if rsdp == 0 || !read(rsdp, &mut pointer) || !pointer.starts_with(b"RSD PTR ") {
        return Err(NoTables);
    }
    // Revision 0 has 20 bytes and a 32-bit root table; from 2 on there are 36 and a 64-bit one.
    let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    if sum(pointer.get(..20).unwrap_or(&[])) != 0 {
        return Err(NoTables);
    }
    let number = |at: usize, length: usize| {
        let bytes = pointer.get(at..at.saturating_add(length)).unwrap_or(&[]);
        bytes.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte))
    };
    let extended = number(15, 1) >= 2 && sum(&pointer) == 0 && number(24, 8) != 0;
    let (root, width) = if extended { (number(24, 8), 8) } else { (number(16, 4), 4) };
    let signature = if width == 8 { b"XSDT" } else { b"RSDT" };
    let root = Table::open(read, root).filter(|table| table.signature() == *signature).ok_or(NoTables)?;

    let mut tables = Tables { root: root.range().0, range: root.range(), ..Tables::default() };
    let mut found = false;
    let entries = root.length().saturating_sub(table::HEADER).checked_div(width).unwrap_or(0).min(TABLES);
    for i in 0..entries {
        let Some(address) = root.number(table::HEADER.saturating_add(i.saturating_mul(width)), width) else { break };
        let Some(table) = Table::open(read, address) else {
            log::warn!("the ACPI table at {address:#x} is damaged or out of reach");
            continue;
        };
        tables.cover(&table);
        match &table.signature() {
            b"APIC" => {
                tables.controllers = madt::read(&table);
                found = true;
            }
            b"HPET" => tables.hpet = hpet(&table),
            b"FACP" => {
                tables.fixed = fadt::read(&table);
                if let Some(dsdt) = Table::open(read, tables.fixed.dsdt).filter(|t| t.signature() == *b"DSDT") {
                    tables.cover(&dsdt);
                    tables.sleep_type = sleep::find(&dsdt);
                }
            }
            _ => {}
        }
    }
    found.then_some(tables).ok_or(NoTables)
}

impl Tables {
    fn cover(&mut self, table: &Table) {
        let (start, end) = table.range();
        self.range = (self.range.0.min(start), self.range.1.max(end));
    }
}

/// The registers of the HPET: a generic address at offset 40 whose space must be memory (0).
fn hpet(table: &Table) -> Option<u64> {
    let (space, address) = (table.number(40, 1)?, table.number(44, 8)?);
    (space == 0 && address != 0).then_some(address)
}

#[cfg(test)]
mod tests;
