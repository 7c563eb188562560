//! Memory before there is an allocator: frames from the end of what the loader
//! told of.
//!
//! Used by [`Frames::new`](crate::mm::frames::Frames::new) alone, for the info records and the kernel
//! page tables under them. What it took stays taken for good.

use crate::mm::frames::{usable, FrameRange};
use crate::{FrameNumber, Machine};
use abi::boot::Region;

/// Takes frames from the last usable region downwards.
pub struct Early<'a, M> {
    machine: &'a M,
    regions: &'a [Region],
    /// Regions from this index on are used up.
    index: usize,
    /// What is left of the region before that.
    current: FrameRange,
}

impl<'a, M: Machine> Early<'a, M> {
    /// Nothing taken yet.
    pub fn new(machine: &'a M, regions: &'a [Region]) -> Early<'a, M> {
        Early { machine, regions, index: regions.len(), current: FrameRange::default() }
    }

    /// One zeroed frame.
    pub fn take(&mut self) -> Option<FrameNumber> {
        while self.current.start >= self.current.end {
            self.index = self.index.checked_sub(1)?;
            self.current = usable(self.regions.get(self.index)?);
        }
        self.current.end = self.current.end.saturating_sub(1);
        let frame = FrameNumber(self.current.end);
        self.machine.zero_frame(frame);
        Some(frame)
    }

    /// Usable frames in all regions, taken or not.
    pub fn managed(&self) -> u32 {
        let sizes = self.regions.iter().map(usable).map(|r| r.end.saturating_sub(r.start));
        sizes.fold(0, u32::saturating_add)
    }

    /// What was not taken of a region; the taken part of it comes after.
    pub fn left(&self, region: &Region) -> FrameRange {
        let all = usable(region);
        let position = self.regions.iter().position(|r| core::ptr::eq(r, region)).unwrap_or(0);
        match position.cmp(&self.index) {
            core::cmp::Ordering::Less => all,
            core::cmp::Ordering::Equal => self.current,
            core::cmp::Ordering::Greater => FrameRange { start: all.start, end: all.start },
        }
    }
}
