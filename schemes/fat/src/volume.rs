//! The mounted volume: mounting, the ordered commit, syncing, space.
//!
//! `Fat` is what a server holds: a `Volume` (sectors, table, layout), the open nodes and a clock.
//! Commit order, each step only if there is something to write, each on the medium before the next:
//! file contents and new table cells; links from old cells to new; directory sectors that lost
//! entries; those that gained some; cuts; then frees. See README.md for what a crash leaves.

use crate::boot_sector::Shape;
use crate::cache::{Cache, CacheStats, Class, Mirrors};
use crate::node::{Nodes, Place};
use crate::table::{Run, Table};
use crate::time::Stamp;
use abi::error::{Error, Result};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use scheme::block::BlockDevice;

/// Tells the time in nanoseconds since 1970.
pub type Clock = Box<dyn Fn() -> u64 + Send>;

/// How to mount.
#[derive(Clone, Copy, Debug)]
pub struct MountOptions {
    /// Refuse every change.
    pub read_only: bool,
    /// Bytes of sectors kept in memory.
    pub cache_bytes: usize,
}

impl Default for MountOptions {
    fn default() -> Self {
        MountOptions { read_only: false, cache_bytes: 256 * 1024 }
    }
}

/// The size of a volume and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes in a cluster, the unit in which space is given out.
    pub cluster_bytes: u32,
    /// Clusters in all.
    pub total_clusters: u32,
    /// Clusters that are free.
    pub free_clusters: u32,
}

/// Sectors, table and layout of a mounted volume.
pub struct Volume<D> {
    pub(crate) cache: Cache<D>,
    pub(crate) shape: Shape,
    pub(crate) table: Table,
    /// Notes of renames that the next commit completes (see `recover`).
    pub(crate) notes: Vec<Place>,
    read_only: bool,
    /// Whether the disk says "not cleanly unmounted" because of us.
    flagged: bool,
    /// Whether it said so when we came; then it stays until something checks the whole volume.
    found_dirty: bool,
}

/// A mounted FAT volume.
pub struct Fat<D> {
    pub(crate) volume: Volume<D>,
    pub(crate) nodes: Nodes,
    clock: Clock,
}

impl<D: BlockDevice> Fat<D> {
    /// Mounts the volume on a device, for reading and writing unless the device or `options` say no.
    ///
    /// Errors: `Corrupt` if there is no sound FAT volume, `NotSupported` if the device's blocks are
    /// larger than the volume's sectors, `Io`.
    pub fn mount(mut device: D, options: MountOptions, clock: Clock) -> Result<Fat<D>> {
        let info = device.info();
        let block = info.block_size as usize;
        if !info.block_size.is_power_of_two() || !(512..=4096).contains(&block) {
            return Err(Error::NotSupported);
        }
        if info.block_count == 0 {
            return Err(Error::Corrupt);
        }
        let mut boot = vec![0u8; block];
        device.read(0, &mut boot)?;
        let shape = Shape::parse(&boot, info.size_bytes())?;
        if info.block_size > shape.sector_size {
            return Err(Error::NotSupported);
        }
        let mirrors = Mirrors {
            stride: shape.table_sectors,
            active: shape.active_table,
            count: if shape.mirrored { shape.table_count } else { 1 },
        };
        let found_dirty = boot.get(shape.flag_offset()).is_some_and(|byte| byte & 1 != 0);
        let mut cache = Cache::new(device, shape.sector_size, shape.total_sectors, options.cache_bytes, mirrors);
        let (mut free, mut next) = (None, 2);
        if let Some((free_stated, next_stated)) = read_info(&mut cache, &shape)? {
            next = next_stated;
            // After a crash the count is not to be trusted.
            free = (!found_dirty).then_some(free_stated);
        }
        let table = Table::new(shape, free, next);
        let read_only = options.read_only || info.read_only;
        let mut volume = Volume { cache, shape, table, notes: Vec::new(), read_only, flagged: false, found_dirty };
        if found_dirty && !read_only {
            volume.recover()?;
        }
        Ok(Fat { volume, nodes: Nodes::new(), clock })
    }

    /// Writes everything, so that the volume is whole and marked clean on the medium.
    pub fn sync(&mut self) -> Result<()> {
        self.volume.sync()
    }

    /// Frees what removed files still held, syncs, and gives the device back.
    pub fn unmount(mut self) -> Result<D> {
        self.close_all()?;
        self.volume.sync()?;
        Ok(self.volume.cache.into_device())
    }

    /// Total and free space. The first call may read the whole table.
    pub fn space(&mut self) -> Result<Space> {
        let free_clusters = self.volume.table.free_clusters(&mut self.volume.cache)?;
        let shape = &self.volume.shape;
        Ok(Space { cluster_bytes: shape.cluster_bytes(), total_clusters: shape.cluster_count, free_clusters })
    }

    /// The layout.
    pub fn shape(&self) -> &Shape {
        &self.volume.shape
    }

    /// Whether changes are refused.
    pub fn is_read_only(&self) -> bool {
        self.volume.read_only
    }

    /// Whether the volume was not cleanly unmounted before.
    pub fn was_dirty(&self) -> bool {
        self.volume.found_dirty
    }

    /// What was asked of the device so far.
    pub fn stats(&self) -> CacheStats {
        self.volume.cache.stats()
    }

    /// The device below.
    pub fn device(&self) -> &D {
        self.volume.cache.device()
    }

    pub(crate) fn now(&self) -> Stamp {
        Stamp::from_unix_ns((self.clock)())
    }
}

