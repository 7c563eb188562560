//! Tables written the way the standards say.

use partition::crc32;

fn put(bytes: &mut [u8], at: usize, data: &[u8]) {
    bytes[at..at + data.len()].copy_from_slice(data);
}

/// One entry of a master boot record.
pub fn mbr_entry(bytes: &mut [u8], block: usize, slot: usize, kind: u8, first: u32, count: u32) {
    let at = block * 512 + 446 + slot * 16;
    bytes[at + 4] = kind;
    put(bytes, at + 8, &first.to_le_bytes());
    put(bytes, at + 12, &count.to_le_bytes());
    put(bytes, block * 512 + 510, &[0x55, 0xaa]);
}

/// Where a GPT's two copies of the entries are, and the type used.
pub const KIND: [u8; 16] =
    [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];

/// A disk of `blocks` with a GPT of 128 entries and these partitions (first and last block).
pub fn gpt(block: usize, blocks: usize, partitions: &[(u64, u64)]) -> Vec<u8> {
    let mut bytes = vec![0; block * blocks];
    mbr_entry(&mut bytes, 0, 0, 0xee, 1, (blocks - 1) as u32);
    let entry_blocks = 128 * 128 / block;
    let mut entries = vec![0; 128 * 128];
    for (i, (first, last)) in partitions.iter().enumerate() {
        let at = i * 128;
        put(&mut entries, at, &KIND);
        put(&mut entries, at + 16, &[i as u8 + 1; 16]);
        put(&mut entries, at + 32, &first.to_le_bytes());
        put(&mut entries, at + 40, &last.to_le_bytes());
        let name: Vec<u8> = format!("part {}", i + 1).encode_utf16().flat_map(u16::to_le_bytes).collect();
        put(&mut entries, at + 56, &name);
    }
    let last = blocks - 1;
    for (place, other, start) in [(1, last, 2), (last, 1, last - entry_blocks)] {
        put(&mut bytes, start * block, &entries);
        let mut header = vec![0; 92];
        put(&mut header, 0, b"EFI PART\0\0\x01\0");
        put(&mut header, 12, &92u32.to_le_bytes());
        put(&mut header, 24, &(place as u64).to_le_bytes());
        put(&mut header, 32, &(other as u64).to_le_bytes());
        put(&mut header, 40, &(2 + entry_blocks as u64).to_le_bytes());
        put(&mut header, 48, &((last - entry_blocks - 1) as u64).to_le_bytes());
        put(&mut header, 72, &(start as u64).to_le_bytes());
        put(&mut header, 80, &128u32.to_le_bytes());
        put(&mut header, 84, &128u32.to_le_bytes());
        put(&mut header, 88, &crc32::checksum(&entries).to_le_bytes());
        let crc = crc32::checksum(&header);
        put(&mut header, 16, &crc.to_le_bytes());
        put(&mut bytes, place * block, &header);
    }
    bytes
}
