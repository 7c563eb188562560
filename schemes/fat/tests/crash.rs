//! Power cut at any write: what the disk then holds, for fsck.fat and for the
//! next mount.
//!
//! fsck.fat alone is a weak judge, so there is a second one: contents that were synced and only
//! renamed since must be found after any cut, once and whole.

mod support;

use abi::error::Error;
use fat::{Fat, NodeId};
use std::collections::BTreeSet;
use support::{assert_clean, fresh, fsck, mount, read_all, tree, write_new, Disk, Random, Temp};

/// What fsck.fat may say after a cut. Anything else is worse than lost clusters.
const HARMLESS: &[&str] = &[
    "fsck.fat ",
    "Dirty bit is set",
    "Automatically removing dirty bit",
    // Lost clusters.
    "Reclaimed ",
    "Free cluster summary",
    // A cut between the copies of the table.
    "FATs differ",
    "Using first FAT",
    "Both FATs appear",
    // Clusters were linked, the new size had not arrived: lost clusters with an owner.
    "cluster chain length is > ",
    "Truncating file to",
    "Leaving filesystem unchanged",
    "(N.B.",
    "Auto-correcting",
    "Auto-setting",
];

/// The lines of a verbose report that are neither facts about the volume nor harmless.
fn worse(report: &str) -> Vec<String> {
    let body = report.split("Checking for unused clusters").next().unwrap_or("");
    let from = body.find("hidden").unwrap_or(0);
    let rest = report.get(from..).unwrap_or("");
    rest.lines()
        .skip(1)
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('/') && !line.starts_with("Checking "))
        .filter(|line| !line.contains(" sectors total") && !line.contains(" clusters"))
        .chain(report.lines().filter(|line| line.contains("share clusters") || line.contains("Contains a")))
        .filter(|line| !HARMLESS.iter().any(|mark| line.contains(mark)))
        .map(String::from)
        .collect()
}

const DIRS: &[&str] = &["", "first", "second folder with a name", "second folder with a name/inner"];

fn name(random: &mut Random, number: u64) -> String {
    match random.below(3) {
        0 => format!("F{number}.DAT"),
        1 => format!("file with number {number} and a long name.data"),
        _ => format!("{} {number}", "n".repeat(20 + random.below(100) as usize)),
    }
}

/// Files that were synced before the log begins: where each is now, and what it holds.
struct Kept(Vec<(usize, String, Vec<u8>)>);

fn fill(fat: &mut Fat<Disk>, random: &mut Random) -> Kept {
    let mut kept = Vec::new();
    for dir in DIRS.iter().skip(1) {
        let (parent, last) = dir.rsplit_once('/').unwrap_or(("", dir));
        let parent = fat.resolve(NodeId::ROOT, parent).unwrap();
        fat.mkdir(parent, last).unwrap();
        fat.close(parent).unwrap();
    }
    for number in 0..24 {
        let dir = (number % DIRS.len() as u64) as usize;
        let (name, len) = (name(random, number), 600 + random.below(6000) as usize);
        let bytes = random.bytes(len);
        let id = fat.resolve(NodeId::ROOT, DIRS[dir]).unwrap();
        write_new(fat, id, &name, &bytes).unwrap();
        fat.close(id).unwrap();
        kept.push((dir, name, bytes));
    }
    fat.sync().unwrap();
    Kept(kept)
}

