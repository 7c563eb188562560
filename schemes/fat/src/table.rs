//! The allocation table: cells, allocation, and changes that have to wait.
//!
//! A change goes into the cached table at once only if it is safe to reach the disk at any moment:
//! cells of clusters that no directory on disk leads to. The others wait here and `Volume::commit`
//! applies them in order: `links` (a file's old end gets a successor) after the new cells are on
//! disk and before the directory says the file is longer; `cuts` and `frees` after the directory
//! says it is shorter or gone. So a crash leaves lost clusters, never a file that leads to free ones.

use crate::boot_sector::{Shape, Width};
use crate::cache::{Cache, Change, Class};
use abi::error::{Error, Result};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use scheme::block::BlockDevice;

/// Table sectors read in one request.
const AHEAD: u32 = 31;
/// How many runs are remembered as new since the last commit.
const FRESH_RUNS: usize = 64;
/// How many waiting changes make a commit due.
const WAITING: usize = 2048;

/// Neighbouring clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first.
    pub start: u32,
    /// How many.
    pub len: u32,
}

/// What a table cell says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// The cluster is free.
    Free,
    /// The chain goes on at this valid cluster.
    Next(u32),
    /// The chain ends here.
    End,
    /// A bad cluster, or a number that means nothing.
    Bad,
}

/// The table's state beyond what is in its sectors.
pub struct Table {
    shape: Shape,
    links: BTreeMap<u32, u32>,
    cuts: BTreeSet<u32>,
    frees: Vec<Run>,
    fresh: Vec<Run>,
    free: Option<u32>,
    counted: bool,
    next: u32,
}

impl Table {
    /// A table with the free count and the place to look first as the volume states them.
    pub fn new(shape: Shape, free: Option<u32>, next: u32) -> Table {
        Table {
            shape,
            links: BTreeMap::new(),
            cuts: BTreeSet::new(),
            frees: Vec::new(),
            fresh: Vec::new(),
            free: free.filter(|count| *count <= shape.cluster_count),
            counted: false,
            next: if shape.valid(next) { next } else { 2 },
        }
    }

    const fn end_mark(&self) -> u32 {
        match self.shape.width {
            Width::Fat12 => 0xfff,
            Width::Fat16 => 0xffff,
            Width::Fat32 => 0x0fff_ffff,
        }
    }

    /// Sector and offset in it of the byte at this place of the table.
    fn place(&self, byte: u64) -> Result<(u32, usize)> {
        let sector = byte / u64::from(self.shape.sector_size);
        if sector >= u64::from(self.shape.table_sectors) {
            return Err(Error::Corrupt);
        }
        let start = self.shape.table_start + self.shape.active_table * self.shape.table_sectors;
        Ok((start + sector as u32, (byte % u64::from(self.shape.sector_size)) as usize))
    }

    fn byte<D: BlockDevice>(&self, cache: &mut Cache<D>, at: u64) -> Result<u8> {
        let (sector, offset) = self.place(at)?;
        let table_end = self.place(0)?.0 + self.shape.table_sectors;
        let ahead = AHEAD.min(table_end - sector - 1);
        Ok(cache.get(sector, Class::Table, ahead)?[offset])
    }

