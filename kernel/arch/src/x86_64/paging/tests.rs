//! What entries say, and which sizes fit.

use super::*;
use core::cell::RefCell;

struct Frames(Vec<Box<FrameWords>>, RefCell<u32>);
impl Tables for Frames {
    fn table(&self, frame: FrameNumber) -> &FrameWords {
        &self.0[frame.0 as usize]
    }
}
impl Frames {
    fn new() -> Frames {
        Frames((0..32).map(|_| Box::new([const { AtomicU64::new(0) }; 512])).collect(), RefCell::new(1))
    }
    fn take(&self) -> FrameNumber {
        *self.1.borrow_mut() += 1;
        FrameNumber(*self.1.borrow() - 1)
    }
    /// Enters with tables as needed; answers how many were.
    fn map(&self, root: FrameNumber, address: u64, level: u32, entry: u64) -> u32 {
        let mut tables = 0;
        while enter(self, root, address, level, entry).is_err() {
            assert!(install(self, root, address, level, self.take(), true));
            tables += 1;
        }
        tables
    }
}

fn page(address: u64, protection: Protection) -> Translation {
    Translation { address: PhysAddr(address), protection, large: false, device: false }
}

#[test]
fn indices_pick_nine_bits_a_level() {
    let address = (5u64 << 39) | (6 << 30) | (7 << 21) | (8 << 12) | 9;
    assert_eq!([3, 2, 1, 0].map(|level| index(address, level)), [5, 6, 7, 8]);
    assert_eq!(index(0xffff_8000_0000_0000, 3), USER_ENTRIES);
    assert_eq!(index(0xffff_ffff_ffff_ffff, 3), 511);
}

#[test]
fn a_page_takes_three_tables_and_its_neighbour_none() {
    let frames = Frames::new();
    let root = frames.take();
    let to = page(0x1234_5000, Protection::READ | Protection::WRITE);
    assert_eq!(frames.map(root, 0x7fff_0000_0000, 0, user_entry(&to)), 3);
    assert_eq!(frames.map(root, 0x7fff_0000_1000, 0, user_entry(&to)), 0);
    let (slot, level) = find(&frames, root, 0x7fff_0000_0fff).unwrap();
    assert_eq!(translation(slot.load(Relaxed), level), to);
    assert!(find(&frames, root, 0x7fff_0000_2000).is_none());
}

#[test]
fn a_large_page_takes_two_tables_and_is_found_from_its_middle() {
    let frames = Frames::new();
    let root = frames.take();
    let to = Translation { large: true, ..page(0x4000_0000, Protection::READ) };
    assert_eq!(frames.map(root, 0x20_0000, 1, user_entry(&to)), 2);
    let (slot, level) = find(&frames, root, 0x20_0000 + 0x12345).unwrap();
    assert_eq!((translation(slot.load(Relaxed), level), level), (to, 1));
    // A small page can't be entered below it, and no table is put over it.
    assert!(enter(&frames, root, 0x20_1000, 0, 1).is_err());
    assert!(!install(&frames, root, 0x20_1000, 0, FrameNumber(30), true));
}

#[test]
fn protections_survive_the_trip_and_never_leak_rights() {
    let frames = Frames::new();
    let root = frames.take();
    frames.map(root, 0x5000, 0, user_entry(&page(0x8000, Protection::READ)));
    for bits in 0..8 {
        let wanted = Protection::from_bits(bits).unwrap();
        assert!(protect(&frames, root, 0x5000, wanted));
        let entry = find(&frames, root, 0x5000).unwrap().0.load(Relaxed);
        let got = translation(entry, 0);
        assert_eq!(entry & USER == 0, wanted.is_empty());
        // READ comes with any other right on this architecture.
        let read = if wanted.is_empty() { Protection::empty() } else { Protection::READ };
        assert_eq!((got.protection, got.address), (wanted | read, PhysAddr(0x8000)));
    }
    assert!(!protect(&frames, root, 0x6000, Protection::READ));
}

#[test]
fn tables_come_back_deepest_first_and_the_kernel_half_stays() {
    let frames = Frames::new();
    let root = frames.take();
    slot(frames.table(root), 300).store(table_entry(FrameNumber(31), false), Relaxed);
    let to = user_entry(&page(0x8000, Protection::READ));
    let mut made = 0;
    for address in [0x1_0000, 0x4000_0000, 0x7ffe_0000_0000] {
        made += frames.map(root, address, 0, to);
    }
    let mut taken = Vec::new();
    while let Some(frame) = take_table(&frames, root) {
        assert!(!taken.contains(&frame));
        taken.push(frame);
    }
    assert_eq!(taken.len() as u32, made);
    assert!(slot(frames.table(root), 300).load(Relaxed) & PRESENT != 0);
}

#[test]
fn a_scan_finds_the_next_page_and_skips_what_is_empty() {
    let frames = Frames::new();
    let root = frames.take();
    let to = user_entry(&page(0x8000, Protection::READ));
    frames.map(root, 0x40_5000, 0, to);
    frames.map(
        root,
        0x4000_0000 + 0x20_0000,
        1,
        user_entry(&Translation { large: true, ..page(LARGE, Protection::READ) }),
    );
    let end = 0x7fff_ffff_f000;
    assert_eq!(scan(&frames, root, 0x1_0000, end), Err(0x20_0000));
    assert_eq!(scan(&frames, root, 0x20_0000, end), Err(0x40_0000));
    assert_eq!(scan(&frames, root, 0x40_0000, end), Ok(0x40_5000));
    assert_eq!(scan(&frames, root, 0x40_5000, end), Ok(0x40_5000));
    assert_eq!(scan(&frames, root, 0x40_6000, end), Err(0x60_0000));
    assert_eq!(scan(&frames, root, 0x40_0000, 0x40_3000), Err(0x40_3000));
    assert_eq!(scan(&frames, root, 0x4000_0000, end), Err(0x4020_0000));
    assert_eq!(scan(&frames, root, 0x4020_3000, end), Ok(0x4020_3000));
    assert_eq!(scan(&frames, root, 0x8000_0000, end), Err(0xc000_0000));
    assert_eq!(scan(&frames, root, 1 << 39, end), Err(2 << 39));
}

#[test]
fn the_largest_fitting_page_is_chosen() {
    assert_eq!(fitting(HUGE, HUGE, HUGE, true), (2, HUGE));
    assert_eq!(fitting(HUGE, HUGE, HUGE, false), (1, LARGE));
    assert_eq!(fitting(HUGE, LARGE, HUGE, true), (1, LARGE));
    assert_eq!(fitting(LARGE, LARGE, LARGE - 1, true), (0, PAGE));
    assert_eq!(fitting(LARGE, PAGE, LARGE, true), (0, PAGE));
}
