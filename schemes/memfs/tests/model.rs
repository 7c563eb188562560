//! Random operations on the file system and on a simple model of it: every
//! answer must be the same.
//!
//! The model is a map from paths to bytes or "directory". Calls go through the real client, wire and dispatcher.

use abi::Error;
use memfs::MemFs;
use proptest::prelude::{any, prop_oneof, proptest, Just, ProptestConfig, Strategy};
use scheme::client::File;
use scheme::host::{Client, Harness};
use scheme::stat::FileKind;
use scheme::wire::{OpenFlags, Whence};
use std::collections::BTreeMap;

const RW: OpenFlags = OpenFlags::READ.union(OpenFlags::WRITE);

fn now() -> u64 {
    5
}

#[derive(Clone, Debug)]
enum Step {
    Create(String),
    Mkdir(String),
    Write(String, u64, Vec<u8>),
    Append(String, Vec<u8>),
    Truncate(String, u64),
    Unlink(String, bool),
    Rename(String, String),
    List(String),
    Read(String, u64, usize),
}

fn path() -> impl Strategy<Value = String> {
    // Few names and little depth, so that paths meet.
    proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 1..4).prop_map(|parts| parts.join("/"))
}

fn step() -> impl Strategy<Value = Step> {
    let offset = prop_oneof![0..64u64, 65_500..65_600u64, 131_000..131_200u64];
    let data = proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        3 => path().prop_map(Step::Create),
        3 => path().prop_map(Step::Mkdir),
        4 => (path(), offset.clone(), data.clone()).prop_map(|(p, o, d)| Step::Write(p, o, d)),
        1 => (path(), data).prop_map(|(p, d)| Step::Append(p, d)),
        2 => (path(), offset.clone()).prop_map(|(p, o)| Step::Truncate(p, o)),
        2 => (path(), any::<bool>()).prop_map(|(p, d)| Step::Unlink(p, d)),
        3 => (path(), path()).prop_map(|(a, b)| Step::Rename(a, b)),
        1 => path().prop_map(Step::List),
        4 => (path(), offset, 0..300usize).prop_map(|(p, o, n)| Step::Read(p, o, n)),
    ]
}

/// `None` is a directory.
#[derive(Default)]
struct Model(BTreeMap<String, Option<Vec<u8>>>);

impl Model {
    fn kind(&self, path: &str) -> Result<Option<&Vec<u8>>, Error> {
        if path.is_empty() {
            return Ok(None);
        }
        let mut at = String::new();
        for part in path.split('/') {
            if !at.is_empty() {
                match self.0.get(&at) {
                    None => return Err(Error::NotFound),
                    Some(Some(_)) => return Err(Error::NotDirectory),
                    Some(None) => {}
                }
                at.push('/');
            }
            at += part;
        }
        self.0.get(path).map(Option::as_ref).ok_or(Error::NotFound)
    }
    fn parent(&self, path: &str) -> Result<(), Error> {
        match self.kind(path.rsplit_once('/').map_or("", |(parent, _)| parent))? {
            None => Ok(()),
            Some(_) => Err(Error::NotDirectory),
        }
    }
    fn is_empty(&self, path: &str) -> bool {
        let prefix = format!("{path}/");
        !self.0.keys().any(|key| key.starts_with(&prefix))
    }
    fn file(&mut self, path: &str) -> Result<&mut Vec<u8>, Error> {
        if self.kind(path)?.is_none() {
            return Err(Error::IsDirectory);
        }
        Ok(self.0.get_mut(path).unwrap().as_mut().unwrap())
    }
    fn rename(&mut self, old: &str, new: &str) -> Result<(), Error> {
        if new.strip_prefix(old).is_some_and(|rest| rest.starts_with('/')) {
            // The library refuses it before the server asks what there is.
            return Err(Error::BadArgument);
        }
        let moved = self.kind(old)?.is_none();
        self.parent(new)?;
        if old == new {
            return Ok(());
        }
        match self.kind(new) {
            Ok(Some(_)) if moved => return Err(Error::NotDirectory),
            Ok(None) if !moved => return Err(Error::IsDirectory),
            Ok(None) if !self.is_empty(new) => return Err(Error::NotEmpty),
            _ => {}
        }
        let prefix = format!("{old}/");
        let keys: Vec<String> = self.0.keys().filter(|key| *key == old || key.starts_with(&prefix)).cloned().collect();
        for key in keys {
            let node = self.0.remove(&key).unwrap();
            self.0.insert(format!("{new}{}", &key[old.len()..]), node);
        }
        Ok(())
    }
}

