//! File contents: reading, writing, changing the length.
//!
//! Whole sectors travel between the caller's buffer and the device in runs as long as the clusters
//! lie together; sectors in part go through the cache. New clusters are filled before anything
//! leads to them, and an operation that fails leaves the file as long as it was.

use crate::cache::{Change, Class};
use crate::chain::ChainMap;
use crate::entry::attribute;
use crate::node::{Kind, Node, NodeId};
use crate::table::Run;
use crate::time::Stamp;
use crate::volume::{Fat, Volume};
use abi::error::{Error, Result};
use alloc::vec;
use alloc::vec::Vec;
use scheme::block::BlockDevice;

/// The longest file: its size has to fit 32 bits.
pub const MAX_SIZE: u64 = u32::MAX as u64;
/// Bytes of zeroes written at a time into a gap.
const ZERO_STEP: u64 = 64 * 1024;

impl<D: BlockDevice> Volume<D> {
    /// Follows the whole chain of a node. Answers the number of clusters and the last.
    pub fn finish(&mut self, node: &mut Node) -> Result<(u32, u32)> {
        if node.kind() == Kind::Directory && self.shape.directory_chain(node.entry.cluster()).is_none() {
            return Ok((0, 0));
        }
        node.map.finish(node.entry.cluster(), &self.shape, &self.table, &mut self.cache)
    }

    /// The clusters of a chain from place `from` on.
    pub fn runs_from(&mut self, first: u32, map: &mut ChainMap, from: u32) -> Result<Vec<Run>> {
        let mut runs: Vec<Run> = Vec::new();
        if first == 0 {
            return Ok(runs);
        }
        map.finish(first, &self.shape, &self.table, &mut self.cache)?;
        let mut index = from;
        while let Some(run) = map.find(first, index, &self.shape, &self.table, &mut self.cache)? {
            index += run.len;
            runs.push(run);
        }
        Ok(runs)
    }

    /// Splits `[at, at + len)` of a file into pieces that lie together: for each, the first sector
    /// of the cluster it starts in, the offset from there, and the length.
    fn piece(&mut self, first: u32, map: &mut ChainMap, at: u64, len: usize) -> Result<(u32, u64, usize)> {
        let cluster_bytes = u64::from(self.shape.cluster_bytes());
        let index = (at / cluster_bytes) as u32;
        let found = map.find(first, index, &self.shape, &self.table, &mut self.cache)?;
        let run = found.ok_or(Error::Corrupt)?;
        let within = at % cluster_bytes;
        let there = u64::from(run.len) * cluster_bytes - within;
        Ok((self.shape.cluster_sector(run.start)?, within, there.min(len as u64) as usize))
    }

    fn read_range(&mut self, first: u32, map: &mut ChainMap, mut at: u64, mut out: &mut [u8]) -> Result<()> {
        let size = self.cache.sector_size();
        while !out.is_empty() {
            let (base, within, len) = self.piece(first, map, at, out.len())?;
            let (mut part, rest) = out.split_at_mut(len);
            let mut place = within;
            while !part.is_empty() {
                let (sector, skip) = (base + (place / size as u64) as u32, (place % size as u64) as usize);
                let step = if skip == 0 && part.len() >= size {
                    let step = part.len() - part.len() % size;
                    self.cache.read_run(sector, &mut part[..step])?;
                    step
                } else {
                    let step = part.len().min(size - skip);
                    part[..step].copy_from_slice(&self.cache.get(sector, Class::Data, 0)?[skip..skip + step]);
                    step
                };
                part = &mut part[step..];
                place += step as u64;
            }
            at += len as u64;
            out = rest;
        }
        Ok(())
    }

