//! A machine to boot, described in types, and the QEMU command line that makes
//! it.
//!
//! [`Machine`] is plain data; [`Machine::arguments`] is the one place that spells QEMU's
//! options. The wiring is the same for every machine: the kernel log on the debug console at
//! port 0xe9, the system console on COM1, the agent's channel on COM2, `isa-debug-exit` at
//! 0xf4, QMP. Each of these is a Unix socket in the machine's own folder on which *we* listen,
//! so that nothing is lost between QEMU's start and our connecting.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::{Error, Result};
use crate::firmware::Firmware;

/// Which chipset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Platform {
    /// PCI Express with ECAM.
    #[default]
    Q35,
    /// The old PC: configuration space by ports only.
    Pc,
}

/// What the machine starts from.
#[derive(Clone, Debug)]
pub enum Boot {
    /// The kernel's PVH entry, with the initial file system as its module.
    Direct {
        /// The kernel's ELF file.
        kernel: PathBuf,
        /// The initial file system.
        initfs: PathBuf,
        /// The kernel's command line.
        append: String,
    },
    /// A disk image, through UEFI firmware. The image itself is never written.
    Firmware {
        /// The disk image.
        image: PathBuf,
    },
    /// A raw disk, through the PC's old firmware: what the harness is tested with.
    Sector {
        /// The disk image; its first sector is run.
        image: PathBuf,
    },
}

/// What a disk is attached to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interface {
    /// `virtio-blk-pci`, modern registers only.
    #[default]
    Virtio,
    /// An NVMe controller of its own.
    Nvme,
    /// A port of a shared AHCI controller.
    Ahci,
    /// Mass storage on a shared xHCI controller.
    Usb,
}

/// A raw image to attach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The image on the host.
    pub path: PathBuf,
    /// How the guest sees it.
    pub interface: Interface,
    /// Whether the guest may not write.
    pub read_only: bool,
    /// How fast it is at most; as fast as the host, where nothing is said.
    pub bytes_per_second: Option<u64>,
}

impl Disk {
    /// A writable virtio disk.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), interface: Interface::default(), read_only: false, bytes_per_second: None }
    }

    /// Parses `FILE[,if=virtio|nvme|ahci|usb][,ro]`; a comma in FILE is not possible.
    ///
    /// # Errors
    /// With a sentence for the user when an option is not known.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut parts = text.split(',');
        let mut disk = Self::new(parts.next().unwrap_or_default());
        if disk.path.as_os_str().is_empty() {
            return Err("--disk needs a file".into());
        }
        for option in parts {
            match option {
                "if=virtio" => disk.interface = Interface::Virtio,
                "if=nvme" => disk.interface = Interface::Nvme,
                "if=ahci" => disk.interface = Interface::Ahci,
                "if=usb" => disk.interface = Interface::Usb,
                "ro" => disk.read_only = true,
                other => return Err(format!("--disk: unknown option '{other}'")),
            }
        }
        Ok(disk)
    }
}

/// The guest's network card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// No card at all.
    #[default]
    None,
    /// QEMU's user network, with these ports forwarded (`tcp:127.0.0.1:8080-:80`).
    User(Vec<String>),
}

/// One file of the firmware-configuration device, by which the harness gives things to the guest.
#[derive(Clone, Debug)]
pub struct Handout {
    /// Its name under `opt/org.limitless/`; at most 55 characters with that.
    pub name: String,
    /// Its bytes, or a file on the host that holds them.
    pub data: HandoutData,
}

/// Where a [`Handout`]'s bytes are.
#[derive(Clone, Debug)]
pub enum HandoutData {
    /// Here.
    Bytes(Vec<u8>),
    /// In a file, used in place.
    File(PathBuf),
}

/// Where the names of our handouts begin.
pub const HANDOUT_ROOT: &str = "opt/org.limitless/";

/// A whole machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What it starts from.
    pub boot: Boot,
    /// The chipset.
    pub platform: Platform,
    /// How many processors.
    pub cpus: u32,
    /// Memory, as QEMU spells it: `512M`, `8G`.
    pub memory: String,
    /// The processor model; `None`: everything the emulator can do.
    pub cpu: Option<String>,
    /// One instruction = one nanosecond, repeatable to the instruction (peers.md).
    pub icount: bool,
    /// Disks, numbered from 1; the number is the disk's serial (`disk1`).
    pub disks: Vec<Disk>,
    /// The network card.
    pub network: Network,
    /// Where to record the network's packets.
    pub packet_capture: Option<PathBuf>,
    /// What the guest finds in the firmware-configuration device.
    pub handouts: Vec<Handout>,
    /// A second QMP socket on which QEMU listens, for somebody else.
    pub qmp_socket: Option<PathBuf>,
    /// Passed to QEMU as they are, last.
    pub extra: Vec<String>,
}

