//! The loader, on real firmware in an emulator, with a probe in the kernel's
//! place.
//!
//! Needs QEMU, OVMF and a C compiler, and the loader built for `x86_64-unknown-uefi`: `LIMITLESS_LOADER`
//! or `build/target/x86_64-unknown-uefi/release/boot.efi`. Therefore ignored by a plain `cargo test`:
//! `cargo test -p filesystem-image --test firmware -- --ignored --test-threads 2`.

use abi::boot::{BootInfo, Framebuffer, Region, RegionKind, MAGIC, VERSION};
use filesystem_image::options::run;
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
const OPTIONS: &str = "log=debug probe";
/// Firmware and loader take about 5 s on an idle machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// What the emulator ends with when the probe said all.
const SAID_ALL: i32 = 33;

/// The words after the boot information, in the probe's order.
#[derive(Clone, Copy)]
enum Word {
    BootInfo,
    Stack,
    Flags,
    Frame,
    Cr0,
    Cr3,
    Cr4,
    Efer,
    TextEntry,
    RodataEntry,
    DataEntry,
    BssEntry,
    LowEntry,
    Data,
    Bss,
    Initfs,
    Return,
}

/// The boot information and the words, as the probe sent them.
struct Said {
    bytes: Vec<u8>,
}

impl Said {
    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[8 + at..][..4].try_into().unwrap())
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[8 + at..][..8].try_into().unwrap())
    }

    fn word(&self, word: Word) -> u64 {
        self.u64(size_of::<BootInfo>() + word as usize * 8)
    }

    fn regions(&self) -> Vec<Region> {
        let count = self.u32(offset_of!(BootInfo, region_count)) as usize;
        let places = (0..count).map(|i| offset_of!(BootInfo, regions) + i * size_of::<Region>());
        let region =
            |at| Region { start: self.u64(at), length: self.u64(at + 8), kind: self.u32(at + 16), reserved: 0 };
        places.map(region).collect()
    }

    fn framebuffer(&self) -> Framebuffer {
        let at = offset_of!(BootInfo, framebuffer);
        let [stride, width, height, format] = [8, 12, 16, 20].map(|offset| self.u32(at + offset));
        Framebuffer { address: self.u64(at), stride, width, height, format }
    }

    fn initfs(&self) -> (u64, u64) {
        (self.u64(offset_of!(BootInfo, initfs_start)), self.u64(offset_of!(BootInfo, initfs_length)))
    }

    fn kernel(&self) -> (u64, u64) {
        (self.u64(offset_of!(BootInfo, kernel_start)), self.u64(offset_of!(BootInfo, kernel_length)))
    }
}

/// An emulator that does not outlive the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().unwrap_or_default();
        self.0.wait().unwrap();
    }
}

/// Directory, loader, probe, image.
struct Bench {
    dir: TempDir,
    initfs_length: u64,
}

fn must(command: &mut Command) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
}

fn loader() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/target/x86_64-unknown-uefi/release/boot.efi");
    let loader = env::var_os("LIMITLESS_LOADER").map_or(built, PathBuf::from);
    assert!(loader.is_file(), "{}: build the loader first, or set LIMITLESS_LOADER", loader.display());
    loader
}

