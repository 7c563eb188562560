//! New directory entries: where they go, and how the directory grows.
//!
//! An entry is put where its whole set of slots lies in one sector if any such place can be had, so
//! that it appears on disk at once. `prepare_insert` does all that may fail, `insert` then writes.

use crate::boot_sector::Root;
use crate::cache::{Change, Class};
use crate::directory::{Dir, MAX_SLOTS};
use crate::entry::{ShortEntry, DELETED, END};
use crate::long_name;
use crate::names::{self, AliasChooser};
use crate::node::Place;
use crate::volume::Volume;
use abi::error::{Error, Result};
use alloc::vec::Vec;
use scheme::block::BlockDevice;

/// Room for a new entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The first slot.
    pub start: u32,
    /// How many.
    pub count: u32,
    /// The directory's end mark, if the spot covers it or lies past it.
    end: Option<u32>,
    /// The stored short name.
    pub name: [u8; 11],
    /// Lower-case halves of the short name.
    pub case: u8,
}

/// Looks for the best spot while runs of free slots go by. A lower rank is better.
struct SpotFinder {
    count: u32,
    per_sector: u32,
    prefer: Option<u32>,
    best: Option<(u8, u32)>,
}

impl SpotFinder {
    fn offer(&mut self, from: u32, to: u32) {
        let aligned = from.next_multiple_of(self.per_sector);
        let wanted = self.prefer.map_or(from, |slot| from.max(slot - slot % self.per_sector));
        for start in [wanted, from, aligned] {
            if start < from || start.saturating_add(self.count) > to {
                continue;
            }
            let whole = start % self.per_sector + self.count <= self.per_sector;
            let near = self.prefer.is_some_and(|slot| slot / self.per_sector == start / self.per_sector);
            let rank = if whole && near {
                0
            } else if whole {
                1
            } else {
                2
            };
            if self.best.is_none_or(|(best, _)| rank < best) {
                self.best = Some((rank, start));
            }
        }
    }
}

impl<D: BlockDevice> Volume<D> {
    /// Finds room for a new name, growing the directory if need be, and makes sure that `insert` will
    /// find the sectors in memory and in an order that a crash can't spoil.
    ///
    /// Slots of `leaving` count as free: an entry that is renamed may use its own, near which the
    /// new place is sought. Errors: `NoSpace`.
    pub fn prepare_insert(&mut self, dir: &mut Dir<'_>, name: &[u16], leaving: Option<&Place>) -> Result<Spot> {
        let short = names::short(name);
        let long_slots = if short.exact { 0 } else { name.len().div_ceil(long_name::UNITS) };
        let count = 1 + long_slots as u32;
        let case = short.case;
        let mut chooser = AliasChooser::new(short);
        let per_sector = self.slots_per_sector();
        let leaving = leaving.filter(|place| place.directory == dir.id);
        let prefer = leaving.map(|place| place.slot);
        let mut finder = SpotFinder { count, per_sector, prefer, best: None };
        let mut free_from = None;
        let mut end = None;
        let stop = self.scan(dir, 0, &mut |slot| {
            let entry = slot.entry;
            if entry.is_end() {
                end = Some(slot.number);
                return true;
            }
            let own = leaving.is_some_and(|place| (place.start..=place.slot).contains(&slot.number));
            if entry.is_deleted() || own {
                free_from.get_or_insert(slot.number);
                return false;
            }
            if let Some(from) = free_from.take() {
                finder.offer(from, slot.number);
            }
            if !entry.is_long_name() && !entry.is_label() {
                chooser.take(&entry.name());
            }
            false
        })?;
        let tail_from = free_from.unwrap_or(stop);
        let total = self.total_slots(dir)?;
        finder.offer(tail_from, total);
        if finder.best.is_none_or(|(rank, _)| rank > 1) {
            // No place in one sector yet: a longer directory may have one.
            let mut longer = SpotFinder { best: None, ..finder };
            longer.offer(tail_from, u32::MAX);
            let start = longer.best.map_or(tail_from, |(_, start)| start);
            match self.grow_directory(dir, start + count) {
                Ok(()) => finder.best = longer.best,
                Err(Error::NoSpace) if finder.best.is_some() => {}
                Err(error) => return Err(error),
            }
        }
        let (_, start) = finder.best.ok_or(Error::NoSpace)?;
        let name = chooser.choose()?;
        let mut spot = Spot { start, count, end: end.filter(|end| start + count > *end), name, case };
        let last = start + count - 1;
        if let Some(end) = spot.end.filter(|end| end / per_sector != last / per_sector) {
            // Some systems stop at the end mark and some read on. They must not differ over an entry
            // behind a mark that was to move: it moves first.
            self.move_end(dir, end, start + count, start + count)?;
            self.commit()?;
            spot.end = None;
        }
        let mut needs_commit = false;
        for slot in [start, last, start + count] {
            if let Some((sector, _)) = self.slot_sector(dir, slot)? {
                self.cache.get(sector, Class::Directory, 0)?;
                needs_commit |= self.cache.add_needs_commit(sector);
            }
        }
        if needs_commit {
            self.commit()?;
        }
        Ok(spot)
    }

