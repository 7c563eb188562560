//! One 32-byte directory slot: the short entry.
//!
//! Layout: FAT specification 1.03, "FAT Directory Structure". A slot is kept as its bytes, so that
//! fields that mean nothing to us survive a change.

use crate::time::Stamp;

/// Bytes in a directory slot.
pub const SLOT: usize = 32;
/// The first byte of a slot that was freed.
pub const DELETED: u8 = 0xe5;
/// The first byte of the slot after the last one in use.
pub const END: u8 = 0;

/// Attribute bits of an entry.
pub mod attribute {
    /// Not to be written.
    pub const READ_ONLY: u8 = 0x01;
    /// Not shown by DOS.
    pub const HIDDEN: u8 = 0x02;
    /// Belongs to the system.
    pub const SYSTEM: u8 = 0x04;
    /// The volume's label; no file.
    pub const VOLUME: u8 = 0x08;
    /// A directory.
    pub const DIRECTORY: u8 = 0x10;
    /// Changed since the last backup.
    pub const ARCHIVE: u8 = 0x20;
    /// All of read-only, hidden, system and volume: part of a long name.
    pub const LONG_NAME: u8 = 0x0f;
}

/// A short entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortEntry(pub [u8; SLOT]);

impl ShortEntry {
    /// A new entry. `case` says which halves of the name are shown in lower case.
    pub fn new(name: &[u8; 11], case: u8, attributes: u8, cluster: u32, size: u32, now: Stamp) -> ShortEntry {
        let mut entry = ShortEntry([0; SLOT]);
        entry.set_name(name, case);
        entry.0[11] = attributes;
        entry.0[13] = now.fine;
        entry.0[14..16].copy_from_slice(&now.time.to_le_bytes());
        entry.0[16..18].copy_from_slice(&now.date.to_le_bytes());
        entry.set_modified(now);
        entry.set_cluster(cluster);
        entry.set_size(size);
        entry
    }

    fn word(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    /// The stored name: eight bytes and three, padded with blanks, in the OEM code page.
    pub fn name(&self) -> [u8; 11] {
        let mut name = [0; 11];
        name.copy_from_slice(&self.0[..11]);
        if name[0] == 0x05 {
            // The specification's escape for a name that begins with the "deleted" byte.
            name[0] = DELETED;
        }
        name
    }

    /// Sets the name, and which halves of it are shown in lower case.
    pub fn set_name(&mut self, name: &[u8; 11], case: u8) {
        self.0[..11].copy_from_slice(name);
        if name[0] == DELETED {
            self.0[0] = 0x05;
        }
        self.0[12] = case;
    }

    /// The bytes of the name as stored, of which long names keep a checksum.
    pub fn raw_name(&self) -> [u8; 11] {
        let mut name = [0; 11];
        name.copy_from_slice(&self.0[..11]);
        name
    }

    /// The attribute bits.
    pub const fn attributes(&self) -> u8 {
        self.0[11]
    }

    /// Which halves of the short name are in lower case: 8 the base, 16 the extension.
    pub const fn case(&self) -> u8 {
        self.0[12]
    }

    /// Whether this is a directory.
    pub const fn is_directory(&self) -> bool {
        self.0[11] & attribute::DIRECTORY != 0
    }

    /// The first cluster; 0 for none, and in `..` for the root.
    pub fn cluster(&self) -> u32 {
        u32::from(self.word(20) & 0x0fff) << 16 | u32::from(self.word(26))
    }

    /// Sets the first cluster.
    pub fn set_cluster(&mut self, cluster: u32) {
        self.0[20..22].copy_from_slice(&((cluster >> 16) as u16).to_le_bytes());
        self.0[26..28].copy_from_slice(&(cluster as u16).to_le_bytes());
    }

    /// Length in bytes; 0 for directories.
    pub fn size(&self) -> u32 {
        u32::from_le_bytes([self.0[28], self.0[29], self.0[30], self.0[31]])
    }

    /// Sets the length in bytes.
    pub fn set_size(&mut self, size: u32) {
        self.0[28..32].copy_from_slice(&size.to_le_bytes());
    }

    /// When the entry was made.
    pub fn created(&self) -> Stamp {
        Stamp { date: self.word(16), time: self.word(14), fine: self.0[13] }
    }

    /// When the contents last changed.
    pub fn modified(&self) -> Stamp {
        Stamp { date: self.word(24), time: self.word(22), fine: 0 }
    }

    /// The day of the last access.
    pub fn accessed(&self) -> Stamp {
        Stamp { date: self.word(18), time: 0, fine: 0 }
    }

    /// Sets modification time and access day.
    pub fn set_modified(&mut self, now: Stamp) {
        self.0[18..20].copy_from_slice(&now.date.to_le_bytes());
        self.0[22..24].copy_from_slice(&now.time.to_le_bytes());
        self.0[24..26].copy_from_slice(&now.date.to_le_bytes());
    }

    /// Takes the place of `other`: its name, this one's contents.
    pub fn with_name_of(mut self, other: &ShortEntry) -> ShortEntry {
        self.0[..11].copy_from_slice(&other.0[..11]);
        self.0[12] = other.0[12];
        self
    }

    /// Whether this slot is the end of the directory.
    pub const fn is_end(&self) -> bool {
        self.0[0] == END
    }

    /// Whether this slot was freed.
    pub const fn is_deleted(&self) -> bool {
        self.0[0] == DELETED
    }

    /// Whether this slot is part of a long name.
    pub const fn is_long_name(&self) -> bool {
        self.0[11] & 0x3f == attribute::LONG_NAME
    }

    /// Whether this slot is the volume's label.
    pub const fn is_label(&self) -> bool {
        !self.is_long_name() && self.0[11] & attribute::VOLUME != 0
    }

    /// Whether this is `.` or `..`.
    pub fn is_dots(&self) -> bool {
        self.0[..11] == *b".          " || self.0[..11] == *b"..         "
    }
}

#[cfg(test)]
mod tests {
    use super::{attribute, ShortEntry};
    use crate::time::Stamp;

    #[test]
    fn fields_are_where_the_specification_says() {
        let now = Stamp { date: 0x1234, time: 0x5678, fine: 9 };
        let entry = ShortEntry::new(b"NAME    EXT", 0, attribute::ARCHIVE, 0x0123_4567, 0x89ab_cdef, now);
        assert_eq!(entry.0[20..22], [0x23, 0x01]);
        assert_eq!(entry.0[26..28], [0x67, 0x45]);
        assert_eq!(entry.0[28..32], [0xef, 0xcd, 0xab, 0x89]);
        assert_eq!((entry.cluster(), entry.size()), (0x0123_4567, 0x89ab_cdef));
        assert_eq!((entry.created(), entry.modified().time), (now, 0x5678));
    }

    #[test]
    fn a_name_that_begins_like_a_deleted_one_is_escaped() {
        let entry = ShortEntry::new(b"\xe5AME    EXT", 0, 0, 0, 0, Stamp::default());
        assert!(!entry.is_deleted());
        assert_eq!(entry.name()[0], 0xe5);
        assert_eq!(entry.raw_name()[0], 0x05);
    }

    #[test]
    fn a_long_name_slot_is_no_label() {
        let mut entry = ShortEntry([0; 32]);
        entry.0[11] = attribute::LONG_NAME;
        assert!(entry.is_long_name() && !entry.is_label());
        entry.0[11] = attribute::VOLUME;
        assert!(!entry.is_long_name() && entry.is_label());
    }
}
