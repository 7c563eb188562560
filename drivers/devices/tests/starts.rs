//! What is started for which disks, and that one bad disk does not stop the
//! others.

use devices::manager::{run, Report, World};
use hal::bus::{FunctionName, Info};
use scheme::wire::OpenFlags;
use scheme::{Error, Result};

#[derive(Default)]
struct Fake {
    /// Device slot and device id of each function.
    functions: Vec<(u8, u16)>,
    /// What each partition server lists.
    parts: Vec<(&'static str, Vec<&'static str>)>,
    /// Paths that fail, and how.
    broken: Vec<(&'static str, Error)>,
    running: Vec<String>,
    said: Vec<String>,
    legacy: bool,
}

impl World for Fake {
    type Session = (String, OpenFlags);

    fn functions(&mut self) -> Result<Vec<(FunctionName, Info)>> {
        let name = |device| FunctionName { segment: 0, bus: 0, device, function: 0 };
        let info = |device| Info { vendor: 0x1af4, device, class: 0x01_0000, revision: 1, subsystem: (0, 0) };
        Ok(self.functions.iter().map(|(slot, id)| (name(*slot), info(*id))).collect())
    }
    fn config(&mut self, _: &FunctionName, _: u16) -> Result<u32> {
        assert!(self.legacy, "only a transitional device's space is looked at");
        Ok(0)
    }
    fn open(&mut self, path: &str, flags: OpenFlags) -> Result<Self::Session> {
        match self.broken.iter().find(|(broken, _)| *broken == path) {
            // What is read-only can be opened for reading.
            Some((_, Error::ReadOnly)) if !flags.contains(OpenFlags::WRITE) => Ok((path.into(), flags)),
            Some((_, error)) => Err(*error),
            None => Ok((path.into(), flags)),
        }
    }
    fn names(&mut self, path: &str) -> Result<Vec<String>> {
        if let Some((_, error)) = self.broken.iter().find(|(broken, _)| *broken == path) {
            return Err(*error);
        }
        let found = self.parts.iter().find(|(known, _)| *known == path);
        Ok(found.map_or(vec![], |(_, names)| names.iter().map(|n| n.to_string()).collect()))
    }
    fn start(&mut self, template: &str, instance: &str, name: &str, (path, flags): Self::Session) -> Result<()> {
        let access = if flags.contains(OpenFlags::WRITE) { "rw" } else { "r" };
        let line = format!("{template} {instance} {name}={path} {access}");
        if self.running.contains(&line) {
            return Err(Error::Exists);
        }
        self.running.push(line);
        Ok(())
    }
    fn say(&mut self, line: &str) {
        self.said.push(line.into());
    }
}

#[test]
fn driver_partition_server_and_file_systems_are_started_in_order() {
    let mut world = Fake {
        functions: vec![(4, 0x1042), (2, 0x1042)],
        parts: vec![("part-1:", vec!["2", "1"]), ("part-2:", vec!["0"])],
        ..Fake::default()
    };
    assert_eq!(run(&mut world), Ok(Report { disks: 2, partitions: 3, failures: 0 }));
    assert_eq!(
        world.running,
        [
            "virtio-blk 1 device=pci:0000.00.02.0 rw",
            "partition 1 disk=block-1: rw",
            "fat 1-1 disk=part-1:1 rw",
            "fat 1-2 disk=part-1:2 rw",
            "virtio-blk 2 device=pci:0000.00.04.0 rw",
            "partition 2 disk=block-2: rw",
            "fat 2-0 disk=part-2:0 rw",
        ]
    );
    assert!(world.said.contains(&"disk 1 partition 1: /disk/1/1".into()), "{:?}", world.said);
    // Started again, it finds all there.
    let before = world.running.clone();
    assert_eq!(run(&mut world), Ok(Report { disks: 2, partitions: 3, failures: 0 }));
    assert_eq!(world.running, before);
}

#[test]
fn a_disk_that_fails_does_not_stop_the_others() {
    for (broken, what) in
        [("pci:0000.00.01.0", "its device"), ("block-1:", "its blocks"), ("part-1:", "its partitions")]
    {
        let mut world = Fake {
            functions: vec![(1, 0x1042), (2, 0x1042)],
            parts: vec![("part-2:", vec!["0"])],
            broken: vec![(broken, Error::TimedOut)],
            ..Fake::default()
        };
        assert_eq!(run(&mut world), Ok(Report { disks: 2, partitions: 1, failures: 1 }), "{broken}");
        assert!(world.running.contains(&"fat 2-0 disk=part-2:0 rw".into()));
        assert!(world.said.iter().any(|line| line.contains("disk 1") && line.contains(what)), "{:?}", world.said);
    }
}

#[test]
fn a_partition_that_fails_does_not_stop_the_others() {
    let mut world = Fake {
        functions: vec![(1, 0x1042)],
        parts: vec![("part-1:", vec!["1", "2", "junk"])],
        broken: vec![("part-1:1", Error::Io)],
        ..Fake::default()
    };
    assert_eq!(run(&mut world), Ok(Report { disks: 1, partitions: 1, failures: 1 }));
    assert!(world.running.contains(&"fat 1-2 disk=part-1:2 rw".into()));
}

#[test]
fn read_only_disks_are_opened_for_reading() {
    let mut world = Fake {
        functions: vec![(1, 0x1042)],
        parts: vec![("part-1:", vec!["0"])],
        broken: vec![("block-1:", Error::ReadOnly), ("part-1:0", Error::ReadOnly)],
        ..Fake::default()
    };
    assert_eq!(run(&mut world).unwrap().failures, 0);
    assert!(world.running.contains(&"fat 1-0 disk=part-1:0 r".into()), "{:?}", world.running);
}

#[test]
fn an_old_disk_keeps_its_number_and_is_left() {
    let mut world = Fake {
        functions: vec![(1, 0x1001), (2, 0x1042)],
        parts: vec![("part-2:", vec!["0"])],
        legacy: true,
        ..Fake::default()
    };
    assert_eq!(run(&mut world), Ok(Report { disks: 2, partitions: 1, failures: 1 }));
    assert!(world.running.iter().all(|line| !line.contains(" 1 ")), "{:?}", world.running);
}
