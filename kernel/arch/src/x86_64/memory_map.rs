//! The map of physical memory while it is put together: sorted, without
//! overlaps.
//!
//! Pure arithmetic, tested on the host. Made from what the firmware says, then pieces are taken out
//! of it for the kernel, initfs and the first page tables; what is left goes to the core.

use super::layout::{page_down, page_up};
use abi::boot::{BootInfo, Region, RegionKind, REGIONS};

/// There are more ranges than the boot information can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapFull;

const NONE: Region = Region { start: 0, length: 0, kind: 0, reserved: 0 };

fn end(region: &Region) -> u64 {
    region.start.saturating_add(region.length)
}

/// One range as the firmware tells it: an E820 type (ACPI 6.4, table 15.4).
pub fn set_firmware(info: &mut BootInfo, start: u64, length: u64, e820: u32) -> Result<(), MapFull> {
    let kind = match e820 {
        1 => RegionKind::Usable,
        3 | 4 => RegionKind::AcpiTables,
        _ => RegionKind::Reserved,
    };
    let stop = start.saturating_add(length);
    // Only whole pages are usable; what is not usable takes every page that it touches.
    let inside = (page_up(start), page_down(stop));
    let touched = (page_down(start), page_up(stop));
    if kind == RegionKind::Usable {
        set(info, inside.0, inside.1, kind, Over::Nothing)
    } else {
        set(info, touched.0, touched.1, kind, Over::Usable)
    }
}

/// Which ranges a new one replaces where they overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// None: only the gaps are filled.
    Nothing,
    /// Usable ones.
    Usable,
    /// Usable ones and those already taken or holding tables: anything that is memory.
    Memory,
}

impl Over {
    fn replaces(self, kind: u32) -> bool {
        match self {
            Over::Nothing => false,
            Over::Usable => kind == RegionKind::Usable as u32,
            Over::Memory => kind != RegionKind::Reserved as u32,
        }
    }
}

/// Says that `start..stop` is `kind`, over what it may replace; the rest of an overlap stays as it was.
/// Errors: the map is full (and then unchanged).
pub fn set(info: &mut BootInfo, start: u64, stop: u64, kind: RegionKind, over: Over) -> Result<(), MapFull> {
    if start >= stop {
        return Ok(());
    }
    let mut out = [NONE; REGIONS];
    let mut count: usize = 0;
    let mut push = |start: u64, stop: u64, kind: u32| -> Result<(), MapFull> {
        if start >= stop {
            return Ok(());
        }
        if let Some(last) = count.checked_sub(1).and_then(|i| out.get_mut(i)) {
            if last.kind == kind && end(last) == start {
                last.length = stop.saturating_sub(last.start);
                return Ok(());
            }
        }
        *out.get_mut(count).ok_or(MapFull)? = Region { start, length: stop.saturating_sub(start), kind, reserved: 0 };
        count = count.saturating_add(1);
        Ok(())
    };
    // Sweep upwards: `at` is how far the new range is placed already.
    let mut at = start;
    for region in info.regions() {
        let (first, last) = (region.start, end(region));
        // What of the new range lies in the gap before this region.
        if at < stop && first > at {
            push(at, first.min(stop), kind as u32)?;
            at = first.min(stop);
        }
        let (from, to) = (first.max(start), last.min(stop));
        if from >= to || !over.replaces(region.kind) {
            push(first, last, region.kind)?;
        } else {
            push(first, from, region.kind)?;
            push(from, to, kind as u32)?;
            push(to, last, region.kind)?;
        }
        at = at.max(last.min(stop));
    }
    push(at.max(start), stop, kind as u32)?;
    info.regions = out;
    info.region_count = count as u32;
    Ok(())
}

/// Takes `length` bytes (whole pages) from the top of the highest usable range that ends at or below
/// `limit`, for good. `None`: no range is large enough.
pub fn take_high(info: &mut BootInfo, length: u64, limit: u64) -> Option<u64> {
    let usable = |r: &&Region| r.kind == RegionKind::Usable as u32 && r.length >= length && end(r) <= limit;
    let start = end(info.regions().iter().rfind(usable)?).saturating_sub(length);
    set(info, start, start.saturating_add(length), RegionKind::Taken, Over::Usable).ok()?;
    Some(start)
}

/// Whether a range is memory (of whatever use) from end to end.
pub fn is_memory(info: &BootInfo, start: u64, stop: u64) -> bool {
    let mut at = start;
    for region in info.regions().iter().filter(|r| r.kind != RegionKind::Reserved as u32) {
        if region.start <= at && at < end(region) {
            at = end(region);
        }
    }
    at >= stop
}

/// The first stretch of memory that ends after `at`, from there on: regions of different kinds that touch count as one.
pub fn next_memory(info: &BootInfo, at: u64) -> Option<(u64, u64)> {
    let mut memory = info.regions().iter().filter(|r| r.kind != RegionKind::Reserved as u32 && end(r) > at);
    let first = memory.next()?;
    let mut stop = end(first);
    for region in memory {
        if region.start != stop {
            break;
        }
        stop = end(region);
    }
    Some((first.start.max(at), stop))
}

