//! From the firmware's memory map to the regions the kernel is told.
//!
//! Firmware gives hundreds of ranges in any order, and buggy firmware lets them overlap. All borders
//! are sorted; between two neighbours the strictest kind that covers the stretch holds; equal
//! neighbours are joined. Memory is set aside by [`Map::new`], because the last step happens when the
//! firmware, and with it the allocator, is gone.

use crate::PAGE;
use abi::boot::{Region, RegionKind, REGIONS};
use alloc::vec::Vec;

/// A range of physical addresses of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: u64,
    end: u64,
    kind: RegionKind,
}

/// What the kernel may do with memory of the UEFI type number `kind` (UEFI 2.10, 7.2.1) and these
/// attributes, once boot services are over.
pub const fn kind_of(kind: u32, attributes: u64) -> RegionKind {
    const WRITE_BACK: u64 = 1 << 3;
    const SPECIFIC_PURPOSE: u64 = 1 << 18;
    match kind {
        // Loader code and data, boot services code and data, conventional. What of the loader's
        // must stay is told apart as kept.
        1..=4 | 7 if attributes & WRITE_BACK != 0 && attributes & SPECIFIC_PURPOSE == 0 => RegionKind::Usable,
        9 => RegionKind::AcpiTables,
        _ => RegionKind::Reserved,
    }
}

/// Which of two kinds holds where both are claimed.
const fn strictness(kind: RegionKind) -> u8 {
    match kind {
        RegionKind::Usable => 0,
        RegionKind::AcpiTables => 1,
        RegionKind::Taken => 2,
        RegionKind::Reserved => 3,
    }
}

/// A map in the making.
#[derive(Debug)]
pub struct Map {
    ranges: Vec<Range>,
    borders: Vec<u64>,
    merged: Vec<Range>,
    lost: usize,
}

impl Map {
    /// Room for `capacity` ranges. After this nothing is allocated.
    pub fn new(capacity: usize) -> Map {
        let borders = capacity.saturating_mul(2);
        Map {
            ranges: Vec::with_capacity(capacity),
            borders: Vec::with_capacity(borders),
            merged: Vec::with_capacity(borders),
            lost: 0,
        }
    }

