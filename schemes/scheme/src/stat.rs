//! What something is: kind, size, times; and how full a medium is.
//!
//! Both travel in the six words of an answer, so that asking costs no copy. Times are nanoseconds
//! since 1970 (UTC), 0 where they are not known.

use abi::{Error, Result};

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum FileKind {
    /// Bytes with a length.
    #[default]
    File = 1,
    /// Names of other things.
    Directory = 2,
    /// A stream of bytes: a console, a pipe.
    Stream = 3,
    /// Blocks: a disk or a part of one.
    Block = 4,
    /// A path to look at instead.
    Link = 5,
}

impl FileKind {
    /// The kind with this number. Errors: `Corrupt`.
    pub fn from_number(number: u8) -> Result<FileKind> {
        match number {
            1 => Ok(FileKind::File),
            2 => Ok(FileKind::Directory),
            3 => Ok(FileKind::Stream),
            4 => Ok(FileKind::Block),
            5 => Ok(FileKind::Link),
            _ => Err(Error::Corrupt),
        }
    }
}

/// What `stat` tells.
///
/// Words: 0 size; 1 kind (bits 0–7), permissions (8–23), links (32–63); 2 identity;
/// 3, 4, 5 the times of change, access and making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// POSIX permission bits (0o7777 at most), advisory where the server keeps none.
    pub permissions: u16,
    /// Names it has.
    pub links: u32,
    /// Bytes.
    pub size: u64,
    /// A number that differs from every other file's on this server.
    pub id: u64,
    /// When the contents changed last.
    pub modified_ns: u64,
    /// When it was last read, where the server keeps that.
    pub accessed_ns: u64,
    /// When it was made.
    pub created_ns: u64,
}

impl Stat {
    /// The words of the answer.
    pub fn to_words(&self) -> [u64; 6] {
        let shape = (self.kind as u64) | (u64::from(self.permissions) << 8) | (u64::from(self.links) << 32);
        [self.size, shape, self.id, self.modified_ns, self.accessed_ns, self.created_ns]
    }

    /// The value from an answer's words. Errors: `Corrupt`.
    pub fn from_words(words: &[u64; 6]) -> Result<Stat> {
        let [size, shape, id, modified_ns, accessed_ns, created_ns] = *words;
        let permissions = (shape >> 8) as u16;
        if permissions > 0o7777 || (shape >> 24) & 0xff != 0 {
            return Err(Error::Corrupt);
        }
        let kind = FileKind::from_number(shape as u8)?;
        Ok(Stat { kind, permissions, links: (shape >> 32) as u32, size, id, modified_ns, accessed_ns, created_ns })
    }
}

/// How full a medium is.
///
/// Words: 0 total bytes, 1 free bytes, 2 block size (bits 0–31) and longest name (32–63),
/// 3 bit 0: read-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Space {
    /// Bytes in all.
    pub total: u64,
    /// Bytes free.
    pub free: u64,
    /// Bytes in one unit of allocation.
    pub block_size: u32,
    /// Bytes in the longest name.
    pub longest_name: u32,
    /// Nothing can be written.
    pub read_only: bool,
}

impl Space {
    /// The words of the answer.
    pub fn to_words(&self) -> [u64; 6] {
        let shape = u64::from(self.block_size) | (u64::from(self.longest_name) << 32);
        [self.total, self.free, shape, u64::from(self.read_only), 0, 0]
    }

    /// The value from an answer's words. Errors: `Corrupt`.
    pub fn from_words(words: &[u64; 6]) -> Result<Space> {
        let [total, free, shape, flags, _, _] = *words;
        if flags > 1 || free > total {
            return Err(Error::Corrupt);
        }
        let (block_size, longest_name) = (shape as u32, (shape >> 32) as u32);
        Ok(Space { total, free, block_size, longest_name, read_only: flags == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::{FileKind, Space, Stat};

    #[test]
    fn stat_and_space_survive_the_words_and_nonsense_is_refused() {
        let stat = Stat {
            kind: FileKind::Directory,
            permissions: 0o1755,
            links: 3,
            size: 1 << 40,
            id: 9,
            modified_ns: 1,
            accessed_ns: 2,
            created_ns: 3,
        };
        assert_eq!(Stat::from_words(&stat.to_words()), Ok(stat));
        for shape in [0, 6, 0xff, 2 | 0o10000 << 8, 2 | 1 << 24] {
            assert!(Stat::from_words(&[0, shape, 0, 0, 0, 0]).is_err(), "{shape:#x}");
        }
        let space = Space { total: 10, free: 4, block_size: 512, longest_name: 255, read_only: true };
        assert_eq!(Space::from_words(&space.to_words()), Ok(space));
        assert!(Space::from_words(&[1, 2, 0, 0, 0, 0]).is_err());
    }
}
