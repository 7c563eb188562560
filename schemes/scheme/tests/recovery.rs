//! A server killed at every point of its work: clients see time pass, and
//! nothing else.
//!
//! The scheme under test keeps its files on a "disk" that survives, and asks the library for everything
//! else. Its effect on the disk and the library's record of it are two steps, so a kill between them is what the
//! tests are about.

use abi::Error;
use scheme::client::File;
use scheme::entry::Listing;
use scheme::host::{crash, Client, CrashAt, Harness};
use scheme::lease::{Source, Target};
use scheme::scheme::{Caller, Control, Opened, Outcome, Scheme};
use scheme::stat::{FileKind, Stat};
use scheme::wire::{OpenFlags, LIST_END};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

#[derive(Clone, Default)]
struct Disk {
    files: Rc<RefCell<BTreeMap<String, Vec<u8>>>>,
    effects: Rc<Cell<u32>>,
    crash_at_effect: Rc<Cell<Option<u32>>>,
}

impl Disk {
    /// Every change of the disk goes through here; the chosen one is the last thing the server does.
    fn change(&self, act: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) {
        act(&mut self.files.borrow_mut());
        self.effects.set(self.effects.get() + 1);
        if self.crash_at_effect.get() == Some(self.effects.get()) {
            crash();
        }
    }
}

/// Flat files; a session's identity is a number for its name at the time.
struct Flat {
    disk: Disk,
    names: BTreeMap<u64, String>,
    next: u64,
}

impl Flat {
    fn new(disk: Disk) -> Flat {
        Flat { disk, names: BTreeMap::from([(0, String::new())]), next: 1 }
    }
    fn name(&self, caller: &Caller) -> String {
        self.names[&caller.id].clone()
    }
}

impl Scheme for Flat {
    fn open(&mut self, _: &Caller, path: &str, flags: OpenFlags) -> Outcome<Opened> {
        let there = self.disk.files.borrow().contains_key(path) || path.is_empty();
        if there && flags.contains(OpenFlags::EXCLUSIVE) {
            return Err(Error::Exists.into());
        }
        if !there && !flags.contains(OpenFlags::CREATE) {
            return Err(Error::NotFound.into());
        }
        if !there {
            self.disk.change(|files| drop(files.insert(path.into(), Vec::new())));
        }
        self.next += 1;
        self.names.insert(self.next, path.into());
        Ok(Opened::new(self.next))
    }
    fn read(&mut self, caller: &Caller, offset: u64, target: &mut Target<'_>) -> Outcome<usize> {
        let files = self.disk.files.borrow();
        Ok(target.fill_from(files.get(&self.name(caller)).ok_or(Error::NotFound)?, offset)?)
    }
    fn write(&mut self, caller: &Caller, offset: u64, source: &mut Source<'_>) -> Outcome<usize> {
        let data = source.to_vec(4096)?;
        let (name, at) = (self.name(caller), offset as usize);
        self.disk.change(|files| {
            let file = files.get_mut(&name).unwrap();
            file.resize(file.len().max(at + data.len()), 0);
            file[at..at + data.len()].copy_from_slice(&data);
        });
        Ok(data.len())
    }
    fn stat(&mut self, caller: &Caller, path: &str) -> Outcome<Stat> {
        let name = if path.is_empty() { self.name(caller) } else { path.into() };
        let files = self.disk.files.borrow();
        let size = match files.get(&name) {
            Some(data) => data.len() as u64,
            None if name.is_empty() => 0,
            None => return Err(Error::NotFound.into()),
        };
        Ok(Stat { kind: FileKind::File, size, ..Stat::default() })
    }
    fn list(&mut self, _: &Caller, cursor: u64, listing: &mut Listing<'_, '_>) -> Outcome<u64> {
        let files = self.disk.files.borrow();
        for (at, (name, data)) in files.iter().enumerate().skip(cursor as usize) {
            if !listing.push(name, FileKind::File, data.len() as u64, 1) {
                return Ok(at as u64);
            }
        }
        Ok(LIST_END)
    }
    fn rename(&mut self, _: &Caller, old: &str, new: &str) -> Outcome<()> {
        if !self.disk.files.borrow().contains_key(old) {
            return Err(Error::NotFound.into());
        }
        self.disk.change(|files| {
            let data = files.remove(old).unwrap();
            files.insert(new.into(), data);
        });
        for name in self.names.values_mut().filter(|name| *name == old) {
            *name = new.into();
        }
        Ok(())
    }
    fn unlink(&mut self, _: &Caller, path: &str, _: bool) -> Outcome<()> {
        if !self.disk.files.borrow().contains_key(path) {
            return Err(Error::NotFound.into());
        }
        self.disk.change(|files| drop(files.remove(path)));
        Ok(())
    }
    fn control(&mut self, caller: &Caller, control: &mut Control<'_, '_>) -> Outcome<scheme::scheme::Controlled> {
        // Only this scheme can know whether it counted already: the argument says what the count was.
        let count = self.disk.files.borrow().get("counter").map_or(0, Vec::len) as u64;
        if !(caller.redo && count == control.argument + 1) {
            self.disk.change(|files| files.entry("counter".into()).or_default().push(b'.'));
        }
        Ok(scheme::scheme::Controlled::value(self.disk.files.borrow()["counter"].len() as u64))
    }
}

fn harness(disk: &Disk, keepsake: usize) -> Harness<Flat> {
    let disk = disk.clone();
    Harness::with_keepsake(keepsake, move || Flat::new(disk.clone()))
}

const RW: OpenFlags = OpenFlags::READ.union(OpenFlags::WRITE);

