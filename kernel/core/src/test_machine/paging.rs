//! Page tables of the test machine: maps, with the table frames a real one
//! would have.

use crate::address::{FrameNumber, VirtAddr};
use crate::machine::{Scan, TableMissing, Translation};
use abi::memory::{Protection, LARGE_PAGE_SIZE, PAGE_SIZE};
use std::collections::BTreeMap;

#[derive(Default)]
struct Root {
    /// First address → translation.
    pages: BTreeMap<u64, Translation>,
    /// (level, address >> its shift) → table. Level 1 holds 4 KiB entries, 2 large ones, 3 leads to these.
    tables: BTreeMap<(u8, u64), FrameNumber>,
    /// Translations that are gone or were more than they are now, and not flushed.
    stale: BTreeMap<u64, Translation>,
}

#[derive(Default)]
pub(super) struct Paging {
    roots: BTreeMap<u32, Root>,
    /// How many translations and stale entries lead to a frame.
    led_to: BTreeMap<u32, u32>,
}

const SHIFTS: [(u8, u32); 3] = [(3, 39), (2, 30), (1, 21)];

fn size(translation: Translation) -> u64 {
    if translation.large {
        LARGE_PAGE_SIZE
    } else {
        PAGE_SIZE
    }
}

impl Paging {
    fn root(&self, root: FrameNumber) -> &Root {
        self.roots.get(&root.0).expect("the root was created")
    }
    fn root_mut(&mut self, root: FrameNumber) -> &mut Root {
        self.roots.get_mut(&root.0).expect("the root was created")
    }

    fn count(&mut self, translation: Translation, more: bool) {
        if translation.device {
            return;
        }
        let first = (translation.address.0 / PAGE_SIZE) as u32;
        for frame in first..first + (size(translation) / PAGE_SIZE) as u32 {
            let count = self.led_to.entry(frame).or_default();
            *count = if more { *count + 1 } else { *count - 1 };
        }
    }

    pub(super) fn assert_unreachable(&self, frame: FrameNumber) {
        assert_eq!(
            self.led_to.get(&frame.0).copied().unwrap_or(0),
            0,
            "{frame:?} is reused while mapped or not flushed"
        );
        assert!(!self.roots.contains_key(&frame.0), "{frame:?} is reused while it is a root");
        for root in self.roots.values() {
            assert!(root.tables.values().all(|t| *t != frame), "{frame:?} is reused while it is a page table");
        }
    }

    pub(super) fn roots(&self) -> Vec<FrameNumber> {
        self.roots.keys().copied().map(FrameNumber).collect()
    }

    pub(super) fn tables(&self) -> Vec<FrameNumber> {
        self.roots.values().flat_map(|root| root.tables.values().copied()).collect()
    }

    pub(super) fn translations(&self, root: FrameNumber) -> Vec<(u64, Translation)> {
        self.root(root).pages.iter().map(|(a, t)| (*a, *t)).collect()
    }

    pub(super) fn is_stale(&self, root: FrameNumber, page: u64) -> bool {
        self.root(root).stale.contains_key(&page)
    }

    pub(super) fn create(&mut self, root: FrameNumber) {
        assert!(self.roots.insert(root.0, Root::default()).is_none(), "{root:?} is a root already");
    }

    pub(super) fn release(&mut self, root: FrameNumber) {
        let gone = self.roots.remove(&root.0).expect("the root was created");
        assert!(gone.pages.is_empty() && gone.tables.is_empty(), "a root goes empty");
        // Its loading elsewhere flushes: stale entries go with it.
        for translation in gone.stale.into_values() {
            self.count(translation, false);
        }
    }

    pub(super) fn map(&mut self, root: FrameNumber, page: u64, to: Translation) -> Result<(), TableMissing> {
        let wx = Protection::WRITE | Protection::EXECUTE;
        assert!(!to.protection.contains(wx), "W^X: {page:#x}");
        assert!(page.is_multiple_of(size(to)) && to.address.0.is_multiple_of(size(to)), "aligned: {page:#x} {to:?}");
        assert!(VirtAddr::try_user(page).is_some(), "user half: {page:#x}");
        let r = self.root_mut(root);
        for (level, shift) in SHIFTS {
            let there = r.tables.contains_key(&(level, page >> shift));
            if level == 1 && to.large {
                assert!(!there, "a large page where a table is: {page:#x}");
            } else if !there {
                return Err(TableMissing);
            }
        }
        assert!(self.lookup(root, page).is_none(), "{page:#x} is mapped already");
        assert!(!self.root(root).stale.contains_key(&page), "{page:#x} is mapped anew before its flush");
        self.root_mut(root).pages.insert(page, to);
        self.count(to, true);
        Ok(())
    }