    /// The number in a cell as the cached sectors have it, waiting changes aside.
    fn raw<D: BlockDevice>(&self, cache: &mut Cache<D>, cluster: u32) -> Result<u32> {
        if !self.shape.valid(cluster) {
            return Err(Error::Corrupt);
        }
        let number = u64::from(cluster);
        if self.shape.width == Width::Fat12 {
            // Twelve bits may lie across two sectors, so bytes are taken one by one.
            let at = number + number / 2;
            let pair = u16::from_le_bytes([self.byte(cache, at)?, self.byte(cache, at + 1)?]);
            return Ok(u32::from(if cluster & 1 == 0 { pair & 0xfff } else { pair >> 4 }));
        }
        let width = if self.shape.width == Width::Fat16 { 2 } else { 4 };
        let (sector, offset) = self.place(number * width)?;
        let table_end = self.place(0)?.0 + self.shape.table_sectors;
        let bytes = cache.get(sector, Class::Table, AHEAD.min(table_end - sector - 1))?;
        Ok(if width == 2 {
            u32::from(u16::from_le_bytes([bytes[offset], bytes[offset + 1]]))
        } else {
            let word = [bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]];
            u32::from_le_bytes(word) & 0x0fff_ffff
        })
    }

    fn set_raw<D: BlockDevice>(&self, cache: &mut Cache<D>, cluster: u32, value: u32) -> Result<()> {
        if !self.shape.valid(cluster) {
            return Err(Error::Corrupt);
        }
        let number = u64::from(cluster);
        match self.shape.width {
            Width::Fat12 => {
                let at = number + number / 2;
                let [low, high] = if cluster & 1 == 0 {
                    [value as u8, (self.byte(cache, at + 1)? & 0xf0) | (value >> 8) as u8 & 0xf]
                } else {
                    [(self.byte(cache, at)? & 0xf) | (value << 4) as u8, (value >> 4) as u8]
                };
                // Both sectors are in memory before either changes.
                self.byte(cache, at)?;
                for (at, byte) in [(at, low), (at + 1, high)] {
                    let (sector, offset) = self.place(at)?;
                    cache.edit(sector, Class::Table, Change::Update)?[offset] = byte;
                }
            }
            Width::Fat16 => {
                let (sector, offset) = self.place(number * 2)?;
                let bytes = cache.edit(sector, Class::Table, Change::Update)?;
                bytes[offset..offset + 2].copy_from_slice(&(value as u16).to_le_bytes());
            }
            Width::Fat32 => {
                let (sector, offset) = self.place(number * 4)?;
                let bytes = cache.edit(sector, Class::Table, Change::Update)?;
                // The top four bits are not ours: "preserved", says the specification.
                let kept = bytes[offset + 3] & 0xf0;
                bytes[offset..offset + 4].copy_from_slice(&(value & 0x0fff_ffff).to_le_bytes());
                bytes[offset + 3] |= kept;
            }
        }
        Ok(())
    }

    /// What the cell of a cluster says now, waiting changes included.
    /// Errors: `Corrupt` for a cluster that does not exist.
    pub fn cell<D: BlockDevice>(&self, cache: &mut Cache<D>, cluster: u32) -> Result<Cell> {
        if let Some(next) = self.links.get(&cluster) {
            return Ok(Cell::Next(*next));
        }
        if self.cuts.contains(&cluster) {
            return Ok(Cell::End);
        }
        let value = self.raw(cache, cluster)?;
        Ok(match value {
            0 => Cell::Free,
            next if self.shape.valid(next) => Cell::Next(next),
            end if end >= self.end_mark() - 7 => Cell::End,
            _ => Cell::Bad,
        })
    }

    /// Takes up to `want` free clusters, chained to each other, near a cluster if one is named.
    ///
    /// Nothing leads to them yet: see `link`. Errors: `NoSpace` if there is none at all.
    pub fn allocate<D: BlockDevice>(&mut self, cache: &mut Cache<D>, want: u32, near: Option<u32>) -> Result<Vec<Run>> {
        let count = self.shape.cluster_count;
        let from = near.map_or(self.next, |cluster| cluster.saturating_add(1));
        let from = if self.shape.valid(from) { from } else { 2 };
        let mut runs: Vec<Run> = Vec::new();
        let mut got = 0;
        if self.counted && self.free == Some(0) {
            return Err(Error::NoSpace);
        }
        for step in 0..count {
            if got == want {
                break;
            }
            let cluster = 2 + ((u64::from(from - 2) + u64::from(step)) % u64::from(count)) as u32;
            if self.raw(cache, cluster)? != 0 {
                continue;
            }
            got += 1;
            match runs.last_mut() {
                Some(run) if run.start + run.len == cluster => run.len += 1,
                _ => runs.push(Run { start: cluster, len: 1 }),
            }
        }
        let Some(last) = runs.last().copied() else { return Err(Error::NoSpace) };
        if let Err(error) = self.chain_up(cache, &runs) {
            for run in &runs {
                for cluster in run.start..run.start + run.len {
                    // A cell that can't be cleared stays a lost cluster.
                    let _ = self.set_raw(cache, cluster, 0);
                }
            }
            return Err(error);
        }
        self.next = last.start + last.len;
        self.free = self.free.map(|free| free.saturating_sub(got));
        for run in &runs {
            let room = self.fresh.len() < FRESH_RUNS;
            match self.fresh.last_mut() {
                Some(end) if end.start + end.len == run.start => end.len += run.len,
                _ if room => self.fresh.push(*run),
                _ => {}
            }
        }
        Ok(runs)
    }

    fn chain_up<D: BlockDevice>(&self, cache: &mut Cache<D>, runs: &[Run]) -> Result<()> {
        for (index, run) in runs.iter().enumerate() {
            for cluster in run.start..run.start + run.len - 1 {
                self.set_raw(cache, cluster, cluster + 1)?;
            }
            let next = runs.get(index + 1).map_or(self.end_mark(), |next| next.start);
            self.set_raw(cache, run.start + run.len - 1, next)?;
        }
        Ok(())
    }

    /// Frees clusters that nothing ever led to, at once.
    pub fn give_back<D: BlockDevice>(&mut self, cache: &mut Cache<D>, runs: &[Run]) {
        for run in runs {
            for cluster in run.start..run.start + run.len {
                if self.set_raw(cache, cluster, 0).is_ok() {
                    self.free = self.free.map(|free| free.saturating_add(1).min(self.shape.cluster_count));
                }
            }
        }
    }

    /// Whether the end of a chain waits to be cut, so that it can't grow before a commit.
    pub fn waits_for_cut(&self, cluster: u32) -> bool {
        self.cuts.contains(&cluster)
    }

    /// Lets a chain that ends at `tail` go on at `next`.
    pub fn link<D: BlockDevice>(&mut self, cache: &mut Cache<D>, tail: u32, next: u32) -> Result<()> {
        if self.fresh.iter().any(|run| tail.wrapping_sub(run.start) < run.len) {
            // Nothing on disk leads to a fresh cluster: no need to wait.
            return self.set_raw(cache, tail, next);
        }
        self.links.insert(tail, next);
        Ok(())
    }

    /// Ends a chain at `tail`; the rest is freed by `free_later`.
    pub fn cut(&mut self, tail: u32) {
        self.links.remove(&tail);
        self.cuts.insert(tail);
    }

    /// Frees clusters once the directories on disk no longer lead to them.
    pub fn free_later(&mut self, runs: &[Run]) {
        for run in runs {
            match self.frees.last_mut() {
                Some(last) if last.start + last.len == run.start => last.len += run.len,
                _ => self.frees.push(*run),
            }
        }
    }

    /// Whether enough waits that a commit is due.
    pub fn crowded(&self) -> bool {
        self.links.len() + self.cuts.len() + self.frees.len() > WAITING
    }

    /// Whether freed clusters wait for a commit.
    pub fn has_frees(&self) -> bool {
        !self.frees.is_empty()
    }

    /// Whether any change waits.
    pub fn waits(&self) -> bool {
        !(self.links.is_empty() && self.cuts.is_empty() && self.frees.is_empty())
    }

    /// Puts the waiting links into the table's sectors. Answers whether there were any.
    ///
    /// After it the directories may be written, so no cluster counts as fresh any more.
    pub fn apply_links<D: BlockDevice>(&mut self, cache: &mut Cache<D>) -> Result<bool> {
        self.fresh.clear();
        let any = !self.links.is_empty();
        while let Some((&tail, &next)) = self.links.first_key_value() {
            self.set_raw(cache, tail, next)?;
            self.links.remove(&tail);
        }
        Ok(any)
    }

    /// Puts the waiting cuts into the table's sectors. Answers whether there were any.
    pub fn apply_cuts<D: BlockDevice>(&mut self, cache: &mut Cache<D>) -> Result<bool> {
        let any = !self.cuts.is_empty();
        while let Some(&tail) = self.cuts.first() {
            self.set_raw(cache, tail, self.end_mark())?;
            self.cuts.remove(&tail);
        }
        Ok(any)
    }

    /// Puts the waiting frees into the table's sectors; from here on the clusters can be taken.
    pub fn apply_frees<D: BlockDevice>(&mut self, cache: &mut Cache<D>) -> Result<()> {
        while let Some(run) = self.frees.last().copied() {
            // The last cluster first, so that a failure leaves a run that is still right.
            let cluster = run.start + run.len - 1;
            if self.raw(cache, cluster)? != 0 {
                self.set_raw(cache, cluster, 0)?;
                self.free = self.free.map(|free| free.saturating_add(1).min(self.shape.cluster_count));
            }
            cache.forget(self.shape.cluster_sector(cluster)?, self.shape.cluster_sectors);
            match self.frees.last_mut() {
                Some(last) if last.len > 1 => last.len -= 1,
                _ => {
                    self.frees.pop();
                }
            }
        }
        Ok(())
    }

    /// Free clusters, counted through the whole table the first time unless the volume said.
    /// Clusters that wait to be freed count as free.
    pub fn free_clusters<D: BlockDevice>(&mut self, cache: &mut Cache<D>) -> Result<u32> {
        let free = match self.free {
            Some(free) => free,
            None => {
                let mut free = 0;
                for cluster in 2..self.shape.cluster_count + 2 {
                    free += u32::from(self.raw(cache, cluster)? == 0);
                }
                self.free = Some(free);
                self.counted = true;
                free
            }
        };
        let waiting = self.frees.iter().fold(0u32, |sum, run| sum.saturating_add(run.len));
        Ok(free.saturating_add(waiting).min(self.shape.cluster_count))
    }

    /// Where the next search for a free cluster starts.
    pub const fn next_hint(&self) -> u32 {
        if self.shape.valid(self.next) {
            self.next
        } else {
            2
        }
    }
}
