//! Renaming and moving, onto an existing entry too.
//!
//! Where old and new slots lie in one sector the rename is one write; `prepare_insert` looks for
//! such a place first. Otherwise the old entry leaves the disk before the new one comes, so that no
//! two entries ever lead to the same clusters, and a crash between the two is healed at the next
//! mount from the note left in the old slots (see `recover`).

use crate::cache::Change;
use crate::chain::ChainMap;
use crate::directory::{Dir, Found};
use crate::entry::ShortEntry;
use crate::insertion::Spot;
use crate::names;
use crate::namespace::sought;
use crate::node::{NodeId, Place};
use crate::recover;
use crate::volume::{Fat, Volume};
use abi::error::{Error, Result};
use core::mem;
use scheme::block::BlockDevice;

/// Where a renamed entry goes.
enum Target<'a> {
    /// Into free slots.
    Spot(&'a Spot, &'a [u16]),
    /// Into the short entry of what was there.
    Replace(&'a Found),
}

impl<D: BlockDevice> Volume<D> {
    /// Whether `directory` is `ancestor` or below it.
    fn is_within(&mut self, directory: u32, ancestor: u32) -> Result<bool> {
        let mut here = directory;
        for _ in 0..=self.shape.cluster_count {
            if here == ancestor {
                return Ok(true);
            }
            if here == 0 {
                return Ok(false);
            }
            here = self.parent_of(here)?;
        }
        Err(Error::Corrupt)
    }

    fn arrive(&mut self, dir: &mut Dir<'_>, target: &Target<'_>, entry: &ShortEntry) -> Result<Place> {
        match target {
            Target::Spot(spot, name) => self.insert(dir, spot, name, entry),
            Target::Replace(found) => {
                self.update_entry(&found.place, entry, Change::Add)?;
                Ok(found.place)
            }
        }
    }

    /// Moves an entry. What may fail has been checked, and the sectors are in memory.
    fn move_entry(
        &mut self,
        from: &mut Dir<'_>,
        to: &mut Dir<'_>,
        old: &Found,
        entry: &ShortEntry,
        target: &Target<'_>,
    ) -> Result<Place> {
        let one_sector = match target {
            Target::Spot(spot, _) => {
                let (first, _) = self.spot_sector(to, spot.start)?;
                let (last, _) = self.spot_sector(to, spot.start + spot.count - 1)?;
                let (begin, _) = self.spot_sector(from, old.place.start)?;
                first == last && first == old.place.sector && begin == first
            }
            Target::Replace(found) => {
                let (begin, _) = self.spot_sector(from, old.place.start)?;
                found.place.sector == old.place.sector && begin == old.place.sector
            }
        };
        if one_sector {
            // Both happen in one write; the order in memory lets the new take the old one's slots.
            self.remove(from, &old.place)?;
            return self.arrive(to, target, entry);
        }
        if self.cache.has_adds(old.place.sector) || self.target_waits(to, target)? {
            self.commit()?;
        }
        let saved = self.save(from, &old.place)?;
        self.remove(from, &old.place)?;
        self.leave_note(old)?;
        let moved_directory = old.entry.is_directory() && from.id != to.id;
        let mut arrived = Ok(());
        if moved_directory {
            // Its `..` changes while nothing on disk leads to it.
            arrived =
                self.commit().and_then(|()| self.set_parent(old.entry.cluster(), to.id)).and_then(|()| self.commit());
        }
        let done = arrived.and_then(|()| self.arrive(to, target, entry));
        match done {
            Ok(place) => {
                self.notes.push(old.place);
                Ok(place)
            }
            Err(error) => {
                if moved_directory {
                    let _ = self.set_parent(old.entry.cluster(), from.id);
                }
                self.restore(from, &old.place, &saved)?;
                Err(error)
            }
        }
    }