/// One random operation: kept files are only renamed, others come, change and go.
fn churn(fat: &mut Fat<Disk>, random: &mut Random, kept: &mut Kept, others: &mut Vec<(usize, String)>, number: u64) {
    let dir_number = random.below(DIRS.len() as u64) as usize;
    let dir = fat.resolve(NodeId::ROOT, DIRS[dir_number]).unwrap();
    match random.below(10) {
        0..=3 => {
            let (at, old, _) = &mut kept.0[random.below(24) as usize];
            let from = fat.resolve(NodeId::ROOT, DIRS[*at]).unwrap();
            let new = name(random, number);
            fat.rename(from, old, dir, &new).unwrap();
            fat.close(from).unwrap();
            (*at, *old) = (dir_number, new);
        }
        4..=6 => {
            let name = name(random, number);
            let len = random.below(9000) as usize;
            match write_new(fat, dir, &name, &random.bytes(len)) {
                Ok(()) | Err(Error::NoSpace) => others.push((dir_number, name)),
                Err(error) => panic!("{error:?}"),
            }
        }
        7..=8 if !others.is_empty() => {
            let (at, name) = &others[random.below(others.len() as u64) as usize];
            let dir = fat.resolve(NodeId::ROOT, DIRS[*at]).unwrap();
            let id = fat.lookup(dir, name).unwrap();
            let size = u64::from(fat.stat(id).unwrap().size);
            if random.below(2) == 0 {
                fat.truncate(id, random.below(size + 1)).unwrap();
            } else {
                let bytes = random.bytes(3000);
                fat.write(id, size + random.below(700), &bytes).unwrap();
            }
            fat.close(id).unwrap();
            fat.close(dir).unwrap();
        }
        9 if !others.is_empty() => {
            let (at, name) = others.swap_remove(random.below(others.len() as u64) as usize);
            let dir = fat.resolve(NodeId::ROOT, DIRS[at]).unwrap();
            fat.unlink(dir, &name).unwrap();
            fat.close(dir).unwrap();
        }
        _ => fat.sync().unwrap(),
    }
    fat.close(dir).unwrap();
}

fn campaign(label: &str, kib: u64, arguments: &[&str], seeds: std::ops::Range<u64>, cuts: u64) {
    let temp = Temp::new(label);
    for seed in seeds {
        let disk = fresh(&temp, "disk", kib, arguments);
        let mut random = Random::new(seed);
        let mut fat = mount(&disk);
        let mut kept = fill(&mut fat, &mut random);
        let start = disk.bytes();
        disk.state().log = Some(Vec::new());
        let mut others = Vec::new();
        for number in 100..260 {
            churn(&mut fat, &mut random, &mut kept, &mut others, number);
        }
        fat.unmount().unwrap();
        assert_clean(&temp, &disk);
        let log = disk.state().log.take().unwrap();
        let step = (log.len() as u64 / cuts).max(1);
        let mut bytes = start.clone();
        let mut flushed = start;
        let mut since: Vec<&(u64, Vec<u8>)> = Vec::new();
        for (number, write) in log.iter().enumerate() {
            // Cut before this write, with everything before it on the disk; or, as a disk with a
            // cache of its own may have it, with some of what came after the last flush.
            if number as u64 % step == seed % step {
                let what = format!("{label}, seed {seed}, cut {number} of {}", log.len());
                check_cut(&temp, &bytes, &kept, &what);
                if since.len() > 1 {
                    let mut some = flushed.clone();
                    since.iter().filter(|_| random.below(2) == 0).for_each(|write| apply(&mut some, write));
                    check_cut(&temp, &some, &kept, &(what + ", some of the last writes"));
                }
            }
            apply(&mut bytes, write);
            since.push(write);
            if write.1.is_empty() {
                since.clear();
                flushed.clone_from(&bytes);
            }
        }
    }
}

fn apply(bytes: &mut [u8], (offset, data): &(u64, Vec<u8>)) {
    bytes[*offset as usize..*offset as usize + data.len()].copy_from_slice(data);
}

fn check_cut(temp: &Temp, bytes: &[u8], kept: &Kept, what: &str) {
    let (_, report) = fsck(temp, bytes);
    let bad = worse(&report);
    assert!(bad.is_empty(), "{what}: {bad:#?}\n{report}");
    let disk = Disk::new(bytes.to_vec());
    let mut fat = mount(&disk);
    let found = tree(&mut fat, 10_000).unwrap();
    for (_, _, contents) in &kept.0 {
        let times = found.iter().filter(|(_, bytes)| bytes.as_ref() == Some(contents)).count();
        assert_eq!(times, 1, "{what}: a synced file is there once");
    }
    let names: BTreeSet<String> = found.iter().map(|(path, _)| path.to_uppercase()).collect();
    assert_eq!(names.len(), found.len(), "{what}: no name twice");
    // Life goes on: what is written now stays sound.
    write_new(&mut fat, NodeId::ROOT, "after the cut", &[7; 5000]).unwrap();
    fat.unmount().unwrap();
    let bad = worse(&fsck(temp, &disk.state().bytes).1);
    assert!(bad.is_empty(), "{what}, after mounting: {bad:#?}");
}