    pub(super) fn install(&mut self, root: FrameNumber, page: u64, table: FrameNumber, large: bool) {
        let r = self.root_mut(root);
        for (level, shift) in SHIFTS {
            if level == 1 && large {
                break;
            }
            if let std::collections::btree_map::Entry::Vacant(place) = r.tables.entry((level, page >> shift)) {
                place.insert(table);
                return;
            }
        }
        panic!("no table is missing for {page:#x}");
    }

    pub(super) fn has_small_table(&self, root: FrameNumber, page: u64) -> bool {
        self.root(root).tables.contains_key(&(1, page >> 21))
    }

    pub(super) fn lookup(&self, root: FrameNumber, address: u64) -> Option<(u64, Translation)> {
        let (first, translation) = self.root(root).pages.range(..=address).next_back()?;
        (address < first + size(*translation)).then_some((*first, *translation))
    }

    fn make_stale(&mut self, root: FrameNumber, first: u64, translation: Translation) {
        if self.root_mut(root).stale.insert(first, translation).is_none() {
            self.count(translation, true);
        }
    }

    pub(super) fn unmap(&mut self, root: FrameNumber, page: u64) -> Option<(u64, Translation)> {
        let (first, translation) = self.lookup(root, page)?;
        self.root_mut(root).pages.remove(&first);
        self.make_stale(root, first, translation);
        self.count(translation, false);
        Some((first, translation))
    }

    pub(super) fn protect(&mut self, root: FrameNumber, page: u64, protection: Protection) -> Option<u64> {
        assert!(!protection.contains(Protection::WRITE | Protection::EXECUTE), "W^X: {page:#x}");
        let (first, translation) = self.lookup(root, page)?;
        self.make_stale(root, first, translation);
        self.root_mut(root).pages.get_mut(&first)?.protection = protection;
        Some(first)
    }

    pub(super) fn scan(&self, root: FrameNumber, from: u64, end: u64) -> Scan {
        assert!(from < end && from.is_multiple_of(PAGE_SIZE) && end.is_multiple_of(PAGE_SIZE));
        if self.lookup(root, from).is_some() {
            return Scan::Found(VirtAddr(from));
        }
        let end = end.min((from / LARGE_PAGE_SIZE + 1) * LARGE_PAGE_SIZE);
        match self.root(root).pages.range(from..end).next() {
            Some((page, _)) => Scan::Found(VirtAddr(*page)),
            None => Scan::Clear(VirtAddr(end)),
        }
    }

    pub(super) fn take_table(&mut self, root: FrameNumber) -> Option<FrameNumber> {
        let r = self.root_mut(root);
        assert!(r.pages.is_empty(), "tables go when every translation is gone");
        r.tables.pop_first().map(|(_, frame)| frame)
    }

    pub(super) fn flush(&mut self, root: FrameNumber, page: Option<u64>) {
        let Some(r) = self.roots.get_mut(&root.0) else { return };
        let gone: Vec<Translation> = match page {
            Some(page) => r.stale.remove(&page).into_iter().collect(),
            None => std::mem::take(&mut r.stale).into_values().collect(),
        };
        for translation in gone {
            self.count(translation, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FrameNumber, Paging, Protection, Scan, Translation, VirtAddr};
    use crate::address::PhysAddr;

    fn paging() -> (Paging, FrameNumber) {
        let (mut paging, root) = (Paging::default(), FrameNumber(9));
        paging.create(root);
        for table in 10..13 {
            paging.install(root, 0x20_0000, FrameNumber(table), false);
        }
        (paging, root)
    }

    fn to(frame: u64) -> Translation {
        Translation { address: PhysAddr(frame * 4096), protection: Protection::READ, large: false, device: false }
    }

    #[test]
    fn a_scan_finds_pages_and_gaps() {
        let (mut paging, root) = paging();
        paging.map(root, 0x20_3000, to(20)).unwrap();
        assert_eq!(paging.scan(root, 0x20_0000, 0x30_0000), Scan::Found(VirtAddr(0x20_3000)));
        assert_eq!(paging.scan(root, 0x20_4000, 0x90_0000), Scan::Clear(VirtAddr(0x40_0000)));
    }

    #[test]
    #[should_panic(expected = "mapped or not flushed")]
    fn a_frame_that_was_not_flushed_is_not_reused() {
        let (mut paging, root) = paging();
        paging.map(root, 0x20_3000, to(20)).unwrap();
        paging.unmap(root, 0x20_3000).unwrap();
        paging.assert_unreachable(FrameNumber(20));
    }

    #[test]
    fn a_frame_that_was_flushed_is_reused() {
        let (mut paging, root) = paging();
        paging.map(root, 0x20_3000, to(20)).unwrap();
        paging.unmap(root, 0x20_3000).unwrap();
        paging.flush(root, Some(0x20_3000));
        paging.assert_unreachable(FrameNumber(20));
    }
}
