//! The bytes of a file: chunks of at most 64 KiB, kept only where something
//! was written.
//!
//! A chunk holds the bytes up to the last one written in it; what is missing, inside a chunk or between chunks, reads as
//! zero. Bytes past the file's length are never kept, so growing a file again shows zeroes.

use crate::budget::Budget;
use abi::{Error, Result};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use scheme::lease::{Source, Target};

/// Bytes in a chunk.
pub const CHUNK: u64 = 64 * 1024;
/// Chunks are paid for in pieces of this size.
pub const UNIT: u64 = 512;
/// The longest file.
pub const MAX_LENGTH: u64 = 1 << 40;

/// What a chunk of this many bytes costs: the bytes in units, and one unit for its place in the tree.
fn cost(length: usize) -> u64 {
    (length as u64).next_multiple_of(UNIT).saturating_add(UNIT)
}

/// A file's bytes.
#[derive(Debug, Default)]
pub struct Contents {
    chunks: BTreeMap<u64, Vec<u8>>,
    length: u64,
}

impl Contents {
    /// The file's length.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads from `offset` into `target`; how many bytes. Errors: those of leases.
    pub fn read(&self, offset: u64, target: &mut Target<'_>) -> Result<usize> {
        let left = self.length.saturating_sub(offset);
        let total = usize::try_from(left).unwrap_or(usize::MAX).min(target.len());
        let mut done = 0;
        while done < total {
            let at = offset + done as u64;
            let inside = (at % CHUNK) as usize;
            let count = (CHUNK as usize - inside).min(total - done);
            let chunk = self.chunks.get(&(at / CHUNK)).map_or(&[][..], Vec::as_slice);
            let there = chunk.get(inside..).unwrap_or(&[]);
            let there = &there[..there.len().min(count)];
            target.write(done, there)?;
            let mut zero = done + there.len();
            while zero < done + count {
                let gap = (done + count - zero).min(ZEROES.len());
                target.write(zero, &ZEROES[..gap])?;
                zero += gap;
            }
            done += count;
        }
        Ok(total)
    }

    /// Writes `source` at `offset`; how many bytes: fewer than there are when memory runs out in between. Errors:
    /// `NoSpace` when not one fits, `FileTooLarge`, those of leases.
    pub fn write(&mut self, offset: u64, source: &mut Source<'_>, budget: &mut Budget) -> Result<usize> {
        let total = source.len();
        if total == 0 {
            return Ok(0);
        }
        if offset.saturating_add(total as u64) > MAX_LENGTH {
            return Err(Error::FileTooLarge);
        }
        let mut done = 0;
        while done < total {
            let at = offset + done as u64;
            let inside = (at % CHUNK) as usize;
            let count = (CHUNK as usize - inside).min(total - done);
            match self.write_chunk(at / CHUNK, inside, count, done, source, budget) {
                Ok(()) => {}
                Err(Error::NoSpace) if done > 0 => break,
                Err(error) => return Err(error),
            }
            done += count;
            self.length = self.length.max(offset + done as u64);
        }
        Ok(done)
    }

    fn write_chunk(
        &mut self,
        index: u64,
        inside: usize,
        count: usize,
        from: usize,
        source: &mut Source<'_>,
        budget: &mut Budget,
    ) -> Result<()> {
        let old = self.chunks.get(&index).map(Vec::len);
        let old_cost = old.map_or(0, cost);
        let needed = (inside + count).max(old.unwrap_or(0));
        let extra = cost(needed).saturating_sub(old_cost);
        budget.take(extra)?;
        let chunk = self.chunks.entry(index).or_default();
        let grown = chunk.try_reserve_exact(needed - chunk.len()).map_err(|_| Error::NoSpace);
        // A fault while copying leaves what was there: the copy goes in only once it is whole.
        let copied = grown.and_then(|()| {
            chunk.resize(needed, 0);
            source.read(from, &mut chunk[inside..inside + count])
        });
        if let Err(error) = copied {
            match old {
                Some(length) => chunk.truncate(length),
                None => drop(self.chunks.remove(&index)),
            }
            budget.give(extra);
            return Err(error);
        }
        Ok(())
    }

    /// Sets the length. Errors: `FileTooLarge`.
    pub fn truncate(&mut self, length: u64, budget: &mut Budget) -> Result<()> {
        if length > MAX_LENGTH {
            return Err(Error::FileTooLarge);
        }
        if length < self.length {
            let (last, inside) = (length / CHUNK, (length % CHUNK) as usize);
            for (_, chunk) in self.chunks.split_off(&(last + u64::from(inside != 0))) {
                budget.give(cost(chunk.len()));
            }
            if let Some(chunk) = self.chunks.get_mut(&last).filter(|chunk| chunk.len() > inside) {
                let before = cost(chunk.len());
                chunk.truncate(inside);
                chunk.shrink_to_fit();
                budget.give(before.saturating_sub(cost(inside)));
            }
        }
        self.length = length;
        Ok(())
    }
}

static ZEROES: [u8; 4096] = [0; 4096];
