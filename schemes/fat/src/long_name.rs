//! Long names: up to 255 UTF-16 units in the slots before a short entry.
//!
//! Slots stand in reverse order, thirteen units each, bound to their short entry by a checksum of
//! its name (FAT specification, "Long Directory Entries"). Slots that don't fit together are taken
//! as free-standing rubbish, and the short name stands alone.

use crate::entry::{attribute, ShortEntry, SLOT};
use alloc::vec::Vec;

/// The longest name, in UTF-16 units.
pub const MAX_UNITS: usize = 255;
/// Units in one slot.
pub const UNITS: usize = 13;
/// Where in the slot the units are.
const PLACES: [usize; UNITS] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
/// Set in the number of the slot that comes first on disk and holds the name's end.
pub const LAST: u8 = 0x40;

/// The checksum of a short name as stored.
pub fn checksum(name: &[u8; 11]) -> u8 {
    name.iter().fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// The slots of a name, in the order they stand on disk, before the short entry itself.
pub fn slots(units: &[u16], short_name: &[u8; 11]) -> Vec<[u8; SLOT]> {
    let sum = checksum(short_name);
    let count = units.len().div_ceil(UNITS);
    let mut all = Vec::with_capacity(count + 1);
    for number in (0..count).rev() {
        let mut slot = [0u8; SLOT];
        slot[0] = (number as u8 + 1) | if number + 1 == count { LAST } else { 0 };
        slot[11] = attribute::LONG_NAME;
        slot[13] = sum;
        for (index, place) in PLACES.iter().enumerate() {
            // A name that doesn't fill its slots ends with one zero, then all ones.
            let unit = match units.get(number * UNITS + index) {
                Some(unit) => *unit,
                None if number * UNITS + index == units.len() => 0,
                None => 0xffff,
            };
            slot[*place..place + 2].copy_from_slice(&unit.to_le_bytes());
        }
        all.push(slot);
    }
    all
}

/// Puts a name together from slots as they are met.
#[derive(Debug, Default)]
pub struct Collector {
    units: Vec<u16>,
    /// The number of the slot that must come next, 0 once the name is whole.
    expected: u8,
    sum: u8,
    active: bool,
    /// The directory slot where the name began.
    start: u32,
}

impl Collector {
    /// Takes a long-name slot found at this place of the directory.
    pub fn take(&mut self, slot: &ShortEntry, place: u32) {
        let number = slot.0[0] & 0x3f;
        if slot.0[0] & LAST != 0 {
            self.active = (1..=MAX_UNITS.div_ceil(UNITS) as u8).contains(&number);
            self.units.clear();
            self.units.resize(usize::from(number) * UNITS, 0);
            self.sum = slot.0[13];
            self.start = place;
        } else if !self.active || number != self.expected || number == 0 || slot.0[13] != self.sum {
            self.active = false;
        }
        if !self.active {
            return;
        }
        self.expected = number - 1;
        let base = usize::from(number - 1) * UNITS;
        for (index, at) in PLACES.iter().enumerate() {
            if let Some(unit) = self.units.get_mut(base + index) {
                *unit = u16::from_le_bytes([slot.0[*at], slot.0[*at + 1]]);
            }
        }
    }

    /// Forgets a name that turned out to belong to nothing.
    pub fn clear(&mut self) {
        self.active = false;
    }

    /// The name for the short entry that follows, and the slot where it began, if it is whole and
    /// is this entry's.
    pub fn finish(&mut self, entry: &ShortEntry) -> Option<(Vec<u16>, u32)> {
        let whole = self.active && self.expected == 0 && self.sum == checksum(&entry.raw_name());
        self.active = false;
        if !whole {
            return None;
        }
        let end = self.units.iter().position(|unit| *unit == 0).unwrap_or(self.units.len());
        if end == 0 || end > MAX_UNITS {
            return None;
        }
        Some((self.units[..end].to_vec(), self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::{checksum, slots, Collector};
    use crate::entry::ShortEntry;
    use crate::time::Stamp;

    fn entry() -> ShortEntry {
        ShortEntry::new(b"LONGNA~1TXT", 0, 0, 0, 0, Stamp::default())
    }

    fn collect(slots: &[[u8; 32]]) -> Option<Vec<u16>> {
        let mut collector = Collector::default();
        for (place, slot) in slots.iter().enumerate() {
            collector.take(&ShortEntry(*slot), place as u32);
        }
        collector.finish(&entry()).map(|(units, _)| units)
    }

    #[test]
    fn names_of_every_length_survive_the_round_trip() {
        for length in 1..=255 {
            let units: Vec<u16> = (0..length).map(|n| 0x100 + n).collect();
            assert_eq!(collect(&slots(&units, &entry().raw_name())), Some(units));
        }
    }

    #[test]
    fn the_checksum_is_the_one_mtools_writes() {
        // "The quick brown.fox" becomes THEQUI~1.FOX in the specification's example; its checksum
        // was read off a disk written by mcopy.
        assert_eq!(checksum(b"THEQUI~1FOX"), 0x07);
    }

    #[test]
    fn slots_that_do_not_fit_together_are_no_name() {
        let units: Vec<u16> = (0..30).map(|n| 0x41 + n).collect();
        let good = slots(&units, &entry().raw_name());
        assert!(collect(&good).is_some());
        assert!(collect(&good[1..]).is_none(), "the end is missing");
        assert!(collect(&good[..2]).is_none(), "the beginning is missing");
        assert!(collect(&[good[0], good[2], good[1]]).is_none(), "out of order");
        let mut bad = good.clone();
        bad[1][13] ^= 1;
        assert!(collect(&bad).is_none(), "another name's slot");
        let foreign = slots(&units, b"OTHER   TXT");
        assert!(collect(&foreign).is_none(), "another entry's name");
        let mut huge = good;
        huge[0][0] = 0x7f;
        assert!(collect(&huge).is_none(), "more slots than a name can have");
    }
}
