//! Volumes made and read by dosfstools and mtools, and the engine between them.

mod support;

use fat::{Kind, NodeId};
use std::path::Path;
use support::{
    assert_clean, format, fresh, mount, must, read_all, text, tree, write_new, Disk, Random, Temp, NOW, VOLUMES,
};

const NAMES: &[&str] = &[
    "README.TXT",
    "readme.md",
    "A file with a Long Name.text",
    "A file with a Long Name.tex",
    "naïve café.txt",
    "Привет мир",
    ".gitignore",
    "archive.tar.gz",
    "a+b=c;d,e.x",
    "a name of just thirteen units",
    "x",
    "UPPER.low",
];

/// Contents of a name: some lengths lie on cluster borders.
fn contents(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let len = [0, 1, 511, 512, 513, 2048, 4096, 10_000, 33_333][random.below(9) as usize];
    random.bytes(len)
}

/// The same tree on the host, for mcopy.
fn host_tree(at: &Path, long: &str) -> Vec<(String, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    for (depth, dir) in ["", "/dir one", "/dir one/SUB", "/dir one/SUB/deep äöü"].iter().enumerate() {
        std::fs::create_dir_all(at.join(dir.trim_start_matches('/'))).unwrap();
        if !dir.is_empty() {
            all.push((dir.to_string(), None));
        }
        for (n, name) in NAMES.iter().chain([&long]).enumerate() {
            let bytes = contents((depth * 100 + n) as u64);
            std::fs::write(at.join(format!("{dir}/{name}").trim_start_matches('/')), &bytes).unwrap();
            all.push((format!("{dir}/{name}"), Some(bytes)));
        }
    }
    all.sort();
    all
}

#[test]
fn trees_written_by_the_host_read_back_equal() {
    let temp = Temp::new("host-written");
    let long = "l".repeat(180) + ".txt";
    for (name, kib, arguments) in VOLUMES {
        let image = format(&temp, name, *kib, arguments);
        let host = temp.path("tree");
        let _ = std::fs::remove_dir_all(&host);
        let expected = host_tree(&host, &long);
        for entry in std::fs::read_dir(&host).unwrap() {
            must("mcopy", &["-s", "-i", text(&image), text(&entry.unwrap().path()), "::"]);
        }
        let disk = Disk::new(std::fs::read(&image).unwrap());
        let mut fat = mount(&disk);
        assert_eq!(fat.label().unwrap().as_deref(), Some("TESTLABEL"));
        assert_eq!(tree(&mut fat, 1000).unwrap(), expected, "{name}");
        assert_eq!(disk.state().writes, 0, "reading changes nothing");
        // Names are found in any case, and by their alias.
        for path in ["dir one/sub/READme.txt", "DIR ONE/SUB/AFILEW~1.TEX"] {
            let id = fat.resolve(NodeId::ROOT, path).unwrap();
            assert_eq!(fat.stat(id).unwrap().kind, Kind::File);
            fat.close(id).unwrap();
        }
        fat.unmount().unwrap();
        assert_clean(&temp, &disk);
    }
}

#[test]
fn trees_written_here_are_read_by_mtools_and_pass_fsck() {
    let temp = Temp::new("engine-written");
    for (name, kib, arguments) in VOLUMES {
        let disk = fresh(&temp, name, *kib, arguments);
        let mut fat = mount(&disk);
        let before = fat.space().unwrap();
        let mut files = Vec::new();
        for dir in ["", "Folder With Name", "Folder With Name/inner", "lower"] {
            if !dir.is_empty() {
                let (parent, last) = dir.rsplit_once('/').unwrap_or(("", dir));
                let parent = fat.resolve(NodeId::ROOT, parent).unwrap();
                fat.mkdir(parent, last).unwrap();
                fat.close(parent).unwrap();
            }
            let id = fat.resolve(NodeId::ROOT, dir).unwrap();
            for (n, name) in NAMES.iter().enumerate() {
                let bytes = contents((dir.len() * 1000 + n) as u64);
                write_new(&mut fat, id, name, &bytes).unwrap();
                files.push((std::format!("{dir}/{name}"), bytes));
            }
            fat.close(id).unwrap();
        }
        assert_eq!(fat.open_count(), 0);
        let after = fat.space().unwrap();
        fat.unmount().unwrap();
        assert_clean(&temp, &disk);
        // A second mount counts the same.
        assert_eq!(mount(&disk).space().unwrap(), after, "{name}");
        assert!(after.free_clusters < before.free_clusters);

        let image = temp.path("out.img");
        std::fs::write(&image, disk.bytes()).unwrap();
        for (path, bytes) in &files {
            let out = temp.path("one");
            must("mcopy", &["-n", "-i", text(&image), &std::format!("::{path}"), text(&out)]);
            assert!(std::fs::read(&out).unwrap() == *bytes, "{name}: {path} as mcopy reads it");
        }
        let listing = String::from_utf8(must("mdir", &["-i", text(&image), "::lower"])).unwrap();
        for shown in ["A file with a Long Name.text", "AFILEW~1 TEX", "AFILEW~2 TEX", "naïve café.txt", "2026-11-23"]
        {
            assert!(listing.contains(shown), "{shown} in {listing}");
        }
    }
}