    /// Adds `pages` pages from `start` on.
    pub fn add(&mut self, start: u64, pages: u64, kind: RegionKind) {
        let end = start.saturating_add(pages.saturating_mul(PAGE));
        if end <= start {
            return;
        }
        if self.ranges.len() >= self.ranges.capacity() {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        self.ranges.push(Range { start, end, kind });
    }

    /// Ranges that found no room. They are not told to the kernel: memory lies idle, no more.
    pub fn lost(&self) -> usize {
        self.lost
    }

    fn strictest(&self, low: u64, high: u64) -> Option<RegionKind> {
        let covering = self.ranges.iter().filter(|range| range.start <= low && high <= range.end);
        covering.map(|range| range.kind).max_by_key(|kind| strictness(*kind))
    }

    fn merge(&mut self) {
        self.borders.clear();
        self.merged.clear();
        for range in &self.ranges {
            self.borders.push(range.start);
            self.borders.push(range.end);
        }
        self.borders.sort_unstable();
        self.borders.dedup();
        for place in 1..self.borders.len() {
            let low = self.borders.get(place.saturating_sub(1)).copied().unwrap_or(0);
            let high = self.borders.get(place).copied().unwrap_or(0);
            let Some(kind) = self.strictest(low, high) else { continue };
            match self.merged.last_mut() {
                Some(last) if last.end == low && last.kind == kind => last.end = high,
                _ => self.merged.push(Range { start: low, end: high, kind }),
            }
        }
    }

    /// Gives up the smallest range that may be: free memory, or a reserved range that nobody needs to
    /// know. Free memory beside a reserved range joins it; else it is no longer told.
    fn give_up_one(&mut self) -> bool {
        let may_go = |range: &Range| matches!(range.kind, RegionKind::Usable | RegionKind::Reserved);
        let candidates = self.merged.iter().enumerate().filter(|(_, range)| may_go(range));
        let Some((place, gone)) = candidates.min_by_key(|(_, range)| range.end.saturating_sub(range.start)) else {
            return false;
        };
        let gone = *gone;
        self.merged.remove(place);
        if gone.kind == RegionKind::Reserved {
            return true;
        }
        let before = place.checked_sub(1).and_then(|place| self.merged.get_mut(place));
        if let Some(before) = before.filter(|r| r.kind == RegionKind::Reserved && r.end == gone.start) {
            before.end = gone.end;
        } else if let Some(after) = self.merged.get_mut(place) {
            if after.kind == RegionKind::Reserved && after.start == gone.end {
                after.start = gone.start;
            }
        }
        true
    }

    /// Writes the map to `out`, sorted, disjoint, joined, cut down to what fits. Returns how many.
    pub fn finish(&mut self, out: &mut [Region; REGIONS]) -> u32 {
        self.merge();
        while self.merged.len() > out.len() {
            if !self.give_up_one() {
                self.merged.truncate(out.len());
            }
        }
        for (slot, range) in out.iter_mut().zip(&self.merged) {
            let length = range.end.saturating_sub(range.start);
            *slot = Region { start: range.start, length, kind: range.kind as u32, reserved: 0 };
        }
        self.merged.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::{kind_of, strictness, Map};
    use abi::boot::{Region, RegionKind, REGIONS};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use RegionKind::{AcpiTables, Reserved, Taken, Usable};

    const EMPTY: Region = Region { start: 0, length: 0, kind: 0, reserved: 0 };

    fn told(ranges: &[(u64, u64, RegionKind)]) -> Vec<(u64, u64, u32)> {
        let mut map = Map::new(ranges.len());
        for &(start, pages, kind) in ranges {
            map.add(start, pages, kind);
        }
        assert_eq!(map.lost(), 0);
        let mut out = [EMPTY; REGIONS];
        let count = map.finish(&mut out) as usize;
        assert!(out[count..].iter().all(|region| *region == EMPTY));
        out[..count].iter().map(|r| (r.start, r.length / 4096, r.kind)).collect()
    }

    #[test]
    fn unsorted_neighbours_of_one_kind_become_one_region() {
        let told = told(&[(0x5000, 3, Usable), (0x1000, 4, Usable), (0x8000, 1, Reserved), (0xa000, 1, Usable)]);
        assert_eq!(told, [(0x1000, 7, 1), (0x8000, 1, 4), (0xa000, 1, 1)]);
    }

    #[test]
    fn kept_memory_is_cut_out_of_what_the_firmware_calls_free() {
        let told = told(&[(0x3000, 2, Taken), (0x1000, 9, Usable), (0x5000, 1, Taken)]);
        assert_eq!(told, [(0x1000, 2, 1), (0x3000, 3, 2), (0x6000, 4, 1)]);
    }

    #[test]
    fn where_firmware_contradicts_itself_the_strictest_holds() {
        let told = told(&[(0x1000, 4, Usable), (0x3000, 4, AcpiTables), (0x6000, 1, Reserved)]);
        assert_eq!(told, [(0x1000, 2, 1), (0x3000, 3, 3), (0x6000, 1, 4)]);
    }

    #[test]
    fn empty_and_overflowing_ranges_do_no_harm() {
        let told = told(&[(0x1000, 0, Usable), (u64::MAX - 0xfff, u64::MAX, Reserved)]);
        assert_eq!(told, [(u64::MAX - 0xfff, 0, 4)]);
    }

    #[test]
    fn too_many_regions_cost_the_smallest_and_never_what_is_taken() {
        // 200 taken pages with free stretches of growing size between them: 400 regions.
        let mut ranges = Vec::new();
        for i in 0..200u64 {
            let at = 0x10_0000 + i * 0x100_0000;
            ranges.push((at, 1, Taken));
            ranges.push((at + 0x1000, 1 + i, Usable));
        }
        let told = told(&ranges);
        assert_eq!(told.len(), REGIONS);
        assert_eq!(told.iter().filter(|r| r.2 == Taken as u32).count(), 200);
        let smallest = told.iter().filter(|r| r.2 == Usable as u32).map(|r| r.1).min().unwrap();
        assert_eq!(smallest, 145, "the 144 smallest are gone");
    }

    #[test]
    fn small_free_memory_beside_reserved_is_told_as_reserved() {
        let mut ranges = Vec::new();
        for i in 0..130u64 {
            let at = i * 0x100_0000;
            ranges.extend([(at, 10, Reserved), (at + 10 * 4096, 1, Usable), (at + 0x10_0000, 5, Taken)]);
        }
        let told = told(&ranges);
        // 130 free pages joined what is beside them; then four of the reserved ranges had to go.
        assert_eq!(told.len(), REGIONS);
        assert_eq!(told.iter().filter(|r| **r == (r.0, 11, Reserved as u32)).count(), 126);
        assert!(told.iter().all(|r| r.2 != Usable as u32));
    }

    #[test]
    fn a_full_map_counts_what_it_lost() {
        let mut map = Map::new(1);
        map.add(0, 1, Usable);
        map.add(0x1000, 1, Usable);
        assert_eq!(map.lost(), 1);
    }

    #[test]
    fn firmware_types_become_what_the_specification_says_of_them() {
        let usable = [1, 2, 3, 4, 7];
        for number in 0..20 {
            let expected = match number {
                n if usable.contains(&n) => Usable,
                9 => AcpiTables,
                _ => Reserved,
            };
            assert_eq!(kind_of(number, 0xf), expected, "type {number}");
        }
        assert_eq!(kind_of(7, 1), Reserved, "not cacheable");
        assert_eq!(kind_of(7, 0xf | 1 << 18), Reserved, "kept for a special purpose");
        assert_eq!(kind_of(0x8000_0001, 0xf), Reserved);
    }

    proptest! {
        #[test]
        fn every_page_gets_the_strictest_kind_that_covers_it(
            ranges in proptest::collection::vec((0u64..64, 0u64..24, 0usize..4), 0..40),
            probe in any::<proptest::sample::Index>(),
        ) {
            let kinds = [Usable, AcpiTables, Taken, Reserved];
            let ranges: Vec<_> = ranges.iter().map(|&(page, pages, k)| (page * 4096, pages, kinds[k])).collect();
            let told = told(&ranges);
            for pair in told.windows(2) {
                let end = pair[0].0 + pair[0].1 * 4096;
                prop_assert!(end < pair[1].0 || (end == pair[1].0 && pair[0].2 != pair[1].2), "{:?}", pair);
            }
            let page = probe.index(90) as u64 * 4096;
            let covers = |start: u64, pages: u64| start <= page && page < start + pages * 4096;
            let model = ranges.iter().filter(|r| covers(r.0, r.1)).map(|r| r.2).max_by_key(|k| strictness(*k));
            let found = told.iter().find(|r| covers(r.0, r.1)).map(|r| r.2);
            prop_assert_eq!(found, model.map(|kind| kind as u32));
        }
    }
}
