//! Reading directories, and changing slots that are there.
//!
//! A directory is named by its first cluster, the root by 0. Slots are read a sector at a time from
//! the cache; what leads nowhere sound is refused when it is looked up. `insertion` adds entries.

use crate::boot_sector::{Root, Width};
use crate::cache::{Change, Class};
use crate::chain::ChainMap;
use crate::entry::{ShortEntry, DELETED, SLOT};
use crate::long_name::Collector;
use crate::names;
use crate::node::Place;
use crate::volume::Volume;
use abi::error::{Error, Result};
use alloc::vec::Vec;
use scheme::block::BlockDevice;

/// The most slots a directory has: 2 MiB, says the specification.
pub const MAX_SLOTS: u32 = 65_536;
/// Directory sectors read in one request, within a cluster.
const AHEAD: u32 = 15;

/// A directory and what is known of its chain.
pub struct Dir<'a> {
    /// Its first cluster; 0 is the root.
    pub id: u32,
    /// Its clusters.
    pub map: &'a mut ChainMap,
}

/// One slot, where it is and what is in it.
pub struct Slot {
    /// Its number in the directory.
    pub number: u32,
    /// Its sector.
    pub sector: u32,
    /// Its offset in the sector.
    pub offset: usize,
    /// Its bytes.
    pub entry: ShortEntry,
}

/// An entry as it was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The name as shown.
    pub name: Vec<u16>,
    /// The short entry.
    pub entry: ShortEntry,
    /// Where it is.
    pub place: Place,
}

impl<D: BlockDevice> Volume<D> {
    /// Slots in a sector.
    pub fn slots_per_sector(&self) -> u32 {
        self.shape.sector_size / SLOT as u32
    }

    /// The sector that holds this slot, and how many more of its cluster follow; `None` past the end.
    pub fn slot_sector(&mut self, dir: &mut Dir<'_>, slot: u32) -> Result<Option<(u32, u32)>> {
        let index = slot / self.slots_per_sector();
        let Some(first) = self.shape.directory_chain(dir.id) else {
            let Root::Fixed { start, sectors } = self.shape.root else { return Err(Error::Corrupt) };
            return Ok((index < sectors).then(|| (start + index, sectors - index - 1)));
        };
        let (cluster, sector) = (index / self.shape.cluster_sectors, index % self.shape.cluster_sectors);
        let Some(run) = dir.map.find(first, cluster, &self.shape, &self.table, &mut self.cache)? else {
            return Ok(None);
        };
        if slot >= MAX_SLOTS {
            return Err(Error::Corrupt);
        }
        let at = self.shape.cluster_sector(run.start)? + sector;
        Ok(Some((at, self.shape.cluster_sectors - sector - 1)))
    }

    /// The sector of a slot that exists, and how many more of its cluster follow.
    pub fn spot_sector(&mut self, dir: &mut Dir<'_>, slot: u32) -> Result<(u32, u32)> {
        self.slot_sector(dir, slot)?.ok_or(Error::Corrupt)
    }

    /// The label among the entries of the root.
    pub fn label(&mut self, dir: &mut Dir<'_>) -> Result<Option<ShortEntry>> {
        let mut label = None;
        self.scan(dir, 0, &mut |slot| {
            if slot.entry.is_label() && !slot.entry.is_deleted() {
                label = Some(slot.entry);
            }
            slot.entry.is_end() || label.is_some()
        })?;
        Ok(label)
    }

    /// Shows the slots from one on until `visit` says true. Answers the slot it stopped at, or the
    /// number of slots there are.
    pub fn scan(&mut self, dir: &mut Dir<'_>, from: u32, visit: &mut dyn FnMut(Slot) -> bool) -> Result<u32> {
        let per_sector = self.slots_per_sector();
        let ignore_high = self.shape.width != Width::Fat32;
        let mut number = from;
        while let Some((sector, more)) = self.slot_sector(dir, number)? {
            let bytes = self.cache.get(sector, Class::Directory, more.min(AHEAD))?;
            let first = (number % per_sector) as usize;
            for (index, chunk) in bytes.chunks_exact(SLOT).enumerate().skip(first) {
                let mut entry = ShortEntry([0; SLOT]);
                entry.0.copy_from_slice(chunk);
                if ignore_high && !entry.is_long_name() {
                    // Other systems keep other things there.
                    entry.0[20..22].fill(0);
                }
                if visit(Slot { number, sector, offset: index * SLOT, entry }) {
                    return Ok(number);
                }
                number += 1;
            }
        }
        Ok(number)
    }

    /// Shows the entries from a slot on until `visit` says true; labels, `.` and `..` are no entries.
    pub fn entries(&mut self, dir: &mut Dir<'_>, from: u32, visit: &mut dyn FnMut(Found) -> bool) -> Result<()> {
        let mut collector = Collector::default();
        let directory = dir.id;
        self.scan(dir, from, &mut |slot| {
            let entry = slot.entry;
            if entry.is_end() {
                return true;
            }
            if entry.is_deleted() || entry.is_label() {
                collector.clear();
            } else if entry.is_long_name() {
                collector.take(&entry, slot.number);
            } else if !entry.is_dots() {
                let long = collector.finish(&entry);
                let start = long.as_ref().map_or(slot.number, |(_, start)| *start);
                let name = match long {
                    Some((units, _)) if names::usable(&units) => units,
                    _ => names::shown_short(&entry),
                };
                let Slot { number: slot, sector, offset, .. } = slot;
                return visit(Found { name, entry, place: Place { directory, start, slot, sector, offset } });
            }
            false
        })?;
        Ok(())
    }