#[test]
fn a_cut_on_fat12_leaves_lost_clusters_at_worst() {
    campaign("cut-fat12", 1440, &["-F", "12", "-s", "1"], 0..4, 40);
}

#[test]
fn a_cut_on_fat16_leaves_lost_clusters_at_worst() {
    campaign("cut-fat16", 4 * 1024, &["-F", "16", "-s", "1"], 10..13, 40);
}

#[test]
fn a_cut_on_fat32_leaves_lost_clusters_at_worst() {
    campaign("cut-fat32", 2 * 1024, &["-F", "32", "-s", "1"], 20..23, 40);
}

#[test]
fn the_judges_tell_a_broken_disk() {
    let temp = Temp::new("judge");
    let disk = fresh(&temp, "disk", 1440, &["-F", "12", "-s", "1"]);
    let mut fat = mount(&disk);
    write_new(&mut fat, NodeId::ROOT, "ONE", &[1; 3000]).unwrap();
    write_new(&mut fat, NodeId::ROOT, "TWO", &[2; 3000]).unwrap();
    fat.unmount().unwrap();
    let mut bytes = disk.bytes();
    assert!(worse(&fsck(&temp, &bytes).1).is_empty());
    // Both entries lead to one file.
    let root = 19 * 512;
    let at =
        |bytes: &[u8], name: &[u8]| (root..root + 512).step_by(32).find(|at| bytes[*at..].starts_with(name)).unwrap();
    let (one, two) = (at(&bytes, b"ONE  "), at(&bytes, b"TWO  "));
    bytes[two + 26] = bytes[one + 26];
    assert!(!worse(&fsck(&temp, &bytes).1).is_empty());
}

#[test]
fn a_moved_directory_survives_any_cut() {
    let temp = Temp::new("cut-move");
    let disk = fresh(&temp, "disk", 1440, &["-F", "12"]);
    let mut fat = mount(&disk);
    for name in ["source", "target", "source/moved directory"] {
        let (parent, last) = name.rsplit_once('/').unwrap_or(("", name));
        let parent = fat.resolve(NodeId::ROOT, parent).unwrap();
        fat.mkdir(parent, last).unwrap();
        fat.close(parent).unwrap();
    }
    let inner = fat.resolve(NodeId::ROOT, "source/moved directory").unwrap();
    write_new(&mut fat, inner, "file inside", b"contents").unwrap();
    fat.close(inner).unwrap();
    fat.sync().unwrap();
    let mut bytes = disk.bytes();
    disk.state().log = Some(Vec::new());
    let source = fat.resolve(NodeId::ROOT, "source").unwrap();
    let target = fat.resolve(NodeId::ROOT, "target").unwrap();
    fat.rename(source, "moved directory", target, "Arrived Directory").unwrap();
    fat.sync().unwrap();
    let id = fat.resolve(NodeId::ROOT, "target/arrived directory/file inside").unwrap();
    assert_eq!(read_all(&mut fat, id).unwrap(), b"contents");
    let log = disk.state().log.take().unwrap();
    assert!(log.len() > 4);
    for (number, (offset, data)) in log.iter().enumerate() {
        let report = fsck(&temp, &bytes).1;
        assert!(worse(&report).is_empty(), "cut {number}: {report}");
        let cut = Disk::new(bytes.clone());
        let mut fat = mount(&cut);
        let found = tree(&mut fat, 100).unwrap();
        let paths: Vec<&str> =
            found.iter().filter(|(_, bytes)| bytes.is_some()).map(|(path, _)| path.as_str()).collect();
        let old = ["/source/moved directory/file inside"];
        let new = ["/target/Arrived Directory/file inside"];
        assert!(paths == old || paths == new, "cut {number}: {paths:?}");
        fat.unmount().unwrap();
        let report = fsck(&temp, &cut.state().bytes).1;
        assert!(worse(&report).is_empty(), "cut {number}, after mounting: {report}");
        bytes[*offset as usize..*offset as usize + data.len()].copy_from_slice(data);
    }
}
