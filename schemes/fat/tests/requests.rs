//! How many requests the engine makes of its device.

mod support;

use fat::{Fat, MountOptions, NodeId};
use support::{assert_clean, fresh, mount, read_all, Disk, Random, Temp};

/// A volume with a file of 32 MiB, made by the host's tools.
fn with_large_file(temp: &Temp, arguments: &[&str]) -> (Disk, Vec<u8>) {
    let image = support::format(temp, "large.img", 96 * 1024, arguments);
    let bytes = Random::new(5).bytes(32 << 20);
    let host = temp.path("large");
    std::fs::write(&host, &bytes).unwrap();
    support::must("mcopy", &["-i", support::text(&image), support::text(&host), "::large"]);
    (Disk::new(std::fs::read(&image).unwrap()), bytes)
}

#[test]
fn a_random_read_of_4_kib_takes_at_most_4_device_reads() {
    let temp = Temp::new("reads");
    for arguments in [&["-F", "32", "-s", "1"][..], &["-F", "32", "-s", "2"], &["-F", "16"]] {
        let (disk, bytes) = with_large_file(&temp, arguments);
        let mut fat = mount(&disk);
        let id = fat.lookup(NodeId::ROOT, "large").unwrap();
        let mut random = Random::new(1);
        let mut out = vec![0u8; 4096];
        for n in 0..500 {
            let aligned = if n % 2 == 0 { 4095 } else { 0 };
            let offset = random.below(bytes.len() as u64 - 4096) & !aligned;
            let before = disk.state().reads;
            assert_eq!(fat.read(id, offset, &mut out), Ok(4096));
            assert!(disk.state().reads - before <= 4, "{} reads at {offset}", disk.state().reads - before);
            assert!(out == bytes[offset as usize..offset as usize + 4096]);
        }
    }
}

#[test]
fn a_file_in_scattered_pieces_keeps_the_bound_too() {
    let temp = Temp::new("scattered");
    let disk = fresh(&temp, "scattered", 96 * 1024, &["-F", "32", "-s", "8"]);
    let mut fat = mount(&disk);
    let one = fat.create(NodeId::ROOT, "one").unwrap();
    let two = fat.create(NodeId::ROOT, "two").unwrap();
    let bytes = Random::new(2).bytes(8 << 20);
    for (n, part) in bytes.chunks(4096).enumerate() {
        // In turns, so that neighbours in a file are none on the disk.
        assert_eq!(fat.write(one, n as u64 * 4096, part), Ok(4096));
        assert_eq!(fat.write(two, n as u64 * 4096, part), Ok(4096));
    }
    fat.unmount().unwrap();
    assert_clean(&temp, &disk);
    let mut fat = mount(&disk);
    let id = fat.lookup(NodeId::ROOT, "one").unwrap();
    let mut random = Random::new(1);
    let mut out = vec![0u8; 4096];
    for _ in 0..500 {
        let offset = random.below(bytes.len() as u64 - 4096);
        let before = disk.state().reads;
        assert_eq!(fat.read(id, offset, &mut out), Ok(4096));
        assert!(disk.state().reads - before <= 4);
        assert!(out == bytes[offset as usize..offset as usize + 4096]);
    }
    assert!(fat.stats().held * 512 <= 256 * 1024, "the cache keeps its bound");
}

#[test]
fn whole_files_travel_in_large_requests() {
    let temp = Temp::new("large-requests");
    let (disk, bytes) = with_large_file(&temp, &["-F", "32", "-s", "1"]);
    let mut fat = mount(&disk);
    let id = fat.lookup(NodeId::ROOT, "large").unwrap();
    let before = disk.state().reads;
    assert!(read_all(&mut fat, id).unwrap() == bytes);
    // 100,000 bytes at a time: a run, and a partial sector on either side.
    let steps = (32u64 << 20).div_ceil(100_000);
    assert!(disk.state().reads - before <= steps * 3);
    let copy = fat.create(NodeId::ROOT, "copy").unwrap();
    let reads = disk.state().reads;
    let writes = disk.state().writes;
    for (n, part) in bytes.chunks(1 << 20).enumerate() {
        assert_eq!(fat.write(copy, (n as u64) << 20, part), Ok(1 << 20));
    }
    fat.sync().unwrap();
    // 32 runs of contents, 256 KiB of table twice in runs of 64 KiB at best.
    assert!(disk.state().writes - writes <= 32 + 64, "{} writes", disk.state().writes - writes);
    assert!(disk.state().reads - reads <= 64, "{} reads", disk.state().reads - reads);
    fat.unmount().unwrap();
    assert_clean(&temp, &disk);
}

#[test]
fn small_appends_do_not_reach_the_device_one_by_one() {
    let temp = Temp::new("appends");
    let disk = fresh(&temp, "appends", 4096, &["-F", "12"]);
    let mut fat = mount(&disk);
    let id = fat.create(NodeId::ROOT, "log").unwrap();
    let before = disk.state().writes;
    for n in 0..5000u64 {
        assert_eq!(fat.write(id, n * 10, b"123456789\n"), Ok(10));
    }
    fat.sync().unwrap();
    assert!(disk.state().writes - before < 40, "{} writes", disk.state().writes - before);
    assert!(read_all(&mut fat, id).unwrap().chunks(10).all(|line| line == b"123456789\n"));
    fat.unmount().unwrap();
    assert_clean(&temp, &disk);
}

#[test]
fn repeating_a_write_changes_nothing() {
    let temp = Temp::new("repeat");
    let disk = fresh(&temp, "repeat", 4096, &["-F", "12"]);
    let mut fat = mount(&disk);
    let id = fat.create(NodeId::ROOT, "file").unwrap();
    let bytes = Random::new(9).bytes(30_000);
    for _ in 0..3 {
        assert_eq!(fat.write(id, 1234, &bytes), Ok(30_000));
        fat.sync().unwrap();
    }
    let first = disk.bytes();
    assert_eq!(fat.write(id, 1234, &bytes), Ok(30_000));
    fat.sync().unwrap();
    assert!(disk.bytes() == first, "not one byte of the disk differs");
}

#[test]
fn a_read_only_mount_writes_nothing() {
    let temp = Temp::new("read-only");
    let disk = fresh(&temp, "read-only", 4096, &["-F", "12"]);
    let mut fat = mount(&disk);
    support::write_new(&mut fat, NodeId::ROOT, "file", b"contents").unwrap();
    fat.unmount().unwrap();
    let writes = disk.state().writes;
    let options = MountOptions { read_only: true, ..MountOptions::default() };
    let mut fat = Fat::mount(disk.clone(), options, Box::new(|| 0)).unwrap();
    let id = fat.lookup(NodeId::ROOT, "FILE").unwrap();
    assert_eq!(read_all(&mut fat, id).unwrap(), b"contents");
    let refused = Err(abi::error::Error::ReadOnly);
    assert_eq!(fat.write(id, 0, b"x").map(|_| ()), refused);
    assert_eq!(fat.truncate(id, 0), refused);
    assert_eq!(fat.mkdir(NodeId::ROOT, "d"), refused);
    assert_eq!(fat.unlink(NodeId::ROOT, "file"), refused);
    assert_eq!(fat.rename(NodeId::ROOT, "file", NodeId::ROOT, "g"), refused);
    fat.unmount().unwrap();
    assert_eq!(disk.state().writes, writes);
}
