//! Master boot records: four entries in block 0, and a chain of blocks for
//! logical partitions.
//!
//! Layout: UEFI 2.10, section 5.2.1; logical partitions as every system since MS-DOS 3.3 has them (each link of the
//! chain holds one partition, counted from the link, and the next link, counted from the beginning of the extended
//! partition). Block numbers are in the disk's own blocks.

use crate::table::{read_blocks, u16_at, u32_at, Partition, MAX_PARTITIONS};
use abi::{Error, Result};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use scheme::block::BlockDevice;

const ENTRIES: usize = 446;
const ENTRY: usize = 16;
const PROTECTIVE: u8 = 0xee;

/// What block 0 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// No table: a file system's boot sector, or nothing.
    Nothing,
    /// The protective record before a GPT.
    Protective,
    /// A record with partitions.
    Entries,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    status: u8,
    kind: u8,
    first: u64,
    count: u64,
}

impl Entry {
    fn is_extended(self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }
    fn is_used(self) -> bool {
        self.kind != 0 && self.count != 0
    }
}

fn entries(block: &[u8]) -> [Entry; 4] {
    core::array::from_fn(|i| {
        let at = ENTRIES.saturating_add(i.saturating_mul(ENTRY));
        let byte = |inside: usize| block.get(at.saturating_add(inside)).copied().unwrap_or(0);
        let (first, count) = (u32_at(block, at.saturating_add(8)), u32_at(block, at.saturating_add(12)));
        Entry { status: byte(0), kind: byte(4), first: first.into(), count: count.into() }
    })
}

fn is_signed(block: &[u8]) -> bool {
    u16_at(block, 510) == 0xaa55
}

/// Whether this is the boot sector of a file system that fills the disk: it ends in the same signature, and its boot
/// code lies where a table would be.
fn is_boot_sector(block: &[u8]) -> bool {
    let jumps = matches!(block, [0xeb, _, 0x90, ..] | [0xe9, ..]);
    let text = |at: usize, text: &[u8]| block.get(at..).is_some_and(|rest| rest.starts_with(text));
    jumps && (text(54, b"FAT") || text(82, b"FAT") || text(3, b"NTFS") || text(3, b"EXFAT"))
}

/// Looks at block 0.
pub fn look(block: &[u8]) -> Look {
    let all = entries(block);
    if !is_signed(block) || is_boot_sector(block) || all.iter().any(|entry| entry.status & 0x7f != 0) {
        return Look::Nothing;
    }
    if all.iter().any(|entry| entry.kind == PROTECTIVE) {
        return Look::Protective;
    }
    if all.iter().any(|entry| entry.is_used()) {
        Look::Entries
    } else {
        Look::Nothing
    }
}

fn partition(number: u32, first: u64, entry: Entry) -> Partition {
    Partition { number, first, count: entry.count, kind: format!("mbr:{:02x}", entry.kind), name: String::new() }
}

/// The partitions that block 0 leads to: primary ones are 1 to 4 by their place, logical ones 5 and up. Errors: `Corrupt`
/// for a chain that leaves its extended partition, turns back or doesn't end; the device's.
pub fn read(disk: &mut dyn BlockDevice, block: &[u8]) -> Result<Vec<Partition>> {
    let mut found = Vec::new();
    let mut number = 5u32;
    for (place, entry) in (1u32..).zip(entries(block)) {
        if !entry.is_used() {
            continue;
        }
        if !entry.is_extended() {
            found.push(partition(place, entry.first, entry));
            continue;
        }
        let (start, end) = (entry.first, entry.first.saturating_add(entry.count));
        let mut link = start;
        loop {
            let block = read_blocks(disk, link, 1)?;
            if !is_signed(&block) {
                return Err(Error::Corrupt);
            }
            let [logical, next, ..] = entries(&block);
            if logical.is_used() && !logical.is_extended() {
                let first = link.saturating_add(logical.first);
                if logical.first == 0 || first.saturating_add(logical.count) > end {
                    return Err(Error::Corrupt);
                }
                found.push(partition(number, first, logical));
                number = number.saturating_add(1);
            }
            if !next.is_used() {
                break;
            }
            let target = start.saturating_add(next.first);
            // Links lie one after the other: so a chain ends, and nobody makes us walk in circles.
            if !next.is_extended() || target <= link || target >= end || found.len() >= MAX_PARTITIONS {
                return Err(Error::Corrupt);
            }
            link = target;
        }
    }
    Ok(found)
}
