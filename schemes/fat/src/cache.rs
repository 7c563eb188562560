//! Sectors in memory: bounded, least recently used first out, written back in
//! order.
//!
//! Three classes of sector with three rules. `Data` (parts of file contents) and `Table` may be
//! written at any moment, because the volume only ever puts safe changes into table sectors (see
//! `table`). `Directory` sectors are written by the ordered commit alone. Whole sectors of file
//! contents pass by the cache in runs; what is cached of them stays coherent.

use abi::error::{Error, Result};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use scheme::block::BlockDevice;

/// The longest single device request made from cached sectors or zeroes.
const RUN_BYTES: usize = 64 * 1024;

/// What a cached sector holds, which decides when it may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Part of a file's contents.
    Data,
    /// Part of the allocation table that is read; written to its mirrors too.
    Table,
    /// Directory slots.
    Directory,
}

/// What an edit does to a directory sector, which decides its place in the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// No entry comes or goes.
    Update,
    /// An entry comes: written after the sectors that only lose entries.
    Add,
    /// An entry goes.
    Remove,
}

/// What the cache asked of the device so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Read requests.
    pub reads: u64,
    /// Write requests.
    pub writes: u64,
    /// Flush requests.
    pub flushes: u64,
    /// Sectors held now.
    pub held: usize,
}

struct Line {
    bytes: Vec<u8>,
    class: Class,
    dirty: bool,
    adds: bool,
    removes: bool,
    used: u64,
}

/// The copies of the allocation table, so that each write reaches all of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mirrors {
    /// Sectors in a table.
    pub stride: u32,
    /// The table that is read.
    pub active: u32,
    /// Number of tables that are written; 1 writes the active one only.
    pub count: u32,
}

/// The device below, with some of its sectors.
pub struct Cache<D> {
    device: D,
    sector_size: usize,
    total_sectors: u32,
    capacity: usize,
    mirrors: Mirrors,
    lines: BTreeMap<u32, Line>,
    clock: u64,
    /// Whether anything was written since the last flush.
    unflushed: bool,
    stats: CacheStats,
}

impl<D: BlockDevice> Cache<D> {
    /// A cache of about `capacity_bytes` over the first `total_sectors` sectors of a device.
    pub fn new(device: D, sector_size: u32, total_sectors: u32, capacity_bytes: usize, mirrors: Mirrors) -> Self {
        let sector_size = sector_size as usize;
        Cache {
            device,
            sector_size,
            total_sectors,
            capacity: (capacity_bytes / sector_size).max(64),
            mirrors,
            lines: BTreeMap::new(),
            clock: 0,
            unflushed: false,
            stats: CacheStats::default(),
        }
    }

    /// Bytes in a sector.
    pub fn sector_size(&self) -> usize {
        self.sector_size
    }

    /// Counters for tests and for people.
    pub fn stats(&self) -> CacheStats {
        CacheStats { held: self.lines.len(), ..self.stats }
    }

    /// Gives the device back; what was not written is lost.
    pub fn into_device(self) -> D {
        self.device
    }

    /// The device itself.
    pub fn device(&self) -> &D {
        &self.device
    }

    fn offset(&self, sector: u32, sectors: usize) -> Result<u64> {
        let end = u64::from(sector) + sectors as u64;
        if end > u64::from(self.total_sectors) {
            return Err(Error::Corrupt);
        }
        Ok(u64::from(sector) * self.sector_size as u64)
    }

    fn device_read(&mut self, sector: u32, out: &mut [u8]) -> Result<()> {
        let offset = self.offset(sector, out.len() / self.sector_size)?;
        self.stats.reads += 1;
        self.device.read(offset, out)
    }

    fn device_write(&mut self, sector: u32, data: &[u8]) -> Result<()> {
        let offset = self.offset(sector, data.len() / self.sector_size)?;
        self.stats.writes += 1;
        self.unflushed = true;
        self.device.write(offset, data)
    }

    /// Waits until everything written is on the medium.
    pub fn barrier(&mut self) -> Result<()> {
        if self.unflushed {
            self.stats.flushes += 1;
            self.device.flush()?;
            self.unflushed = false;
        }
        Ok(())
    }

