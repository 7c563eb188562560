//! Tables, good and bad: read right, or refused.

mod disk;
#[path = "disk/layouts.rs"]
mod layouts;

use abi::Error;
use disk::Ram;
use layouts::{gpt, mbr_entry};
use partition::table::{Table, TableKind};
use proptest::prelude::{any, proptest, Just, ProptestConfig, Strategy};

fn read(bytes: Vec<u8>) -> abi::Result<Table> {
    Table::read(&mut Ram::new(bytes))
}

fn parts(table: &Table) -> Vec<(u32, u64, u64)> {
    table.partitions.iter().map(|p| (p.number, p.first, p.count)).collect()
}

/// A record with a primary partition and an extended one with two logical ones.
fn extended() -> Vec<u8> {
    let mut bytes = vec![0; 512 * 1000];
    mbr_entry(&mut bytes, 0, 0, 0x0c, 1, 99);
    mbr_entry(&mut bytes, 0, 2, 0x0f, 100, 800);
    mbr_entry(&mut bytes, 100, 0, 0x83, 1, 99);
    mbr_entry(&mut bytes, 100, 1, 0x05, 200, 300);
    mbr_entry(&mut bytes, 300, 0, 0x83, 2, 298);
    bytes
}

#[test]
fn a_disk_without_a_table_is_partition_0() {
    for start in [&[0u8; 3][..], &[0xeb, 0x3c, 0x90]] {
        let mut bytes = vec![0; 512 * 100];
        bytes[..3].copy_from_slice(start);
        if start[0] != 0 {
            // A FAT boot sector with text where a table would be.
            bytes[54..62].copy_from_slice(b"FAT16   ");
            bytes[446..500].fill(0x41);
            bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        }
        let table = read(bytes).unwrap();
        assert_eq!((table.kind, parts(&table)), (TableKind::None, vec![(0, 0, 100)]));
    }
    assert_eq!(parts(&read(vec![]).unwrap()), [(0, 0, 0)]);
}

#[test]
fn primary_and_logical_partitions_are_found() {
    let table = read(extended()).unwrap();
    assert_eq!(table.kind, TableKind::Mbr);
    assert_eq!(parts(&table), [(1, 1, 99), (5, 101, 99), (6, 302, 298)]);
    assert_eq!(table.get(1).unwrap().kind, "mbr:0c");
}

#[test]
fn chains_that_turn_back_leave_or_lie_are_corrupt() {
    type Damage = fn(&mut Vec<u8>);
    let cases: [(&str, Damage); 7] = [
        ("to itself", |b| mbr_entry(b, 300, 1, 0x05, 200, 300)),
        ("to its start", |b| mbr_entry(b, 300, 1, 0x05, 0, 300)),
        ("out of the extended partition", |b| mbr_entry(b, 300, 1, 0x05, 800, 300)),
        ("past the disk", |b| mbr_entry(b, 300, 1, 0x05, u32::MAX, 300)),
        ("to a block without signature", |b| mbr_entry(b, 300, 1, 0x05, 500, 300)),
        ("a logical partition over the end", |b| mbr_entry(b, 300, 0, 0x83, 2, 700)),
        ("a logical partition over its link", |b| mbr_entry(b, 300, 0, 0x83, 0, 10)),
    ];
    for (what, damage) in cases {
        let mut bytes = extended();
        damage(&mut bytes);
        assert_eq!(read(bytes), Err(Error::Corrupt), "{what}");
    }
}

#[test]
fn entries_outside_the_disk_or_over_each_other_are_corrupt() {
    for (first, count) in [(1, 2000), (999, 2), (u32::MAX, u32::MAX), (50, 100)] {
        let mut bytes = extended();
        mbr_entry(&mut bytes, 0, 1, 0x83, first, count);
        assert_eq!(read(bytes), Err(Error::Corrupt), "{first} + {count}");
    }
    // A truncated image: the table promises more than there is.
    assert_eq!(read(extended()[..512 * 350].to_vec()), Err(Error::Corrupt));
}

