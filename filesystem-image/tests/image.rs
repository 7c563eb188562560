//! The tool's outputs, looked at with other people's tools.

use abi::initfs::{Archive, EXECUTABLE};
use filesystem_image::options::run;
use filesystem_image::tools::find;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A tree, inputs and a place for outputs.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Bench {
        let bench = Bench { dir: tempfile::tempdir().unwrap() };
        for (name, data) in [
            ("root/initfs.toml", &b"[[program]]\nname = \"init\"\nfile = \"built-init\"\n"[..]),
            ("root/etc/init/fat.toml", b"name = \"fat\"\n"),
            ("root/etc/init/README.md", b"for developers\n"),
            ("root/cmdline.txt", b"log=debug quiet\n"),
            ("root/data/welcome.txt", b"hello\n"),
            ("root/data/A folder/with a rather long name/über.bin", &[7; 70_000]),
            ("kernel.elf", b"\x7fELF and then some"),
            ("boot.efi", b"MZ and then some"),
        ] {
            let path = bench.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, data).unwrap();
        }
        // A real program with debug information: this one.
        fs::create_dir(bench.path("bin")).unwrap();
        fs::copy(std::env::current_exe().unwrap(), bench.path("bin/built-init")).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs the tool with each `@` made this bench's directory.
    fn run(&self, line: &str) -> Result<(), String> {
        let here = format!("{}/", self.dir.path().display());
        let words: Vec<_> = line.split_whitespace().map(|word| word.replace('@', &here)).collect();
        run(&words).map(drop).map_err(|e| e.to_string())
    }

    fn initfs(&self, out: &str) {
        self.run(&format!("initfs --root @root --programs @empty --programs @bin --out @{out}")).unwrap();
    }

    fn image(&self, out: &str) {
        let inputs = "--kernel @kernel.elf --loader @boot.efi --initfs @initfs.img --root @root";
        self.run(&format!("image {inputs} --out @{out} --size 100")).unwrap();
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let program = find(&[program], "the tests' tools").unwrap();
    let output = Command::new(&program).args(arguments).env("MTOOLSRC", "/dev/null").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program:?} {arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The byte ranges of the partitions, as sgdisk reads the table.
fn partitions(image: &Path) -> Vec<(usize, usize)> {
    let text = output("sgdisk", &["-p", image.to_str().unwrap()]);
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|words| words.first().is_some_and(|word| word.parse::<u32>().is_ok()));
    rows.map(|words| (words[1].parse::<usize>().unwrap() * 512, (words[2].parse::<usize>().unwrap() + 1) * 512))
        .collect()
}

#[test]
fn initfs_holds_the_tree_and_the_programs_without_debug_information() {
    let bench = Bench::new();
    bench.initfs("initfs.img");
    let bytes = fs::read(bench.path("initfs.img")).unwrap();
    let archive = Archive::new(&bytes).unwrap();
    assert_eq!(archive.entries().map(|e| e.name).collect::<Vec<_>>(), ["bin/init", "etc/init/fat.toml"]);
    assert_eq!(archive.find("etc/init/fat.toml").unwrap().data, b"name = \"fat\"\n");
    let init = archive.find("bin/init").unwrap();
    assert_eq!(init.mode, EXECUTABLE);
    fs::write(bench.path("out"), init.data).unwrap();
    let sections = output("readelf", &["-S", "-W", bench.path("out").to_str().unwrap()]);
    assert!(sections.contains(".symtab") && !sections.contains(".debug_info"), "{sections}");
    let before = output("readelf", &["-S", "-W", bench.path("bin/built-init").to_str().unwrap()]);
    assert!(before.contains(".debug_"), "the test's own program has nothing to lose:\n{before}");
}

#[test]
fn missing_programs_are_all_named_and_the_old_archive_stays() {
    let bench = Bench::new();
    bench.initfs("initfs.img");
    let old = fs::read(bench.path("initfs.img")).unwrap();
    fs::write(bench.path("root/initfs.toml"), "[[program]]\nname=\"one\"\n[[program]]\nname=\"two\"\n").unwrap();
    let message = bench.run("initfs --root @root --programs @bin --out @initfs.img").unwrap_err();
    assert!(message.contains("one, two"), "{message}");
    assert_eq!(fs::read(bench.path("initfs.img")).unwrap(), old);
    fs::write(bench.path("root/initfs.toml"), "[[program]]\nname=\"text\"\n").unwrap();
    fs::write(bench.path("bin/text"), "no program").unwrap();
    let message = bench.run("initfs --root @root --programs @bin --out @initfs.img").unwrap_err();
    assert!(message.contains("not an ELF program"), "{message}");
}

