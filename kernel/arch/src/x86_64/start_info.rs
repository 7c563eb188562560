//! The start information of a PVH boot, read from bytes.
//!
//! Layout: Xen's `public/arch-x86/hvm/start_info.h` (the x86/HVM direct boot ABI), which QEMU follows.
//! Pure: the caller hands in a reader of physical memory, so that the host can test it.

use super::memory_map::{self, MapFull};
use abi::boot::{BootInfo, COMMAND_LINE};

/// The first word.
pub const MAGIC: u32 = 0x336e_c578;
/// The most memory-map entries read.
const ENTRIES: u64 = 128;

/// Why a start is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadStart {
    /// The magic number is wrong, or the structure cannot be read.
    NotStartInfo,
    /// There is no memory map (version 0 of the structure has none).
    NoMemoryMap,
    /// The memory map has more ranges than we keep.
    MapFull,
}

impl From<MapFull> for BadStart {
    fn from(_: MapFull) -> Self {
        BadStart::MapFull
    }
}

/// Reads bytes of physical memory; `false` where they cannot be read.
pub type Read<'a> = &'a dyn Fn(u64, &mut [u8]) -> bool;

fn word<const N: usize>(read: Read, at: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    read(at, bytes.get_mut(..N)?).then(|| u64::from_le_bytes(bytes))
}

/// Puts what the structure at physical address `at` says into `info`.
pub fn convert(read: Read, at: u64, info: &mut BootInfo) -> Result<(), BadStart> {
    let u32_at = |offset: u64| word::<4>(read, at.wrapping_add(offset)).ok_or(BadStart::NotStartInfo);
    let u64_at = |offset: u64| word::<8>(read, at.wrapping_add(offset)).ok_or(BadStart::NotStartInfo);
    if u32_at(0)? != u64::from(MAGIC) {
        return Err(BadStart::NotStartInfo);
    }
    let (version, modules, module_list, command_line, rsdp) =
        (u32_at(4)?, u32_at(12)?, u64_at(16)?, u64_at(24)?, u64_at(32)?);
    if version == 0 {
        return Err(BadStart::NoMemoryMap);
    }
    let (map, entries) = (u64_at(40)?, u32_at(48)?);
    if map == 0 || entries == 0 {
        return Err(BadStart::NoMemoryMap);
    }
    for i in 0..entries.min(ENTRIES) {
        let entry = map.wrapping_add(i.wrapping_mul(24));
        let field = |offset: u64| word::<8>(read, entry.wrapping_add(offset)).ok_or(BadStart::NotStartInfo);
        let (start, length, kind) = (field(0)?, field(8)?, field(16)? as u32);
        memory_map::set_firmware(info, start, length, kind)?;
    }
    if modules > 0 {
        let field = |offset: u64| word::<8>(read, module_list.wrapping_add(offset)).ok_or(BadStart::NotStartInfo);
        (info.initfs_start, info.initfs_length) = (field(0)?, field(8)?);
    }
    if command_line != 0 {
        let mut length: usize = 0;
        while let Some(slot) = info.command_line.get_mut(length).filter(|_| length < COMMAND_LINE) {
            let mut byte = [0];
            if !read(command_line.wrapping_add(length as u64), &mut byte) || byte == [0] {
                break;
            }
            *slot = byte[0];
            length = length.wrapping_add(1);
        }
        info.command_line_length = length as u32;
    }
    info.rsdp = rsdp;
    info.firmware = 0;
    Ok(())
}

#[cfg(test)]
mod tests;