#[test]
fn many_files_in_one_directory_have_unique_aliases() {
    let temp = Temp::new("many");
    for (name, kib, arguments) in &VOLUMES[1..4] {
        let disk = fresh(&temp, name, *kib, arguments);
        let mut fat = mount(&disk);
        fat.mkdir(NodeId::ROOT, "many files").unwrap();
        let dir = fat.resolve(NodeId::ROOT, "many files").unwrap();
        for n in 0..1200 {
            let id = fat.create(dir, &std::format!("A rather long name, number {n}.data")).unwrap();
            fat.close(id).unwrap();
        }
        assert_eq!(fat.list(dir, 0, usize::MAX).unwrap().len(), 1200);
        for n in (0..1200).step_by(3) {
            fat.unlink(dir, &std::format!("a RATHER long name, number {n}.data")).unwrap();
        }
        for n in 0..100 {
            fat.mkdir(dir, &std::format!("A rather long directory name {n}")).unwrap();
        }
        assert_eq!(fat.list(dir, 0, usize::MAX).unwrap().len(), 900);
        fat.close(dir).unwrap();
        fat.unmount().unwrap();
        assert_clean(&temp, &disk);
    }
}

#[test]
fn a_fixed_root_fills_up_and_says_so() {
    let temp = Temp::new("root-full");
    let disk = fresh(&temp, "floppy", 1440, &["-F", "12"]);
    let mut fat = mount(&disk);
    let mut made = 0;
    let error = loop {
        match fat.create(NodeId::ROOT, &std::format!("F{made}")) {
            Ok(id) => fat.close(id).unwrap(),
            Err(error) => break error,
        }
        made += 1;
    };
    assert_eq!(error, abi::error::Error::NoSpace);
    assert_eq!(made, 223, "224 slots, one of them the label's");
    fat.unmount().unwrap();
    assert_clean(&temp, &disk);
}

#[test]
fn a_full_volume_refuses_and_stays_sound() {
    let temp = Temp::new("full");
    for (name, kib, arguments) in &VOLUMES[..2] {
        let disk = fresh(&temp, name, *kib, arguments);
        let mut fat = mount(&disk);
        let id = fat.create(NodeId::ROOT, "big").unwrap();
        let bytes = Random::new(3).bytes(100_000);
        let mut size = 0u64;
        let error = loop {
            match fat.write(id, size, &bytes) {
                Ok(n) => size += n as u64,
                Err(error) => break error,
            }
        };
        assert_eq!(error, abi::error::Error::NoSpace);
        let space = fat.space().unwrap();
        assert_eq!((space.free_clusters, u64::from(fat.stat(id).unwrap().size)), (0, size));
        assert_eq!(size, u64::from(space.total_clusters) * u64::from(space.cluster_bytes), "the last byte was used");
        assert_eq!(fat.mkdir(NodeId::ROOT, "dir"), Err(abi::error::Error::NoSpace));
        assert_eq!(fat.truncate(id, size + 1), Err(abi::error::Error::NoSpace));
        let read = read_all(&mut fat, id).unwrap();
        assert!(read.chunks(100_000).all(|part| part == &bytes[..part.len()]));
        // What is freed can be used at once.
        fat.truncate(id, 1000).unwrap();
        fat.mkdir(NodeId::ROOT, "dir").unwrap();
        fat.close(id).unwrap();
        fat.unmount().unwrap();
        assert_clean(&temp, &disk);
    }
}

#[test]
fn time_stamps_are_the_clocks() {
    let temp = Temp::new("times");
    let disk = fresh(&temp, "times", 4096, &["-F", "12"]);
    let mut fat = mount(&disk);
    let id = fat.create(NodeId::ROOT, "file").unwrap();
    fat.write(id, 0, b"x").unwrap();
    let stat = fat.stat(id).unwrap();
    assert_eq!((stat.created_ns, stat.modified_ns), (NOW, NOW));
    fat.set_modified(id, NOW + 86_400_000_000_000).unwrap();
    fat.close(id).unwrap();
    fat.unmount().unwrap();
    let listed = &mount(&disk).list(NodeId::ROOT, 0, 9).unwrap()[0];
    assert_eq!((listed.stat.created_ns, listed.stat.modified_ns), (NOW, NOW + 86_400_000_000_000));
}
