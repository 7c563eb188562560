//! What the tests share: a disk in memory with faults, host tools, numbers by
//! seed.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use abi::error::{Error, Result};
use fat::{Fat, Kind, MountOptions, NodeId};
use scheme::block::{BlockDevice, BlockInfo};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::rc::Rc;

/// 2026-11-23 03:33:46 UTC.
pub const NOW: u64 = 1_795_404_826 * 1_000_000_000;

/// A disk in memory. Clones share it.
#[derive(Clone)]
pub struct Disk(Rc<RefCell<State>>);

/// The disk's bytes, what happened to it, and what is to happen.
#[derive(Default)]
pub struct State {
    pub bytes: Vec<u8>,
    pub reads: u64,
    pub writes: u64,
    pub flushes: u64,
    /// Every write in order, if wanted; an empty one is a flush.
    pub log: Option<Vec<(u64, Vec<u8>)>>,
    /// Requests until the first failure; after it `fail_for` requests fail.
    pub fail_after: Option<u64>,
    pub fail_for: u64,
    pub read_only: bool,
}

impl Disk {
    pub fn new(bytes: Vec<u8>) -> Disk {
        Disk(Rc::new(RefCell::new(State { bytes, ..State::default() })))
    }

    pub fn state(&self) -> std::cell::RefMut<'_, State> {
        self.0.borrow_mut()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes.clone()
    }

    fn request(&self) -> Result<()> {
        let mut state = self.0.borrow_mut();
        match state.fail_after {
            Some(0) if state.fail_for > 0 => {
                state.fail_for -= 1;
                Err(Error::Io)
            }
            Some(0) | None => Ok(()),
            Some(n) => {
                state.fail_after = Some(n - 1);
                Ok(())
            }
        }
    }

    fn range(&self, offset: u64, len: usize) -> Result<std::ops::Range<usize>> {
        let size = self.0.borrow().bytes.len() as u64;
        if !offset.is_multiple_of(512) || !len.is_multiple_of(512) || offset + len as u64 > size {
            return Err(Error::BadArgument);
        }
        Ok(offset as usize..offset as usize + len)
    }
}

impl BlockDevice for Disk {
    fn info(&self) -> BlockInfo {
        let state = self.0.borrow();
        BlockInfo { block_size: 512, block_count: state.bytes.len() as u64 / 512, read_only: state.read_only }
    }
    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.request()?;
        let range = self.range(offset, out.len())?;
        self.state().reads += 1;
        out.copy_from_slice(&self.state().bytes[range]);
        Ok(())
    }
    fn write(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        self.request()?;
        let range = self.range(offset, data.len())?;
        let mut state = self.state();
        assert!(!state.read_only, "a write to a read-only device");
        state.writes += 1;
        state.bytes[range].copy_from_slice(data);
        if let Some(log) = &mut state.log {
            log.push((offset, data.to_vec()));
        }
        Ok(())
    }
    fn flush(&mut self) -> Result<()> {
        self.request()?;
        let mut state = self.state();
        state.flushes += 1;
        if let Some(log) = &mut state.log {
            log.push((0, Vec::new()));
        }
        Ok(())
    }
}

pub fn mount(disk: &Disk) -> Fat<Disk> {
    try_mount(disk).expect("the volume mounts")
}

pub fn try_mount(disk: &Disk) -> Result<Fat<Disk>> {
    Fat::mount(disk.clone(), MountOptions::default(), Box::new(|| NOW))
}

/// A directory of its own that goes when the test ends.
pub struct Temp(PathBuf);

