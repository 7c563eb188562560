//! Two servers in a row on the host: the partition server over a disk that is
//! a scheme itself.

mod disk;
#[path = "disk/layouts.rs"]
mod layouts;

use abi::Error;
use disk::Ram;
use layouts::{gpt, mbr_entry};
use partition::server::TABLE;
use partition::PartitionServer;
use scheme::block::{BlockDevice, BlockInfo};
use scheme::block_client::SchemeDevice;
use scheme::block_server::BlockScheme;
use scheme::client::File;
use scheme::host::{Client, CrashAt, Harness};
use scheme::stat::FileKind;
use scheme::wire::OpenFlags;
use std::cell::RefCell;
use std::rc::Rc;

type Disk = Harness<BlockScheme<Shared>>;
type Server = Harness<PartitionServer<Client<BlockScheme<Shared>>>>;

/// The platters: they survive the driver.
#[derive(Clone)]
struct Shared(Rc<RefCell<Ram>>);

impl BlockDevice for Shared {
    fn info(&self) -> BlockInfo {
        self.0.borrow().info()
    }
    fn read(&mut self, offset: u64, out: &mut [u8]) -> abi::Result<()> {
        self.0.borrow_mut().read(offset, out)
    }
    fn write(&mut self, offset: u64, data: &[u8]) -> abi::Result<()> {
        self.0.borrow_mut().write(offset, data)
    }
    fn flush(&mut self) -> abi::Result<()> {
        Ok(())
    }
}

const RW: OpenFlags = OpenFlags::READ.union(OpenFlags::WRITE);

fn serve(ram: Ram) -> (Shared, Disk, Server) {
    let platters = Shared(Rc::new(RefCell::new(ram)));
    let shared = platters.clone();
    let disk = Harness::with_keepsake(8192, move || BlockScheme::new(shared.clone()));
    let root = disk.root();
    let flags = if platters.info().read_only { OpenFlags::READ } else { RW };
    let server = Harness::with_keepsake(8192, move || {
        PartitionServer::new(SchemeDevice::new(root.open_at("", flags).unwrap()).unwrap())
    });
    (platters, disk, server)
}

fn sample() -> Ram {
    let mut bytes = gpt(512, 400, &[(40, 59), (60, 300)]);
    for block in 34..360 {
        let part = if (40..60).contains(&block) { b'1' } else { b'2' };
        bytes[block * 512..(block + 1) * 512].fill(part);
    }
    Ram::new(bytes)
}

fn open<S: scheme::scheme::Scheme + 'static>(root: &File<Client<S>>, path: &str) -> File<Client<S>> {
    root.open_at(path, RW).unwrap()
}

#[test]
fn partitions_are_listed_with_their_sizes_and_types() {
    let (_, _, server) = serve(sample());
    let root = server.root();
    let list: Vec<_> = root.list().unwrap().into_iter().map(|e| (e.name, e.kind, e.size)).collect();
    assert_eq!(list, [("1".into(), FileKind::Block, 20 * 512), ("2".into(), FileKind::Block, 241 * 512)]);
    let mut text = [0; 400];
    let (length, filled) = root.control(TABLE, 0, b"", &mut text).unwrap();
    assert!(length as usize == filled && text.starts_with(b"1 40 20 gpt:c12a7328"));
    for name in ["0", "3", "01", "+1", "x", "1x", "4294967297"] {
        assert_eq!(root.open_at(name, RW).err(), Some(Error::NotFound), "{name}");
    }
    assert_eq!(root.open_at("1/2", RW).err(), Some(Error::NotFound));
}