    /// The entry of this name, by its long name or its alias, whatever the case.
    pub fn find(&mut self, dir: &mut Dir<'_>, name: &[u16]) -> Result<Option<Found>> {
        let mut hit = None;
        self.entries(dir, 0, &mut |found| {
            if names::same(&found.name, name) || names::same(&names::shown_short(&found.entry), name) {
                hit = Some(found);
            }
            hit.is_some()
        })?;
        if let Some(found) = &hit {
            self.check_target(dir.id, found)?;
        }
        Ok(hit)
    }

    /// Refuses what an entry may not lead to: a cluster that does not exist, the directory itself.
    fn check_target(&self, directory: u32, found: &Found) -> Result<()> {
        let cluster = found.entry.cluster();
        let sound = if found.entry.is_directory() {
            self.shape.valid(cluster) && cluster != directory && self.shape.directory_chain(0) != Some(cluster)
        } else {
            cluster == 0 || self.shape.valid(cluster)
        };
        if sound {
            Ok(())
        } else {
            Err(Error::Corrupt)
        }
    }

    /// Whether a directory holds nothing beside `.` and `..`.
    pub fn is_empty(&mut self, dir: &mut Dir<'_>) -> Result<bool> {
        let mut empty = true;
        self.entries(dir, 0, &mut |_| {
            empty = false;
            true
        })?;
        Ok(empty)
    }

    /// The first cluster of the directory that `..` names; 0 is the root.
    pub fn parent_of(&mut self, directory: u32) -> Result<u32> {
        let sector = self.shape.cluster_sector(directory)?;
        let bytes = self.cache.get(sector, Class::Directory, 0)?;
        let mut entry = ShortEntry([0; SLOT]);
        entry.0.copy_from_slice(&bytes[SLOT..2 * SLOT]);
        if self.shape.width != Width::Fat32 {
            entry.0[20..22].fill(0);
        }
        if &entry.0[..11] != b"..         " || !entry.is_directory() {
            return Err(Error::Corrupt);
        }
        let parent = entry.cluster();
        if self.shape.directory_chain(0) == Some(parent) {
            return Ok(0);
        }
        if parent != 0 && !self.shape.valid(parent) {
            return Err(Error::Corrupt);
        }
        Ok(parent)
    }

    /// Makes `..` of a directory name another.
    pub fn set_parent(&mut self, directory: u32, parent: u32) -> Result<()> {
        let sector = self.shape.cluster_sector(directory)?;
        let bytes = self.cache.edit(sector, Class::Directory, Change::Update)?;
        let mut entry = ShortEntry([0; SLOT]);
        entry.0.copy_from_slice(&bytes[SLOT..2 * SLOT]);
        entry.set_cluster(parent);
        bytes[SLOT..2 * SLOT].copy_from_slice(&entry.0);
        Ok(())
    }

    /// Changes one slot. Answers its sector and its offset there.
    pub fn edit_slot(
        &mut self,
        dir: &mut Dir<'_>,
        slot: u32,
        change: Change,
        edit: impl FnOnce(&mut [u8]),
    ) -> Result<(u32, usize)> {
        let (sector, _) = self.spot_sector(dir, slot)?;
        let offset = (slot % self.slots_per_sector()) as usize * SLOT;
        let bytes = self.cache.edit(sector, Class::Directory, change)?;
        edit(&mut bytes[offset..offset + SLOT]);
        Ok((sector, offset))
    }

    /// Frees the slots of an entry.
    pub fn remove(&mut self, dir: &mut Dir<'_>, place: &Place) -> Result<()> {
        for slot in (place.start..=place.slot).rev() {
            self.edit_slot(dir, slot, Change::Remove, |bytes| bytes[0] = DELETED)?;
        }
        Ok(())
    }

    /// The slots of an entry as they are, to be put back by `restore`.
    pub fn save(&mut self, dir: &mut Dir<'_>, place: &Place) -> Result<Vec<[u8; SLOT]>> {
        let mut saved = Vec::new();
        self.scan(dir, place.start, &mut |slot| {
            saved.push(slot.entry.0);
            slot.number >= place.slot
        })?;
        Ok(saved)
    }

    /// Puts saved slots back.
    pub fn restore(&mut self, dir: &mut Dir<'_>, place: &Place, saved: &[[u8; SLOT]]) -> Result<()> {
        for (slot, bytes) in (place.start..).zip(saved) {
            self.edit_slot(dir, slot, Change::Add, |out| out.copy_from_slice(bytes))?;
        }
        Ok(())
    }

    /// Rewrites a short entry where it is.
    pub fn update_entry(&mut self, place: &Place, entry: &ShortEntry, change: Change) -> Result<()> {
        let bytes = self.cache.edit(place.sector, Class::Directory, change)?;
        bytes[place.offset..place.offset + SLOT].copy_from_slice(&entry.0);
        Ok(())
    }
}
