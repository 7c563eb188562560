//! What a disk's partition table says, whatever its kind.
//!
//! A disk without a table is partition 0, whole. One whose table contradicts itself is an error: what can't be trusted
//! is not served, and nothing is guessed.

use crate::{gpt, mbr};
use abi::{Error, Result};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use scheme::block::{BlockDevice, BlockInfo};

/// The most partitions of one disk.
pub const MAX_PARTITIONS: usize = 256;

/// The kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// None: the disk is one file system, or empty.
    None,
    /// A master boot record.
    Mbr,
    /// GUID partition table.
    Gpt,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number: from 1 as the table numbers them; 0 for a disk without a table.
    pub number: u32,
    /// Its first block.
    pub first: u64,
    /// Its blocks.
    pub count: u64,
    /// Its type: `mbr:0c`, `gpt:` and a GUID, or `whole`.
    pub kind: String,
    /// Its name, where the table gives one.
    pub name: String,
}

/// A checked table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its kind.
    pub kind: TableKind,
    /// Its partitions, by number; each inside the disk, no two sharing a block.
    pub partitions: Vec<Partition>,
}

/// Reads whole blocks. Errors: `Corrupt` past the end of the disk, the device's.
pub(crate) fn read_blocks(disk: &mut dyn BlockDevice, first: u64, count: u64) -> Result<Vec<u8>> {
    let info = disk.info();
    let end = first.checked_add(count).ok_or(Error::Corrupt)?;
    if end > info.block_count {
        return Err(Error::Corrupt);
    }
    let size = u64::from(info.block_size);
    let length = usize::try_from(count.saturating_mul(size)).map_err(|_| Error::Corrupt)?;
    let mut bytes = alloc::vec![0; length];
    disk.read(first.saturating_mul(size), &mut bytes)?;
    Ok(bytes)
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_le_bytes(*b))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
}

impl Table {
    /// Reads and checks a disk's table. Errors: `Corrupt`, the device's.
    pub fn read(disk: &mut dyn BlockDevice) -> Result<Table> {
        let info = disk.info();
        if info.block_count == 0 {
            return Ok(Table::whole(&info));
        }
        let first = read_blocks(disk, 0, 1)?;
        let table = match mbr::look(&first) {
            mbr::Look::Nothing => return Ok(Table::whole(&info)),
            mbr::Look::Protective => Table { kind: TableKind::Gpt, partitions: gpt::read(disk)? },
            mbr::Look::Entries => Table { kind: TableKind::Mbr, partitions: mbr::read(disk, &first)? },
        };
        table.check(&info)
    }

    /// The table of a disk that has none.
    pub fn whole(info: &BlockInfo) -> Table {
        let kind = "whole".into();
        let whole = Partition { number: 0, first: 0, count: info.block_count, kind, name: String::new() };
        Table { kind: TableKind::None, partitions: alloc::vec![whole] }
    }

    /// Every partition inside the disk, none sharing a block with another. Errors: `Corrupt`.
    fn check(mut self, info: &BlockInfo) -> Result<Table> {
        self.partitions.sort_by_key(|partition| partition.first);
        let mut free_from = 1u64;
        for partition in &self.partitions {
            let end = partition.first.checked_add(partition.count).ok_or(Error::Corrupt)?;
            if partition.first < free_from || partition.count == 0 || end > info.block_count {
                return Err(Error::Corrupt);
            }
            free_from = end;
        }
        self.partitions.sort_by_key(|partition| partition.number);
        Ok(self)
    }

    /// The partition with this number.
    pub fn get(&self, number: u32) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.number == number)
    }

    /// One line a partition: number, first block, blocks, type, name.
    pub fn to_text(&self) -> String {
        let line = |p: &Partition| format!("{} {} {} {} {}\n", p.number, p.first, p.count, p.kind, p.name);
        self.partitions.iter().map(line).collect()
    }
}
