//! Broken disks and failing devices: an error for that disk, never a panic and
//! never a hang.

mod support;

use abi::error::Error;
use fat::{Fat, Kind, NodeId};
use std::time::{Duration, Instant};
use support::{fresh, mount, read_all, tree, try_mount, write_new, Disk, Random, Temp};

/// A small volume with some of everything on it.
fn sample(temp: &Temp, kib: u64, arguments: &[&str]) -> Vec<u8> {
    let disk = fresh(temp, "sample", kib, arguments);
    let mut fat = mount(&disk);
    let mut random = Random::new(7);
    fat.mkdir(NodeId::ROOT, "a directory with a name").unwrap();
    fat.mkdir(NodeId::ROOT, "DIR").unwrap();
    let dir = fat.resolve(NodeId::ROOT, "a directory with a name").unwrap();
    fat.mkdir(dir, "inner").unwrap();
    for at in [NodeId::ROOT, dir] {
        for n in 0..6 {
            let len = random.below(9000) as usize;
            write_new(&mut fat, at, &format!("file number {n}"), &random.bytes(len)).unwrap();
        }
    }
    fat.close(dir).unwrap();
    fat.unmount().unwrap();
    disk.bytes()
}

fn cell_offset(bytes: &[u8], cluster: usize) -> usize {
    let reserved = usize::from(u16::from_le_bytes([bytes[14], bytes[15]]));
    reserved * 512 + cluster * 2
}

/// A FAT16 volume with one file of ten clusters, and where its chain begins.
fn one_file(temp: &Temp) -> (Vec<u8>, usize) {
    let disk = fresh(temp, "one", 9 * 1024, &["-F", "16", "-s", "1"]);
    let mut fat = mount(&disk);
    write_new(&mut fat, NodeId::ROOT, "FILE", &[1; 5120]).unwrap();
    fat.unmount().unwrap();
    let bytes = disk.bytes();
    let reserved = usize::from(u16::from_le_bytes([bytes[14], bytes[15]]));
    let table = usize::from(u16::from_le_bytes([bytes[22], bytes[23]]));
    let root = (reserved + 2 * table) * 512;
    let at = (root..root + 512).step_by(32).find(|at| bytes[*at..].starts_with(b"FILE    ")).unwrap();
    (bytes, at)
}