    /// A sector's bytes, read from the device if need be, along with up to `ahead` sectors after it
    /// in the same request.
    pub fn get(&mut self, sector: u32, class: Class, ahead: u32) -> Result<&[u8]> {
        self.load(sector, class, ahead)?;
        match self.lines.get(&sector) {
            Some(line) => Ok(&line.bytes),
            None => Err(Error::Io),
        }
    }

    fn load(&mut self, sector: u32, class: Class, ahead: u32) -> Result<()> {
        self.clock += 1;
        if let Some(line) = self.lines.get_mut(&sector) {
            line.used = self.clock;
            return Ok(());
        }
        // Read up to the next sector that is here already: the one here may be newer.
        let most = u64::from(ahead).min(self.capacity as u64 / 4) as u32;
        let limit = sector.saturating_add(most).saturating_add(1).min(self.total_sectors.max(sector + 1));
        let end = self.lines.range(sector..limit).next().map_or(limit, |(next, _)| *next);
        let count = (end - sector) as usize;
        self.make_room(count)?;
        let mut bytes = vec![0u8; count * self.sector_size];
        self.device_read(sector, &mut bytes)?;
        for (number, part) in (sector..end).zip(bytes.chunks_exact(self.sector_size)) {
            self.insert(number, class, part.to_vec());
        }
        Ok(())
    }

    fn insert(&mut self, sector: u32, class: Class, bytes: Vec<u8>) {
        let line = Line { bytes, class, dirty: false, adds: false, removes: false, used: self.clock };
        self.lines.insert(sector, line);
    }

    /// A sector's bytes, to be changed. The sector becomes dirty.
    pub fn edit(&mut self, sector: u32, class: Class, change: Change) -> Result<&mut [u8]> {
        self.load(sector, class, 0)?;
        match self.lines.get_mut(&sector) {
            Some(line) => {
                line.class = class;
                line.dirty = true;
                line.adds |= change == Change::Add;
                line.removes |= change == Change::Remove;
                Ok(&mut line.bytes)
            }
            None => Err(Error::Io),
        }
    }

    /// As `edit`, for a sector of file contents that holds nothing yet: zeroes, without a read.
    pub fn edit_new(&mut self, sector: u32) -> Result<&mut [u8]> {
        if !self.lines.contains_key(&sector) {
            self.offset(sector, 1)?;
            self.make_room(1)?;
            self.clock += 1;
            self.insert(sector, Class::Data, vec![0; self.sector_size]);
        }
        self.edit(sector, Class::Data, Change::Update)
    }

    /// Reads whole sectors straight into `out`; newer cached ones take precedence.
    pub fn read_run(&mut self, sector: u32, out: &mut [u8]) -> Result<()> {
        self.device_read(sector, out)?;
        let end = sector + (out.len() / self.sector_size) as u32;
        let size = self.sector_size;
        for (number, line) in self.lines.range(sector..end).filter(|(_, line)| line.dirty) {
            let at = (number - sector) as usize * size;
            out[at..at + size].copy_from_slice(&line.bytes);
        }
        Ok(())
    }

    /// Writes whole sectors straight to the device, and forgets what was cached of them.
    pub fn write_run(&mut self, sector: u32, data: &[u8]) -> Result<()> {
        self.device_write(sector, data)?;
        self.forget(sector, (data.len() / self.sector_size) as u32);
        Ok(())
    }

    /// Fills whole sectors with zeroes on the device.
    pub fn zero_run(&mut self, sector: u32, count: u32) -> Result<()> {
        let step = (RUN_BYTES / self.sector_size).max(1) as u32;
        let zeroes = vec![0u8; step.min(count) as usize * self.sector_size];
        let mut done = 0;
        while done < count {
            let part = step.min(count - done);
            self.write_run(sector + done, &zeroes[..part as usize * self.sector_size])?;
            done += part;
        }
        Ok(())
    }

    /// Drops cached sectors, dirty or not: their contents have no meaning any more.
    pub fn forget(&mut self, sector: u32, count: u32) {
        let end = sector.saturating_add(count);
        while let Some((&number, _)) = self.lines.range(sector..end).next() {
            self.lines.remove(&number);
        }
    }

