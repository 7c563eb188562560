//! Page tables: entries, and the walk through four levels of them.
//!
//! Pure: tables are reached through [`Tables`], so that the same walk runs on real frames and, in
//! the tests, on a map of arrays. References: SDM 3A, 4.5 (four-level paging), 4.6 (access rights),
//! 4.9.2 (memory types).

use super::layout::{HUGE, LARGE, PAGE};
use abi::memory::Protection;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel_core::address::{FrameNumber, PhysAddr};
use kernel_core::machine::{FrameWords, TableMissing, Translation};

/// The entry is used.
pub const PRESENT: u64 = 1;
/// Stores are allowed.
pub const WRITE: u64 = 1 << 1;
/// User mode may use it.
pub const USER: u64 = 1 << 2;
/// Write-through; with [`UNCACHED`] this selects PAT entry 3: uncached.
pub const THROUGH: u64 = 1 << 3;
/// Not cached.
pub const UNCACHED: u64 = 1 << 4;
/// The processor used it.
pub const ACCESSED: u64 = 1 << 5;
/// The processor wrote through it.
pub const DIRTY: u64 = 1 << 6;
/// A page of 2 MiB or 1 GiB.
pub const LEAF: u64 = 1 << 7;
/// Kept over loads of the root.
pub const GLOBAL: u64 = 1 << 8;
/// No instruction fetches.
pub const NO_EXECUTE: u64 = 1 << 63;
/// The bits of an entry that hold an address.
pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Entries of the root that belong to user space.
pub const USER_ENTRIES: usize = 256;

/// Level of the root; level 0 holds 4 KiB pages, 1 holds 2 MiB pages, 2 holds 1 GiB pages.
pub const ROOT: u32 = 3;

/// Where tables are found.
pub trait Tables {
    /// The table in this frame.
    fn table(&self, frame: FrameNumber) -> &FrameWords;
}

/// The index of an address in a table of a level.
pub const fn index(address: u64, level: u32) -> usize {
    ((address >> (12u32.wrapping_add(level.wrapping_mul(9)) & 63)) & 511) as usize
}

/// The table that an entry leads to.
pub fn frame_of(entry: u64) -> FrameNumber {
    FrameNumber(((entry & ADDRESS) / PAGE) as u32)
}

/// An entry that leads to a table. Upper levels allow everything; the last one decides.
pub fn table_entry(table: FrameNumber, user: bool) -> u64 {
    table.address().0 | PRESENT | WRITE | ACCESSED | bits(user, USER)
}

/// The entry of a user page. Without any protection the page is present for the kernel alone, so
/// that the frame stays known. Accessed and dirty are set: nothing here reads them, and the processor
/// then has no reason to write to the table.
pub fn user_entry(to: &Translation) -> u64 {
    let kind = bits(to.large, LEAF) | bits(to.device, UNCACHED | THROUGH);
    to.address.0 & ADDRESS | PRESENT | ACCESSED | DIRTY | rights(to.protection) | kind
}

fn bits(are_set: bool, bits: u64) -> u64 {
    u64::from(are_set).wrapping_mul(bits)
}

fn rights(protection: Protection) -> u64 {
    let (writes, executes) = (protection.contains(Protection::WRITE), protection.contains(Protection::EXECUTE));
    bits(!protection.is_empty(), USER) | bits(writes, WRITE) | bits(!executes, NO_EXECUTE)
}

/// What a user page's entry says.
pub fn translation(entry: u64, level: u32) -> Translation {
    let mut protection = Protection::empty();
    if entry & USER != 0 {
        protection |= Protection::READ;
        protection.set(Protection::WRITE, entry & WRITE != 0);
        protection.set(Protection::EXECUTE, entry & NO_EXECUTE == 0);
    }
    let mask = if level == 1 { LARGE.wrapping_sub(1) } else { PAGE.wrapping_sub(1) };
    Translation {
        address: PhysAddr(entry & ADDRESS & !mask),
        protection,
        large: level == 1,
        device: entry & UNCACHED != 0,
    }
}

fn slot(table: &FrameWords, index: usize) -> &AtomicU64 {
    table.get(index & 511).expect("invariant: 512 entries in a table")
}

/// The last entry for an address, and its level: a leaf or one that is not present. Never above `stop`'s level 0.
fn walk<T: Tables>(tables: &T, root: FrameNumber, address: u64, stop: u32) -> (&AtomicU64, u32) {
    let mut level = ROOT;
    let mut table = tables.table(root);
    loop {
        let slot = slot(table, index(address, level));
        let entry = slot.load(Relaxed);
        if level <= stop || entry & PRESENT == 0 || entry & LEAF != 0 {
            return (slot, level);
        }
        table = tables.table(frame_of(entry));
        level = level.wrapping_sub(1);
    }
}

