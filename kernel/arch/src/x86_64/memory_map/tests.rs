//! Memory maps as firmware gives them.

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
    let want =
        [(0x10_0000, 0x20_0000, 2), (0x20_0000, 0x30_0000, 1), (0x30_0000, 0x40_0000, 2), (0x40_0000, 0x7fd_0000, 1)];
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