fn apply(root: &File<Client<MemFs>>, model: &mut Model, step: Step) {
    match step {
        Step::Create(path) => {
            let expected = match model.kind(&path) {
                Ok(None) => Err(Error::IsDirectory),
                Ok(Some(_)) => Ok(()),
                Err(Error::NotFound) => model.parent(&path).map(|()| drop(model.0.insert(path.clone(), Some(vec![])))),
                Err(error) => Err(error),
            };
            assert_eq!(root.open_at(&path, RW | OpenFlags::CREATE).map(drop), expected);
        }
        Step::Mkdir(path) => {
            let expected = match model.kind(&path) {
                Ok(_) => Err(Error::Exists),
                Err(Error::NotFound) => model.parent(&path).map(|()| drop(model.0.insert(path.clone(), None))),
                Err(error) => Err(error),
            };
            assert_eq!(root.mkdir(&path), expected);
        }
        Step::Write(path, offset, data) => {
            let expected = model.file(&path).map(|file| {
                let (at, end) = (offset as usize, offset as usize + data.len());
                if !data.is_empty() {
                    file.resize(file.len().max(end), 0);
                    file[at..end].copy_from_slice(&data);
                }
                data.len()
            });
            assert_eq!(root.open_at(&path, RW).and_then(|file| file.write_at(offset, &data)), expected);
        }
        Step::Append(path, data) => {
            let expected = model.file(&path).map(|file| file.extend_from_slice(&data));
            let flags = OpenFlags::WRITE | OpenFlags::APPEND;
            assert_eq!(root.open_at(&path, flags).and_then(|file| file.write_all(&data)), expected);
        }
        Step::Truncate(path, length) => {
            let expected = model.file(&path).map(|file| file.resize(length as usize, 0));
            assert_eq!(root.open_at(&path, RW).and_then(|file| file.truncate(length)), expected);
        }
        Step::Unlink(path, directory) => {
            let expected = match model.kind(&path) {
                Err(error) => Err(error),
                Ok(Some(_)) if directory => Err(Error::NotDirectory),
                Ok(None) if !directory => Err(Error::IsDirectory),
                Ok(None) if !model.is_empty(&path) => Err(Error::NotEmpty),
                Ok(_) => {
                    model.0.remove(&path);
                    Ok(())
                }
            };
            assert_eq!(root.unlink(&path, directory), expected);
        }
        Step::Rename(old, new) => {
            // Which of several errors comes first is nobody's promise; that there is one, or none, is.
            let expected = model.rename(&old, &new);
            assert_eq!(root.rename(&old, &new).is_ok(), expected.is_ok(), "{old} to {new}: {expected:?}");
        }
        Step::List(path) => {
            let found = root.open_at(&path, OpenFlags::READ | OpenFlags::DIRECTORY).and_then(|dir| dir.list());
            let expected = match model.kind(&path) {
                Ok(Some(_)) => Err(Error::NotDirectory),
                Err(error) => Err(error),
                Ok(None) => {
                    let prefix = format!("{path}/");
                    let below = model.0.iter().filter_map(|(key, node)| Some((key.strip_prefix(&prefix)?, node)));
                    Ok(below
                        .filter(|(name, _)| !name.contains('/'))
                        .map(|(name, node)| (name, node.is_none()))
                        .collect())
                }
            };
            let found = found.map(|entries| {
                let entries = entries.iter().map(|e| (e.name.clone(), e.kind == FileKind::Directory));
                entries.collect::<BTreeMap<_, _>>()
            });
            let expected = expected.map(|entries: BTreeMap<&str, bool>| {
                entries.into_iter().map(|(name, kind)| (name.to_string(), kind)).collect::<BTreeMap<_, _>>()
            });
            assert_eq!(found, expected);
        }
        Step::Read(path, offset, length) => {
            let mut buffer = vec![0xaa; length];
            let expected = model.file(&path).map(|file| {
                let start = (offset as usize).min(file.len());
                file[start..(start + length).min(file.len())].to_vec()
            });
            let found = root.open_at(&path, OpenFlags::READ).and_then(|file| {
                let count = file.read_at(offset, &mut buffer)?;
                Ok(buffer[..count].to_vec())
            });
            assert_eq!(found, expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_answer_is_the_models_and_nothing_leaks(steps in proptest::collection::vec(step(), 1..120)) {
        let harness = Harness::new(MemFs::new(1 << 30, now));
        let root = harness.root();
        let fresh = harness.scheme(|fs| fs.usage());
        let mut model = Model::default();
        for step in steps {
            apply(&root, &mut model, step);
        }
        for (path, node) in model.0.iter().rev() {
            if let Some(data) = node {
                assert_eq!(&root.open_at(path, OpenFlags::READ).unwrap().read_to_end(1 << 20).unwrap(), data);
            }
            root.unlink(path, node.is_none()).unwrap();
        }
        assert_eq!(harness.scheme(|fs| fs.usage()), fresh);
    }

    #[test]
    fn a_full_file_system_says_so_and_stays_whole(limit in 2_000..60_000u64, steps in proptest::collection::vec(step(), 1..80)) {
        let harness = Harness::new(MemFs::new(limit, now));
        let root = harness.root();
        for step in steps {
            match step {
                Step::Write(path, offset, data) => {
                    if let Ok(file) = root.open_at(&path, RW) {
                        let before = file.stat().unwrap().size;
                        match file.write_at(offset, &data) {
                            Ok(count) => assert!(count <= data.len()),
                            Err(error) => assert_eq!((error, file.stat().unwrap().size), (Error::NoSpace, before)),
                        }
                    }
                }
                Step::Create(path) => drop(root.open_at(&path, RW | OpenFlags::CREATE)),
                Step::Mkdir(path) => drop(root.mkdir(&path)),
                Step::Rename(old, new) => drop(root.rename(&old, &new)),
                Step::Unlink(path, directory) => drop(root.unlink(&path, directory)),
                _ => {}
            }
            let space = root.space().unwrap();
            assert!(space.free <= space.total && harness.scheme(|fs| fs.usage().0) <= limit);
        }
    }
}

#[test]
fn an_open_file_outlives_its_name_and_then_gives_its_memory_back() {
    let harness = Harness::new(MemFs::new(1 << 20, now));
    let root = harness.root();
    let fresh = harness.scheme(|fs| fs.usage());
    let file = root.open_at("f", RW | OpenFlags::CREATE).unwrap();
    file.write_all(&[7; 5000]).unwrap();
    root.unlink("f", false).unwrap();
    assert_eq!(root.stat_at("f"), Err(Error::NotFound));
    assert_eq!((file.seek(Whence::Start, 0), file.read_to_end(9000).unwrap()), (Ok(0), vec![7; 5000]));
    drop(file);
    assert_eq!(harness.scheme(|fs| fs.usage()), fresh);
}

#[test]
fn a_narrowed_session_has_no_name_for_what_is_above_it() {
    let harness = Harness::new(MemFs::new(1 << 20, now));
    let root = harness.root();
    root.mkdir("home").unwrap();
    root.mkdir("home/x").unwrap();
    root.open_at("secret", RW | OpenFlags::CREATE).unwrap();
    let home = root.open_at("home/x", RW | OpenFlags::DIRECTORY).unwrap();
    for path in ["secret", "../secret", "../../secret", "/secret", "a/../../../secret"] {
        assert_eq!(home.open_at(path, OpenFlags::READ).err(), Some(Error::NotFound), "{path}");
    }
    assert!(home.open_at("/../mine", RW | OpenFlags::CREATE).is_ok());
    assert!(root.stat_at("home/x/mine").is_ok());
    let read_only = root.open_at("home/x", OpenFlags::READ | OpenFlags::DIRECTORY).unwrap();
    assert_eq!(read_only.open_at("new", RW | OpenFlags::CREATE).err(), Some(Error::PermissionDenied));
    assert_eq!(read_only.unlink("mine", false), Err(Error::PermissionDenied));
    assert!(read_only.open_at("mine", OpenFlags::READ).is_ok());
}

#[test]
fn a_directory_read_while_names_come_and_go_tells_each_that_stays_once() {
    let harness = Harness::new(MemFs::new(1 << 24, now));
    let root = harness.root();
    for i in 0..2000 {
        root.open_at(&format!("file-{i:04}"), RW | OpenFlags::CREATE).unwrap();
    }
    let (first, cursor) = root.list_some(0).unwrap();
    assert!(first.len() < 2000, "one call must not be enough for this test");
    for i in (0..2000).step_by(2) {
        root.unlink(&format!("file-{i:04}"), false).unwrap();
    }
    root.open_at("late", RW | OpenFlags::CREATE).unwrap();
    let mut names: Vec<String> = first.into_iter().map(|entry| entry.name).collect();
    let mut cursor = cursor;
    while cursor != scheme::wire::LIST_END {
        let (more, next) = root.list_some(cursor).unwrap();
        names.extend(more.into_iter().map(|entry| entry.name));
        cursor = next;
    }
    let odd = (0..2000).filter(|i| i % 2 == 1).map(|i| format!("file-{i:04}"));
    for name in odd.chain(["late".to_string()]) {
        assert_eq!(names.iter().filter(|n| **n == name).count(), 1, "{name}");
    }
}

#[test]
fn a_sparse_file_costs_what_is_written_in_it() {
    let harness = Harness::new(MemFs::new(1 << 20, now));
    let file = harness.root().open_at("f", RW | OpenFlags::CREATE).unwrap();
    file.write_at(1 << 38, b"x").unwrap();
    assert_eq!(file.stat().unwrap().size, (1 << 38) + 1);
    let mut buffer = [1; 100_000];
    assert_eq!(file.read_at((1 << 38) - 99_999, &mut buffer), Ok(100_000));
    assert!(buffer[..99_999].iter().all(|b| *b == 0) && buffer[99_999] == b'x');
    assert_eq!(file.write_at(1 << 40, b"x"), Err(Error::FileTooLarge));
    assert_eq!(file.truncate(1 << 41), Err(Error::FileTooLarge));
}

#[test]
fn after_a_restart_it_is_empty_and_old_sessions_fail_plainly() {
    let harness = Harness::with_keepsake(64 * 1024, || MemFs::new(1 << 20, now));
    let root = harness.root();
    let file = root.open_at("f", RW | OpenFlags::CREATE).unwrap();
    harness.restart();
    assert_eq!(file.write(b"x"), Err(Error::Io));
    assert_eq!(root.list().unwrap(), []);
    assert!(root.open_at("f", RW | OpenFlags::CREATE).is_ok());
}
