//! The scheme protocol: what tag, words, leases and capabilities mean.
//!
//! A request's tag is its [`Tag`]: the operation in bits 0–15, flags above. An answer's tag is a
//! status: 0, or the number of an [`Error`](abi::Error). Word 5 of a request is the sequence number
//! of a call that changes something (see [`sequence`](crate::sequence)), else 0. The rest:
//!
//! | operation | word 0 | word 1 | word 2 | lease 0 | lease 1 | caps | answer |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | open | 0 | [`OpenFlags`] | | path R | | | cap 0: a session |
//! | read | offset | length | | buffer W | | | w0 bytes |
//! | write | offset | length | | data R | | | w0 bytes |
//! | seek | distance (i64) | [`Whence`] | | | | | w0 the position |
//! | stat | | | | path R, may be absent | | | [`Stat`](crate::stat::Stat) |
//! | list | cursor | | | buffer W | | | w0 bytes, w1 next cursor |
//! | rename | | | | old path R | new path R | | |
//! | unlink | | [`UNLINK_DIRECTORY`] or 0 | | path R | | | |
//! | truncate | length | | | | | | |
//! | map | offset | length | protection | | | | cap 0: a Memory |
//! | watch | interest | bits | | | | a Notification | w0 ready now |
//! | control | command | argument | | input R | output W | any | w0 value, w1 bytes of output; caps |
//! | sync | | | | | | | |
//! | space | | | | | | | [`Space`](crate::stat::Space) |
//! | set | [`SET_MODIFIED`]… | modified, ns | accessed, ns | | | | |
//!
//! Paths are relative to the session that is called, UTF-8, at most [`MAX_PATH`](crate::path::MAX_PATH)
//! bytes. An offset of [`AT_POSITION`] means the session's own position, which the call then moves.
//! An answer with status `LeaseFault` holds in word 0 the offset (into the lease) that was not in memory.

use abi::{Error, Result};

/// The offset that stands for the session's own position.
pub const AT_POSITION: u64 = u64::MAX;
/// The cursor after the last directory entry.
pub const LIST_END: u64 = u64::MAX;
/// In word 1 of unlink: a directory is meant, and nothing else will do.
pub const UNLINK_DIRECTORY: u64 = 1;
/// In word 0 of set: word 1 is the new time of change.
pub const SET_MODIFIED: u64 = 1;
/// In word 0 of set: word 2 is the new time of access.
pub const SET_ACCESSED: u64 = 2;
/// Interest and readiness (watch): a read would not wait.
pub const READY_READ: u64 = 1;
/// Interest and readiness (watch): a write would not wait.
pub const READY_WRITE: u64 = 2;
/// Root sessions (made by whoever owns the endpoint: init) have badges below this; a server's own
/// sessions have badges from here on.
pub const FIRST_OWN_BADGE: u64 = 1 << 16;
/// From this many bytes on, the library maps a lease instead of copying through the kernel.
pub const MAP_THRESHOLD: usize = 64 * 1024;

macro_rules! operations {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal,)+) => {
        /// What a request asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Operation { $($(#[doc = $doc])+ $name = $number,)+ }
        impl Operation {
            /// All operations, in numeric order.
            pub const ALL: &'static [Operation] = &[$(Operation::$name,)+];
            /// The operation with this number.
            pub const fn from_number(number: u16) -> Option<Operation> {
                match number { $($number => Some(Operation::$name),)+ _ => None }
            }
        }
    };
}

operations! {
    /// Open something by its path.
    Open = 1,
    /// Read bytes.
    Read = 2,
    /// Write bytes.
    Write = 3,
    /// Move the session's position.
    Seek = 4,
    /// Tell what something is.
    Stat = 5,
    /// Read a directory.
    List = 6,
    /// Give something another name.
    Rename = 7,
    /// Remove a name.
    Unlink = 8,
    /// Set a file's length.
    Truncate = 9,
    /// Hand out memory to be mapped.
    Map = 10,
    /// Ask to be told of readiness.
    Watch = 11,
    /// What only this scheme knows.
    Control = 12,
    /// Return when everything is on the medium.
    Sync = 13,
    /// Tell total and free space.
    Space = 14,
    /// Set times.
    Set = 15,
}