impl Machine {
    /// A q35 machine with one processor and 512 MiB.
    pub fn new(boot: Boot) -> Self {
        Self {
            boot,
            platform: Platform::default(),
            cpus: 1,
            memory: "512M".into(),
            cpu: None,
            icount: false,
            disks: Vec::new(),
            network: Network::default(),
            packet_capture: None,
            handouts: Vec::new(),
            qmp_socket: None,
            extra: Vec::new(),
        }
    }

    /// The arguments that make this machine, with its log, console, agent and QMP channels as
    /// sockets in `dir` (`log`, `console`, `agent`, `qmp`), where the caller already listens.
    ///
    /// # Errors
    /// When the firmware is missing, a file can't be prepared in `dir`, or the options exclude
    /// each other.
    pub fn arguments(&self, dir: &Path) -> Result<Vec<String>> {
        let mut args = Arguments::default();
        args.add(["-display", "none"]);
        for (device, channel) in
            [("isa-debugcon,iobase=0xe9", "log"), ("isa-serial,index=0", "console"), ("isa-serial,index=1", "agent")]
        {
            args.add(["-chardev", &format!("socket,id={channel},path={}", comma(&dir.join(channel)))]);
            args.add(["-device", &format!("{device},chardev={channel}")]);
        }
        args.add(["-chardev", &format!("socket,id=qmp,path={}", comma(&dir.join("qmp")))]);
        args.add(["-mon", "chardev=qmp,mode=control"]);
        self.hardware(dir, &mut args)?;
        Ok(args.0)
    }

    /// The arguments that make the machine itself, without display or channels. `dir` takes the
    /// files that belong to this one machine.
    ///
    /// # Errors
    /// As [`Self::arguments`].
    pub fn hardware_arguments(&self, dir: &Path) -> Result<Vec<String>> {
        let mut args = Arguments::default();
        self.hardware(dir, &mut args)?;
        Ok(args.0)
    }

