//! GUID partition tables: UEFI 2.10, section 5.3.
//!
//! The header in block 1 counts if its checksum, its place and its entries' checksum are right; else the backup in the
//! last block; else the table is corrupt.

use crate::crc32;
use crate::table::{read_blocks, u32_at, u64_at, Partition, MAX_PARTITIONS};
use abi::{Error, Result};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use scheme::block::BlockDevice;

const SIGNATURE: &[u8] = b"EFI PART";
const HEADER: usize = 92;
/// The most bytes of entries read.
const MAX_ENTRIES: u64 = 256 * 1024;

/// The partitions of a disk with a protective record. Errors: `Corrupt` when neither header is good; the device's.
pub fn read(disk: &mut dyn BlockDevice) -> Result<Vec<Partition>> {
    let last = disk.info().block_count.saturating_sub(1);
    match read_at(disk, 1, last) {
        Err(Error::Corrupt) => {
            let backup = read_at(disk, last, 1)?;
            log::warn!("the partition table is damaged; its backup is used");
            Ok(backup)
        }
        other => other,
    }
}

fn read_at(disk: &mut dyn BlockDevice, place: u64, other: u64) -> Result<Vec<Partition>> {
    let block = read_blocks(disk, place, 1)?;
    let size = u32_at(&block, 12) as usize;
    let header = block.get(..size).filter(|header| header.len() >= HEADER).ok_or(Error::Corrupt)?;
    let before = crc32::update(!0, header.get(..16).ok_or(Error::Corrupt)?);
    // The checksum is made with its own field zero.
    let crc = !crc32::update(crc32::update(before, &[0; 4]), header.get(20..).ok_or(Error::Corrupt)?);
    let is_good = header.starts_with(SIGNATURE)
        && u32_at(header, 8) >> 16 == 1
        && u32_at(header, 16) == crc
        && u64_at(header, 24) == place;
    if !is_good {
        return Err(Error::Corrupt);
    }
    let (first_usable, last_usable) = (u64_at(header, 40), u64_at(header, 48));
    if first_usable > last_usable || last_usable > place.max(other) {
        return Err(Error::Corrupt);
    }
    let (start, count, entry) = (u64_at(header, 72), u32_at(header, 80), u32_at(header, 84));
    let bytes = u64::from(count).saturating_mul(u64::from(entry));
    let entry_is_good = (128..=4096).contains(&entry) && entry.is_power_of_two();
    if !entry_is_good || bytes == 0 || bytes > MAX_ENTRIES || start < 2 {
        return Err(Error::Corrupt);
    }
    let blocks = bytes.div_ceil(u64::from(disk.info().block_size));
    let entries = read_blocks(disk, start, blocks)?;
    let entries = entries.get(..bytes as usize).ok_or(Error::Corrupt)?;
    if crc32::checksum(entries) != u32_at(header, 88) {
        return Err(Error::Corrupt);
    }
    let mut found = Vec::new();
    for (number, bytes) in (1u32..).zip(entries.chunks_exact(entry as usize)) {
        let kind = bytes.first_chunk::<16>().ok_or(Error::Corrupt)?;
        if *kind == [0; 16] {
            continue;
        }
        let (first, last) = (u64_at(bytes, 32), u64_at(bytes, 40));
        if first < first_usable || last > last_usable || last < first || found.len() >= MAX_PARTITIONS {
            return Err(Error::Corrupt);
        }
        let count = last.saturating_sub(first).saturating_add(1);
        found.push(Partition { number, first, count, kind: format!("gpt:{}", guid(kind)), name: name(bytes) });
    }
    Ok(found)
}

/// A GUID as people write it: the first three fields little-endian.
fn guid(bytes: &[u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, i, j, rest @ ..] = *bytes;
    let tail: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    let (first, second) = (u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]));
    format!("{first:08x}-{second:04x}-{:04x}-{i:02x}{j:02x}-{tail}", u16::from_le_bytes([g, h]))
}

/// The name of an entry: 36 UTF-16 units. What is no text, or would break a line, is replaced.
fn name(entry: &[u8]) -> String {
    let units = entry.get(56..128).unwrap_or(&[]).chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let text = char::decode_utf16(units.take_while(|unit| *unit != 0)).map(|unit| unit.unwrap_or('\u{fffd}'));
    text.map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
