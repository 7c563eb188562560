//! The archive that travels with the kernel: programs and manifests for the
//! first minutes.
//!
//! Header (32 bytes): magic `LIMITFS1`, entry count u32, table length u32, total length u64, 0 u64. Then
//! one 128-byte entry a file: name (104 bytes, zero-padded UTF-8, no leading slash), mode u32
//! (bit 0: executable), 0 u32, offset u64, length u64. File contents start on page borders, so
//! that they can be mapped. All numbers little-endian. Sorted by name.

use crate::error::{Error, Result};

/// The first eight bytes.
pub const MAGIC: [u8; 8] = *b"LIMITFS1";
/// Bytes in the header.
pub const HEADER: usize = 32;
/// Bytes in an entry.
pub const ENTRY: usize = 128;
/// The longest name.
pub const NAME: usize = 104;
/// The mode bit of an executable file.
pub const EXECUTABLE: u32 = 1;

/// One file of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The path, without a leading slash.
    pub name: &'a str,
    /// [`EXECUTABLE`] or 0.
    pub mode: u32,
    /// Where the contents start in the archive: a multiple of the page size.
    pub offset: u64,
    /// The length in bytes.
    pub length: u64,
    /// The contents.
    pub data: &'a [u8],
}

/// A checked archive.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    count: usize,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

impl<'a> Archive<'a> {
    /// Checks the header and every entry. Errors: `Corrupt`.
    pub fn new(bytes: &'a [u8]) -> Result<Archive<'a>> {
        if bytes.get(..8) != Some(&MAGIC) {
            return Err(Error::Corrupt);
        }
        let count = u32_at(bytes, 8).ok_or(Error::Corrupt)? as usize;
        let archive = Archive { bytes, count };
        for i in 0..count {
            archive.entry(i).ok_or(Error::Corrupt)?;
        }
        Ok(archive)
    }

    /// The bytes of the whole archive as its header gives them, when the header is there.
    pub fn total_length(bytes: &[u8]) -> Option<u64> {
        if bytes.get(..8) != Some(&MAGIC) {
            return None;
        }
        u64_at(bytes, 16)
    }

    /// Files in the archive.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// File number `index`.
    pub fn entry(&self, index: usize) -> Option<Entry<'a>> {
        if index >= self.count {
            return None;
        }
        let at = index.checked_mul(ENTRY)?.checked_add(HEADER)?;
        let name = self.bytes.get(at..at.checked_add(NAME)?)?;
        let end = name.iter().position(|&b| b == 0).unwrap_or(NAME);
        let name = core::str::from_utf8(name.get(..end)?).ok()?;
        let at = at.checked_add(NAME)?;
        let mode = u32_at(self.bytes, at)?;
        let offset = u64_at(self.bytes, at.checked_add(8)?)?;
        let length = u64_at(self.bytes, at.checked_add(16)?)?;
        let start = usize::try_from(offset).ok()?;
        let stop = start.checked_add(usize::try_from(length).ok()?)?;
        Some(Entry { name, mode, offset, length, data: self.bytes.get(start..stop)? })
    }

    /// All files, by name.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> + '_ {
        (0..self.count).filter_map(|i| self.entry(i))
    }

    /// The file with this path.
    pub fn find(&self, name: &str) -> Option<Entry<'a>> {
        self.entries().find(|e| e.name == name)
    }
}

/// The header of an archive of `count` files and `total` bytes.
pub fn header(count: u32, total: u64) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    let table = count.saturating_mul(ENTRY as u32);
    let parts: [&[u8]; 4] = [&MAGIC, &count.to_le_bytes(), &table.to_le_bytes(), &total.to_le_bytes()];
    for (byte, value) in out.iter_mut().zip(parts.into_iter().flatten()) {
        *byte = *value;
    }
    out
}

/// One entry of the table. Errors: `NameTooLong`.
pub fn entry(name: &str, mode: u32, offset: u64, length: u64) -> Result<[u8; ENTRY]> {
    if name.is_empty() || name.len() > NAME {
        return Err(Error::NameTooLong);
    }
    let mut out = [0; ENTRY];
    let pad = [0u8; NAME];
    let parts: [&[u8]; 6] = [
        name.as_bytes(),
        pad.get(name.len()..).unwrap_or(&[]),
        &mode.to_le_bytes(),
        &[0; 4],
        &offset.to_le_bytes(),
        &length.to_le_bytes(),
    ];
    for (byte, value) in out.iter_mut().zip(parts.into_iter().flatten()) {
        *byte = *value;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{entry, header, Archive, ENTRY, EXECUTABLE, HEADER};

    fn sample() -> Vec<u8> {
        let mut bytes = header(1, 4099).to_vec();
        bytes.extend(entry("bin/init", EXECUTABLE, 4096, 3).unwrap());
        bytes.resize(4096, 0);
        bytes.extend(b"ELF");
        bytes
    }

    #[test]
    fn an_archive_reads_back_what_was_written() {
        let bytes = sample();
        let archive = Archive::new(&bytes).unwrap();
        let file = archive.find("bin/init").unwrap();
        assert_eq!((file.data, file.mode, file.offset), (&b"ELF"[..], EXECUTABLE, 4096));
        assert!(archive.find("bin").is_none());
        assert_eq!(Archive::total_length(&bytes), Some(4099));
    }

    #[test]
    fn every_cut_and_every_absurd_number_is_refused() {
        let bytes = sample();
        for cut in 0..bytes.len() {
            assert!(Archive::new(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for field in [8, HEADER + 104 + 8, HEADER + 104 + 16] {
            let mut bad = bytes.clone();
            bad[field..field + 4].fill(0xff);
            assert!(Archive::new(&bad).is_err(), "field at {field}");
        }
        assert_eq!(ENTRY, 128);
    }
}