#[test]
fn truncated_and_garbage_disks_do_not_mount() {
    let temp = Temp::new("garbage");
    let bytes = sample(&temp, 1440, &["-F", "12"]);
    for len in [0, 512, 1024, 10 * 512, bytes.len() - 512] {
        assert_eq!(try_mount(&Disk::new(bytes[..len].to_vec())).err(), Some(Error::Corrupt), "{len} bytes");
    }
    let mut random = Random::new(1);
    for _ in 0..200 {
        let mut garbage = random.bytes(64 * 512);
        assert_eq!(try_mount(&Disk::new(garbage.clone())).err(), Some(Error::Corrupt));
        garbage[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(try_mount(&Disk::new(garbage)).err(), Some(Error::Corrupt));
    }
}

#[test]
fn chains_that_loop_or_lead_outside_are_errors() {
    let temp = Temp::new("chains");
    let (bytes, entry) = one_file(&temp);
    let first = u16::from_le_bytes([bytes[entry + 26], bytes[entry + 27]]);
    // The fourth cluster goes back to the first or to itself, outside, to a free cluster, to a bad one.
    for next in [first, first + 3, 0, 1, 0x7fff, 0xfff0, 0xfff7] {
        let mut bytes = bytes.clone();
        let at = cell_offset(&bytes, usize::from(first) + 3);
        bytes[at..at + 2].copy_from_slice(&next.to_le_bytes());
        let disk = Disk::new(bytes);
        let mut fat = mount(&disk);
        let id = fat.lookup(NodeId::ROOT, "file").unwrap();
        assert_eq!(read_all(&mut fat, id).err(), Some(Error::Corrupt), "next {next:#x}");
        assert_eq!(fat.write(id, 0, b"x").err(), Some(Error::Corrupt));
        assert_eq!(fat.truncate(id, 1).err(), Some(Error::Corrupt));
        fat.close(id).unwrap();
        assert_eq!(fat.unlink(NodeId::ROOT, "file"), Err(Error::Corrupt));
        // The rest of the volume is as usable as before.
        write_new(&mut fat, NodeId::ROOT, "other", &[2; 3000]).unwrap();
        fat.unmount().unwrap();
    }
    // A chain that is shorter than the size.
    let mut short = bytes.clone();
    let at = cell_offset(&short, usize::from(first) + 3);
    short[at..at + 2].copy_from_slice(&[0xff, 0xff]);
    let mut fat = mount(&Disk::new(short));
    let id = fat.lookup(NodeId::ROOT, "file").unwrap();
    assert_eq!(fat.read(id, 4096, &mut [0; 100]), Err(Error::Corrupt));
    assert_eq!(fat.write(id, 5120, b"x"), Err(Error::Corrupt));
    // An entry that leads outside.
    for outside in [1u16, 0x7fff, 0xffff] {
        let mut bytes = bytes.clone();
        bytes[entry + 26..entry + 28].copy_from_slice(&outside.to_le_bytes());
        let mut fat = mount(&Disk::new(bytes));
        assert_eq!(fat.lookup(NodeId::ROOT, "file").err(), Some(Error::Corrupt));
        assert_eq!(fat.list(NodeId::ROOT, 0, 10).unwrap().len(), 1, "it can still be seen");
    }
}

#[test]
fn a_directory_that_loops_or_leads_to_itself_is_an_error() {
    let temp = Temp::new("loops");
    let disk = fresh(&temp, "disk", 9 * 1024, &["-F", "16", "-s", "1"]);
    let mut fat = mount(&disk);
    fat.mkdir(NodeId::ROOT, "D").unwrap();
    let dir = fat.lookup(NodeId::ROOT, "D").unwrap();
    for n in 0..14 {
        fat.mkdir(dir, &format!("E{n}")).unwrap();
    }
    fat.close(dir).unwrap();
    fat.unmount().unwrap();
    let bytes = disk.bytes();
    let place = (0..bytes.len()).step_by(32).find(|at| bytes[*at..].starts_with(b".          ")).unwrap();
    let own = [bytes[place + 26], bytes[place + 27]];

    // Its only cluster is followed by itself: endless, without an end mark.
    let mut looped = bytes.clone();
    let cluster = usize::from(u16::from_le_bytes(own));
    let at = cell_offset(&looped, cluster);
    looped[at..at + 2].copy_from_slice(&own);
    let mut fat = mount(&Disk::new(looped));
    let dir = fat.lookup(NodeId::ROOT, "D").unwrap();
    assert_eq!(fat.list(dir, 0, usize::MAX).err(), Some(Error::Corrupt));
    assert_eq!(fat.create(dir, "new").err(), Some(Error::Corrupt));
    assert_eq!(fat.lookup(dir, "absent").err(), Some(Error::Corrupt));

    // Its first entry leads to itself, and to the root.
    for target in [own, [0, 0]] {
        let mut nested = bytes.clone();
        nested[place + 64 + 26..place + 64 + 28].copy_from_slice(&target);
        let mut fat = mount(&Disk::new(nested));
        let dir = fat.lookup(NodeId::ROOT, "D").unwrap();
        assert_eq!(fat.lookup(dir, "E0").err(), Some(Error::Corrupt));
        assert_eq!(fat.rmdir(dir, "E0").err(), Some(Error::Corrupt));
    }

    // `..` of two directories lead to each other: moving something below them ends.
    let mut crossed = bytes.clone();
    crossed[place + 32 + 26..place + 32 + 28].copy_from_slice(&own);
    let mut fat = mount(&Disk::new(crossed));
    let dir = fat.lookup(NodeId::ROOT, "D").unwrap();
    fat.mkdir(NodeId::ROOT, "X").unwrap();
    assert_eq!(fat.rename(NodeId::ROOT, "X", dir, "X").err(), Some(Error::Corrupt));
}

/// Tries everything on a volume. Any error will do; a panic or a hang will not.
fn exercise(fat: &mut Fat<Disk>, random: &mut Random) -> Result<(), Error> {
    let _ = tree(fat, 200);
    let _ = fat.space();
    let _ = fat.label();
    let mut names = vec!["fresh".to_string(), "DIR".into(), "file number 3".into()];
    if let Ok(entries) = fat.list(NodeId::ROOT, 0, 20) {
        names.extend(entries.into_iter().map(|entry| entry.name));
    }
    let dir = fat.resolve(NodeId::ROOT, "a directory with a name").unwrap_or(NodeId::ROOT);
    for _ in 0..12 {
        let name = &names[random.below(names.len() as u64) as usize];
        let other = &names[random.below(names.len() as u64) as usize];
        let (one, two) = if random.below(2) == 0 { (dir, NodeId::ROOT) } else { (NodeId::ROOT, dir) };
        let _ = match random.below(8) {
            0 => fat.unlink(one, name),
            1 => fat.rmdir(one, name),
            2 => fat.rename(one, name, two, other),
            3 => fat.mkdir(one, "made here"),
            4 => write_new(fat, one, "made with a long name", &[1; 3000]),
            5 => fat.sync(),
            _ => fat.lookup(one, name).and_then(|id| {
                let done = match fat.stat(id)?.kind {
                    Kind::File if random.below(2) == 0 => fat.write(id, random.below(10_000), &[3; 2000]).map(|_| ()),
                    Kind::File => fat.truncate(id, random.below(10_000)),
                    Kind::Directory => Ok(()),
                };
                fat.close(id)?;
                done
            }),
        };
    }
    if dir != NodeId::ROOT {
        let _ = fat.close(dir);
    }
    fat.sync()
}

/// Flips bytes where they hurt: boot sector, tables, directories.
fn mutate(bytes: &mut [u8], meta: &[usize], random: &mut Random) {
    for _ in 0..1 + random.below(8) {
        let at = match random.below(4) {
            0 => random.below(90) as usize,
            1 => 512 + random.below(8 * 512) as usize,
            _ => meta[random.below(meta.len() as u64) as usize] + random.below(32) as usize,
        };
        bytes[at] = match random.below(4) {
            0 => 0,
            1 => 0xff,
            2 => bytes[at] ^ 1 << random.below(8),
            _ => random.next() as u8,
        };
    }
}

fn mutation_campaign(label: &str, kib: u64, arguments: &[&str], rounds: u64) {
    let temp = Temp::new(label);
    let bytes = sample(&temp, kib, arguments);
    // Places that look like directory slots.
    let meta: Vec<usize> = (0..bytes.len())
        .step_by(32)
        .filter(|at| matches!(bytes[at + 11], 0x0f | 0x10 | 0x20 | 0x08) && bytes[*at] != 0)
        .collect();
    let mut mounted = 0;
    for round in 0..rounds {
        let mut random = Random::new(round);
        let mut broken = bytes.clone();
        mutate(&mut broken, &meta, &mut random);
        if random.below(3) == 0 {
            // As after a crash: the mount looks for renames cut in half.
            broken[if arguments.contains(&"32") { 0x41 } else { 0x25 }] |= 1;
        }
        let disk = Disk::new(broken);
        let begin = Instant::now();
        if let Ok(mut fat) = try_mount(&disk) {
            mounted += 1;
            let _ = exercise(&mut fat, &mut random);
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "{label}, round {round} took too long");
        let reads = disk.state().reads;
        let requests = reads + disk.state().writes;
        assert!(requests < 100_000, "{label}, round {round}: {requests} requests");
    }
    assert!(mounted > rounds / 3, "most rounds got past the boot sector: {mounted} of {rounds}");
}

#[test]
fn no_damage_to_a_fat12_volume_panics_or_hangs() {
    mutation_campaign("mutate-fat12", 720, &["-F", "12", "-s", "1"], 2500);
}

#[test]
fn no_damage_to_a_fat16_volume_panics_or_hangs() {
    mutation_campaign("mutate-fat16", 3 * 1024, &["-F", "16", "-s", "1"], 1500);
}

#[test]
fn no_damage_to_a_fat32_volume_panics_or_hangs() {
    mutation_campaign("mutate-fat32", 1024, &["-F", "32", "-s", "1"], 2500);
}

#[test]
fn a_device_that_fails_once_costs_an_error_and_nothing_else() {
    let temp = Temp::new("fail-once");
    let bytes = sample(&temp, 720, &["-F", "12", "-s", "1"]);
    for at in 0..250 {
        let disk = Disk::new(bytes.clone());
        disk.state().fail_after = Some(at);
        disk.state().fail_for = 1;
        let Ok(mut fat) = try_mount(&disk) else { continue };
        let mut random = Random::new(at);
        let _ = exercise(&mut fat, &mut random);
        // The device is well again: the volume can be brought in order.
        disk.state().fail_after = None;
        fat.unmount().unwrap();
        let (_, report) = support::fsck(&temp, &disk.state().bytes);
        for bad in ["share clusters", "free cluster", "Duplicate", "cluster chain length is 0", "Bad"] {
            assert!(!report.contains(bad), "failure at request {at}:\n{report}");
        }
    }
}

#[test]
fn a_device_that_fails_for_good_gives_errors_only() {
    let temp = Temp::new("fail-on");
    let bytes = sample(&temp, 720, &["-F", "12", "-s", "1"]);
    let mut failed = 0;
    for at in 0..250 {
        let disk = Disk::new(bytes.clone());
        disk.state().fail_after = Some(at);
        disk.state().fail_for = u64::MAX;
        let Ok(mut fat) = try_mount(&disk) else { continue };
        let _ = exercise(&mut fat, &mut Random::new(at));
        if disk.state().fail_after == Some(0) {
            failed += 1;
            let done = write_new(&mut fat, NodeId::ROOT, "zz", &[1; 100]).and_then(|()| fat.sync());
            assert!(done.is_err(), "nothing is said to be on a disk that takes nothing");
        }
    }
    assert!(failed > 50);
}
