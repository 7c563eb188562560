//! Which clusters a file or directory has, as extents in memory.
//!
//! A map grows as the chain is followed and then answers without the table. A loop is found by
//! Brent's method (a saved cluster that is met again), so that a hostile chain costs a few rounds
//! of itself. A chain in more pieces than `MAX_EXTENTS` keeps a window of extents and a mark at
//! each window's start to come back to, so memory is bounded whatever the disk says.

use crate::boot_sector::Shape;
use crate::cache::Cache;
use crate::table::{Cell, Run, Table};
use abi::error::{Error, Result};
use alloc::vec::Vec;
use scheme::block::BlockDevice;

/// The most extents one map holds: 32 MiB in single clusters of 512 bytes.
pub const MAX_EXTENTS: usize = 65_536;

/// Clusters that follow each other both in the file and on the disk.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// Place in the file, in clusters.
    index: u32,
    run: Run,
}

/// The known part of a chain.
#[derive(Debug, Default)]
pub struct ChainMap {
    extents: Vec<Extent>,
    /// Starts of earlier windows: place in the file and cluster.
    marks: Vec<(u32, u32)>,
    /// Clusters in the chain, once the end was seen.
    total: Option<u32>,
    /// The last cluster, once the end was seen.
    tail: u32,
    /// Loop detection: the saved cluster, where it was, and when the next one is saved.
    saved: (u32, u32, u32),
}

impl ChainMap {
    /// The map of a file without clusters.
    pub fn empty() -> ChainMap {
        ChainMap { total: Some(0), ..ChainMap::default() }
    }

    /// Extents held, for a budget over all maps.
    pub fn weight(&self) -> usize {
        self.extents.len() + self.marks.len()
    }

    /// Clusters known so far, counted from the chain's start.
    fn known(&self) -> u32 {
        self.extents.last().map_or(0, |extent| extent.index + extent.run.len)
    }

    fn push(&mut self, index: u32, run: Run) {
        match self.extents.last_mut() {
            Some(last) if last.run.start + last.run.len == run.start && last.index + last.run.len == index => {
                last.run.len += run.len;
            }
            _ => {
                if self.extents.len() >= MAX_EXTENTS {
                    self.extents.clear();
                }
                if self.extents.is_empty() && !self.marks.iter().any(|mark| mark.0 == index) {
                    self.marks.push((index, run.start));
                }
                self.extents.push(Extent { index, run });
            }
        }
    }

    fn position(&self, index: u32) -> Option<Run> {
        let after = self.extents.partition_point(|extent| extent.index <= index);
        let extent = self.extents.get(after.checked_sub(1)?)?;
        let skip = index - extent.index;
        (skip < extent.run.len).then(|| Run { start: extent.run.start + skip, len: extent.run.len - skip })
    }

    /// The clusters from place `index` on that lie together; `None` past the end of the chain.
    /// Errors: `Corrupt` for a chain that loops or leads to a cluster that is free, bad or absent.
    pub fn find<D: BlockDevice>(
        &mut self,
        first: u32,
        index: u32,
        shape: &Shape,
        table: &Table,
        cache: &mut Cache<D>,
    ) -> Result<Option<Run>> {
        if let Some(run) = self.position(index) {
            return Ok(Some(run));
        }
        if self.total.is_some_and(|total| index >= total) {
            return Ok(None);
        }
        let window_start = self.extents.first().map_or(0, |extent| extent.index);
        if index < window_start {
            // Before the window: start again at the nearest mark.
            let after = self.marks.partition_point(|mark| mark.0 <= index);
            self.extents.clear();
            if let Some(&(at, cluster)) = after.checked_sub(1).and_then(|n| self.marks.get(n)) {
                self.extents.push(Extent { index: at, run: Run { start: cluster, len: 1 } });
            }
            self.saved = (0, 0, 0);
        }
        while self.known() <= index {
            let next = match self.extents.last() {
                None => first,
                Some(last) => match table.cell(cache, last.run.start + last.run.len - 1)? {
                    Cell::Next(next) => next,
                    Cell::End => {
                        self.total = Some(self.known());
                        self.tail = last.run.start + last.run.len - 1;
                        return Ok(None);
                    }
                    Cell::Free | Cell::Bad => return Err(Error::Corrupt),
                },
            };
            let at = self.known();
            if !shape.valid(next) || at >= shape.cluster_count || next == self.saved.0 {
                return Err(Error::Corrupt);
            }
            if at >= self.saved.2 {
                self.saved = (next, at, at.saturating_mul(2).max(at + 8));
            }
            self.push(at, Run { start: next, len: 1 });
        }
        Ok(self.position(index))
    }

    /// Follows the chain to its end. Answers the number of clusters and the last one (0 if none).
    pub fn finish<D: BlockDevice>(
        &mut self,
        first: u32,
        shape: &Shape,
        table: &Table,
        cache: &mut Cache<D>,
    ) -> Result<(u32, u32)> {
        while self.total.is_none() {
            let next = self.known();
            self.find(first, next, shape, table, cache)?;
        }
        Ok((self.total.unwrap_or(0), self.tail))
    }

    /// Adds newly allocated clusters at the end. The map must be finished.
    pub fn append(&mut self, runs: &[Run]) {
        let Some(mut total) = self.total else { return };
        if self.extents.last().is_none_or(|last| last.index + last.run.len != total) {
            // The window is elsewhere: a new one starts here.
            self.extents.clear();
        }
        for run in runs {
            self.push(total, *run);
            total += run.len;
            self.tail = run.start + run.len - 1;
        }
        self.total = Some(total);
    }

    /// Drops everything known, to be followed again.
    pub fn forget(&mut self) {
        if self.total != Some(0) {
            *self = ChainMap::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ChainMap, MAX_EXTENTS};
    use crate::table::Run;

    #[test]
    fn neighbouring_clusters_become_one_extent() {
        let mut map = ChainMap::empty();
        map.append(&[Run { start: 10, len: 5 }, Run { start: 15, len: 1 }, Run { start: 30, len: 2 }]);
        map.append(&[Run { start: 32, len: 1 }]);
        assert_eq!(map.extents.len(), 2);
        assert_eq!(map.position(4), Some(Run { start: 14, len: 2 }));
        assert_eq!(map.position(8), Some(Run { start: 32, len: 1 }));
        assert_eq!(map.position(9), None);
        assert_eq!((map.total, map.tail), (Some(9), 32));
    }

    #[test]
    fn a_chain_in_countless_pieces_keeps_its_memory_bounded() {
        let mut map = ChainMap::empty();
        for n in 0..3 * MAX_EXTENTS as u32 {
            map.append(&[Run { start: 2 + 2 * n, len: 1 }]);
        }
        assert!(map.weight() <= MAX_EXTENTS + 3);
        assert_eq!(map.marks.len(), 3);
        assert_eq!(map.position(3 * MAX_EXTENTS as u32 - 1).unwrap().len, 1);
    }
}
