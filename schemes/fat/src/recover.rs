//! What is put right when a volume was not closed properly: renames cut in
//! half.
//!
//! A rename across sectors takes the old entry off the disk before the new one comes. The freed
//! short entry stays behind as a note: everything but its first byte is kept, that byte is saved in
//! the creation-time field, and marks tell it from ordinary rubbish. The commit that writes the new
//! entry wipes the note before any cluster is freed, so a note found on a dirty volume whose clusters
//! no entry claims is a rename that did not arrive, and the entry goes back to its old name.

use crate::cache::{Change, Class};
use crate::chain::ChainMap;
use crate::directory::Dir;
use crate::entry::{ShortEntry, DELETED, SLOT};
use crate::long_name::{checksum, Collector, LAST, MAX_UNITS, UNITS};
use crate::names;
use crate::node::Place;
use crate::volume::Volume;
use abi::error::{Error, Result};
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use scheme::block::BlockDevice;

/// Stands in the access date of a note; no real date has a fifteenth month.
const MARK: [u8; 2] = [0xe7, 0xff];
/// Stands in the unused bits of the case byte.
const CASE_MARK: u8 = 0xa0;
/// The bits of the case byte that mean something.
const CASE: u8 = names::LOWER_BASE | names::LOWER_EXTENSION;
/// More notes than one commit can leave.
const MOST_NOTES: usize = 4096;

/// The note for an entry.
pub fn note(entry: &ShortEntry) -> ShortEntry {
    let mut note = *entry;
    note.0[13] = entry.0[0];
    note.0[0] = DELETED;
    note.0[12] = entry.0[12] & CASE | CASE_MARK;
    note.0[18..20].copy_from_slice(&MARK);
    note
}

/// Whether a slot is a note.
pub fn is_note(slot: &ShortEntry) -> bool {
    slot.is_deleted() && !slot.is_long_name() && slot.0[18..20] == MARK && slot.0[12] & !CASE == CASE_MARK
}

/// A note without its marks: an ordinary freed slot.
pub fn wiped(note: &ShortEntry) -> ShortEntry {
    let mut slot = *note;
    slot.0[12] &= CASE;
    slot.0[18..20].fill(0);
    slot
}

/// The entry a note was made of, but for the access date.
fn noted(note: &ShortEntry) -> ShortEntry {
    let mut entry = wiped(note);
    entry.0[0] = note.0[13];
    entry.0[13] = 0;
    let modified = [entry.0[24], entry.0[25]];
    entry.0[18..20].copy_from_slice(&modified);
    entry
}

impl<D: BlockDevice> Volume<D> {
    /// Looks for notes in the whole tree and brings back what no entry claims.
    ///
    /// Directories that can't be read are left alone, and then nothing is brought back: whether a
    /// cluster is claimed would be a guess.
    pub fn recover(&mut self) -> Result<()> {
        let mut notes: Vec<(Place, ShortEntry)> = Vec::new();
        self.walk(&mut |place, entry| {
            if is_note(entry) && notes.len() < MOST_NOTES {
                notes.push((*place, *entry));
            }
        })?;
        if notes.is_empty() {
            return Ok(());
        }
        let mut unclaimed: BTreeSet<u32> = notes.iter().map(|(_, note)| note.cluster()).collect();
        let whole = self.walk(&mut |_, entry| {
            if !entry.is_deleted() {
                unclaimed.remove(&entry.cluster());
            }
        })?;
        self.begin()?;
        for (place, note) in &notes {
            let cluster = note.cluster();
            let wanted = whole && unclaimed.remove(&cluster) && self.is_sound(note);
            // A note that can't be used goes, lest it be found again when it means nothing any more.
            let in_place = wanted && self.bring_back(place, &noted(note)).unwrap_or(false);
            if !in_place {
                self.wipe_note(place)?;
            }
        }
        self.commit()
    }

    /// Makes a note an ordinary freed slot, unless the slot has a new owner by now. Answers whether
    /// it was still a note.
    pub fn wipe_note(&mut self, place: &Place) -> Result<bool> {
        let bytes = self.cache.get(place.sector, Class::Directory, 0)?;
        let mut slot = ShortEntry([0; SLOT]);
        slot.0.copy_from_slice(&bytes[place.offset..place.offset + SLOT]);
        if !is_note(&slot) {
            return Ok(false);
        }
        self.update_entry(place, &wiped(&slot), Change::Update)?;
        Ok(true)
    }

    /// Whether a note's chain is allocated and as long as the entry says.
    fn is_sound(&mut self, note: &ShortEntry) -> bool {
        let mut map = ChainMap::default();
        let length = map.finish(note.cluster(), &self.shape, &self.table, &mut self.cache);
        let wanted = if note.is_directory() { 1 } else { self.shape.clusters_for(u64::from(note.size())) };
        length.is_ok_and(|(clusters, _)| clusters >= wanted)
    }