/// A day's work of a client. Every answer is checked: it must be what a server that never dies gives.
fn work(root: &File<Client<Flat>>) {
    let log = root.open_at("log", RW | OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::APPEND).unwrap();
    let file = root.open_at("file", RW | OpenFlags::CREATE | OpenFlags::EXCLUSIVE).unwrap();
    assert_eq!(root.open_at("file", RW | OpenFlags::CREATE | OpenFlags::EXCLUSIVE).err(), Some(Error::Exists));
    for i in 0..4u8 {
        assert_eq!(log.write(&[b'a' + i; 3]), Ok(3));
        assert_eq!(file.write(&[b'0' + i; 2]), Ok(2));
    }
    assert_eq!(root.control(7, 0, b"", &mut []), Ok((1, 0)));
    let reader = root.open_at("file", OpenFlags::READ).unwrap();
    let mut two = [0; 2];
    for i in 0..4u8 {
        assert_eq!((reader.read(&mut two), two), (Ok(2), [b'0' + i; 2]));
    }
    assert_eq!(reader.read(&mut two), Ok(0));
    root.rename("file", "renamed").unwrap();
    assert_eq!(file.write(b"!"), Ok(1));
    root.unlink("log", false).unwrap();
    assert_eq!(root.unlink("log", false), Err(Error::NotFound));
    let names: Vec<String> = root.list().unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["counter", "renamed"]);
    let mut all = [0; 16];
    assert_eq!(root.open_at("renamed", OpenFlags::READ).unwrap().read_full_at(0, &mut all), Ok(9));
    assert_eq!(&all[..9], b"00112233!");
}

#[test]
fn a_day_of_work_without_a_crash() {
    let disk = Disk::default();
    let harness = harness(&disk, 64 * 1024);
    work(&harness.root());
    assert_eq!(harness.restarts(), 0);
}

#[test]
fn killed_at_every_effect_on_the_disk() {
    let disk = Disk::default();
    work(&harness(&disk, 64 * 1024).root());
    let effects = disk.effects.get();
    assert!(effects > 12);
    for at in 1..=effects {
        let disk = Disk::default();
        disk.crash_at_effect.set(Some(at));
        let harness = harness(&disk, 64 * 1024);
        work(&harness.root());
        assert_eq!(harness.restarts(), 1, "effect {at}");
    }
}

#[test]
fn killed_at_every_byte_written_to_the_keepsake() {
    // The keepsake is made before the fuse is set; then the server may die at any byte, half-written words included.
    let mut point = 0;
    loop {
        let disk = Disk::default();
        let harness = harness(&disk, 64 * 1024);
        let root = harness.root();
        harness.store().crash_after(Some(point));
        work(&root);
        if harness.restarts() == 0 {
            break;
        }
        point += 1;
    }
    assert!(point > 5000, "only {point} bytes were written");
}

#[test]
fn killed_before_and_after_each_call() {
    for at in [CrashAt::Before, CrashAt::After] {
        let disk = Disk::default();
        let harness = harness(&disk, 64 * 1024);
        let root = harness.root();
        let file = root.open_at("f", RW | OpenFlags::CREATE | OpenFlags::APPEND).unwrap();
        for i in 0..10u8 {
            harness.crash_next(at);
            assert_eq!(file.write(&[i]), Ok(1));
            harness.crash_next(at);
            assert_eq!(root.control(0, u64::from(i), b"", &mut []), Ok((u64::from(i) + 1, 0)));
        }
        assert_eq!(disk.files.borrow()["f"], (0..10).collect::<Vec<u8>>());
        assert_eq!(harness.restarts(), 20);
    }
}

#[test]
fn without_a_keepsake_an_open_file_is_an_io_error_and_a_new_one_works() {
    let disk = Disk::default();
    let harness = harness(&disk, 0);
    let root = harness.root();
    let file = root.open_at("f", RW | OpenFlags::CREATE).unwrap();
    harness.restart();
    assert_eq!(file.write(b"x"), Err(Error::Io));
    let again = root.open_at("f", RW).unwrap();
    assert_eq!(again.write(b"x"), Ok(1));
    assert_ne!(again.connection().badge(), file.connection().badge());
}

#[test]
fn sessions_that_ended_while_the_server_was_down_are_forgotten() {
    let disk = Disk::default();
    let harness = harness(&disk, 8 * 1024);
    let root = harness.root();
    let files: Vec<_> = (0..5).map(|i| root.open_at(&format!("f{i}"), RW | OpenFlags::CREATE).unwrap()).collect();
    assert_eq!(harness.open_sessions(), 6);
    drop(files);
    assert_eq!(harness.open_sessions(), 1);
    // More sessions than the keepsake holds: all work, those that fit survive.
    let many: Vec<_> = (0..20).map(|_| root.open_at("f0", RW).unwrap()).collect();
    harness.restart();
    let working = many.iter().filter(|file| file.write(b"x").is_ok()).count();
    assert_eq!(working, 6, "7 slots, one of them the root's");
}

#[test]
fn a_keepsake_full_of_garbage_is_no_danger() {
    for seed in 0..300u64 {
        let disk = Disk::default();
        let harness = harness(&disk, 4 * 1024);
        let root = harness.root();
        let file = root.open_at("f", RW | OpenFlags::CREATE).unwrap();
        file.write(b"abc").unwrap();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for _ in 0..20 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (state >> 33) as usize % 4096;
            let mut store = harness.store();
            scheme::store::Store::write(&mut store, at, &[(state >> 20) as u8]).unwrap();
        }
        harness.restart();
        match file.read_at(0, &mut [0; 3]) {
            Ok(count) => assert_eq!(count, 3),
            Err(error) => assert_eq!(error, Error::Io),
        }
        assert!(root.open_at("f", RW).is_ok());
    }
}
