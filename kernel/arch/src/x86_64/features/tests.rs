//! Features of processors.

use super::Features;
use raw_cpuid::{CpuId, CpuIdResult};

/// A machine by its leaves: (leaf, subleaf, [eax, ebx, ecx, edx]).
fn machine(leaves: &'static [(u32, u32, [u32; 4])]) -> Features {
    let reader = move |leaf: u32, subleaf: u32| {
        let found = leaves.iter().find(|(l, s, _)| (*l, *s) == (leaf, subleaf)).map_or([0; 4], |(_, _, r)| *r);
        CpuIdResult { eax: found[0], ebx: found[1], ecx: found[2], edx: found[3] }
    };
    Features::read(&CpuId::with_cpuid_reader(reader))
}

const OLD: &[(u32, u32, [u32; 4])] = &[
    (0, 0, [1, 0x756e_6547, 0x6c65_746e, 0x4965_6e69]),
    (1, 0, [0, 0, 0, 1 << 24 | 1 << 25 | 1 << 26]),
    (0x8000_0000, 0, [0x8000_0001, 0, 0, 0]),
    (0x8000_0001, 0, [0, 0, 0, 1 << 20 | 1 << 11 | 1 << 29]),
];

const WIDE: &[(u32, u32, [u32; 4])] = &[
    (0, 0, [0xd, 0x756e_6547, 0x6c65_746e, 0x4965_6e69]),
    (1, 0, [0, 0, 1 << 26 | 1 << 21, 1 << 24 | 1 << 25 | 1 << 26 | 1 << 13 | 1 << 7 | 1 << 14]),
    (7, 0, [0, 1 << 7 | 1 << 20, 1 << 2, 0]),
    // Everything up to AMX, which is too large to keep.
    (0xd, 0, [0xe7 | 3 << 17, 11008, 11008, 0]),
    (0xd, 1, [1, 0, 0, 0]),
    (0xd, 2, [256, 576, 0, 0]),
    (0xd, 5, [64, 1088, 0, 0]),
    (0xd, 6, [512, 1152, 0, 0]),
    (0xd, 7, [1024, 1664, 0, 0]),
    (0xd, 18, [8192, 2816, 0, 0]),
    (0x8000_0000, 0, [0x8000_0001, 0, 0, 0]),
    (0x8000_0001, 0, [0, 0, 0, 1 << 20 | 1 << 11 | 1 << 26 | 1 << 29]),
];

#[test]
fn an_old_machine_starts_with_what_it_has() {
    let features = machine(OLD);
    assert_eq!(features.missing(), None);
    assert!(!features.xsave && !features.smep && !features.huge_pages);
    assert_eq!(features.control(), 1 << 5 | 1 << 9 | 1 << 10);
}

#[test]
fn a_wide_machine_keeps_what_fits_and_turns_protection_on() {
    let features = machine(WIDE);
    assert_eq!(features.components, 0xe7);
    assert!(features.xsaveopt && features.x2apic && features.huge_pages);
    let control = features.control();
    assert_eq!(control & (1 << 20 | 1 << 21 | 1 << 11 | 1 << 18), 1 << 20 | 1 << 21 | 1 << 11 | 1 << 18);
    assert_eq!(control & (1 << 16 | 1 << 22), 0, "FSGSBASE and protection keys stay off");
}

#[test]
fn a_machine_without_no_execute_is_refused() {
    let leaves: &'static [_] = &[(0, 0, [1, 0, 0, 0]), (1, 0, [0, 0, 0, 1 << 24 | 1 << 26])];
    assert!(machine(leaves).missing().is_some());
}
