//! The allocator against a model: the set of frames that are out.

use super::{FrameRange, Frames, ORDERS};
use crate::address::FrameNumber;
use crate::field::Clear;
use crate::object::FrameInfo;
use abi::boot::REGIONS;
use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_oneof, proptest, Just, Strategy};
use std::collections::BTreeMap;

const LAST: u32 = (1 << 20) + 300;

thread_local! {
    /// Records enough to reach past 4 GiB, leaked once a thread.
    static INFOS: &'static [FrameInfo] = Vec::leak((0..LAST).map(|_| FrameInfo::default()).collect());
}

fn frames(ranges: &[(u32, u32)]) -> Frames {
    let infos = INFOS.with(|infos| *infos);
    for info in ranges.iter().flat_map(|&(start, end)| &infos[start as usize..end as usize]) {
        info.clear();
    }
    let mut ram = [FrameRange::default(); REGIONS];
    for (slot, &(start, end)) in ram.iter_mut().zip(ranges) {
        *slot = FrameRange { start, end };
    }
    let frames = Frames::over(infos, ram, ranges.len());
    for &(start, end) in ranges {
        frames.put_back(start, end);
    }
    frames
}

/// Every free run is in the list of its order, apart from the others, and they add up to `free`.
fn check(frames: &Frames, held: &BTreeMap<u32, u32>) {
    let mut sum = 0;
    for zone in 0..2 {
        for order in 0..ORDERS {
            let mut at = frames.head(zone, order).get();
            while at != 0 {
                assert_eq!(at % (1 << order), 0, "aligned");
                assert_eq!(u32::from(frames.entry(at).order.get()), order + 1);
                for frame in at..at + (1 << order) {
                    assert!(!held.contains_key(&frame), "free and held");
                    assert_eq!(frames.entry(frame).references.get(), 0);
                }
                sum += 1 << order;
                at = frames.entry(at).next.get();
            }
        }
    }
    assert_eq!(sum, frames.free());
    for (&frame, &count) in held {
        assert_eq!(frames.entry(frame).references.get(), count);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Take,
    Run(u32, bool),
    Retain(usize),
    Release(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Take),
        1 => (1u32..200, any::<bool>()).prop_map(|(n, low)| Step::Run(n, low)),
        1 => any::<usize>().prop_map(Step::Retain),
        4 => any::<usize>().prop_map(Step::Release),
    ]
}

proptest! {
    #[test]
    fn frames_are_never_handed_out_twice_and_all_come_back(steps in proptest::collection::vec(step(), 1..200)) {
        let frames = frames(&[(1, 3), (5, 700), (1000, 1030), (1 << 20, LAST)]);
        let all = frames.free();
        let mut held: BTreeMap<u32, u32> = BTreeMap::new();
        for step in steps {
            let pick = |n: usize| held.keys().nth(n % held.len().max(1)).copied();
            match step {
                Step::Take => match frames.take() {
                    Some(f) => prop_assert_eq!(held.insert(f.0, 1), None),
                    None => prop_assert_eq!(held.len() as u32, all),
                },
                Step::Run(pages, low) => {
                    if let Some(first) = frames.take_run(pages, low) {
                        prop_assert!(!low || first.0 + pages <= 1 << 20);
                        prop_assert_eq!(first.0 % pages.next_power_of_two(), 0);
                        for f in first.0..first.0 + pages {
                            prop_assert_eq!(held.insert(f, 1), None);
                        }
                    }
                }
                Step::Retain(n) => if let Some(f) = pick(n) {
                    frames.retain(FrameNumber(f));
                    *held.get_mut(&f).unwrap() += 1;
                },
                Step::Release(n) => if let Some(f) = pick(n) {
                    let count = held.get_mut(&f).unwrap();
                    *count -= 1;
                    let last = *count == 0;
                    prop_assert_eq!(frames.release(FrameNumber(f)), last);
                    if last { held.remove(&f); }
                },
            }
            prop_assert_eq!(frames.free() as usize + held.len(), all as usize);
            check(&frames, &held);
        }
        for (f, count) in std::mem::take(&mut held) {
            for _ in 0..count { frames.release(FrameNumber(f)); }
        }
        // Joined again: the runs are as at the start.
        prop_assert_eq!(frames.free(), all);
        check(&frames, &held);
        prop_assert!(frames.take_run(256, true).is_some());
    }
}

#[test]
fn memory_above_4g_goes_first_and_below_is_kept_for_devices() {
    let frames = frames(&[(8, 16), (1 << 20, (1 << 20) + 4)]);
    for _ in 0..4 {
        assert!(frames.take().unwrap().0 >= 1 << 20);
    }
    assert!(frames.take().unwrap().0 < 1 << 20);
    assert_eq!(frames.take_run(4, true).map(|f| f.0 < 16), Some(true));
    assert_eq!(frames.take_run(8, false), None);
}

#[test]
fn ram_is_told_from_device_space() {
    let frames = frames(&[(1, 3), (5, 700)]);
    assert!(frames.touches_ram(0, 2) && frames.touches_ram(2, 1) && frames.touches_ram(0, u64::MAX));
    assert!(!frames.touches_ram(3, 2) && !frames.touches_ram(700, 1 << 40) && !frames.touches_ram(u64::MAX, 1));
    assert!(frames.touches_ram(699, 1) && frames.touches_ram(3, 3));
}
