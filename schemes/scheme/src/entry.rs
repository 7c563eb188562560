//! Directory entries as they travel in the buffer of a `list` call.
//!
//! Each is 24 bytes and a name, padded with zeroes to a multiple of 8: identity u64, size u64, length of
//! the whole record u16, length of the name u16, kind u8, three zero bytes; then the name in UTF-8
//! without any `/`. Little-endian. A record never crosses the end of the buffer.

use crate::lease::Target;
use crate::path;
use crate::stat::FileKind;
use abi::{Error, Result};
use alloc::string::String;
use alloc::vec::Vec;

const HEAD: usize = 24;
/// The longest record; a buffer at least this long always makes progress.
pub const MAX_RECORD: usize = HEAD + path::MAX_NAME.next_multiple_of(8);

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name.
    pub name: String,
    /// What it names.
    pub kind: FileKind,
    /// Bytes, where it is cheap to know; else 0.
    pub size: u64,
    /// As [`Stat::id`](crate::stat::Stat::id).
    pub id: u64,
}

/// Collects entries for one `list` call, until the caller's buffer is full.
pub struct Listing<'t, 'l> {
    target: &'t mut Target<'l>,
    pending: Vec<u8>,
    room: usize,
    count: usize,
}

impl<'t, 'l> Listing<'t, 'l> {
    /// An empty listing over the caller's buffer.
    pub fn new(target: &'t mut Target<'l>) -> Listing<'t, 'l> {
        let room = target.len();
        Listing { target, pending: Vec::new(), room, count: 0 }
    }

    /// Adds an entry; `false`: the buffer is full, the entry belongs to the next call.
    #[must_use]
    pub fn push(&mut self, name: &str, kind: FileKind, size: u64, id: u64) -> bool {
        let length = HEAD.saturating_add(name.len()).next_multiple_of(8);
        if name.len() > path::MAX_NAME || length > self.room.saturating_sub(self.pending.len()) {
            return false;
        }
        self.pending.extend_from_slice(&id.to_le_bytes());
        self.pending.extend_from_slice(&size.to_le_bytes());
        self.pending.extend_from_slice(&(length as u16).to_le_bytes());
        self.pending.extend_from_slice(&(name.len() as u16).to_le_bytes());
        self.pending.extend_from_slice(&[kind as u8, 0, 0, 0]);
        self.pending.extend_from_slice(name.as_bytes());
        self.pending.resize(self.pending.len().next_multiple_of(8), 0);
        self.count = self.count.saturating_add(1);
        true
    }

    /// Entries so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Puts the entries into the caller's buffer and tells their bytes. Errors: those of leases.
    pub(crate) fn finish(self) -> Result<usize> {
        self.target.write(0, &self.pending)?;
        Ok(self.pending.len())
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    bytes.get(at..).and_then(|b| b.first_chunk::<N>()).copied().ok_or(Error::Corrupt)
}

/// Parses what a server put into a buffer, trusting nothing of it. Errors: `Corrupt`.
pub fn parse(mut bytes: &[u8]) -> Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_le_bytes(number(bytes, 16)?));
        let name_length = usize::from(u16::from_le_bytes(number(bytes, 18)?));
        let [kind] = number(bytes, 20)?;
        if length != HEAD.saturating_add(name_length).next_multiple_of(8) {
            return Err(Error::Corrupt);
        }
        let record = bytes.get(..length).ok_or(Error::Corrupt)?;
        let name = record.get(HEAD..HEAD.saturating_add(name_length)).ok_or(Error::Corrupt)?;
        let name = core::str::from_utf8(name).map_err(|_| Error::Corrupt)?;
        path::check_name(name).map_err(|_| Error::Corrupt)?;
        entries.push(DirEntry {
            name: name.into(),
            kind: FileKind::from_number(kind)?,
            size: u64::from_le_bytes(number(bytes, 8)?),
            id: u64::from_le_bytes(number(bytes, 0)?),
        });
        bytes = bytes.get(length..).unwrap_or(&[]);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::{parse, Listing};
    use crate::lease::Target;
    use crate::stat::FileKind;

    fn sample(buffer: &mut [u8]) -> usize {
        let mut target = Target::from_slice(buffer);
        let mut listing = Listing::new(&mut target);
        assert!(listing.push("a", FileKind::File, 5, 1));
        assert!(listing.push("ein längerer Name", FileKind::Directory, 0, 2));
        listing.finish().unwrap()
    }

    #[test]
    fn entries_read_back_and_a_full_buffer_says_so() {
        let mut buffer = [0; 128];
        let length = sample(&mut buffer);
        let entries = parse(&buffer[..length]).unwrap();
        assert_eq!(entries[1].name, "ein längerer Name");
        assert_eq!((entries[0].size, entries[0].id, entries[1].kind), (5, 1, FileKind::Directory));
        let mut small = [0; 40];
        let mut target = Target::from_slice(&mut small);
        let mut listing = Listing::new(&mut target);
        assert!(listing.push("a", FileKind::File, 0, 1) && !listing.push("b", FileKind::File, 0, 2));
    }

    #[test]
    fn no_bytes_from_a_hostile_server_do_harm() {
        let mut buffer = [0; 128];
        let length = sample(&mut buffer);
        for at in 0..length {
            for value in [0, 1, 0x2f, 0x7f, 0xff] {
                let mut bad = buffer[..length].to_vec();
                bad[at] = value;
                if let Ok(entries) = parse(&bad) {
                    assert!(entries.iter().all(|e| !e.name.contains('/') && !e.name.is_empty()));
                }
            }
            if at % 8 != 0 {
                assert!(parse(&buffer[..at]).is_err(), "cut at {at}");
            }
        }
    }
}
