//! Labels, types and rules as the kernel takes them, and the records that it
//! keeps of its decisions.
//!
//! A *subject label* is a number of a process, an *object type* one of a session; names are init's. A policy is
//! little-endian: the [`header`], the rights that each subject has to each type ([`RIGHT_LENGTH`] bytes each, row by
//! row), padding to a word, and for each subject the set of labels that it may give to a new process, as words.
//! Written by init, once; read by the kernel, which believes nothing of it.

use crate::rights::Rights;

/// `LLpolicy`.
pub const MAGIC: u64 = u64::from_le_bytes(*b"LLpolicy");
/// The version that is described here.
pub const VERSION: u32 = 1;
/// Bytes of the header.
pub const HEADER: usize = 32;
/// Bytes of one entry of the matrix.
pub const RIGHT_LENGTH: usize = 2;
/// The most subjects.
pub const SUBJECTS: u32 = 256;
/// The most object types.
pub const TYPES: u32 = 256;
/// The most bytes of a policy: what one call copies.
pub const MAX_LENGTH: usize = 64 * 1024;

/// The subject that a process has which nobody gave another: it may do nothing across labels.
pub const DEFAULT_SUBJECT: u32 = 0;
/// The first process's subject.
pub const INIT_SUBJECT: u32 = 1;
/// The type that a session has whose server gave it no other: it crosses to no other label.
pub const DEFAULT_TYPE: u32 = 0;

/// Rights that a rule can give: those that sessions have, and `MANAGE`, to make sessions of the type.
pub const RIGHTS: Rights = Rights::from_bits_truncate(
    Rights::TRANSFER.bits()
        | Rights::DERIVE.bits()
        | Rights::INSPECT.bits()
        | Rights::SEND.bits()
        | Rights::MANAGE.bits(),
);

/// Where the parts of a policy stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many subjects it knows, from 0 on.
    pub subjects: u32,
    /// How many types, from 0 on.
    pub types: u32,
}

impl Shape {
    /// The byte at which an entry of the matrix begins.
    pub const fn right(&self, subject: u32, object_type: u32) -> usize {
        let index = (subject as usize).wrapping_mul(self.types as usize).wrapping_add(object_type as usize);
        index.wrapping_mul(RIGHT_LENGTH).wrapping_add(HEADER)
    }
    /// Words in one subject's set of labels.
    pub const fn set_words(&self) -> usize {
        self.subjects.div_ceil(64) as usize
    }
    /// The byte at which the word begins that says whether a subject may give a label; the bit is `label % 64`.
    pub const fn transition(&self, subject: u32, label: u32) -> usize {
        let matrix = self.right(self.subjects, 0).next_multiple_of(8);
        let word = (subject as usize).wrapping_mul(self.set_words()).wrapping_add((label / 64) as usize);
        matrix.wrapping_add(word.wrapping_mul(8))
    }
    /// Bytes of the whole policy.
    pub const fn length(&self) -> usize {
        self.transition(self.subjects, 0)
    }
    /// Whether there can be such a policy.
    pub const fn is_valid(&self) -> bool {
        let subjects = self.subjects > INIT_SUBJECT && self.subjects <= SUBJECTS;
        subjects && self.types > DEFAULT_TYPE && self.types <= TYPES && self.length() <= MAX_LENGTH
    }
    /// The header of a policy of this shape: magic, version, subjects, types, length, and 8 bytes of 0.
    pub fn header(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let words = [
            MAGIC,
            u64::from(VERSION) | u64::from(self.subjects) << 32,
            u64::from(self.types) | (self.length() as u64) << 32,
            0,
        ];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
    /// Writes a subject's rights to a type into a policy of this shape. Numbers beyond the shape change nothing.
    pub fn allow(&self, policy: &mut [u8], subject: u32, object_type: u32, rights: Rights) {
        let at = self.right(subject, object_type);
        let inside = subject < self.subjects && object_type < self.types;
        if let Some(place) = policy.get_mut(at..at.wrapping_add(RIGHT_LENGTH)).filter(|_| inside) {
            place.copy_from_slice(&rights.bits().to_le_bytes());
        }
    }
    /// Lets a subject give new processes a label. Numbers beyond the shape change nothing.
    pub fn let_label(&self, policy: &mut [u8], subject: u32, label: u32) {
        let at = self.transition(subject, label).wrapping_add((label % 64 / 8) as usize);
        let inside = subject < self.subjects && label < self.subjects;
        if let Some(place) = policy.get_mut(at).filter(|_| inside) {
            *place |= 1 << (label % 8);
        }
    }
    /// The shape that a header's words tell of, if all in them is as it must be.
    pub fn of_header(words: [u64; HEADER / 8]) -> Option<Shape> {
        let [_, versions, types, _] = words;
        let shape = Shape { subjects: (versions >> 32) as u32, types: types as u32 };
        let expected = shape.is_valid().then(|| shape.header())?;
        let same = expected.chunks_exact(8).zip(words).all(|(bytes, word)| bytes == word.to_le_bytes());
        same.then_some(shape)
    }
}

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $number:literal $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$item])* $variant = $number,)+ }

        impl $name {
            /// The one with this number.
            pub const fn from_number(number: u8) -> Option<$name> {
                match number { $($number => Some($name::$variant),)+ _ => None }
            }
            /// The word for people.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }
    };
}