    /// Sectors of a class that wait to be written.
    pub fn dirty(&self, class: Class) -> usize {
        self.lines.values().filter(|line| line.dirty && line.class == class).count()
    }

    /// Whether so many directory sectors wait that a commit is due.
    pub fn crowded(&self) -> bool {
        self.dirty(Class::Directory) * 2 > self.capacity
    }

    /// Whether adding an entry to `sector` would break "entries go before entries come" within one
    /// commit, so that a commit has to come first.
    pub fn add_needs_commit(&self, sector: u32) -> bool {
        let waits = |line: &Line| line.dirty && line.class == Class::Directory;
        let here_removes = self.lines.get(&sector).is_some_and(|line| waits(line) && line.removes);
        self.lines
            .iter()
            .any(|(number, line)| *number != sector && waits(line) && line.adds && (line.removes || here_removes))
    }

    /// Whether entries were added to this sector since it was last written.
    pub fn has_adds(&self, sector: u32) -> bool {
        self.lines.get(&sector).is_some_and(|line| line.dirty && line.adds)
    }

    /// Whether entries were removed from this sector since it was last written.
    pub fn has_removes(&self, sector: u32) -> bool {
        self.lines.get(&sector).is_some_and(|line| line.dirty && line.removes)
    }

    /// Writes dirty directory sectors: those that gained no entry, or all that remain.
    pub fn write_directories(&mut self, with_adds: bool) -> Result<()> {
        let picked = self.pick(|line| line.class == Class::Directory && (with_adds || !line.adds));
        self.write_out(&picked, false)
    }

    /// Writes all dirty sectors of `Data` or `Table`.
    pub fn write_class(&mut self, class: Class) -> Result<()> {
        let picked = self.pick(|line| line.class == class);
        self.write_out(&picked, class == Class::Table)
    }

    fn pick(&self, want: impl Fn(&Line) -> bool) -> Vec<u32> {
        self.lines.iter().filter(|(_, line)| line.dirty && want(line)).map(|(number, _)| *number).collect()
    }

    /// Writes these sectors, neighbours in one request, then the mirrors; clean only after both.
    fn write_out(&mut self, sectors: &[u32], mirrored: bool) -> Result<()> {
        let most = (RUN_BYTES / self.sector_size).max(1);
        let copies = if mirrored { self.mirrors.count } else { 1 };
        for copy in 0..copies {
            // Copy 0 is the one that is read; the others follow it.
            let shift = match copy {
                0 => 0,
                n => i64::from(if n <= self.mirrors.active { n - 1 } else { n }) - i64::from(self.mirrors.active),
            } * i64::from(self.mirrors.stride);
            let mut rest = sectors;
            while let Some(&first) = rest.first() {
                let run = rest.iter().zip(first..).take(most).take_while(|(a, b)| **a == *b).count();
                let mut bytes = Vec::with_capacity(run * self.sector_size);
                for number in &rest[..run] {
                    if let Some(line) = self.lines.get(number) {
                        bytes.extend_from_slice(&line.bytes);
                    }
                }
                let target = u32::try_from(i64::from(first) + shift).map_err(|_| Error::Corrupt)?;
                self.device_write(target, &bytes)?;
                rest = &rest[run..];
            }
        }
        for number in sectors {
            if let Some(line) = self.lines.get_mut(number) {
                line.dirty = false;
                line.adds = false;
                line.removes = false;
            }
        }
        Ok(())
    }

