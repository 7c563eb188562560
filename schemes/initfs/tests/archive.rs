//! Archives, good and bad, through the real client and dispatcher.

use abi::initfs::{entry, header, Archive, EXECUTABLE};
use abi::Error;
use initfs::InitFs;
use proptest::prelude::{any, proptest, ProptestConfig};
use scheme::host::Harness;
use scheme::stat::FileKind;
use scheme::wire::OpenFlags;

fn archive(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut table = Vec::new();
    let mut data: Vec<u8> = Vec::new();
    let start = (32 + 128 * files.len()).next_multiple_of(4096);
    for (name, mode, contents) in files {
        table.extend(entry(name, *mode, (start + data.len()) as u64, contents.len() as u64).unwrap());
        data.extend(*contents);
        data.resize(data.len().next_multiple_of(4096), 0);
    }
    let mut all = header(files.len() as u32, (start + data.len()) as u64).to_vec();
    all.extend(table);
    all.resize(start, 0);
    all.extend(data);
    all
}

fn sample() -> &'static [u8] {
    let big = vec![9; 10_000];
    let files: [(&str, u32, &[u8]); 4] = [
        ("bin/init", EXECUTABLE, b"ELF"),
        ("bin/sh", EXECUTABLE, &big),
        ("etc/init/a.toml", 0, b"x = 1"),
        ("top", 0, b""),
    ];
    archive(&files).leak()
}

fn harness() -> Harness<InitFs<'static>> {
    Harness::with_keepsake(16 * 1024, || InitFs::new(Archive::new(sample()).unwrap()).unwrap())
}

#[test]
fn files_read_and_directories_are_inferred() {
    let harness = harness();
    let root = harness.root();
    let names: Vec<_> = root.list().unwrap().into_iter().map(|e| (e.name, e.kind, e.size)).collect();
    let expected = [("bin", FileKind::Directory, 0), ("etc", FileKind::Directory, 0), ("top", FileKind::File, 0)];
    assert_eq!(names, expected.map(|(name, kind, size)| (name.to_string(), kind, size)));
    assert_eq!(root.open_at("bin/init", OpenFlags::READ).unwrap().read_to_end(99).unwrap(), b"ELF");
    assert_eq!(root.open_at("bin/sh", OpenFlags::READ).unwrap().read_to_end(99_999).unwrap(), [9; 10_000]);
    assert_eq!(root.stat_at("bin/init").unwrap().permissions, 0o555);
    assert_eq!(root.stat_at("etc/init/a.toml").unwrap().permissions, 0o444);
    let etc = root.open_at("etc", OpenFlags::READ | OpenFlags::DIRECTORY).unwrap();
    assert_eq!(etc.stat_at("init/a.toml").unwrap().size, 5);
    assert_eq!(root.open_at("bin/init/x", OpenFlags::READ).err(), Some(Error::NotDirectory));
    assert_eq!(root.open_at("bin/none", OpenFlags::READ).err(), Some(Error::NotFound));
    assert_eq!(root.open_at("bin", OpenFlags::READ).unwrap().read(&mut [0]), Err(Error::IsDirectory));
}

#[test]
fn nothing_can_be_changed() {
    let harness = harness();
    let root = harness.root();
    let write = OpenFlags::READ | OpenFlags::WRITE;
    assert_eq!(root.open_at("top", write).err(), Some(Error::ReadOnly));
    assert_eq!(root.open_at("new", write | OpenFlags::CREATE).err(), Some(Error::ReadOnly));
    assert_eq!(root.unlink("top", false), Err(Error::ReadOnly));
    assert_eq!(root.rename("top", "bottom"), Err(Error::ReadOnly));
    assert_eq!(root.mkdir("dir"), Err(Error::ReadOnly));
    assert!(root.space().unwrap().read_only);
}

#[test]
fn open_files_survive_a_restart() {
    let harness = harness();
    let file = harness.root().open_at("bin/sh", OpenFlags::READ).unwrap();
    assert_eq!(file.read(&mut [0; 4000]), Ok(4000));
    harness.restart();
    assert_eq!(file.read(&mut [0; 9000]), Ok(6000));
}

#[test]
fn names_that_contradict_each_other_are_corrupt() {
    for names in [["a", "a/b"], ["a/b", "a"], ["a", "a"], ["/a", "b"], ["a/../b", "c"], ["a//b", "c"], ["..", "c"]] {
        let bytes = archive(&[(names[0], 0, b"1"), (names[1], 0, b"2")]);
        assert_eq!(InitFs::new(Archive::new(&bytes).unwrap()).err(), Some(Error::Corrupt), "{names:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn damaged_archives_are_refused_or_served_but_never_harm(at in 0..4096usize, value in any::<u8>(), length in 0..5u8) {
        let mut bytes = sample().to_vec();
        for byte in bytes.iter_mut().skip(at % 600).take(usize::from(length)) {
            *byte = value;
        }
        if let Ok(server) = Archive::new(bytes.leak()).and_then(InitFs::new) {
            let harness = Harness::new(server);
            for entry in harness.root().list().unwrap() {
                let _ = harness.root().open_at(&entry.name, OpenFlags::READ).unwrap().read_to_end(1 << 20);
            }
        }
    }
}
