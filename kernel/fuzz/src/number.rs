//! Numbers that are worth trying: small ones, edges, page sizes, and now and
//! then any at all.

use crate::input::Input;
use abi::memory::{LARGE_PAGE_SIZE, PAGE_SIZE, USER_END, USER_START};
use kernel_core::world::{LENT, MEMORY, PAGES};

/// Where processes are likely to map more than they had.
pub const MAPPED: u64 = 0x4000_0000;

/// Where something changes, or wraps.
const EDGES: [u64; 16] = [
    u64::MAX,
    u64::MAX - 1,
    1 << 63,
    (1 << 63) - 1,
    1 << 32,
    (1 << 32) - 1,
    1 << 31,
    1 << 16,
    (1 << 16) - 1,
    USER_END,
    USER_END - PAGE_SIZE,
    USER_START,
    LARGE_PAGE_SIZE,
    u64::MAX - PAGE_SIZE + 1,
    MEMORY,
    MAPPED,
];

/// Any number.
pub fn number(input: &mut Input<'_>) -> u64 {
    match input.byte() {
        small @ 0..=0x9f => u64::from(small),
        edge @ 0xa0..=0xbf => EDGES[usize::from(edge) % EDGES.len()],
        pages @ 0xc0..=0xdf => u64::from(pages & 0x1f) * PAGE_SIZE,
        0xe0..=0xef => input.short(),
        _ => input.word(),
    }
}

/// A number of bytes: mostly some pages, or little.
pub fn length(input: &mut Input<'_>) -> u64 {
    match input.byte() {
        pages @ 0..=0x3f => u64::from(pages & 7) * PAGE_SIZE,
        little @ 0x40..=0x9f => u64::from(little - 0x40) * 8,
        0xa0..=0xdf => input.short(),
        _ => number(input),
    }
}

/// A number of pages.
pub fn pages(input: &mut Input<'_>) -> u64 {
    match input.byte() {
        few @ 0..=0xbf => u64::from(few & 15),
        more @ 0xc0..=0xdf => u64::from(more & 31) * 32,
        _ => number(input),
    }
}

/// A number that names something which somebody chose a small number for: a badge, a key, a tag.
pub fn name(input: &mut Input<'_>) -> u64 {
    match input.byte() {
        few @ 0..=0xcf => u64::from(few % 10),
        _ => number(input),
    }
}

/// An address: mostly in the memory that a process had from the start, or where it maps more.
pub fn address(input: &mut Input<'_>) -> u64 {
    let at = input.byte();
    let page = match at {
        // One page more often than others, so that what one call leaves there is what another finds.
        0..=0x1f => LENT,
        0x20..=0x7f => MEMORY + u64::from(at) % PAGES * PAGE_SIZE,
        0x80..=0xbf => MAPPED + u64::from(at & 31) * PAGE_SIZE,
        0xc0..=0xcf => MAPPED + u64::from(at & 3) * LARGE_PAGE_SIZE,
        0xd0..=0xdf => return 0,
        _ => return number(input),
    };
    let offset = match input.byte() {
        0..=0x7f => 0,
        middle @ 0x80..=0xbf => u64::from(middle & 63) * 8,
        last @ 0xc0..=0xdf => PAGE_SIZE - u64::from(last & 31),
        _ => input.short() % PAGE_SIZE,
    };
    page + offset
}

/// A time: none, now (which is to say at once), soon, or any.
pub fn time(input: &mut Input<'_>, now_ns: u64) -> u64 {
    match input.byte() {
        0..=0x3f => 0,
        soon @ 0x40..=0xdf => now_ns + u64::from(soon - 0x40) * 500,
        _ => number(input),
    }
}