    /// Marks the slots from the end mark up to `start` as free, and moves the mark to `next`: what
    /// follows the mark is undefined on disks from elsewhere.
    fn move_end(&mut self, dir: &mut Dir<'_>, end: u32, start: u32, next: u32) -> Result<()> {
        if self.slot_sector(dir, next)?.is_some() {
            self.edit_slot(dir, next, Change::Update, |bytes| bytes[0] = END)?;
        }
        for slot in end..start {
            self.edit_slot(dir, slot, Change::Update, |bytes| {
                bytes.fill(0);
                bytes[0] = DELETED;
            })?;
        }
        Ok(())
    }

    fn total_slots(&mut self, dir: &mut Dir<'_>) -> Result<u32> {
        let per_sector = self.slots_per_sector();
        let sectors = match (self.shape.directory_chain(dir.id), self.shape.root) {
            (None, Root::Fixed { sectors, .. }) => sectors,
            (None, Root::Chain(_)) => return Err(Error::Corrupt),
            (Some(first), _) => {
                let (clusters, _) = dir.map.finish(first, &self.shape, &self.table, &mut self.cache)?;
                clusters.saturating_mul(self.shape.cluster_sectors)
            }
        };
        Ok(sectors.saturating_mul(per_sector).min(MAX_SLOTS))
    }

    /// Adds zeroed clusters to a directory until it has this many slots.
    fn grow_directory(&mut self, dir: &mut Dir<'_>, slots: u32) -> Result<()> {
        let Some(first) = self.shape.directory_chain(dir.id) else { return Err(Error::NoSpace) };
        let have = self.total_slots(dir)?;
        if slots > MAX_SLOTS {
            return Err(Error::NoSpace);
        }
        let per_cluster = self.slots_per_sector() * self.shape.cluster_sectors;
        let want = slots.saturating_sub(have).div_ceil(per_cluster);
        if want == 0 {
            return Ok(());
        }
        let (_, tail) = dir.map.finish(first, &self.shape, &self.table, &mut self.cache)?;
        let runs = self.allocate(want, Some(tail), want)?;
        // Zeroes reach the disk before anything leads to them.
        for run in &runs {
            let sector = self.shape.cluster_sector(run.start)?;
            if let Err(error) = self.cache.zero_run(sector, run.len * self.shape.cluster_sectors) {
                self.table.give_back(&mut self.cache, &runs);
                return Err(error);
            }
        }
        self.table.link(&mut self.cache, tail, runs[0].start)?;
        dir.map.append(&runs);
        Ok(())
    }

    /// Writes an entry, which carries the spot's short name, into a spot. Answers where it is.
    pub fn insert(&mut self, dir: &mut Dir<'_>, spot: &Spot, name: &[u16], entry: &ShortEntry) -> Result<Place> {
        if let Some(end) = spot.end {
            self.move_end(dir, end, spot.start, spot.start + spot.count)?;
        }
        let mut slots = if spot.count > 1 { long_name::slots(name, &entry.raw_name()) } else { Vec::new() };
        slots.push(entry.0);
        let mut last = (0, 0);
        for (slot, bytes) in (spot.start..).zip(&slots) {
            last = self.edit_slot(dir, slot, Change::Add, |out| out.copy_from_slice(bytes))?;
        }
        let slot = spot.start + spot.count - 1;
        Ok(Place { directory: dir.id, start: spot.start, slot, sector: last.0, offset: last.1 })
    }
}

#[cfg(test)]
mod tests {
    use super::SpotFinder;

    fn best(count: u32, prefer: Option<u32>, runs: &[(u32, u32)]) -> Option<u32> {
        let mut finder = SpotFinder { count, per_sector: 16, prefer, best: None };
        for (from, to) in runs {
            finder.offer(*from, *to);
        }
        finder.best.map(|(_, start)| start)
    }

    #[test]
    fn a_place_within_one_sector_is_preferred() {
        assert_eq!(best(3, None, &[(14, 18), (20, 24)]), Some(20));
        assert_eq!(best(3, None, &[(14, 40)]), Some(16));
        assert_eq!(best(3, None, &[(14, 18)]), Some(14), "if there is no other, across two");
        assert_eq!(best(17, None, &[(3, 40)]), Some(3), "a set longer than a sector goes anywhere");
        assert_eq!(best(3, None, &[(4, 6)]), None);
    }

    #[test]
    fn a_renamed_entry_stays_in_its_sector_if_it_can() {
        assert_eq!(best(2, Some(40), &[(3, 9), (34, 36)]), Some(34));
        assert_eq!(best(2, Some(40), &[(3, 60)]), Some(32));
        assert_eq!(best(2, Some(40), &[(3, 9)]), Some(3));
    }
}