impl Bench {
    /// An image with a probe linked for this physical address.
    fn new(physical: u64) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let probe = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/probe");
        let mut cc = Command::new("cc");
        cc.args(["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none,-z,max-page-size=4096"]);
        cc.arg(format!("-Wl,--defsym=PHYSICAL={physical:#x}"));
        cc.arg("-Wl,-T").arg(probe.join("probe.ld")).arg(probe.join("probe.s"));
        must(cc.arg("-o").arg(dir.path().join("kernel.elf")));
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(root.join("initfs.toml"), "").unwrap();
        // Large enough that reading takes the loader several rounds.
        fs::write(root.join("etc/large"), vec![0x5a; 3_000_001]).unwrap();
        let loader = loader();
        let [loader, at] = [&loader, dir.path()].map(|path: &Path| path.to_str().unwrap());
        let tool = |line: &str| {
            let words = line.split('|').map(|word| word.replace('@', at)).collect::<Vec<_>>();
            run(&words).unwrap();
        };
        tool("initfs|--root|@/root|--programs|@|--out|@/initfs.img");
        let inputs = "image|--root|@/root|--kernel|@/kernel.elf|--initfs|@/initfs.img";
        tool(&format!("{inputs}|--loader|{loader}|--cmdline|{OPTIONS}|--out|@/disk.img"));
        let initfs_length = fs::metadata(dir.path().join("initfs.img")).unwrap().len();
        Bench { dir, initfs_length }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("serial")).unwrap_or_default()).into_owned()
    }

    /// Boots the image until the emulator ends or `done`; never longer than [`DEADLINE`]. The
    /// emulator's status, if it ended by itself, and what came out of port 0xe9.
    fn boot(&self, machine: &[&str], done: impl Fn() -> bool) -> (Option<i32>, Vec<u8>) {
        fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", self.path("vars.fd")).unwrap();
        for name in ["said", "serial"] {
            fs::write(self.path(name), "").unwrap();
        }
        let path = |name| self.path(name).display().to_string();
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-accel", "tcg", "-nodefaults", "-no-reboot", "-display", "none"]);
        qemu.arg("-drive").arg("if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd");
        qemu.arg("-drive").arg(format!("if=pflash,format=raw,file={}", path("vars.fd")));
        qemu.arg("-drive").arg(format!("if=none,id=disk,format=raw,file={}", path("disk.img")));
        qemu.args(["-device", "virtio-blk-pci,drive=disk", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        qemu.args(["-debugcon", &format!("file:{}", path("said")), "-serial", &format!("file:{}", path("serial"))]);
        let mut running = Running(qemu.args(machine).stdin(Stdio::null()).spawn().unwrap());
        let start = Instant::now();
        let mut status = None;
        while status.is_none() && start.elapsed() < DEADLINE && !done() {
            std::thread::sleep(Duration::from_millis(50));
            status = running.0.try_wait().unwrap();
        }
        drop(running);
        (status.and_then(|status| status.code()), fs::read(self.path("said")).unwrap())
    }

    fn said(&self, machine: &[&str]) -> Said {
        let (status, bytes) = self.boot(machine, || false);
        assert_eq!(status, Some(SAID_ALL), "{machine:?}: {} bytes said; console: {}", bytes.len(), self.console());
        let start = bytes.windows(8).position(|part| part == b"PROBE001").expect("the greeting");
        let said = Said { bytes: bytes[start..].to_vec() };
        assert_eq!(said.bytes.len(), 8 + size_of::<BootInfo>() + (Word::Return as usize + 1) * 8);
        said
    }
}

fn kind_at(regions: &[Region], address: u64) -> Option<u32> {
    regions.iter().find(|r| r.start <= address && address - r.start < r.length).map(|r| r.kind)
}

/// What holds on every machine.
fn check(said: &Said, bench: &Bench, memory_mib: u64, screen: bool) {
    assert_eq!(said.u64(offset_of!(BootInfo, magic)), MAGIC);
    assert_eq!(said.u32(offset_of!(BootInfo, version)), VERSION);
    assert_eq!(said.u32(offset_of!(BootInfo, firmware)), 1);
    let length = said.u32(offset_of!(BootInfo, command_line_length)) as usize;
    assert_eq!(&said.bytes[8 + offset_of!(BootInfo, command_line)..][..length], OPTIONS.as_bytes());

    let regions = said.regions();
    for pair in regions.windows(2) {
        let end = pair[0].start + pair[0].length;
        assert!(end < pair[1].start || (end == pair[1].start && pair[0].kind != pair[1].kind), "{pair:?}");
    }
    assert!(regions.iter().all(|r| r.start % 4096 == 0 && r.length % 4096 == 0 && r.length > 0));
    let usable: u64 = regions.iter().filter(|r| r.kind == RegionKind::Usable as u32).map(|r| r.length).sum();
    // OVMF keeps some 10 MiB for itself, and the framebuffer is no part of this memory.
    assert!(usable > (memory_mib - 20) * MIB && usable < memory_mib * MIB, "{} KiB usable", usable >> 10);
    assert_eq!(kind_at(&regions, 0), Some(RegionKind::Reserved as u32));

    let (kernel, initfs) = (said.kernel(), said.initfs());
    assert_eq!(initfs.1, bench.initfs_length);
    assert_eq!(initfs.0 % 4096, 0);
    assert_eq!(said.word(Word::Initfs).to_le_bytes(), *b"LIMITFS1");
    let stack = said.word(Word::Stack);
    let taken = [kernel.0, kernel.0 + kernel.1 - 1, initfs.0, initfs.0 + initfs.1 - 1, stack, stack - 16384 + 8];
    for address in taken.into_iter().chain([said.word(Word::BootInfo), said.word(Word::Cr3)]) {
        assert_eq!(kind_at(&regions, address), Some(RegionKind::Taken as u32), "{address:#x}");
    }
    let rsdp = kind_at(&regions, said.u64(offset_of!(BootInfo, rsdp)));
    assert!(rsdp == Some(RegionKind::AcpiTables as u32) || rsdp == Some(RegionKind::Reserved as u32), "{rsdp:?}");

    let told = said.framebuffer();
    if screen {
        assert_eq!((told.width, told.height, told.format), (1280, 800, 1));
        assert!(told.stride >= told.width * 4);
        assert_ne!(kind_at(&regions, told.address), Some(RegionKind::Usable as u32));
    } else {
        assert_eq!(told, Framebuffer::default());
    }

    assert_eq!(stack % 16, 8, "the stack is not as after a call");
    assert_eq!((said.word(Word::Return), said.word(Word::Frame)), (0, 0));
    assert_eq!(said.word(Word::Flags) & (1 << 9 | 1 << 10), 0, "interrupts or direction");
    assert_ne!(said.word(Word::Cr0) & 1 << 16, 0, "write protection");
    assert_ne!(said.word(Word::Efer) & 1 << 11, 0, "no-execute");
    assert_eq!(said.word(Word::Cr4) & (1 << 7 | 1 << 12), 0, "global pages or 5 levels");
    let (write, no_execute) = (2, 1 << 63);
    let rights = |word| said.word(word) & (1 | write | no_execute);
    assert_eq!(rights(Word::TextEntry), 1);
    assert_eq!(rights(Word::RodataEntry), 1 | no_execute);
    assert_eq!(rights(Word::DataEntry), 1 | write | no_execute);
    assert_eq!(rights(Word::BssEntry), 1 | write | no_execute);
    assert_eq!(rights(Word::LowEntry), 1 | write | no_execute);
    let frame = |word| said.word(word) & 0x000f_ffff_ffff_f000;
    let pages = [Word::TextEntry, Word::RodataEntry, Word::DataEntry].map(frame);
    assert_eq!(pages, [kernel.0, kernel.0 + 0x1000, kernel.0 + 0x2000]);
    assert_eq!((said.word(Word::Data), said.word(Word::Bss)), (0x1122_3344_5566_7788, 0));
}

#[test]
#[ignore = "boots firmware in an emulator"]
fn both_machines_with_little_and_much_memory_start_the_kernel() {
    let bench = Bench::new(0x20_0000);
    for machine in ["q35", "pc"] {
        for (size, mib, processors) in [("128M", 128, "1"), ("8G", 8192, "4")] {
            let said = bench.said(&["-machine", machine, "-m", size, "-smp", processors, "-vga", "std"]);
            check(&said, &bench, mib, true);
            assert_eq!(said.kernel(), (0x20_0000, 0x5000), "the place it was linked for was free");
            let high = said.regions().iter().any(|r| r.kind == RegionKind::Usable as u32 && r.start >= 4 << 30);
            assert_eq!(high, mib == 8192);
        }
    }
}

#[test]
#[ignore = "boots firmware in an emulator"]
fn a_machine_without_a_display_starts_the_kernel() {
    let bench = Bench::new(0x20_0000);
    let said = bench.said(&["-machine", "q35", "-m", "256M", "-vga", "none"]);
    check(&said, &bench, 256, false);
}

#[test]
#[ignore = "boots firmware in an emulator"]
fn a_kernel_whose_place_is_not_free_is_loaded_elsewhere() {
    // Past the end of this machine's memory.
    let bench = Bench::new(0x2010_0000);
    let said = bench.said(&["-machine", "q35", "-m", "256M", "-vga", "std"]);
    check(&said, &bench, 256, true);
    let start = said.kernel().0;
    assert!(start < 256 * MIB);
    assert_eq!(start % (2 * MIB), MIB, "as far into a large page as it was linked");
}

#[test]
#[ignore = "boots firmware in an emulator"]
fn what_is_missing_or_wrong_is_said_on_the_firmware_console() {
    let bench = Bench::new(0x20_0000);
    let volume = format!("{}@@1M", bench.path("disk.img").display());
    let put = |bytes: &[u8], name: &str| {
        fs::write(bench.path("spoilt"), bytes).unwrap();
        must(
            Command::new("mcopy")
                .args(["-o", "-i", &volume])
                .arg(bench.path("spoilt"))
                .arg(format!("::/limitless/{name}")),
        );
    };
    let [kernel, initfs] = ["kernel.elf", "initfs.img"].map(|name| fs::read(bench.path(name)).unwrap());
    // Each is found before the one that was spoilt before it.
    let spoil: [(&str, &dyn Fn()); 4] = [
        ("initfs.img is not an initfs archive, or is cut off", &|| put(&initfs[..1 << 20], "initfs.img")),
        ("initfs.img is not there", &|| must(Command::new("mdel").args(["-i", &volume, "::/limitless/initfs.img"]))),
        ("kernel.elf is not an ELF file, or is cut off", &|| put(&kernel[..100], "kernel.elf")),
        ("cmdline.txt is not UTF-8 text", &|| put(b"\xff", "cmdline.txt")),
    ];
    for (message, spoil) in spoil {
        spoil();
        let machine = ["-machine", "q35", "-m", "256M", "-vga", "none"];
        let (_, said) = bench.boot(&machine, || bench.console().contains(message));
        assert!(!said.windows(8).any(|part| part == b"PROBE001"));
        assert!(bench.console().contains(message), "not said: {message}\n{}", bench.console());
    }
}
