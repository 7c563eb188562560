//! Rates: readings and scales, against arithmetic in 128 bits.

use super::{elapsed, frequency, shot, Scale};

#[test]
fn frequencies_come_out_of_readings() {
    // 5 ms of a 100 MHz HPET against a 1 GHz counter.
    assert_eq!(frequency(5_000_000, 500_000, 100_000_000), Some(1_000_000_000));
    assert_eq!(frequency(17_897, 17_897, 3_579_545), Some(3_579_545));
    assert_eq!(frequency(5_000_000, 0, 100_000_000), None);
    assert_eq!(frequency(u64::MAX, 1, u64::MAX), None);
    assert_eq!(frequency(1, 1000, 1000), None);
}

#[test]
fn scaling_is_right_to_a_millionth_over_a_year() {
    for hz in [1_000_000u64, 3_579_545, 1_000_000_000, 2_893_202_000, 5_000_000_000] {
        let year = 365 * 86_400;
        let ns = Scale::to_ns(hz).apply(hz * year);
        let want = year * 1_000_000_000;
        assert!(ns.abs_diff(want) < want / 1_000_000, "{hz}: {ns}");
    }
}

#[test]
fn a_shot_never_ends_early_and_saturates() {
    let scale = Scale::from_ns(62_500_000);
    for ns in [0, 1, 15, 16, 17, 1_000_000, 10_000_000_000] {
        let ticks = u64::from(shot(scale, ns));
        assert!(ticks >= 1 && ticks * 16 >= ns && ticks * 16 <= ns + 32, "{ns}: {ticks}");
    }
    assert_eq!(shot(scale, u64::MAX), u32::MAX);
}

#[test]
fn narrow_counters_wrap() {
    assert_eq!(elapsed(0xff_fff0, 0x10, 24), 0x20);
    assert_eq!(elapsed(u64::MAX, 1, 64), 2);
}