    /// Writes; sectors that begin at or after `new_from` hold nothing worth reading first.
    fn write_range(&mut self, first: u32, map: &mut ChainMap, at: u64, data: &[u8], new_from: u64) -> Result<()> {
        let size = self.cache.sector_size();
        let (mut at, mut data) = (at, data);
        while !data.is_empty() {
            let (base, within, len) = self.piece(first, map, at, data.len())?;
            let (mut part, rest) = data.split_at(len);
            let mut place = within;
            while !part.is_empty() {
                let (sector, skip) = (base + (place / size as u64) as u32, (place % size as u64) as usize);
                let step = if skip == 0 && part.len() >= size {
                    let step = part.len() - part.len() % size;
                    self.cache.write_run(sector, &part[..step])?;
                    step
                } else {
                    let step = part.len().min(size - skip);
                    let sector_start = at + (place - within) - skip as u64;
                    let bytes = if sector_start >= new_from {
                        self.cache.edit_new(sector)?
                    } else {
                        self.cache.edit(sector, Class::Data, Change::Update)?
                    };
                    bytes[skip..skip + step].copy_from_slice(&part[..step]);
                    step
                };
                part = &part[step..];
                place += step as u64;
            }
            at += len as u64;
            data = rest;
        }
        Ok(())
    }

    /// Writes `data` at `offset`, zeroes between the old end and it, and a new size that is at least
    /// `offset`. Writes fewer bytes if the medium fills up. Answers how many.
    fn write_file(&mut self, node: &mut Node, offset: u64, data: &[u8], now: Stamp) -> Result<usize> {
        let cluster_bytes = u64::from(self.shape.cluster_bytes());
        let size = u64::from(node.entry.size());
        let (have, tail) = self.finish(node)?;
        if u64::from(have) * cluster_bytes < size {
            return Err(Error::Corrupt);
        }
        let mut end = offset + data.len() as u64;
        // What must fit, lest the call fail: one byte, or the whole gap when nothing is written.
        let least_end = if data.is_empty() { offset } else { offset + 1 };
        let want = self.shape.clusters_for(end).saturating_sub(have);
        let least = self.shape.clusters_for(least_end).saturating_sub(have);
        let mut runs = Vec::new();
        if want > 0 {
            if have > 0 && self.table.waits_for_cut(tail) {
                self.commit()?;
            }
            runs = match self.allocate(want, (have > 0).then_some(tail), least.max(1)) {
                Err(Error::NoSpace) if least == 0 => Vec::new(),
                other => other?,
            };
            let got: u32 = runs.iter().map(|run| run.len).sum();
            end = end.min(u64::from(have + got) * cluster_bytes);
        }
        let data = &data[..(end - offset) as usize];
        node.map.append(&runs);
        let done = self.fill(node, size, offset, data, &runs);
        let done = done.and_then(|()| match runs.first() {
            Some(run) if have > 0 => self.table.link(&mut self.cache, tail, run.start),
            _ => Ok(()),
        });
        let linked = done.is_ok();
        let done = done.and_then(|()| {
            let mut entry = node.entry;
            if let (0, Some(run)) = (have, runs.first()) {
                entry.set_cluster(run.start);
            }
            entry.set_size(size.max(end) as u32);
            entry.set_modified(now);
            entry.0[11] |= attribute::ARCHIVE;
            if let Some(place) = &node.place {
                self.update_entry(place, &entry, Change::Update)?;
            }
            node.entry = entry;
            Ok(())
        });
        if let Err(error) = done {
            if !runs.is_empty() {
                node.map = if have == 0 { ChainMap::empty() } else { ChainMap::default() };
                if linked && have > 0 {
                    self.table.cut(tail);
                    self.table.free_later(&runs);
                } else {
                    self.table.give_back(&mut self.cache, &runs);
                }
            }
            return Err(error);
        }
        Ok(data.len())
    }

    /// Zeroes from the old end to `offset`, then the data.
    fn fill(&mut self, node: &mut Node, size: u64, offset: u64, data: &[u8], runs: &[Run]) -> Result<()> {
        let first = match (node.entry.cluster(), runs.first()) {
            (0, Some(run)) => run.start,
            (first, _) => first,
        };
        let mut at = size;
        if at < offset {
            let zeroes = vec![0u8; (offset - at).min(ZERO_STEP) as usize];
            while at < offset {
                // Steps end at sector borders, so that whole sectors go in runs.
                let step = (ZERO_STEP - at % ZERO_STEP).min(offset - at).min(zeroes.len() as u64);
                self.write_range(first, &mut node.map, at, &zeroes[..step as usize], size)?;
                at += step;
            }
        }
        self.write_range(first, &mut node.map, offset, data, size)
    }