    /// Whether the target's sector must be written before the old entry may go.
    fn target_waits(&mut self, to: &mut Dir<'_>, target: &Target<'_>) -> Result<bool> {
        let sector = match target {
            Target::Spot(spot, _) => self.spot_sector(to, spot.start + spot.count - 1)?.0,
            Target::Replace(found) => found.place.sector,
        };
        Ok(self.cache.has_removes(sector) || self.cache.add_needs_commit(sector))
    }

    /// Turns the freed short entry into a note from which `recover` can bring the entry back.
    fn leave_note(&mut self, old: &Found) -> Result<()> {
        if old.entry.cluster() == 0 {
            return Ok(());
        }
        let note = recover::note(&old.entry);
        self.update_entry(&old.place, &note, Change::Remove)
    }
}

impl<D: BlockDevice> Fat<D> {
    /// Renames or moves an entry. An existing target is replaced if it is of the same kind, a
    /// directory only if it is empty. Nodes stay open throughout.
    ///
    /// Errors: `NotFound`, `NotDirectory`, `IsDirectory`, `NotEmpty`, `BadArgument` (a directory into
    /// itself), and those of changes.
    pub fn rename(&mut self, from: NodeId, old_name: &str, to: NodeId, new_name: &str) -> Result<()> {
        let name = names::parse(new_name)?;
        let old = self.find(from, &sought(old_name)?)?.ok_or(Error::NotFound)?;
        let existing = self.find(to, &name)?;
        let from_id = self.nodes.get(from)?.as_directory()?;
        let to_id = self.nodes.get(to)?.as_directory()?;
        let same_entry = existing.as_ref().is_some_and(|found| found.place == old.place);
        if same_entry && old.name == name {
            return Ok(());
        }
        let existing = existing.filter(|_| !same_entry);
        if let Some(found) = &existing {
            match (old.entry.is_directory(), found.entry.is_directory()) {
                (true, false) => return Err(Error::NotDirectory),
                (false, true) => return Err(Error::IsDirectory),
                _ => {}
            }
        }
        if old.entry.is_directory() && from_id != to_id && self.volume.is_within(to_id, old.entry.cluster())? {
            return Err(Error::BadArgument);
        }
        self.volume.begin()?;
        let freed = match &existing {
            Some(found) => Some(self.removable(found)?),
            None => None,
        };

        // Two directories may be one node: their maps are taken out, and put back whatever happens.
        let mut from_map = mem::take(&mut self.nodes.get(from)?.map);
        let mut to_map = if from_id == to_id { ChainMap::default() } else { mem::take(&mut self.nodes.get(to)?.map) };
        let moved = self.rename_entry(from_id, &mut from_map, to_id, &mut to_map, &old, existing.as_ref(), &name);
        if from_id == to_id {
            // The target's map may have grown past the source's.
            from_map = to_map;
        } else {
            self.nodes.get(to)?.map = to_map;
        }
        self.nodes.get(from)?.map = from_map;
        let (place, entry) = moved?;
        if let (Some(found), Some(runs)) = (&existing, &freed) {
            self.forget_entry(found, runs);
        }
        self.nodes.moved(old.place.directory, old.place.slot, place, entry);
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "two directories, two entries and a name are what a rename is")]
    fn rename_entry(
        &mut self,
        from_id: u32,
        from_map: &mut ChainMap,
        to_id: u32,
        to_map: &mut ChainMap,
        old: &Found,
        existing: Option<&Found>,
        name: &[u16],
    ) -> Result<(Place, ShortEntry)> {
        let mut to = Dir { id: to_id, map: to_map };
        let mut from = Dir { id: from_id, map: from_map };
        if let Some(found) = existing {
            let entry = old.entry.with_name_of(&found.entry);
            let place = self.volume.move_entry(&mut from, &mut to, old, &entry, &Target::Replace(found))?;
            return Ok((place, entry));
        }
        let spot = self.volume.prepare_insert(&mut to, name, Some(&old.place))?;
        let mut entry = old.entry;
        entry.set_name(&spot.name, spot.case);
        let place = self.volume.move_entry(&mut from, &mut to, old, &entry, &Target::Spot(&spot, name))?;
        Ok((place, entry))
    }
}