numbered! {
    /// What a record tells of.
    Kind {
        /// A scheme was called by name: path and scheme say which.
        Open = 1 "open",
        /// A session was handed to a process of another label: in a message, by `process_grant`, with a table.
        Pass = 2 "pass",
        /// A session was taken out of a namespace.
        Name = 3 "name",
        /// A session of a type was made.
        Make = 4 "make",
        /// A process got another label: `other` is the new one.
        Relabel = 5 "relabel",
        /// What stems from a capability was revoked.
        Revoke = 6 "revoke",
        /// The policy was loaded.
        Policy = 7 "policy",
        /// A note of init's: the scheme field names a service, the path tells what happened.
        Note = 8 "note",
    }
}

numbered! {
    /// How it was decided.
    Verdict {
        /// It was allowed.
        Allowed = 0 "allowed",
        /// It was refused.
        Denied = 1 "denied",
    }
}

/// Words in a record.
pub const RECORD_WORDS: usize = 24;
/// Bytes in a record.
pub const RECORD_LENGTH: usize = RECORD_WORDS * 8;
/// Bytes of a path that are kept.
pub const PATH: usize = 64;
/// Bytes of a name of a process, a scheme, a service.
pub const NAME: usize = 32;
/// The ring of all records, in `audit_read`. A position counts the records that a ring has ever had: in this one it is a
/// record's number, in a share of denials it is not.
pub const RING_ALL: u64 = 0;
/// The ring of the denials of subject 0 (its share); those of subject n follow n further. What is denied in an answer counts
/// to who asked, everything else to who acts.
pub const RING_DENIALS: u64 = 1;

/// One record. Names and the path are bytes that programs chose: not text, and not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which record since the policy was loaded, from 0.
    pub number: u64,
    /// Nanoseconds since boot.
    pub time_ns: u64,
    /// What it tells of.
    pub kind: Kind,
    /// How it was decided.
    pub verdict: Verdict,
    /// The process that acted, its subject label and its name.
    pub process: u64,
    /// See `process`.
    pub label: u32,
    /// See `process`.
    pub name: [u8; NAME],
    /// The process concerned beside it (that got the session, or the label); 0: none.
    pub other: u64,
    /// Its label; for `Open`, that of the session's maker.
    pub other_label: u32,
    /// The session's type.
    pub object_type: u32,
    /// The number of the object's kind (`abi::Kind`); 0: no object.
    pub object_kind: u8,
    /// The object's id.
    pub object: u64,
    /// Rights asked for, and given.
    pub asked: Rights,
    /// See `asked`.
    pub given: Rights,
    /// The scheme's name, zero-padded.
    pub scheme: [u8; NAME],
    /// The first bytes of the path, as far as they could be read without waiting.
    pub path: [u8; PATH],
    /// How many those are.
    pub path_length: u8,
}

impl Record {
    /// Nothing at all.
    pub const EMPTY: Record = Record {
        number: 0,
        time_ns: 0,
        kind: Kind::Note,
        verdict: Verdict::Allowed,
        process: 0,
        label: 0,
        name: [0; NAME],
        other: 0,
        other_label: 0,
        object_type: 0,
        object_kind: 0,
        object: 0,
        asked: Rights::empty(),
        given: Rights::empty(),
        scheme: [0; NAME],
        path: [0; PATH],
        path_length: 0,
    };