/// The tag of a request.
///
/// Bits 0–15: the operation. Bits 16–27: where in its page lease 0 begins (a hint, for mapping;
/// a lie costs only its teller). Bit 32: do not wait, answer `WouldBlock`. Others are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub u64);

impl Tag {
    const NON_BLOCKING: u64 = 1 << 32;
    const KNOWN: u64 = 0x1_0fff_ffff;

    /// The tag of an operation.
    pub const fn new(operation: Operation) -> Tag {
        Tag(operation as u64)
    }
    /// With the page offset of lease 0.
    pub const fn at_page_offset(self, address: usize) -> Tag {
        Tag((self.0 & !0xfff_0000) | (((address & 0xfff) as u64) << 16))
    }
    /// With or without the wish not to wait.
    pub const fn non_blocking(self, yes: bool) -> Tag {
        Tag(if yes { self.0 | Self::NON_BLOCKING } else { self.0 & !Self::NON_BLOCKING })
    }
    /// The operation. Errors: `NotSupported` for a number or a flag that nobody knows.
    pub fn operation(self) -> Result<Operation> {
        if self.0 & !Self::KNOWN != 0 {
            return Err(Error::NotSupported);
        }
        Operation::from_number(self.0 as u16).ok_or(Error::NotSupported)
    }
    /// Where in its page lease 0 begins.
    pub const fn page_offset(self) -> u64 {
        (self.0 >> 16) & 0xfff
    }
    /// Whether the caller would rather have `WouldBlock` than wait.
    pub const fn is_non_blocking(self) -> bool {
        self.0 & Self::NON_BLOCKING != 0
    }
}

bitflags::bitflags! {
    /// How something is opened.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct OpenFlags: u32 {
        /// For reading.
        const READ = 1;
        /// For writing.
        const WRITE = 2;
        /// Make it if it is not there.
        const CREATE = 4;
        /// With `CREATE`: fail if it is there.
        const EXCLUSIVE = 8;
        /// Cut it to length 0.
        const TRUNCATE = 16;
        /// It must be a directory (with `CREATE`: make a directory).
        const DIRECTORY = 32;
        /// Every write goes to the end.
        const APPEND = 64;
    }
}

impl OpenFlags {
    /// The flags in a request's word. Errors: `BadArgument` for unknown bits.
    pub fn from_word(word: u64) -> Result<OpenFlags> {
        u32::try_from(word).ok().and_then(OpenFlags::from_bits).ok_or(Error::BadArgument)
    }
    /// The flags with which a session is opened again after a restart: nothing is made or cut anew.
    pub fn for_reopen(self) -> OpenFlags {
        self & !(OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE)
    }
}

/// From where a seek counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Whence {
    /// From the beginning.
    Start = 0,
    /// From the present position.
    Current = 1,
    /// From the end.
    End = 2,
}

impl Whence {
    /// The value in a request's word. Errors: `BadArgument`.
    pub fn from_word(word: u64) -> Result<Whence> {
        match word {
            0 => Ok(Whence::Start),
            1 => Ok(Whence::Current),
            2 => Ok(Whence::End),
            _ => Err(Error::BadArgument),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OpenFlags, Operation, Tag};
    use abi::Error;

    #[test]
    fn a_tag_gives_back_what_was_put_in_and_refuses_unknown_bits() {
        for operation in Operation::ALL {
            let tag = Tag::new(*operation).at_page_offset(0x12345).non_blocking(true);
            assert_eq!((tag.operation(), tag.page_offset()), (Ok(*operation), 0x345));
            assert!(tag.is_non_blocking() && !tag.non_blocking(false).is_non_blocking());
        }
        assert_eq!(Tag(0).operation(), Err(Error::NotSupported));
        assert_eq!(Tag(1 << 40 | 1).operation(), Err(Error::NotSupported));
    }

    #[test]
    fn reopening_neither_makes_nor_cuts() {
        assert_eq!(OpenFlags::all().for_reopen(), OpenFlags::from_bits_truncate(1 | 2 | 32 | 64));
        assert_eq!(OpenFlags::from_word(1 << 33), Err(Error::BadArgument));
        assert_eq!(OpenFlags::from_word(128), Err(Error::BadArgument));
    }
}