#[test]
fn no_request_reaches_a_block_outside_its_partition() {
    let (platters, _, server) = serve(sample());
    let before = platters.0.borrow().bytes.clone();
    let part = open(&server.root(), "1");
    let size = 20 * 512;
    assert_eq!(part.write_at(0, &[b'x'; 20 * 512 + 4096]), Ok(size), "a write over the end is cut at it");
    let mut all = vec![0; size + 512];
    assert_eq!(part.read_at(0, &mut all), Ok(size));
    assert!(all[..size].iter().all(|b| *b == b'x'));
    assert_eq!(part.read_at(size as u64, &mut all[..512]), Ok(0));
    assert_eq!(part.write_at(size as u64, &[0; 512]), Err(Error::NoSpace));
    assert_eq!(part.write_at(1 << 40, &[0; 512]), Err(Error::NoSpace));
    assert_eq!(part.write_at(i64::MAX as u64 & !511, &[0; 512]), Err(Error::NoSpace));
    for (offset, length) in [(1, 512), (0, 511), (512, 100)] {
        assert_eq!(part.write_at(offset, &vec![0; length]), Err(Error::BadArgument));
        assert_eq!(part.read_at(offset, &mut vec![0; length]), Err(Error::BadArgument));
    }
    let after = platters.0.borrow().bytes.clone();
    let changed: Vec<usize> = (0..after.len()).filter(|i| after[*i] != before[*i]).collect();
    assert_eq!((changed[0], changed.len()), (40 * 512, size), "exactly partition 1");
}

#[test]
fn a_partition_looks_like_a_disk_of_its_own() {
    let (_, _, server) = serve(sample());
    let mut device = SchemeDevice::new(open(&server.root(), "2")).unwrap();
    assert_eq!(device.info(), BlockInfo { block_size: 512, block_count: 241, read_only: false });
    let mut block = [0; 512];
    device.write(240 * 512, &[7; 512]).unwrap();
    device.read(240 * 512, &mut block).unwrap();
    assert_eq!((block, device.flush()), ([7; 512], Ok(())));
    assert_eq!(device.read(241 * 512, &mut block), Err(Error::BadArgument));
}

#[test]
fn a_disk_without_a_table_is_served_whole_as_0() {
    let (_, _, server) = serve(Ram::new(vec![3; 512 * 64]));
    assert_eq!(server.root().list().unwrap().len(), 1);
    assert_eq!(open(&server.root(), "0").stat().unwrap().size, 512 * 64);
}

#[test]
fn a_corrupt_table_is_an_error_of_that_disk_and_the_server_lives() {
    let mut ram = sample();
    ram.bytes[512] = 0;
    ram.bytes[399 * 512] = 0;
    let (platters, _, server) = serve(ram);
    let root = server.root();
    assert_eq!(root.list().err(), Some(Error::Corrupt));
    assert_eq!(root.open_at("1", RW).err(), Some(Error::Corrupt));
    // Put right, it is served: nothing of the failure was kept.
    platters.0.borrow_mut().bytes[512] = b'E';
    assert_eq!(root.list().unwrap().len(), 2);
}

#[test]
fn a_read_only_disk_has_read_only_partitions() {
    let mut bytes = vec![0; 512 * 100];
    mbr_entry(&mut bytes, 0, 0, 0x83, 10, 50);
    let (_, _, server) = serve(Ram { bytes, block: 512, read_only: true });
    assert_eq!(server.root().open_at("1", RW).err(), Some(Error::ReadOnly));
    let part = server.root().open_at("1", OpenFlags::READ).unwrap();
    assert_eq!((part.read_at(0, &mut [0; 512]), part.write_at(0, &[0; 512])), (Ok(512), Err(Error::PermissionDenied)));
}

#[test]
fn the_disk_driver_or_this_server_may_die_under_a_reader() {
    let (_, disk, server) = serve(sample());
    let part = open(&server.root(), "2");
    for round in 0..20u8 {
        match round % 4 {
            0 => disk.crash_next(CrashAt::Before),
            1 => disk.crash_next(CrashAt::After),
            2 => server.crash_next(CrashAt::Before),
            _ => server.crash_next(CrashAt::After),
        }
        assert_eq!(part.write(&[round; 1024]), Ok(1024), "round {round}");
    }
    let mut all = vec![0; 20 * 1024];
    assert_eq!(part.read_at(0, &mut all), Ok(20 * 1024));
    assert!(all.chunks(1024).zip(0u8..).all(|(chunk, round)| chunk.iter().all(|b| *b == round)));
    assert!(disk.restarts() >= 10 && server.restarts() >= 10);
}
