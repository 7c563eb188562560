//! The keepsake: what a server must know after it died and was started again.
//!
//! A header, then slots of [`SLOT`] bytes, one a session: who it is (512 bytes), then two halves for each of
//! [`REMEMBERED`] threads' last calls. Whatever instant the server dies at, a reader finds the old or the new
//! state of each record, never a mixture: a record is valid only with its checksum, which is written last and
//! wiped first, and a call's new half is written beside the old one, never over it. All numbers little-endian.
//!
//! The contents come back from a process that may have gone mad before it died: nothing in them is trusted beyond
//! what the kernel's own list of sessions confirms.

use crate::path::MAX_PATH;
use crate::sequence::{Progress, Record, Records, REMEMBERED};
use crate::store::Store;
use crate::wire::OpenFlags;
use abi::{Error, Result};
use alloc::string::String;
use alloc::vec::Vec;

/// Bytes a session takes.
pub const SLOT: usize = 1024;
/// Bytes before the first slot.
pub const HEADER: usize = 64;
/// The longest path that is kept. A session with a longer one can't be opened again.
pub const KEPT_PATH: usize = IDENTITY - IDENTITY_HEAD;

const MAGIC: u64 = 0x4553_4b50_5845_454b;
const VERSION: u64 = 1;
const IDENTITY: usize = 512;
const IDENTITY_HEAD: usize = 48;
const HALF: usize = 64;

/// A session as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its badge.
    pub badge: u64,
    /// The root session that its path is seen from.
    pub root: u64,
    /// What it stood for before the restart.
    pub id: u64,
    /// The flags it was opened with.
    pub flags: OpenFlags,
    /// Its path, normalised.
    pub path: String,
}

/// Where a session is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(usize);

/// A keepsake over some bytes.
#[derive(Debug)]
pub struct Keepsake<K: Store> {
    store: K,
    used: Vec<bool>,
    generation: u64,
}

/// FNV-1a, never 0: it finds torn writes, it need not resist forgers.
fn checksum(parts: &[&[u8]]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    parts.iter().copied().flatten().fold(0xcbf2_9ce4_8422_2325, step).max(1)
}

fn word(bytes: &[u8], index: usize) -> u64 {
    let at = index.saturating_mul(8);
    bytes.get(at..).and_then(|b| b.first_chunk::<8>()).map_or(0, |b| u64::from_le_bytes(*b))
}

