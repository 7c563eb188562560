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
mod tests {
    use super::{convert, BadStart, MAGIC};
    use abi::boot::BootInfo;

    /// Memory of 4 KiB: the structure at 0, the map at 0x100, the module at 0x200, the command line at 0x300.
    fn memory(version: u32) -> Vec<u8> {
        let mut bytes = vec![0u8; 4096];
        let mut put = |at: usize, value: u64, length: usize| {
            bytes[at..at + length].copy_from_slice(&value.to_le_bytes()[..length])
        };
        put(0, MAGIC.into(), 4);
        put(4, version.into(), 4);
        put(12, 1, 4);
        for (at, value) in [(16, 0x200), (24, 0x300), (32, 0xf_5a40), (40, 0x100), (0x200, 0x7e0_0000), (0x208, 12345)]
        {
            put(at, value, 8);
        }
        put(48, 2, 4);
        for (i, (start, length, kind)) in [(0x10_0000, 0x100_0000, 1), (0, 0x9_fc00, 1)].into_iter().enumerate() {
            put(0x100 + i * 24, start, 8);
            put(0x108 + i * 24, length, 8);
            put(0x110 + i * 24, kind, 4);
        }
        bytes[0x300..0x305].copy_from_slice(b"quiet");
        bytes
    }

    fn run(memory: &[u8]) -> (Result<(), BadStart>, BootInfo) {
        let mut info = BootInfo::EMPTY;
        let read = |at: u64, out: &mut [u8]| match memory.get(at as usize..at as usize + out.len()) {
            Some(part) => {
                out.copy_from_slice(part);
                true
            }
            None => false,
        };
        (convert(&read, 0, &mut info), info)
    }

    #[test]
    fn what_qemu_says_arrives() {
        let (result, info) = run(&memory(1));
        assert_eq!(result, Ok(()));
        assert_eq!((info.rsdp, info.initfs_start, info.initfs_length), (0xf_5a40, 0x7e0_0000, 12345));
        assert_eq!((info.command_line(), info.region_count), ("quiet", 2));
        assert_eq!((info.regions()[1].start, info.regions()[1].length), (0x10_0000, 0x100_0000));
    }

    #[test]
    fn wrong_magic_old_version_and_unreadable_memory_are_refused() {
        let mut bad = memory(1);
        bad[0] ^= 1;
        assert_eq!(run(&bad).0, Err(BadStart::NotStartInfo));
        assert_eq!(run(&memory(0)).0, Err(BadStart::NoMemoryMap));
        let mut far = memory(1);
        far[40..48].fill(0x7f);
        assert_eq!(run(&far).0, Err(BadStart::NotStartInfo));
        assert_eq!(run(&memory(1)[..30]).0, Err(BadStart::NotStartInfo));
    }

    #[test]
    fn a_command_line_without_an_end_is_cut() {
        let mut long = memory(1);
        long.resize(0x300 + 5000, b'x');
        long[0x300..].fill(b'x');
        let (result, info) = run(&long);
        assert_eq!(result, Ok(()));
        assert_eq!(info.command_line().len(), abi::boot::COMMAND_LINE);
    }
}
