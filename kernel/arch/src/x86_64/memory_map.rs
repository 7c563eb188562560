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
mod tests;