    /// Puts an entry back under its old name. Answers whether it went into its old slots.
    ///
    /// The name or the alias may have been given away since: then it gets new slots, and if need be
    /// another name.
    fn bring_back(&mut self, place: &Place, entry: &ShortEntry) -> Result<bool> {
        let mut map = ChainMap::default();
        let mut dir = Dir { id: place.directory, map: &mut map };
        let mut parts = self.old_long_name(&mut dir, place, entry)?;
        let mut collector = Collector::default();
        for (part, at) in parts.iter().zip(0..) {
            collector.take(&ShortEntry(*part), at);
        }
        let alias = names::shown_short(entry);
        let long = collector.finish(entry).map(|(units, _)| units).filter(|units| names::usable(units));
        if long.is_none() {
            parts.clear();
        }
        let name = long.unwrap_or_else(|| alias.clone());
        if entry.is_directory() {
            self.set_parent(entry.cluster(), place.directory)?;
        }
        if self.find(&mut dir, &alias)?.is_none() && self.find(&mut dir, &name)?.is_none() {
            let start = place.slot - parts.len() as u32;
            parts.push(entry.0);
            self.restore(&mut dir, &Place { start, ..*place }, &parts)?;
            return Ok(true);
        }
        let other = names::text(&name) + " (recovered)";
        for name in [name, names::parse(&other)?] {
            if self.find(&mut dir, &name)?.is_none() {
                let spot = self.prepare_insert(&mut dir, &name, None)?;
                let mut entry = *entry;
                entry.set_name(&spot.name, spot.case);
                self.insert(&mut dir, &spot, &name, &entry)?;
                // It must be there before the note goes.
                self.commit()?;
                return Ok(false);
            }
        }
        Err(Error::Exists)
    }

    /// The freed slots before a note that held its long name, numbered again.
    fn old_long_name(&mut self, dir: &mut Dir<'_>, place: &Place, entry: &ShortEntry) -> Result<Vec<[u8; SLOT]>> {
        let sum = checksum(&entry.raw_name());
        let most = MAX_UNITS.div_ceil(UNITS) as u32;
        let mut parts: Vec<[u8; SLOT]> = Vec::new();
        self.scan(dir, place.slot.saturating_sub(most), &mut |slot| {
            if slot.number < place.slot {
                if slot.entry.is_deleted() && slot.entry.is_long_name() && slot.entry.0[13] == sum {
                    parts.push(slot.entry.0);
                } else {
                    parts.clear();
                }
            }
            slot.number >= place.slot
        })?;
        // The number of each is gone; their order is not.
        let count = parts.len();
        for (index, part) in parts.iter_mut().enumerate() {
            part[0] = (count - index) as u8 | if index == 0 { LAST } else { 0 };
        }
        Ok(parts)
    }

    /// Shows every slot of every directory. Answers whether all could be read.
    fn walk(&mut self, visit: &mut dyn FnMut(&Place, &ShortEntry)) -> Result<bool> {
        let mut whole = true;
        let mut seen = BTreeSet::new();
        let mut open = vec![0u32];
        while let Some(id) = open.pop() {
            let mut map = ChainMap::default();
            let shape = self.shape;
            let outcome = self.scan(&mut Dir { id, map: &mut map }, 0, &mut |slot| {
                let entry = slot.entry;
                if entry.is_end() {
                    return true;
                }
                if entry.is_long_name() || entry.is_label() || entry.is_dots() {
                    return false;
                }
                let place = Place {
                    directory: id,
                    start: slot.number,
                    slot: slot.number,
                    sector: slot.sector,
                    offset: slot.offset,
                };
                visit(&place, &entry);
                let cluster = entry.cluster();
                if !entry.is_deleted() && entry.is_directory() && shape.valid(cluster) && seen.insert(cluster) {
                    open.push(cluster);
                }
                false
            });
            whole &= outcome.is_ok();
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::{is_note, note, noted, wiped};
    use crate::entry::ShortEntry;
    use crate::time::Stamp;

    #[test]
    fn a_note_keeps_the_entry_and_a_wiped_one_is_none() {
        let now = Stamp { date: 0x5d77, time: 0x1ea5, fine: 33 };
        let entry = ShortEntry::new(b"\xe5AME    EXT", 0x18, 0x20, 77, 1234, now);
        let left = note(&entry);
        assert!(left.is_deleted() && is_note(&left) && !is_note(&entry));
        assert!(!is_note(&wiped(&left)));
        let back = noted(&left);
        assert_eq!((back.name(), back.case(), back.cluster(), back.size()), (entry.name(), 0x18, 77, 1234));
        assert_eq!(back.modified(), entry.modified());
    }

    #[test]
    fn an_ordinary_freed_slot_is_no_note() {
        let mut entry = ShortEntry::new(b"NAME    EXT", 0, 0x20, 77, 1234, Stamp::from_unix_ns(1 << 60));
        entry.0[0] = 0xe5;
        assert!(!is_note(&entry));
    }
}
