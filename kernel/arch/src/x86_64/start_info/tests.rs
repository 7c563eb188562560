//! What the loader hands over.

use super::{convert, BadStart, MAGIC};
use abi::boot::BootInfo;

/// Memory of 4 KiB: the structure at 0, the map at 0x100, the module at 0x200, the command line at 0x300.
fn memory(version: u32) -> Vec<u8> {
    let mut bytes = vec![0u8; 4096];
    let mut put =
        |at: usize, value: u64, length: usize| bytes[at..at + length].copy_from_slice(&value.to_le_bytes()[..length]);
    put(0, MAGIC.into(), 4);
    put(4, version.into(), 4);
    put(12, 1, 4);
    for (at, value) in [(16, 0x200), (24, 0x300), (32, 0xf_5a40), (40, 0x100), (0x200, 0x7e0_0000), (0x208, 12345)] {
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