/// Enters a leaf at `level` where nothing is. Errors: a table on the way is missing.
pub fn enter<T: Tables>(
    tables: &T,
    root: FrameNumber,
    address: u64,
    level: u32,
    entry: u64,
) -> Result<(), TableMissing> {
    let (slot, found) = walk(tables, root, address, level);
    (found == level).then(|| slot.store(entry, Relaxed)).ok_or(TableMissing)
}

/// Puts a zeroed table where the highest one on the way to `level` is missing. `false`: none is.
pub fn install<T: Tables>(
    tables: &T,
    root: FrameNumber,
    address: u64,
    level: u32,
    table: FrameNumber,
    user: bool,
) -> bool {
    let (slot, found) = walk(tables, root, address, level);
    if found <= level || slot.load(Relaxed) & PRESENT != 0 {
        return false;
    }
    slot.store(table_entry(table, user), Relaxed);
    true
}

/// The leaf of an address and its level.
pub fn find<T: Tables>(tables: &T, root: FrameNumber, address: u64) -> Option<(&AtomicU64, u32)> {
    let (slot, level) = walk(tables, root, address, 0);
    (slot.load(Relaxed) & PRESENT != 0).then_some((slot, level))
}

/// Changes the rights of a user page; answers whether there was one.
pub fn protect<T: Tables>(tables: &T, root: FrameNumber, address: u64, protection: Protection) -> bool {
    let Some((slot, _)) = find(tables, root, address) else { return false };
    let kept = slot.load(Relaxed) & !(USER | WRITE | NO_EXECUTE);
    slot.store(kept | rights(protection), Relaxed);
    true
}

/// Takes one table out of the user half, one that leads to no other table.
pub fn take_table<T: Tables>(tables: &T, root: FrameNumber) -> Option<FrameNumber> {
    let leads_on = |entry: u64| entry & PRESENT != 0 && entry & LEAF == 0;
    let first = |table: &FrameWords, length: usize| (0..length).find(|i| leads_on(slot(table, *i).load(Relaxed)));
    let top = tables.table(root);
    let mut at = slot(top, first(top, USER_ENTRIES)?);
    // Two more levels can hold tables: down to the tables of 4 KiB pages.
    for _ in 0..2 {
        let table = tables.table(frame_of(at.load(Relaxed)));
        let Some(next) = first(table, 512) else { break };
        at = slot(table, next);
    }
    Some(frame_of(at.swap(0, Relaxed)))
}

/// The level down to which there are tables for an address: 0 where a table of 4 KiB pages stands.
pub fn level_of<T: Tables>(tables: &T, root: FrameNumber, address: u64) -> u32 {
    walk(tables, root, address, 0).1
}

/// Looks for a translation from page `from` on, through one lowest-level table at most. `Ok`: the first page
/// that has one (`from` itself inside a large page). `Err`: there is none before this address, at most `end`.
pub fn scan<T: Tables>(tables: &T, root: FrameNumber, from: u64, end: u64) -> Result<u64, u64> {
    let from = from & !PAGE.wrapping_sub(1);
    let mut table = tables.table(root);
    let mut level = ROOT;
    while level > 0 {
        let entry = slot(table, index(from, level)).load(Relaxed);
        if entry & PRESENT == 0 {
            // Nothing under this entry, however much it spans.
            let size = PAGE.wrapping_shl(level.wrapping_mul(9));
            return Err((from & !size.wrapping_sub(1)).wrapping_add(size).min(end));
        }
        if entry & LEAF != 0 {
            return Ok(from);
        }
        table = tables.table(frame_of(entry));
        level = level.wrapping_sub(1);
    }
    let pages = table.iter().skip(index(from, 0)).zip((from..end).step_by(PAGE as usize));
    let mut after = from;
    for (entry, page) in pages {
        if entry.load(Relaxed) & PRESENT != 0 {
            return Ok(page);
        }
        after = page.wrapping_add(PAGE);
    }
    Err(after.min(end))
}

/// The largest page that fits at `address` with `length` bytes to go, by level.
pub fn fitting(virt: u64, phys: u64, length: u64, huge: bool) -> (u32, u64) {
    let both = virt | phys;
    if huge && both.is_multiple_of(HUGE) && length >= HUGE {
        (2, HUGE)
    } else if both.is_multiple_of(LARGE) && length >= LARGE {
        (1, LARGE)
    } else {
        (0, PAGE)
    }
}

#[cfg(test)]
mod tests;