fn words_to_bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl<K: Store> Keepsake<K> {
    /// Takes up what is there; what is no keepsake of this version is made a new, empty one.
    pub fn new(mut store: K) -> Keepsake<K> {
        let slots = store.size().saturating_sub(HEADER) / SLOT;
        let mut head = [0; 24];
        let known = store.read(0, &mut head).is_ok()
            && word(&head, 0) == MAGIC
            && word(&head, 1) == VERSION
            && word(&head, 2) == slots as u64;
        if !known && slots > 0 {
            // The magic goes last, so that a half-made keepsake is made again.
            for slot in 0..slots {
                let _ = store.write(HEADER.saturating_add(slot.saturating_mul(SLOT)), &[0; SLOT]);
            }
            let _ = store.write(8, &words_to_bytes(&[VERSION, slots as u64]));
            let _ = store.write(0, &MAGIC.to_le_bytes());
        }
        Keepsake { store, used: alloc::vec![false; slots], generation: 0 }
    }

    fn base(slot: Slot) -> usize {
        HEADER.saturating_add(slot.0.saturating_mul(SLOT))
    }

    fn half_at(slot: Slot, place: usize, half: usize) -> usize {
        let index = place.saturating_mul(2).saturating_add(half);
        Self::base(slot).saturating_add(IDENTITY).saturating_add(index.saturating_mul(HALF))
    }

    /// All sessions that are kept, with their last calls. Of two records of one badge (the server died while one
    /// was moved) the newer counts. For use once, at the start.
    pub fn load(&mut self) -> Vec<(Slot, Kept, Records)> {
        let mut found: Vec<(Slot, u64, Kept)> = Vec::new();
        for index in 0..self.used.len() {
            let slot = Slot(index);
            let Some((generation, kept)) = self.identity(slot) else { continue };
            self.generation = self.generation.max(generation);
            match found.iter().position(|(_, _, other)| other.badge == kept.badge) {
                Some(at) => {
                    let newer = found.get(at).is_some_and(|(_, other, _)| generation > *other);
                    let loser = match found.get_mut(at) {
                        Some(entry) if newer => core::mem::replace(entry, (slot, generation, kept)).0,
                        _ => slot,
                    };
                    self.clear(loser);
                }
                None => found.push((slot, generation, kept)),
            }
        }
        let mut all = Vec::new();
        for (slot, _, kept) in found {
            self.mark(slot, true);
            let records = self.records(slot);
            all.push((slot, kept, records));
        }
        all
    }

    fn mark(&mut self, slot: Slot, used: bool) {
        if let Some(mark) = self.used.get_mut(slot.0) {
            *mark = used;
        }
    }

    fn identity(&self, slot: Slot) -> Option<(u64, Kept)> {
        let mut bytes = [0; IDENTITY];
        self.store.read(Self::base(slot), &mut bytes).ok()?;
        let (head, path) = bytes.split_at(IDENTITY_HEAD);
        let length = (word(head, 5) >> 32) as usize;
        let path = path.get(..length).filter(|path| path.len() <= MAX_PATH)?;
        if word(head, 0) == 0 || word(head, 0) != checksum(&[head.get(8..)?, path]) {
            return None;
        }
        let flags = OpenFlags::from_bits(word(head, 5) as u32)?;
        let path = core::str::from_utf8(path).ok()?;
        // What is not normalised was not written by us.
        if crate::path::normalise(path).ok()? != path {
            return None;
        }
        let kept = Kept { badge: word(head, 1), root: word(head, 2), id: word(head, 3), flags, path: path.into() };
        Some((word(head, 4), kept))
    }

    fn half(&self, slot: Slot, place: usize, half: usize) -> Option<Record> {
        let mut bytes = [0; HALF];
        self.store.read(Self::half_at(slot, place, half), &mut bytes).ok()?;
        if word(&bytes, 0) == 0 || word(&bytes, 0) != checksum(&[bytes.get(8..)?]) {
            return None;
        }
        let shape = word(&bytes, 3);
        let progress = match shape & 3 {
            1 => Progress::Begun,
            2 => Progress::Done,
            _ => Progress::None,
        };
        Some(Record {
            stamp: word(&bytes, 1),
            sequence: word(&bytes, 2),
            progress,
            status: (shape >> 16) as u16,
            operation: (shape >> 32) as u16,
            start: word(&bytes, 4),
            words: [word(&bytes, 5), word(&bytes, 6)],
            position: word(&bytes, 7),
        })
    }

    fn records(&self, slot: Slot) -> Records {
        let newer = |place: usize| match (self.half(slot, place, 0), self.half(slot, place, 1)) {
            (Some(a), Some(b)) => Some(if a.stamp > b.stamp { a } else { b }),
            (a, b) => a.or(b),
        };
        Records(core::array::from_fn(|place| newer(place).unwrap_or_default()))
    }

    /// Keeps a new session. Errors: `TooManyOpen` when all slots are taken, `NameTooLong` for its path.
    pub fn insert(&mut self, kept: &Kept) -> Result<Slot> {
        if kept.path.len() > KEPT_PATH {
            return Err(Error::NameTooLong);
        }
        let slot = Slot(self.used.iter().position(|used| !used).ok_or(Error::TooManyOpen)?);
        self.store.write(Self::base(slot), &[0; SLOT])?;
        self.commit_identity(slot, kept)?;
        self.mark(slot, true);
        Ok(slot)
    }

    fn commit_identity(&mut self, slot: Slot, kept: &Kept) -> Result<()> {
        self.generation = self.generation.saturating_add(1);
        let shape = u64::from(kept.flags.bits()) | ((kept.path.len() as u64) << 32);
        let head = words_to_bytes(&[kept.badge, kept.root, kept.id, self.generation, shape]);
        let base = Self::base(slot);
        self.store.write(base.saturating_add(8), &head)?;
        self.store.write(base.saturating_add(IDENTITY_HEAD), kept.path.as_bytes())?;
        self.store.write(base, &checksum(&[&head, kept.path.as_bytes()]).to_le_bytes())
    }

    /// Keeps a session under changed particulars (another path): a new slot beside the old, then the old one goes.
    /// Errors: as [`Keepsake::insert`]; the old record stays then.
    pub fn replace(&mut self, old: Slot, kept: &Kept, records: &Records) -> Result<Slot> {
        if kept.path.len() > KEPT_PATH {
            return Err(Error::NameTooLong);
        }
        let slot = Slot(self.used.iter().position(|used| !used).ok_or(Error::TooManyOpen)?);
        self.store.write(Self::base(slot), &[0; SLOT])?;
        for (place, record) in records.0.iter().enumerate() {
            if record.stamp != 0 {
                self.commit(slot, place, record)?;
            }
        }
        self.commit_identity(slot, kept)?;
        self.mark(slot, true);
        self.clear(old);
        Ok(slot)
    }

    /// Commits a call's record: after this, and not before, a reader finds it.
    pub fn commit(&mut self, slot: Slot, place: usize, record: &Record) -> Result<()> {
        if place >= REMEMBERED {
            return Err(Error::BadArgument);
        }
        let stamp = |half: usize| self.half(slot, place, half).map_or(0, |record| record.stamp);
        let target = if stamp(0) <= stamp(1) { 0 } else { 1 };
        let progress = match record.progress {
            Progress::None => 0,
            Progress::Begun => 1,
            Progress::Done => 2,
        };
        let shape = progress | (u64::from(record.status) << 16) | (u64::from(record.operation) << 32);
        let [w0, w1] = record.words;
        let body = words_to_bytes(&[record.stamp, record.sequence, shape, record.start, w0, w1, record.position]);
        let at = Self::half_at(slot, place, target);
        self.store.write(at, &[0; 8])?;
        self.store.write(at.saturating_add(8), &body)?;
        self.store.write(at, &checksum(&[&body]).to_le_bytes())
    }

    /// Forgets a session.
    pub fn clear(&mut self, slot: Slot) {
        let _ = self.store.write(Self::base(slot), &[0; 8]);
        self.mark(slot, false);
    }
}
