//! Tables that sgdisk wrote (package gdisk, which the image build needs too),
//! read here: a second opinion on GPT.

mod disk;

use disk::Ram;
use partition::table::{Table, TableKind};
use std::process::Command;

/// An image file of its own, gone with the test.
struct Image(std::path::PathBuf);

impl Image {
    fn new(name: &str, length: u64) -> Image {
        let path = std::env::temp_dir().join(format!("limitless-{name}-{}", std::process::id()));
        std::fs::File::create(&path).unwrap().set_len(length).unwrap();
        Image(path)
    }
    fn sgdisk(&self, arguments: &[&str]) {
        let program = ["/usr/sbin/sgdisk", "/sbin/sgdisk", "/usr/bin/sgdisk"];
        let program = program.iter().find(|path| std::path::Path::new(path).exists()).expect("sgdisk (package gdisk)");
        let out = Command::new(program).args(arguments).arg(&self.0).output().unwrap();
        assert!(
            out.status.success(),
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
    }
    fn table(&self) -> abi::Result<Table> {
        Table::read(&mut Ram::new(std::fs::read(&self.0).unwrap()))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn what_sgdisk_writes_is_read_as_it_was_meant() {
    let image = Image::new("gpt", 64 << 20);
    image.sgdisk(&[
        "-n1:2048:+8M",
        "-t1:ef00",
        "-c1:EFI system",
        "-n3:20480:+4M",
        "-t3:8300",
        "-c3:Grüße",
        "-n2:40960:0",
    ]);
    let table = image.table().unwrap();
    let parts: Vec<_> = table.partitions.iter().map(|p| (p.number, p.first, p.count, p.name.as_str())).collect();
    assert_eq!(table.kind, TableKind::Gpt);
    assert_eq!(parts[0], (1, 2048, 16384, "EFI system"));
    assert_eq!((parts[1].0, parts[1].1), (2, 40960));
    assert_eq!(parts[2], (3, 20480, 8192, "Grüße"));
    assert_eq!(table.get(1).unwrap().kind, "gpt:c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    // Its own repair of a wiped main header agrees with our use of the backup.
    let mut bytes = std::fs::read(&image.0).unwrap();
    bytes[512..1024].fill(0);
    assert_eq!(Table::read(&mut Ram::new(bytes)), Ok(table));
}

#[test]
fn an_mbr_made_from_a_gpt_is_read_too() {
    let image = Image::new("mbr", 16 << 20);
    image.sgdisk(&["-n1:2048:+4M", "-t1:0700", "-n2:12288:+2M", "-t2:8300"]);
    image.sgdisk(&["-m1:2"]);
    let table = image.table().unwrap();
    let parts: Vec<_> = table.partitions.iter().map(|p| (p.number, p.first, p.count, p.kind.as_str())).collect();
    assert_eq!(
        (table.kind, &parts[..]),
        (TableKind::Mbr, &[(1, 2048, 8192, "mbr:07"), (2, 12288, 4096, "mbr:83")][..])
    );
}
