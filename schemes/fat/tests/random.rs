//! Random operations beside a simple model, with fsck.fat at the end.

mod support;

use abi::error::Error;
use fat::{Fat, Kind, NodeId};
use std::collections::BTreeMap;
use support::{assert_clean, fresh, mount, read_all, tree, Disk, Random, Temp};

/// What the volume should hold: folded path to name as made, and contents (`None` for a directory).
#[derive(Clone, Default)]
struct Model(BTreeMap<String, (String, Option<Vec<u8>>)>);

fn fold(path: &str) -> String {
    path.to_uppercase()
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap()
}

impl Model {
    fn get(&self, path: &str) -> Option<&Option<Vec<u8>>> {
        self.0.get(&fold(path)).map(|(_, contents)| contents)
    }

    fn is_empty(&self, path: &str) -> bool {
        let prefix = fold(path) + "/";
        !self.0.keys().any(|key| key.starts_with(&prefix))
    }

    /// Why an entry can't be made at a path, if it can't.
    fn parent_error(&self, path: &str) -> Option<Error> {
        let mut at = String::new();
        for name in split(path).0.split('/').skip(1) {
            at = format!("{at}/{name}");
            match self.get(&at) {
                None => return Some(Error::NotFound),
                Some(Some(_)) => return Some(Error::NotDirectory),
                Some(None) => {}
            }
        }
        None
    }