    /// Cuts a file to a size below its own.
    fn shrink(&mut self, node: &mut Node, size: u64, now: Stamp) -> Result<()> {
        let first = node.entry.cluster();
        let keep = self.shape.clusters_for(size);
        let freed = self.runs_from(first, &mut node.map, keep)?;
        let mut tail = None;
        if keep > 0 && !freed.is_empty() {
            let last = node.map.find(first, keep - 1, &self.shape, &self.table, &mut self.cache)?;
            tail = Some(last.ok_or(Error::Corrupt)?.start);
        }
        let mut entry = node.entry;
        entry.set_size(size as u32);
        entry.set_modified(now);
        entry.0[11] |= attribute::ARCHIVE;
        if keep == 0 {
            entry.set_cluster(0);
        }
        if let Some(place) = &node.place {
            self.update_entry(place, &entry, Change::Update)?;
        }
        node.entry = entry;
        if let Some(tail) = tail {
            self.table.cut(tail);
        }
        if !freed.is_empty() {
            self.table.free_later(&freed);
            node.map = if keep == 0 { ChainMap::empty() } else { ChainMap::default() };
        }
        Ok(())
    }
}

impl<D: BlockDevice> Fat<D> {
    /// Reads from a file. Answers how many bytes, fewer than asked only at its end.
    ///
    /// Errors: `IsDirectory`; `Corrupt` if the file's chain is not sound; `Io`.
    pub fn read(&mut self, id: NodeId, offset: u64, out: &mut [u8]) -> Result<usize> {
        let node = self.nodes.get(id)?;
        if node.kind() == Kind::Directory {
            return Err(Error::IsDirectory);
        }
        let size = u64::from(node.entry.size());
        if offset >= size || out.is_empty() {
            return Ok(0);
        }
        self.volume.finish(node)?;
        let len = (size - offset).min(out.len() as u64) as usize;
        self.volume.read_range(node.entry.cluster(), &mut node.map, offset, &mut out[..len])?;
        Ok(len)
    }

    /// Writes to a file, with zeroes between its end and `offset`. Answers how many bytes: fewer than
    /// given if the medium fills up. Repeating a write leaves the same file.
    ///
    /// Errors: `IsDirectory`, `PermissionDenied` (read-only attribute), `FileTooLarge`, `NoSpace`,
    /// `ReadOnly`, `Corrupt`, `Io`; the file is then as long as it was.
    pub fn write(&mut self, id: NodeId, offset: u64, data: &[u8]) -> Result<usize> {
        let now = self.now();
        self.check_writable(id)?;
        if data.is_empty() {
            return Ok(0);
        }
        if offset >= MAX_SIZE {
            return Err(Error::FileTooLarge);
        }
        let len = (MAX_SIZE - offset).min(data.len() as u64) as usize;
        self.volume.begin()?;
        let node = self.nodes.get(id)?;
        self.volume.write_file(node, offset, &data[..len], now)
    }

    /// Sets a file's length; new bytes are zero. Errors: as `write`.
    pub fn truncate(&mut self, id: NodeId, size: u64) -> Result<()> {
        let now = self.now();
        self.check_writable(id)?;
        if size > MAX_SIZE {
            return Err(Error::FileTooLarge);
        }
        self.volume.begin()?;
        let node = self.nodes.get(id)?;
        let old = u64::from(node.entry.size());
        if size < old {
            self.volume.shrink(node, size, now)
        } else if size > old {
            self.volume.write_file(node, size, &[], now).map(|_| ())
        } else {
            Ok(())
        }
    }

    fn check_writable(&mut self, id: NodeId) -> Result<()> {
        let node = self.nodes.get(id)?;
        if node.kind() == Kind::Directory {
            return Err(Error::IsDirectory);
        }
        if self.is_read_only() {
            return Err(Error::ReadOnly);
        }
        let node = self.nodes.get(id)?;
        if node.entry.attributes() & attribute::READ_ONLY != 0 {
            return Err(Error::PermissionDenied);
        }
        Ok(())
    }
}