/// One past the highest byte of memory.
pub fn memory_end(info: &BootInfo) -> u64 {
    info.regions().iter().filter(|r| r.kind != RegionKind::Reserved as u32).map(end).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{is_memory, memory_end, next_memory, set, set_firmware, take_high, MapFull, Over};
    use abi::boot::{BootInfo, RegionKind, REGIONS};

    fn list(info: &BootInfo) -> Vec<(u64, u64, u32)> {
        info.regions().iter().map(|r| (r.start, r.start + r.length, r.kind)).collect()
    }

    fn q35() -> BootInfo {
        let mut info = BootInfo::EMPTY;
        // As QEMU's q35 with 128 MiB tells it, shuffled.
        for (start, length, kind) in [
            (0xfffc_0000, 0x4_0000, 2),
            (0x10_0000, 0x7ed_0000, 1),
            (0, 0x9_fc00, 1),
            (0x9_fc00, 0x400, 2),
            (0xf_0000, 0x1_0000, 2),
            (0x7fd_0000, 0x3_0000, 2),
            (0xb000_0000, 0x1000_0000, 2),
        ] {
            set_firmware(&mut info, start, length, kind).unwrap();
        }
        info
    }

    #[test]
    fn firmware_ranges_come_out_sorted_and_whole_pages() {
        let want = [
            (0, 0x9_f000, 1),
            (0x9_f000, 0xa_0000, 4),
            (0xf_0000, 0x10_0000, 4),
            (0x10_0000, 0x7fd_0000, 1),
            (0x7fd_0000, 0x800_0000, 4),
            (0xb000_0000, 0xc000_0000, 4),
            (0xfffc_0000, 0x1_0000_0000, 4),
        ];
        assert_eq!(list(&q35()), want);
        assert_eq!(memory_end(&q35()), 0x7fd_0000);
    }

    #[test]
    fn taking_splits_a_range_and_leaves_the_rest() {
        let mut info = q35();
        set(&mut info, 0x10_0000, 0x20_0000, RegionKind::Taken, Over::Usable).unwrap();
        set(&mut info, 0x30_0000, 0x40_0000, RegionKind::Taken, Over::Usable).unwrap();
        let memory: Vec<_> = list(&info).into_iter().filter(|r| r.0 >= 0x10_0000 && r.1 <= 0x7fd_0000).collect();
        let want = [
            (0x10_0000, 0x20_0000, 2),
            (0x20_0000, 0x30_0000, 1),
            (0x30_0000, 0x40_0000, 2),
            (0x40_0000, 0x7fd_0000, 1),
        ];
        assert_eq!(memory, want);
        assert!(is_memory(&info, 0x10_0000, 0x7fd_0000) && !is_memory(&info, 0x10_0000, 0x7fd_1000));
    }

    #[test]
    fn stretches_of_memory_span_kinds_and_stop_at_gaps() {
        let mut info = q35();
        set(&mut info, 0x20_0000, 0x30_0000, RegionKind::Taken, Over::Usable).unwrap();
        set_firmware(&mut info, 1 << 32, 1 << 30, 1).unwrap();
        assert_eq!(next_memory(&info, 0), Some((0, 0x9_f000)));
        assert_eq!(next_memory(&info, 0x9_f000), Some((0x10_0000, 0x7fd_0000)));
        assert_eq!(next_memory(&info, 0x25_0000), Some((0x25_0000, 0x7fd_0000)));
        assert_eq!(next_memory(&info, 0x7fd_0000), Some((1 << 32, (1 << 32) + (1 << 30))));
        assert_eq!(next_memory(&info, (1 << 32) + (1 << 30)), None);
    }

    #[test]
    fn reserved_wins_over_usable_whichever_comes_first() {
        for order in [[1u32, 2], [2, 1]] {
            let mut info = BootInfo::EMPTY;
            for kind in order {
                let (start, length) = if kind == 1 { (0, 0x10_0000) } else { (0x4_0800, 0x1000) };
                set_firmware(&mut info, start, length, kind).unwrap();
            }
            assert_eq!(list(&info), [(0, 0x4_0000, 1), (0x4_0000, 0x4_2000, 4), (0x4_2000, 0x10_0000, 1)], "{order:?}");
        }
    }

    #[test]
    fn high_memory_is_taken_below_the_limit() {
        let mut info = q35();
        set_firmware(&mut info, 1 << 32, 1 << 30, 1).unwrap();
        assert_eq!(take_high(&mut info, 0x1_0000, 1 << 32), Some(0x7fc_0000));
        assert_eq!(take_high(&mut info, 0x1_0000, 1 << 32), Some(0x7fb_0000));
        assert_eq!(take_high(&mut info, 1 << 31, 1 << 32), None);
    }

    #[test]
    fn a_full_map_is_refused_and_unchanged() {
        let mut info = BootInfo::EMPTY;
        for i in 0..REGIONS as u64 {
            set(&mut info, i * 0x2000, i * 0x2000 + 0x1000, RegionKind::Usable, Over::Nothing).unwrap();
        }
        let before = list(&info);
        let far = 0x1000_0000;
        assert_eq!(set(&mut info, far, far + 0x1000, RegionKind::Usable, Over::Nothing), Err(MapFull));
        assert_eq!(list(&info), before);
    }

    #[test]
    fn absurd_ranges_do_not_overflow() {
        let mut info = BootInfo::EMPTY;
        set_firmware(&mut info, u64::MAX - 100, u64::MAX, 1).unwrap();
        set_firmware(&mut info, u64::MAX - 100, u64::MAX, 2).unwrap();
        set_firmware(&mut info, 0x1001, 0xffe, 1).unwrap();
        assert!(info.regions().iter().all(|r| r.kind != 1), "{:?}", list(&info));
    }
}