    fn hardware(&self, dir: &Path, args: &mut Arguments) -> Result<()> {
        if self.icount && self.cpus != 1 {
            return Err(Error::Emulator("--icount needs one processor".into()));
        }
        // -no-reboot: a triple fault ends the emulator instead of starting over unseen.
        args.add(["-nodefaults", "-no-user-config", "-no-reboot", "-vga", "std"]);
        args.add(["-machine", if self.platform == Platform::Q35 { "q35" } else { "pc" }]);
        if self.icount {
            // To the letter the yardstick of peers.md.
            args.add(["-accel", "tcg", "-icount", "shift=0,sleep=on", "-smp", "1"]);
            args.add(["-cpu", self.cpu.as_deref().unwrap_or("max,-erms"), "-seed", "1"]);
            args.add(["-rtc", "base=2026-01-01,clock=vm"]);
        } else {
            // A thread of the host's for each processor: they run at once, as real ones do.
            args.add(["-accel", if self.cpus > 1 { "tcg,thread=multi" } else { "tcg" }]);
            args.add(["-smp", &self.cpus.to_string()]);
            args.add(["-cpu", self.cpu.as_deref().unwrap_or("max")]);
        }
        args.add(["-m", &self.memory]);
        args.add(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
        self.boot_arguments(dir, args)?;
        self.disk_arguments(args);
        self.network_arguments(args)?;
        self.handout_arguments(dir, args)?;
        if let Some(socket) = &self.qmp_socket {
            args.add(["-qmp", &format!("unix:{},server=on,wait=off", comma(socket))]);
        }
        args.0.extend(self.extra.iter().cloned());
        Ok(())
    }

    fn boot_arguments(&self, dir: &Path, args: &mut Arguments) -> Result<()> {
        match &self.boot {
            Boot::Direct { kernel, initfs, append } => {
                args.add(["-kernel", &kernel.display().to_string()]);
                args.add(["-initrd", &initfs.display().to_string()]);
                // The PC's firmware then leaves the disks alone: its own queues for them (three
                // disks are enough) would lie at the end of memory, where QEMU puts the initfs.
                args.add(["-boot", "strict=on"]);
                if !append.is_empty() {
                    args.add(["-append", append]);
                }
            }
            Boot::Firmware { image } => {
                let firmware = Firmware::find()?;
                let variables = dir.join("variables.fd");
                firmware.copy_variables(&variables)?;
                for (unit, path, mode) in [(0, &firmware.code, ",readonly=on"), (1, &variables, "")] {
                    let path = comma(path);
                    args.add(["-drive", &format!("if=pflash,format=raw,unit={unit}{mode},file={path}")]);
                }
                // snapshot=on: what the guest writes goes to a nameless file of QEMU's own.
                args.add(["-drive", &format!("if=none,id=boot,format=raw,snapshot=on,file={}", comma(image))]);
                args.add(["-device", "virtio-blk-pci,drive=boot,disable-legacy=on,serial=boot,bootindex=0"]);
            }
            Boot::Sector { image } => {
                args.add(["-drive", &format!("if=none,id=boot,format=raw,file={}", comma(image))]);
                args.add(["-device", "virtio-blk-pci,drive=boot,bootindex=0"]);
            }
        }
        Ok(())
    }

    fn disk_arguments(&self, args: &mut Arguments) {
        for (interface, controller) in [(Interface::Ahci, "ich9-ahci,id=ahci"), (Interface::Usb, "qemu-xhci,id=usb")] {
            if self.disks.iter().any(|disk| disk.interface == interface) {
                args.add(["-device", controller]);
            }
        }
        let mut ahci_ports = 0..;
        for (disk, number) in self.disks.iter().zip(1..) {
            // -blockdev in JSON takes any file name as it is.
            let name = format!("disk{number}");
            let throttled = disk.bytes_per_second.is_some();
            let node = json!({
                "driver": "raw",
                "node-name": if throttled { format!("{name}-fast") } else { name.clone() },
                "read-only": disk.read_only,
                "file": {
                    "driver": "file",
                    "filename": disk.path.display().to_string(),
                    "read-only": disk.read_only,
                },
            });
            args.add(["-blockdev", &node.to_string()]);
            if let Some(limit) = disk.bytes_per_second {
                args.add(["-object", &format!("throttle-group,id={name}-limit,x-bps-total={limit}")]);
                let group = format!("{name}-limit");
                let node = json!({
                    "driver": "throttle", "node-name": name, "throttle-group": group, "file": format!("{name}-fast"),
                });
                args.add(["-blockdev", &node.to_string()]);
            }
            let device = match disk.interface {
                Interface::Virtio => "virtio-blk-pci,disable-legacy=on".into(),
                Interface::Nvme => "nvme".into(),
                Interface::Ahci => format!("ide-hd,bus=ahci.{}", ahci_ports.next().unwrap_or(0)),
                Interface::Usb => "usb-storage,bus=usb.0".into(),
            };
            args.add(["-device", &format!("{device},drive=disk{number},serial=disk{number}")]);
        }
    }

    fn network_arguments(&self, args: &mut Arguments) -> Result<()> {
        match &self.network {
            Network::None if self.packet_capture.is_some() => {
                return Err(Error::Emulator("--pcap needs --net".into()));
            }
            Network::None => args.add(["-nic", "none"]),
            Network::User(forwards) => {
                let mut netdev = String::from("user,id=net0");
                for forward in forwards {
                    netdev.push_str(",hostfwd=");
                    netdev.push_str(forward);
                }
                args.add(["-netdev", &netdev]);
                args.add(["-device", "virtio-net-pci,netdev=net0,disable-legacy=on"]);
                if let Some(file) = &self.packet_capture {
                    args.add(["-object", &format!("filter-dump,id=dump0,netdev=net0,file={}", comma(file))]);
                }
            }
        }
        Ok(())
    }

    fn handout_arguments(&self, dir: &Path, args: &mut Arguments) -> Result<()> {
        if self.handouts.is_empty() {
            return Ok(());
        }
        // The device has 32 slots by default, about half of them taken by firmware tables.
        args.add(["-global", &format!("fw_cfg_io.x-file-slots={}", 32 + self.handouts.len())]);
        for (number, handout) in self.handouts.iter().enumerate() {
            let name = format!("{HANDOUT_ROOT}{}", handout.name);
            if name.len() > 55 {
                return Err(Error::Emulator(format!("'{name}' is too long for a handout's name")));
            }
            let path = match &handout.data {
                HandoutData::File(path) => path.clone(),
                HandoutData::Bytes(bytes) => {
                    let path = dir.join(format!("handout-{number}"));
                    std::fs::write(&path, bytes).map_err(Error::host(format!("writing {}", path.display())))?;
                    path
                }
            };
            args.add(["-fw_cfg", &format!("name={name},file={}", comma(&path))]);
        }
        Ok(())
    }
}

/// Turns `[proto]:[host]:port-[guest]:port` into one that listens on loopback when it names no host.
///
/// # Errors
/// With a sentence for the user when the text has another form.
pub fn loopback_forward(text: &str) -> std::result::Result<String, String> {
    let bad = || format!("--net: '{text}' is not user, none or PROTO:[HOST]:PORT-[GUEST]:PORT");
    let (protocol, rest) = text.split_once(':').ok_or_else(bad)?;
    let (host, rest) = rest.split_once(':').ok_or_else(bad)?;
    let (port, guest) = rest.split_once('-').ok_or_else(bad)?;
    let guest_port = guest.rsplit_once(':').ok_or_else(bad)?.1;
    let known = matches!(protocol, "tcp" | "udp");
    if !known || port.parse::<u16>().is_err() || guest_port.parse::<u16>().is_err() {
        return Err(bad());
    }
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    Ok(format!("{protocol}:{host}:{port}-{guest}"))
}

/// A path inside an option list, where QEMU wants a comma doubled.
fn comma(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[derive(Default)]
struct Arguments(Vec<String>);

impl Arguments {
    fn add<const N: usize>(&mut self, parts: [&str; N]) {
        self.0.extend(parts.iter().map(ToString::to_string));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct() -> Machine {
        Machine::new(Boot::Direct { kernel: "k".into(), initfs: "i".into(), append: String::new() })
    }

    fn line(machine: &Machine) -> String {
        machine.hardware_arguments(Path::new("/nowhere")).expect("arguments").join(" ")
    }

    #[test]
    fn icount_has_exactly_the_flags_of_the_yardstick() {
        let machine = Machine { icount: true, ..direct() };
        assert!(line(&machine).contains(
            "-accel tcg -icount shift=0,sleep=on -smp 1 -cpu max,-erms -seed 1 -rtc base=2026-01-01,clock=vm"
        ));
        assert!(line(&machine).contains("-machine q35"));
        assert!(Machine { cpus: 2, ..machine }.hardware_arguments(Path::new("/")).is_err());
    }

    #[test]
    fn disks_are_numbered_from_one_whatever_they_hang_on() {
        let mut machine = direct();
        machine.disks = vec![Disk::parse("a,if=usb").unwrap(), Disk::parse("b").unwrap(), Disk::parse("c,ro").unwrap()];
        let line = line(&machine);
        assert!(line.contains("usb-storage,bus=usb.0,drive=disk1,serial=disk1"));
        assert!(line.contains("virtio-blk-pci,disable-legacy=on,drive=disk2,serial=disk2"));
        assert!(line.contains(r#""node-name":"disk3","read-only":true"#));
    }

    #[test]
    fn a_disk_with_an_unknown_option_is_refused() {
        assert!(Disk::parse("a,if=floppy").is_err());
        assert!(Disk::parse("").is_err());
    }

    #[test]
    fn a_forwarded_port_listens_on_loopback_unless_told() {
        assert_eq!(loopback_forward("tcp::8080-:80").unwrap(), "tcp:127.0.0.1:8080-:80");
        assert_eq!(loopback_forward("udp:0.0.0.0:53-:53").unwrap(), "udp:0.0.0.0:53-:53");
        for bad in ["user", "tcp:80", "icmp::1-:1", "tcp::x-:80", "tcp::1-80"] {
            assert!(loopback_forward(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_handout_with_a_name_too_long_for_the_device_is_refused() {
        let mut machine = direct();
        machine.handouts = vec![Handout { name: "x".repeat(40), data: HandoutData::File("/dev/null".into()) }];
        assert!(machine.hardware_arguments(Path::new("/nowhere")).is_err());
        machine.handouts[0].name.truncate(10);
        assert!(line(&machine).contains("name=opt/org.limitless/xxxxxxxxxx,file=/dev/null"));
    }
}
