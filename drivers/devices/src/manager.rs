//! What is started for each disk, and what is said of it.
//!
//! The order is fixed by who needs whom: driver, partition server, file systems. What fails ends the work on its own
//! disk or partition and nothing else.

use crate::disks;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use hal::bus::{FunctionName, Info};
use scheme::wire::OpenFlags;
use scheme::{Error, Result};

/// What the manager does things with.
pub trait World {
    /// Something open that is handed on.
    type Session;
    /// The functions that the bus manager found. Errors: the bus manager's.
    fn functions(&mut self) -> Result<Vec<(FunctionName, Info)>>;
    /// A word of a function's configuration space.
    fn config(&mut self, function: &FunctionName, offset: u16) -> Result<u32>;
    /// A session of a path.
    fn open(&mut self, path: &str, flags: OpenFlags) -> Result<Self::Session>;
    /// The names in a directory.
    fn names(&mut self, path: &str) -> Result<Vec<String>>;
    /// Has an instance of a template started, with a session under a name. Errors: `Exists` if it runs.
    fn start(&mut self, template: &str, instance: &str, name: &str, session: Self::Session) -> Result<()>;
    /// Says a line.
    fn say(&mut self, line: &str);
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Disks, those that failed included.
    pub disks: u32,
    /// Partitions that have a file system's server now.
    pub partitions: u32,
    /// What could not be done.
    pub failures: u32,
}

struct Manager<'w, W: World> {
    world: &'w mut W,
    report: Report,
}

/// Starts what there is to start. Errors: those of asking the bus manager at all.
pub fn run<W: World>(world: &mut W) -> Result<Report> {
    let functions = world.functions()?;
    let mut manager = Manager { world, report: Report::default() };
    for (number, function, info) in disks::disks(functions) {
        manager.report.disks = manager.report.disks.saturating_add(1);
        if let Err((what, error)) = manager.disk(number, &function, &info) {
            manager.fail(&format!("disk {number} ({function}): {what}: {error}"));
        }
    }
    Ok(manager.report)
}

type Step<T> = core::result::Result<T, (&'static str, Error)>;

impl<W: World> Manager<'_, W> {
    fn fail(&mut self, line: &str) {
        self.report.failures = self.report.failures.saturating_add(1);
        self.world.say(line);
    }

    fn start(&mut self, template: &str, instance: &str, name: &str, session: W::Session) -> Result<()> {
        match self.world.start(template, instance, name, session) {
            // We were started again; it was not.
            Err(Error::Exists) => Ok(()),
            other => other,
        }
    }

    /// A session for reading and writing, or for reading where the medium takes no writes.
    fn open(&mut self, path: &str) -> Result<W::Session> {
        match self.world.open(path, OpenFlags::READ | OpenFlags::WRITE) {
            Err(Error::ReadOnly) => self.world.open(path, OpenFlags::READ),
            other => other,
        }
    }

    fn disk(&mut self, number: u32, function: &FunctionName, info: &Info) -> Step<()> {
        let modern = disks::is_modern(info, |offset| self.world.config(function, offset));
        if !modern.map_err(|error| ("configuration space", error))? {
            return Err(("it has the old interface only", Error::NotSupported));
        }
        let instance = number.to_string();
        // A device's session is not for bytes: what it takes are commands.
        let device = self.world.open(&format!("pci:{function}"), OpenFlags::READ | OpenFlags::WRITE);
        let device = device.map_err(|error| ("its device", error))?;
        self.start("virtio-blk", &instance, "device", device).map_err(|error| ("its driver", error))?;
        let disk = self.open(&format!("block-{number}:")).map_err(|error| ("its blocks", error))?;
        self.start("partition", &instance, "disk", disk).map_err(|error| ("its partition server", error))?;
        let root = format!("part-{number}:");
        let parts = self.world.names(&root).map_err(|error| ("its partitions", error))?;
        let mut parts: Vec<u32> = parts.iter().filter_map(|name| name.parse().ok()).collect();
        parts.sort_unstable();
        if parts.is_empty() {
            self.world.say(&format!("disk {number}: no partition"));
        }
        for part in parts {
            let path = format!("{root}{part}");
            let started =
                self.open(&path).and_then(|session| self.start("fat", &format!("{number}-{part}"), "disk", session));
            match started {
                Ok(()) => {
                    self.report.partitions = self.report.partitions.saturating_add(1);
                    self.world.say(&format!("disk {number} partition {part}: /disk/{number}/{part}"));
                }
                Err(error) => self.fail(&format!("disk {number} partition {part}: {error}")),
            }
        }
        Ok(())
    }
}