#[test]
fn a_gpt_is_read_with_blocks_of_either_size() {
    for block in [512, 4096] {
        let mut disk = Ram { bytes: gpt(block, 400, &[(40, 59), (60, 300)]), block: block as u32, read_only: false };
        let table = Table::read(&mut disk).unwrap();
        assert_eq!((table.kind, parts(&table)), (TableKind::Gpt, vec![(1, 40, 20), (2, 60, 241)]));
        let esp = table.get(1).unwrap();
        assert_eq!(esp.kind, "gpt:c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        assert_eq!(esp.name, "part 1");
        assert!(table.to_text().starts_with("1 40 20 gpt:c12a7328-f81f-11d2-ba4b-00a0c93ec93b part 1\n2 60 241 "));
    }
}

#[test]
fn either_copy_of_a_gpt_is_enough_and_neither_is_corrupt() {
    let good = gpt(512, 400, &[(40, 59), (60, 300)]);
    let expected = read(good.clone()).unwrap();
    let copies = [512..512 + 92, 1024..1024 + 128, 399 * 512..399 * 512 + 92, 367 * 512..367 * 512 + 128];
    for range in copies.clone() {
        for at in range.step_by(7) {
            let mut bytes = good.clone();
            bytes[at] ^= 0x20;
            assert_eq!(read(bytes).unwrap(), expected, "byte {at}");
        }
    }
    for first in &copies[..2] {
        for second in &copies[2..] {
            let mut bytes = good.clone();
            bytes[first.start + 9] ^= 1;
            bytes[second.start + 9] ^= 1;
            assert_eq!(read(bytes), Err(Error::Corrupt), "{first:?} and {second:?}");
        }
    }
    // A protective record promises a table: to serve the whole disk instead would be a guess.
    let mut bytes = good.clone();
    bytes[512..1024].fill(0);
    bytes.truncate(512 * 390);
    assert_eq!(read(bytes), Err(Error::Corrupt));
}

#[test]
fn a_gpt_with_right_checksums_and_wrong_entries_is_corrupt() {
    for partitions in [
        [(40, 59), (59, 80)],
        [(40, 59), (10, 20)],
        [(40, 59), (380, 399)],
        [(59, 40), (60, 80)],
        [(40, 59), (u64::MAX, 0)],
    ] {
        assert_eq!(read(gpt(512, 400, &partitions)), Err(Error::Corrupt), "{partitions:?}");
    }
}

fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let base = proptest::prop_oneof![Just(extended()), Just(gpt(512, 400, &[(40, 59), (60, 300)]))];
    // Most damage goes where tables are.
    let place =
        proptest::prop_oneof![440..512usize, 512..604usize, 1024..1400usize, 51_640..51_712usize, 0..200_000usize];
    let hits = proptest::collection::vec((place, any::<u8>()), 0..12usize);
    (base, hits, 0..400usize).prop_map(|(mut bytes, hits, cut)| {
        for (at, value) in hits {
            bytes[at] = value;
        }
        bytes.truncate(bytes.len() - cut * 512);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn what_is_served_of_a_damaged_disk_lies_in_it_and_apart(bytes in damaged()) {
        let blocks = (bytes.len() / 512) as u64;
        if let Ok(table) = read(bytes) {
            let mut all: Vec<_> = table.partitions.iter().map(|p| (p.first, p.first + p.count)).collect();
            all.sort_unstable();
            assert!(all.iter().all(|(_, end)| *end <= blocks));
            assert!(all.windows(2).all(|pair| pair[0].1 <= pair[1].0));
        }
    }

    #[test]
    fn random_blocks_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..2048usize), signed in any::<bool>()) {
        let mut bytes = bytes;
        bytes.resize(512 * 40, 0);
        if signed {
            for block in 0..40 {
                bytes[block * 512 + 510..block * 512 + 512].copy_from_slice(&[0x55, 0xaa]);
            }
            for slot in 0..4 {
                bytes[446 + slot * 16] &= 0x80;
            }
        }
        let _ = read(bytes);
    }
}