    /// The path's bytes.
    pub fn path(&self) -> &[u8] {
        self.path.get(..usize::from(self.path_length)).unwrap_or(&self.path)
    }

    /// The record as words.
    pub fn to_words(&self) -> [u64; RECORD_WORDS] {
        let what = u64::from(self.kind as u8)
            | u64::from(self.verdict as u8) << 8
            | u64::from(self.object_kind) << 16
            | u64::from(self.path_length) << 24
            | u64::from(self.asked.bits()) << 32
            | u64::from(self.given.bits()) << 48;
        let head = [
            self.number,
            self.time_ns,
            what,
            self.process,
            self.other,
            u64::from(self.label) | u64::from(self.other_label) << 32,
            u64::from(self.object_type),
            self.object,
        ];
        let bytes = self.name.chunks_exact(8).chain(self.scheme.chunks_exact(8)).chain(self.path.chunks_exact(8));
        let text = bytes.map(|b| b.iter().rev().fold(0u64, |w, &x| (w << 8) | u64::from(x)));
        let mut words = [0; RECORD_WORDS];
        for (place, word) in words.iter_mut().zip(head.into_iter().chain(text)) {
            *place = word;
        }
        words
    }

    /// The record in words; `None` where they are none. The inverse of [`Record::to_words`].
    pub fn from_words(words: &[u64; RECORD_WORDS]) -> Option<Record> {
        let [number, time_ns, what, process, other, labels, object_type, object, text @ ..] = words;
        let mut record = Record {
            number: *number,
            time_ns: *time_ns,
            kind: Kind::from_number(*what as u8)?,
            verdict: Verdict::from_number((*what >> 8) as u8)?,
            object_kind: (*what >> 16) as u8,
            path_length: (*what >> 24) as u8,
            asked: Rights::from_bits_truncate((*what >> 32) as u16),
            given: Rights::from_bits_truncate((*what >> 48) as u16),
            process: *process,
            other: *other,
            label: *labels as u32,
            other_label: (*labels >> 32) as u32,
            object_type: *object_type as u32,
            object: *object,
            ..Record::EMPTY
        };
        let places = record.name.chunks_exact_mut(8).chain(record.scheme.chunks_exact_mut(8));
        for (place, word) in places.chain(record.path.chunks_exact_mut(8)).zip(text) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Record, Shape, Verdict, HEADER, RECORD_WORDS, RIGHTS};

    #[test]
    fn a_record_reads_back() {
        let record = Record {
            number: 1,
            time_ns: 2,
            kind: Kind::Pass,
            verdict: Verdict::Denied,
            process: 3,
            label: 4,
            name: [5; 32],
            other: 6,
            other_label: 7,
            object_type: 8,
            object_kind: 9,
            object: 10,
            asked: RIGHTS,
            given: crate::Rights::SEND,
            scheme: [11; 32],
            path: [12; 64],
            path_length: 13,
        };
        assert_eq!(Record::from_words(&record.to_words()), Some(record));
        assert_eq!(record.path().len(), 13);
        assert_eq!(Record::from_words(&[0; RECORD_WORDS]), None);
    }

    #[test]
    fn a_header_is_taken_only_as_it_was_written() {
        let shape = Shape { subjects: 70, types: 3 };
        let bytes = shape.header();
        let words = |b: &[u8; HEADER]| {
            let mut words = b.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().unwrap()));
            core::array::from_fn(|_| words.next().unwrap())
        };
        assert_eq!(Shape::of_header(words(&bytes)), Some(shape));
        for at in 0..HEADER {
            let mut bad = bytes;
            bad[at] ^= 1 << (at % 8);
            assert_ne!(Shape::of_header(words(&bad)), Some(shape), "byte {at}");
        }
        assert_eq!(shape.length(), HEADER + 70 * 3 * 2 + 4 + 70 * 2 * 8);
        assert!(!Shape { subjects: 1, types: 1 }.is_valid());
        assert!(!Shape { subjects: 257, types: 1 }.is_valid());
        assert!(!Shape { subjects: 2, types: 0 }.is_valid());
        assert!(!Shape { subjects: 256, types: 256 }.is_valid(), "longer than one call copies");
    }
}