#[test]
fn files_can_be_added_by_hand() {
    let bench = Bench::new();
    fs::write(bench.path("root/initfs.toml"), "").unwrap();
    bench.run("initfs --root @root --programs @bin --out @out --add tmp/x=@boot.efi").unwrap();
    let bytes = fs::read(bench.path("out")).unwrap();
    assert_eq!(Archive::new(&bytes).unwrap().find("tmp/x").unwrap().data, b"MZ and then some");
}

#[test]
fn the_image_satisfies_sgdisk_fsck_and_mtools() {
    let bench = Bench::new();
    bench.initfs("initfs.img");
    bench.image("disk.img");
    let image = bench.path("disk.img");
    let image_name = image.to_str().unwrap();
    assert_eq!(fs::metadata(&image).unwrap().len(), 100 << 20);
    let verdict = output("sgdisk", &["-v", image_name]);
    assert!(verdict.contains("No problems found"), "{verdict}");
    let table = output("sgdisk", &["-p", image_name]);
    assert!(table.contains("EF00") && table.contains("0700"), "{table}");
    let found = partitions(&image);
    assert_eq!(found.len(), 2);
    let bytes = fs::read(&image).unwrap();
    for (number, (start, end)) in found.iter().enumerate() {
        let part = bench.path(&format!("part{number}"));
        fs::write(&part, &bytes[*start..*end]).unwrap();
        output("fsck.fat", &["-n", part.to_str().unwrap()]);
        let about = output("minfo", &["-i", part.to_str().unwrap(), "::"]);
        assert!(about.contains("FAT32"), "{about}");
        assert!(about.contains(&format!("hidden sectors: {}", start / 512)), "{about}");
    }
    let read = |part: &str, name: &str| {
        let to = bench.path("copied");
        let from = bench.path(part);
        fs::remove_file(&to).unwrap_or_default();
        output("mcopy", &["-i", from.to_str().unwrap(), &format!("::{name}"), to.to_str().unwrap()]);
        fs::read(to).unwrap()
    };
    let same = |part: &str, name: &str, host: &str| {
        assert_eq!(read(part, name), fs::read(bench.path(host)).unwrap(), "{name}");
    };
    same("part0", "/EFI/BOOT/BOOTX64.EFI", "boot.efi");
    same("part0", "/limitless/kernel.elf", "kernel.elf");
    same("part0", "/limitless/initfs.img", "initfs.img");
    assert_eq!(read("part0", "/limitless/cmdline.txt"), b"log=debug quiet\n");
    same("part1", "/welcome.txt", "root/data/welcome.txt");
    let listing = output("mdir", &["-/", "-b", "-i", bench.path("part1").to_str().unwrap(), "::"]);
    assert!(listing.contains("A folder/with a rather long name/"), "{listing}");
    let label = output("mlabel", &["-s", "-i", bench.path("part1").to_str().unwrap(), "::"]);
    assert!(label.contains("LIMITLESS"), "{label}");
}

#[test]
fn two_builds_are_identical_whatever_the_host_directory_order() {
    let (one, two) = (Bench::new(), Bench::new());
    // Another order of creation is another order on most file systems.
    for (bench, reverse) in [(&one, false), (&two, true)] {
        let mut names: Vec<_> = (0..40).map(|n| format!("root/data/file {n}.txt")).collect();
        if reverse {
            names.reverse();
        }
        for name in names {
            fs::write(bench.path(&name), &name).unwrap();
        }
        bench.initfs("initfs.img");
    }
    assert!(fs::read(one.path("initfs.img")).unwrap() == fs::read(two.path("initfs.img")).unwrap());
    one.image("disk.img");
    // FAT stamps have a grain of two seconds: a clock that leaks in must have moved on.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    two.image("other.img");
    assert!(fs::read(one.path("disk.img")).unwrap() == fs::read(two.path("other.img")).unwrap());
}

#[test]
fn wrong_inputs_are_named_and_the_old_image_stays() {
    let bench = Bench::new();
    bench.initfs("initfs.img");
    bench.image("disk.img");
    let old = fs::read(bench.path("disk.img")).unwrap();
    for (kernel, loader, initfs, size, word) in [
        ("boot.efi", "boot.efi", "initfs.img", "100", "not an ELF file"),
        ("kernel.elf", "kernel.elf", "initfs.img", "100", "not an EFI application"),
        ("kernel.elf", "boot.efi", "boot.efi", "100", "not an initfs archive"),
        ("kernel.elf", "boot.efi", "initfs.img", "20", "too small"),
        ("gone.elf", "boot.efi", "initfs.img", "100", "gone.elf"),
    ] {
        let line = format!("image --kernel @{kernel} --loader @{loader} --initfs @{initfs} --size {size}");
        let message = bench.run(&format!("{line} --root @root --out @disk.img")).unwrap_err();
        assert!(message.contains(word), "{message}");
        assert!(fs::read(bench.path("disk.img")).unwrap() == old);
    }
}