impl Temp {
    pub fn new(name: &str) -> Temp {
        let path = std::env::temp_dir().join(format!("fat-test-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Temp(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a host tool; dosfstools live in sbin, which is not in everyone's path.
pub fn run(command: &str, arguments: &[&str]) -> Output {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    Command::new(command)
        .args(arguments)
        .env("PATH", path)
        .env("LC_ALL", "C.UTF-8")
        .env("MTOOLS_SKIP_CHECK", "1")
        .output()
        .unwrap_or_else(|error| panic!("{command} does not run: {error}"))
}

pub fn must(command: &str, arguments: &[&str]) -> Vec<u8> {
    let output = run(command, arguments);
    assert!(output.status.success(), "{command} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The kinds of volume that all tests go through: name, KiB, arguments of mkfs.fat.
pub const VOLUMES: &[(&str, u64, &[&str])] = &[
    ("floppy", 1440, &["-F", "12"]),
    ("fat12", 4096, &["-F", "12"]),
    ("fat16", 32 * 1024, &["-F", "16"]),
    ("fat32-small", 64 * 1024, &["-F", "32"]),
    ("fat32", 160 * 1024, &["-F", "32", "-s", "4"]),
];

/// A fresh volume made by mkfs.fat.
pub fn format(temp: &Temp, name: &str, kib: u64, arguments: &[&str]) -> PathBuf {
    let path = temp.path(name);
    let _ = std::fs::remove_file(&path);
    let kib = kib.to_string();
    let mut all = vec!["-C", "--invariant", "-n", "TESTLABEL"];
    all.extend(arguments);
    all.extend([text(&path), &kib]);
    must("mkfs.fat", &all);
    path
}

pub fn fresh(temp: &Temp, name: &str, kib: u64, arguments: &[&str]) -> Disk {
    Disk::new(std::fs::read(format(temp, name, kib, arguments)).unwrap())
}

/// Runs `fsck.fat -n`; the exit status says whether it found anything.
pub fn fsck(temp: &Temp, bytes: &[u8]) -> (bool, String) {
    let path = temp.path("fsck.img");
    std::fs::write(&path, bytes).unwrap();
    let output = run("fsck.fat", &["-n", "-v", text(&path)]);
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

pub fn assert_clean(temp: &Temp, disk: &Disk) {
    let (clean, report) = fsck(temp, &disk.0.borrow().bytes);
    assert!(clean && !report.contains("wrong") && !report.contains("uninit"), "fsck.fat complains:\n{report}");
}

/// A generator of numbers that a seed decides.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// Reads a whole file through the engine.
pub fn read_all(fat: &mut Fat<Disk>, id: NodeId) -> Result<Vec<u8>> {
    let size = fat.stat(id)?.size as usize;
    let mut bytes = vec![0u8; size];
    let mut at = 0;
    while at < size {
        let step = (size - at).min(100_000);
        let got = fat.read(id, at as u64, &mut bytes[at..at + step])?;
        assert!(got > 0, "a read inside the file gave nothing");
        at += got;
    }
    Ok(bytes)
}

/// Writes a whole file through the engine, in uneven steps.
pub fn write_new(fat: &mut Fat<Disk>, dir: NodeId, name: &str, bytes: &[u8]) -> Result<()> {
    let id = fat.create(dir, name)?;
    let mut at = 0;
    while at < bytes.len() {
        let step = (bytes.len() - at).min(70_001);
        at += fat.write(id, at as u64, &bytes[at..at + step])?;
    }
    fat.close(id)
}

/// Everything below a directory: path and contents (`None` for a directory), at most `most`.
pub fn tree(fat: &mut Fat<Disk>, most: usize) -> Result<Vec<(String, Option<Vec<u8>>)>> {
    let mut all = Vec::new();
    let mut open = vec![(String::new(), 0)];
    while let Some((path, depth)) = open.pop() {
        let dir = fat.resolve(NodeId::ROOT, &path)?;
        let mut cursor = 0;
        loop {
            let entries = fat.list(dir, cursor, 7)?;
            let Some(last) = entries.last() else { break };
            assert!(last.next > cursor, "a listing makes progress");
            cursor = last.next;
            for entry in &entries {
                let full = format!("{path}/{}", entry.name);
                match entry.stat.kind {
                    Kind::Directory => {
                        all.push((full.clone(), None));
                        if depth < 64 {
                            open.push((full, depth + 1));
                        }
                    }
                    Kind::File => {
                        let id = fat.lookup(dir, &entry.name)?;
                        let bytes = read_all(fat, id);
                        fat.close(id)?;
                        all.push((full, Some(bytes?)));
                    }
                }
            }
            if all.len() > most {
                break;
            }
        }
        fat.close(dir)?;
        if all.len() > most {
            break;
        }
    }
    all.sort();
    Ok(all)
}