/// Offsets in the FSInfo sector: three signatures, the free count, the next free cluster.
const INFO_MARKS: [(usize, u32); 3] = [(0, 0x4161_5252), (484, 0x6141_7272), (508, 0xaa55_0000)];
const INFO_FREE: usize = 488;
const INFO_NEXT: usize = 492;

fn word(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..at + 4) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
        _ => 0,
    }
}

/// The free count and next free cluster that the volume states.
fn read_info<D: BlockDevice>(cache: &mut Cache<D>, shape: &Shape) -> Result<Option<(u32, u32)>> {
    let Some(sector) = shape.info_sector else { return Ok(None) };
    let mut bytes = vec![0u8; cache.sector_size()];
    cache.read_run(sector, &mut bytes)?;
    let marked = INFO_MARKS.iter().all(|(at, mark)| word(&bytes, *at) == *mark);
    Ok(marked.then(|| (word(&bytes, INFO_FREE), word(&bytes, INFO_NEXT))))
}

impl<D: BlockDevice> Volume<D> {
    /// The first step of every change: may it be made, and is there room to note it?
    pub fn begin(&mut self) -> Result<()> {
        if self.read_only {
            return Err(Error::ReadOnly);
        }
        if !self.flagged {
            self.set_flag(true)?;
            self.flagged = true;
        }
        if self.table.crowded() || self.cache.crowded() {
            self.commit()?;
        }
        Ok(())
    }

    /// Sets or clears "not cleanly unmounted" in the boot sector.
    fn set_flag(&mut self, on: bool) -> Result<()> {
        let mut bytes = vec![0u8; self.cache.sector_size()];
        self.cache.read_run(0, &mut bytes)?;
        let at = self.shape.flag_offset();
        let value = if on { bytes[at] | 1 } else { bytes[at] & !1 };
        if value != bytes[at] {
            bytes[at] = value;
            self.cache.write_run(0, &bytes)?;
            self.cache.barrier()?;
        }
        Ok(())
    }

    /// Makes everything done so far reach the medium, in the order that keeps it sound throughout.
    /// The frees it applies may still wait in the cache: they are safe at any moment.
    pub fn commit(&mut self) -> Result<()> {
        self.cache.write_class(Class::Data)?;
        self.cache.write_class(Class::Table)?;
        self.cache.barrier()?;
        if self.table.apply_links(&mut self.cache)? {
            self.cache.write_class(Class::Table)?;
            self.cache.barrier()?;
        }
        for with_adds in [false, true] {
            self.cache.write_directories(with_adds)?;
            self.cache.barrier()?;
        }
        if self.wipe_notes()? {
            self.cache.write_directories(true)?;
            self.cache.barrier()?;
        }
        if self.table.apply_cuts(&mut self.cache)? {
            self.cache.write_class(Class::Table)?;
            self.cache.barrier()?;
        }
        self.table.apply_frees(&mut self.cache)
    }

    /// The new entries are on disk: the notes left in the old ones' slots must not outlive the
    /// clusters they speak of. Answers whether there were any.
    fn wipe_notes(&mut self) -> Result<bool> {
        let mut any = false;
        while let Some(place) = self.notes.last().copied() {
            any |= self.wipe_note(&place)?;
            self.notes.pop();
        }
        Ok(any)
    }

    /// `commit`, and all that is left: the last frees, the free count, the clean mark.
    pub fn sync(&mut self) -> Result<()> {
        if !self.flagged {
            return Ok(());
        }
        self.commit()?;
        self.cache.write_class(Class::Table)?;
        self.write_info()?;
        self.cache.barrier()?;
        if !self.found_dirty {
            self.set_flag(false)?;
        }
        self.flagged = false;
        Ok(())
    }

    fn write_info(&mut self) -> Result<()> {
        let Some(sector) = self.shape.info_sector else { return Ok(()) };
        let mut bytes = vec![0u8; self.cache.sector_size()];
        self.cache.read_run(sector, &mut bytes)?;
        if !INFO_MARKS.iter().all(|(at, mark)| word(&bytes, *at) == *mark) {
            return Ok(());
        }
        let free = self.table.free_clusters(&mut self.cache)?;
        let next = self.table.next_hint();
        if word(&bytes, INFO_FREE) != free || word(&bytes, INFO_NEXT) != next {
            bytes[INFO_FREE..INFO_FREE + 4].copy_from_slice(&free.to_le_bytes());
            bytes[INFO_NEXT..INFO_NEXT + 4].copy_from_slice(&next.to_le_bytes());
            self.cache.write_run(sector, &bytes)?;
        }
        Ok(())
    }

    /// Takes up to `want` clusters and at least `least`; makes waiting frees real if that helps.
    pub fn allocate(&mut self, want: u32, near: Option<u32>, least: u32) -> Result<Vec<Run>> {
        for last_try in [false, true] {
            match self.table.allocate(&mut self.cache, want, near) {
                Ok(runs) => {
                    let got: u32 = runs.iter().map(|run| run.len).sum();
                    if got == want || (got >= least && !self.table.has_frees()) || (got >= least && last_try) {
                        return Ok(runs);
                    }
                    self.table.give_back(&mut self.cache, &runs);
                }
                Err(Error::NoSpace) => {}
                Err(error) => return Err(error),
            }
            if last_try || !self.table.has_frees() {
                break;
            }
            self.commit()?;
        }
        Err(Error::NoSpace)
    }
}