    fn add(&mut self, path: &str, contents: Option<Vec<u8>>) {
        self.0.insert(fold(path), (split(path).1.to_string(), contents));
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Error> {
        for path in [from, to] {
            if let Some(error) = self.parent_error(path) {
                return Err(error);
            }
        }
        let source = self.get(from).ok_or(Error::NotFound)?.clone();
        let same = fold(from) == fold(to);
        if let (Some(target), false) = (self.get(to), same) {
            match (&source, target) {
                (None, Some(_)) => return Err(Error::NotDirectory),
                (Some(_), None) => return Err(Error::IsDirectory),
                _ => {}
            }
        }
        if source.is_none() && fold(to).starts_with(&(fold(from) + "/")) {
            return Err(Error::BadArgument);
        }
        if self.get(to).is_some() && !same && !self.is_empty(to) {
            return Err(Error::NotEmpty);
        }
        // A replaced entry keeps the spelling of its name.
        let name = match self.0.get(&fold(to)) {
            Some((name, _)) if !same => name.clone(),
            _ => split(to).1.to_string(),
        };
        let prefix = fold(from);
        let inside: Vec<String> =
            self.0.keys().filter(|key| key.starts_with(&(prefix.clone() + "/"))).cloned().collect();
        self.0.remove(&prefix);
        self.0.insert(fold(to), (name, source));
        for key in inside {
            let value = self.0.remove(&key).unwrap();
            self.0.insert(fold(to) + &key[prefix.len()..], value);
        }
        Ok(())
    }

    /// As `support::tree` shows a volume.
    fn tree(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let mut all: Vec<_> = self
            .0
            .iter()
            .map(|(key, (_, contents))| {
                let mut shown = String::new();
                let mut at = String::new();
                for part in key.split('/').skip(1) {
                    at = format!("{at}/{part}");
                    shown = format!("{shown}/{}", self.0[&at].0);
                }
                (shown, contents.clone())
            })
            .collect();
        all.sort();
        all
    }
}

const NAMES: &[&str] = &[
    "a",
    "B.TXT",
    "readme.md",
    "Long Name Number One.text",
    "Long Name Number Two.text",
    "long name number three.TEXT",
    "ünïcode näme",
    "日本語のファイル名.txt",
    ".hidden",
    "x.y.z",
    "MixedCase.Ext",
    "an exceptionally long file name that goes on and on and on, for it is to fill more than one sector of slots, \
     which takes about two hundred units of sixteen bits each, and then some more, to be quite on the safe side.txt",
];

fn path(random: &mut Random, model: &Model) -> String {
    let directories: Vec<&String> = model.0.iter().filter(|(_, value)| value.1.is_none()).map(|(key, _)| key).collect();
    let parent = match random.below(directories.len() as u64 + 2) as usize {
        n if n < directories.len() && directories[n].matches('/').count() < 4 => directories[n].to_lowercase(),
        _ => String::new(),
    };
    let name = NAMES[random.below(NAMES.len() as u64) as usize];
    let name = if random.below(4) == 0 { name.to_uppercase() } else { name.to_string() };
    format!("{parent}/{name}")
}

/// Opens the parent of a path and does something with the last name.
fn within<T>(
    fat: &mut Fat<Disk>,
    path: &str,
    act: impl FnOnce(&mut Fat<Disk>, NodeId, &str) -> Result<T, Error>,
) -> Result<T, Error> {
    let (parent, name) = split(path);
    let dir = fat.resolve(NodeId::ROOT, &format!("{parent}/"))?;
    let outcome = act(fat, dir, name);
    fat.close(dir).unwrap();
    outcome
}

fn step(fat: &mut Fat<Disk>, model: &mut Model, random: &mut Random, most: u64) {
    let at = path(random, model);
    let missing = model.parent_error(&at);
    match random.below(20) {
        0..=2 => {
            let outcome = within(fat, &at, |fat, dir, name| fat.create(dir, name).and_then(|id| fat.close(id)));
            let expected = match (missing, model.get(&at)) {
                (Some(error), _) => Err(error),
                (_, Some(_)) => Err(Error::Exists),
                _ => Ok(()),
            };
            if outcome == Err(Error::NoSpace) && expected.is_ok() {
                return;
            }
            assert_eq!(outcome, expected, "create {at}");
            if expected.is_ok() {
                model.add(&at, Some(Vec::new()));
            }
        }
        3..=4 => {
            let outcome = within(fat, &at, |fat, dir, name| fat.mkdir(dir, name));
            let expected = match (missing, model.get(&at)) {
                (Some(error), _) => Err(error),
                (_, Some(_)) => Err(Error::Exists),
                _ => Ok(()),
            };
            if outcome == Err(Error::NoSpace) && expected.is_ok() {
                return;
            }
            assert_eq!(outcome, expected, "mkdir {at}");
            if expected.is_ok() {
                model.add(&at, None);
            }
        }
        5..=9 => {
            let Some(Some(contents)) = model.get(&at) else { return };
            let mut contents = contents.clone();
            let id = fat.resolve(NodeId::ROOT, &at).unwrap();
            let offset = random.below(contents.len() as u64 * 5 / 4 + 10);
            let len = random.below(most) as usize;
            let data = random.bytes(len);
            match fat.write(id, offset, &data) {
                Ok(n) => {
                    assert!(n > 0 || data.is_empty());
                    let end = offset as usize + n;
                    if n > 0 {
                        contents.resize(contents.len().max(end), 0);
                        contents[offset as usize..end].copy_from_slice(&data[..n]);
                    }
                    model.add(&at, Some(contents));
                    // The spelling of the first time counts.
                }
                Err(error) => assert_eq!(error, Error::NoSpace),
            }
            fat.close(id).unwrap();
        }
        10..=11 => {
            let Some(Some(contents)) = model.get(&at) else { return };
            let mut contents = contents.clone();
            let id = fat.resolve(NodeId::ROOT, &at).unwrap();
            let size = random.below(contents.len() as u64 * 3 / 2 + 2);
            match fat.truncate(id, size) {
                Ok(()) => {
                    contents.resize(size as usize, 0);
                    model.add(&at, Some(contents));
                }
                Err(error) => assert_eq!(error, Error::NoSpace),
            }
            fat.close(id).unwrap();
        }
        12..=13 => {
            let outcome = within(fat, &at, |fat, dir, name| fat.unlink(dir, name));
            let expected = match (missing, model.get(&at)) {
                (Some(error), _) => Err(error),
                (_, None) => Err(Error::NotFound),
                (_, Some(None)) => Err(Error::IsDirectory),
                _ => Ok(()),
            };
            assert_eq!(outcome, expected, "unlink {at}");
            if expected.is_ok() {
                model.0.remove(&fold(&at));
            }
        }
        14 => {
            let outcome = within(fat, &at, |fat, dir, name| fat.rmdir(dir, name));
            let expected = match (missing, model.get(&at)) {
                (Some(error), _) => Err(error),
                (_, None) => Err(Error::NotFound),
                (_, Some(Some(_))) => Err(Error::NotDirectory),
                _ if !model.is_empty(&at) => Err(Error::NotEmpty),
                _ => Ok(()),
            };
            assert_eq!(outcome, expected, "rmdir {at}");
            if expected.is_ok() {
                model.0.remove(&fold(&at));
            }
        }
        15..=17 => {
            let to = path(random, model);
            let outcome = within(fat, &at, |fat, from, old| {
                within(fat, &to, |fat, target, new| fat.rename(from, old, target, new))
            });
            let mut after = model.clone();
            let expected = after.rename(&at, &to);
            if outcome == Err(Error::NoSpace) && expected.is_ok() {
                return;
            }
            assert_eq!(outcome, expected, "rename {at} to {to}");
            if expected.is_ok() {
                *model = after;
            }
        }
        18 => fat.sync().unwrap(),
        _ => {
            let expected = model.get(&at);
            let outcome = fat.resolve(NodeId::ROOT, &at).map(|id| {
                let contents = match fat.stat(id).unwrap().kind {
                    Kind::File => Some(read_all(fat, id).unwrap()),
                    Kind::Directory => None,
                };
                fat.close(id).unwrap();
                contents
            });
            assert!(outcome.ok().as_ref() == expected, "what is read from {at}");
        }
    }
}

/// The model forgets how a name was spelt when contents change; the volume doesn't.
fn folded(tree: Vec<(String, Option<Vec<u8>>)>) -> Vec<(String, Option<Vec<u8>>)> {
    let mut all: Vec<_> = tree.into_iter().map(|(path, contents)| (fold(&path), contents)).collect();
    all.sort();
    all
}

fn campaign(kind: &str, kib: u64, arguments: &[&str], seeds: std::ops::Range<u64>, steps: u32, most: u64) {
    let temp = Temp::new(kind);
    for seed in seeds {
        let disk = fresh(&temp, "disk", kib, arguments);
        let mut random = Random::new(seed);
        let mut model = Model::default();
        let mut fat = mount(&disk);
        for n in 0..steps {
            step(&mut fat, &mut model, &mut random, most);
            if n % 400 == 399 {
                fat.unmount().unwrap();
                assert_clean(&temp, &disk);
                fat = mount(&disk);
                let all = tree(&mut fat, usize::MAX).unwrap();
                let (all, expected) = (folded(all), folded(model.tree()));
                for (one, other) in all.iter().zip(&expected) {
                    assert_eq!(one.0, other.0, "{kind}, seed {seed}, step {n}");
                    assert!(one.1 == other.1, "{kind}, seed {seed}, step {n}: contents of {}", one.0);
                }
                assert_eq!(all.len(), expected.len(), "{kind}, seed {seed}, step {n}");
            }
        }
        assert_eq!(fat.open_count(), 0);
        fat.unmount().unwrap();
        assert_clean(&temp, &disk);
    }
}

#[test]
fn random_operations_on_a_floppy_match_the_model() {
    campaign("random-floppy", 1440, &["-F", "12"], 0..6, 2000, 60_000);
}

#[test]
fn random_operations_on_fat12_match_the_model() {
    campaign("random-fat12", 4096, &["-F", "12"], 10..14, 2000, 40_000);
}

#[test]
fn random_operations_on_fat16_match_the_model() {
    campaign("random-fat16", 9 * 1024, &["-F", "16", "-s", "1"], 20..24, 2000, 40_000);
}

#[test]
fn random_operations_on_a_small_fat32_match_the_model() {
    campaign("random-fat32", 3 * 1024, &["-F", "32", "-s", "1"], 30..34, 2000, 30_000);
}

#[test]
fn random_operations_with_large_sectors_match_the_model() {
    campaign("random-4k", 16 * 1024, &["-F", "32", "-S", "4096", "-s", "1"], 40..42, 2000, 30_000);
}

#[test]
fn an_open_file_survives_its_renaming_and_its_removal() {
    let temp = Temp::new("open");
    let disk = fresh(&temp, "open", 1440, &["-F", "12"]);
    let mut fat = mount(&disk);
    let free = fat.space().unwrap().free_clusters;
    fat.mkdir(NodeId::ROOT, "elsewhere").unwrap();
    let dir = fat.lookup(NodeId::ROOT, "elsewhere").unwrap();
    let id = fat.create(NodeId::ROOT, "first name").unwrap();
    fat.write(id, 0, b"one").unwrap();
    fat.rename(NodeId::ROOT, "first name", dir, "second name").unwrap();
    fat.write(id, 3, b" two").unwrap();
    let same = fat.lookup(dir, "SECOND NAME").unwrap();
    assert_eq!(same, id, "one entry is one node");
    assert_eq!(read_all(&mut fat, same).unwrap(), b"one two");
    fat.close(same).unwrap();
    // Replaced: the old contents live on for those who have them open.
    support::write_new(&mut fat, dir, "third", b"three").unwrap();
    fat.rename(dir, "third", dir, "second name").unwrap();
    fat.write(id, 7, b" four").unwrap();
    assert_eq!(read_all(&mut fat, id).unwrap(), b"one two four");
    let new = fat.lookup(dir, "second name").unwrap();
    assert_eq!(read_all(&mut fat, new).unwrap(), b"three");
    fat.unlink(dir, "second name").unwrap();
    fat.rmdir(NodeId::ROOT, "elsewhere").unwrap();
    assert_eq!(fat.create(dir, "x"), Err(Error::NotFound), "a removed directory takes nothing");
    assert_eq!(read_all(&mut fat, new).unwrap(), b"three");
    fat.close(new).unwrap();
    fat.close(dir).unwrap();
    fat.close(id).unwrap();
    assert_eq!(fat.close(id), Err(Error::BadArgument));
    fat.sync().unwrap();
    assert_eq!(fat.space().unwrap().free_clusters, free);
    fat.unmount().unwrap();
    assert_clean(&temp, &disk);
}

#[test]
fn only_the_case_of_a_name_can_be_changed() {
    let temp = Temp::new("case");
    let disk = fresh(&temp, "case", 1440, &["-F", "12"]);
    let mut fat = mount(&disk);
    support::write_new(&mut fat, NodeId::ROOT, "some file.txt", b"contents").unwrap();
    fat.rename(NodeId::ROOT, "SOME FILE.TXT", NodeId::ROOT, "Some File.txt").unwrap();
    let listed = fat.list(NodeId::ROOT, 0, 9).unwrap();
    assert_eq!(listed.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["Some File.txt"]);
    fat.unmount().unwrap();
    assert_clean(&temp, &disk);
}

#[test]
fn paths_resolve_within_their_start() {
    let temp = Temp::new("paths");
    let disk = fresh(&temp, "paths", 1440, &["-F", "12"]);
    let mut fat = mount(&disk);
    fat.mkdir(NodeId::ROOT, "a").unwrap();
    let a = fat.lookup(NodeId::ROOT, "a").unwrap();
    fat.mkdir(a, "b").unwrap();
    support::write_new(&mut fat, a, "file", b"x").unwrap();
    for (start, path, expected) in [
        (NodeId::ROOT, "//a/./b/../file", Ok(Kind::File)),
        (a, "..", Ok(Kind::Directory)),
        (a, "../../file", Ok(Kind::File)),
        (a, "../a", Err(Error::NotFound)),
        (a, "file/", Err(Error::NotDirectory)),
        (a, "file/..", Err(Error::NotDirectory)),
        (a, "file/x", Err(Error::NotDirectory)),
        (a, "b/", Ok(Kind::Directory)),
        (a, "none/../file", Err(Error::NotFound)),
        (NodeId::ROOT, "", Ok(Kind::Directory)),
    ] {
        let open = fat.open_count();
        let outcome = fat.resolve(start, path).map(|id| {
            let kind = fat.stat(id).unwrap().kind;
            fat.close(id).unwrap();
            kind
        });
        assert_eq!(outcome, expected, "{path}");
        assert_eq!(fat.open_count(), open, "{path} leaves nothing open");
    }
    assert!(fat.stat(a).is_ok());
}