    /// Evicts the sectors longest unused until `count` more fit. Directory sectors that wait for the
    /// commit stay, even past the bound; `crowded` keeps their number down.
    fn make_room(&mut self, count: usize) -> Result<()> {
        if self.lines.len() + count <= self.capacity {
            return Ok(());
        }
        let goal = (self.lines.len() + count - self.capacity).max(self.capacity / 8);
        if self.lines.values().filter(|line| !line.dirty).count() < goal {
            self.write_class(Class::Data)?;
            self.write_class(Class::Table)?;
        }
        let mut clean: Vec<(u64, u32)> =
            self.lines.iter().filter(|(_, line)| !line.dirty).map(|(number, line)| (line.used, *number)).collect();
        clean.sort_unstable();
        for (_, number) in clean.into_iter().take(goal) {
            self.lines.remove(&number);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Cache, Change, Class, Mirrors};
    use abi::error::{Error, Result};
    use scheme::block::{BlockDevice, BlockInfo};

    struct Disk(Vec<u8>);

    impl BlockDevice for Disk {
        fn info(&self) -> BlockInfo {
            BlockInfo { block_size: 512, block_count: self.0.len() as u64 / 512, read_only: false }
        }
        fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
            out.copy_from_slice(&self.0[offset as usize..offset as usize + out.len()]);
            Ok(())
        }
        fn write(&mut self, offset: u64, data: &[u8]) -> Result<()> {
            self.0[offset as usize..offset as usize + data.len()].copy_from_slice(data);
            Ok(())
        }
        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    fn cache(sectors: u32, mirrors: Mirrors) -> Cache<Disk> {
        let mut bytes = vec![0u8; sectors as usize * 512];
        for (n, sector) in bytes.chunks_exact_mut(512).enumerate() {
            sector[0] = n as u8;
        }
        Cache::new(Disk(bytes), 512, sectors, 64 * 512, mirrors)
    }

    #[test]
    fn read_ahead_saves_requests_and_the_bound_holds() {
        let mut cache = cache(250, Mirrors::default());
        for n in 0..250 {
            assert_eq!(cache.get(n, Class::Table, 7).unwrap()[0], n as u8);
        }
        assert_eq!(cache.stats().reads, 32);
        assert!(cache.stats().held <= 64);
        assert_eq!(cache.get(250, Class::Data, 0).unwrap_err(), Error::Corrupt);
    }

    #[test]
    fn dirty_sectors_survive_eviction_and_show_through_runs() {
        let mut cache = cache(250, Mirrors { stride: 0, active: 0, count: 1 });
        for n in 0..200 {
            cache.edit(n, Class::Data, Change::Update).unwrap()[1] = 9;
        }
        assert!(cache.stats().held <= 64);
        let mut run = vec![0u8; 200 * 512];
        cache.read_run(0, &mut run).unwrap();
        assert!(run.chunks_exact(512).all(|sector| sector[1] == 9));
        cache.write_run(199, &[7u8; 512]).unwrap();
        assert_eq!(cache.get(199, Class::Data, 0).unwrap()[1], 7);
    }

    #[test]
    fn directory_sectors_wait_for_the_commit() {
        let mut cache = cache(250, Mirrors::default());
        for n in 0..100 {
            cache.edit(n, Class::Directory, Change::Remove).unwrap()[1] = 9;
        }
        assert!(cache.crowded());
        assert_eq!(cache.stats().writes, 0);
        cache.write_directories(false).unwrap();
        assert_eq!(cache.dirty(Class::Directory), 0);
        // 100 neighbouring sectors are one request.
        assert_eq!(cache.stats().writes, 1);
    }

    #[test]
    fn table_sectors_reach_every_copy_whichever_is_active() {
        for active in 0..3u32 {
            let mut cache = cache(40, Mirrors { stride: 10, active, count: 3 });
            cache.edit(5 + active * 10, Class::Table, Change::Update).unwrap()[1] = 9;
            cache.write_class(Class::Table).unwrap();
            let bytes = cache.into_device().0;
            for copy in 0..3 {
                assert_eq!(bytes[(5 + copy * 10) * 512 + 1], 9, "active {active}, copy {copy}");
            }
        }
    }

    #[test]
    fn an_entry_that_comes_waits_for_one_that_went_elsewhere() {
        let mut cache = cache(40, Mirrors::default());
        cache.edit(1, Class::Directory, Change::Remove).unwrap();
        assert!(!cache.add_needs_commit(2), "a sector that only loses entries is written first");
        cache.edit(2, Class::Directory, Change::Add).unwrap();
        assert!(cache.add_needs_commit(1), "sector 1 would come last, and its removal with it");
        assert!(!cache.add_needs_commit(2));
        cache.edit(2, Class::Directory, Change::Remove).unwrap();
        assert!(cache.add_needs_commit(3), "sector 2 holds a removal but is written last");
    }
}
