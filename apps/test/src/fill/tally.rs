//! What a filler has made, counted by itself.

use super::books::Books;
use crate::tap::{same, Check};
use abi::quota::OBJECTS;
use abi::{Error, Kind};
use alloc::format;

/// Kinds of capabilities that are counted, by number.
const KINDS: usize = 32;
/// Words of a tally: rounds, error, objects, capabilities.
const WORDS: usize = 2 + OBJECTS.len() + KINDS;
/// Bytes of one.
pub const BYTES: usize = WORDS * 8;

/// A count of what was made, by call that went through. It lives on the stack: a filler's account is full.
#[derive(Clone, Copy)]
pub struct Tally {
    words: [u64; WORDS],
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Tally {
        Tally { words: [0; WORDS] }
    }

    fn add(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at) {
            *word += 1;
        }
    }

    /// An object more, named as in [`OBJECTS`].
    pub fn object(&mut self, name: &str) {
        if let Some(at) = OBJECTS.iter().position(|object| *object == name) {
            self.add(2 + at);
        }
    }

    /// A capability more.
    pub fn capability(&mut self, kind: Kind) {
        self.add(2 + OBJECTS.len() + kind as usize);
    }

    /// An object and the capability to it.
    pub fn made(&mut self, kind: Kind) {
        self.object(kind.name());
        self.capability(kind);
    }

    /// One more of what is being made.
    pub fn round(&mut self) {
        self.add(0);
    }

    /// What ended it.
    pub fn end(&mut self, error: Error) {
        self.words[1] = u64::from(error.number());
    }

    /// How many were made.
    pub fn rounds(&self) -> u64 {
        self.words[0]
    }

    /// What ended it; none: it made as many as it was asked.
    pub fn error(&self) -> Option<Error> {
        abi::error::check(self.words[1]).err()
    }

    /// As bytes.
    pub fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// From bytes.
    pub fn from_bytes(bytes: &[u8; BYTES]) -> Tally {
        let mut tally = Tally::new();
        for (word, place) in tally.words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = place.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        tally
    }

    /// Holds the count against what the kernel listed before and after.
    pub fn compare(&self, what: &str, before: &Books, after: &Books) -> Check {
        for (at, name) in OBJECTS.iter().enumerate() {
            let listed = after.object(name) - before.object(name);
            same(&format!("{what}: objects of kind {name}"), listed, self.words[2 + at])?;
        }
        for number in 0..KINDS {
            let Some(kind) = Kind::from_number(number as u8) else { continue };
            let listed = after.capabilities(kind) - before.capabilities(kind);
            let counted = self.words[2 + OBJECTS.len() + number];
            same(&format!("{what}: capabilities to {}", kind.name()), listed, counted)?;
        }
        Ok(())
    }
}
