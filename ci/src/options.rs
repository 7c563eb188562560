//! `mk/run`'s command line: the table of ci/README.md, parsed into a machine.
//!
//! Parsing looks at no file but those given to `--add` (for the execute bit), so that it can be
//! tested whole.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::guest::Add;
use crate::machine::{loopback_forward, Boot, Disk, Machine, Network, Platform};

/// Printed by `--help`.
pub const HELP: &str = "\
usage: mk/run [options] -- COMMAND [ARG...]

Boots the system headless, runs COMMAND in it, and behaves as if it had run here.

  --uefi                    boot the disk image through firmware, not the kernel directly
  --disk FILE[,if=virtio|nvme|ahci|usb][,ro]
                            attach a raw image; the Nth is /disk/N (repeatable)
  --net user|none|PROTO:[HOST]:PORT-[GUEST]:PORT[,...]
                            network card; ports are forwarded from loopback (repeatable)
  --pcap FILE               record the network's packets
  --smp N, --mem SIZE, --cpu MODEL, --machine q35|pc
                            the machine (1, 512M, max, q35)
  --icount                  one instruction = one nanosecond; results are repeatable
  --add FILE[:NAME]         put FILE where COMMAND starts, with its execute bit (repeatable)
  --append TEXT             the kernel's command line (direct boot)
  --device ARG              one more device, as QEMU spells it (repeatable)
  --qemu ARG...             more arguments for QEMU, up to the next that begins with --
  --qmp SOCKET              a QMP socket to drive the machine by
  --screenshot FILE.png     what the screen shows when COMMAND has ended
  --timeout S               give up after S seconds (120)
  -v                        the kernel's and the services' log on standard error

Exit status: COMMAND's; 124 timed out; 125 kernel panic, or it never ran; 126 a service that
should run did not. These three also print a line 'mk/run: ...' on standard error.
";

/// All that was asked for.
#[derive(Debug)]
pub struct Options {
    /// The machine, its handouts still missing.
    pub machine: Machine,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Host files for the guest.
    pub adds: Vec<Add>,
    /// Where the screen's picture goes at the end.
    pub screenshot: Option<PathBuf>,
    /// How long all of it may take.
    pub timeout: Duration,
    /// Whether the log is shown.
    pub verbose: bool,
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Request {
    /// To be told how.
    Help,
    /// To run.
    Run(Box<Options>),
}

/// Parses the arguments after the program's name; the first two may be `--top DIR`, where the
/// build's folder is.
///
/// # Errors
/// With a sentence for the user.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Request, String> {
    let mut arguments = arguments.into_iter().peekable();
    let mut top = PathBuf::from(".");
    let (mut uefi, mut sector, mut append) = (false, None, String::new());
    // The boot is known only at the end.
    let mut machine = Machine::new(Boot::Sector { image: PathBuf::new() });
    let (mut adds, mut screenshot, mut verbose) = (Vec::new(), None, false);
    let mut timeout = Duration::from_secs(120);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--" => break,
            "--help" | "-h" => return Ok(Request::Help),
            "--top" => top = value()?.into(),
            "--uefi" => uefi = true,
            // For the harness's own tests: a boot sector that plays the system.
            "--sector" => sector = Some(PathBuf::from(value()?)),
            "--disk" => machine.disks.push(Disk::parse(&value()?)?),
            "--net" => network(&mut machine.network, &value()?)?,
            "--pcap" => machine.packet_capture = Some(value()?.into()),
            "--smp" => {
                machine.cpus = value()?.parse().ok().filter(|&n| n > 0).ok_or("--smp needs a number of processors")?;
            }
            "--mem" => machine.memory = value()?,
            "--cpu" => machine.cpu = Some(value()?),
            "--machine" => {
                machine.platform = match value()?.as_str() {
                    "q35" => Platform::Q35,
                    "pc" => Platform::Pc,
                    other => return Err(format!("--machine: '{other}' is neither q35 nor pc")),
                };
            }
            "--icount" => machine.icount = true,
            "--add" => adds.push(add(&value()?)?),
            "--append" => append = value()?,
            "--device" => machine.extra.extend(["-device".into(), value()?]),
            "--qemu" => {
                while let Some(more) = arguments.next_if(|next| !next.starts_with("--")) {
                    machine.extra.push(more);
                }
            }
            "--qmp" => machine.qmp_socket = Some(value()?.into()),
            "--screenshot" => screenshot = Some(value()?.into()),
            "--timeout" => timeout = seconds(&value()?)?,
            "-v" => verbose = true,
            other if other.starts_with('-') => return Err(format!("unknown option {other} (see mk/run --help)")),
            other => return Err(format!("'{other}': the command comes after --")),
        }
    }
    let command: Vec<String> = arguments.collect();
    if command.is_empty() {
        return Err("no command (see mk/run --help)".into());
    }
    if machine.icount && machine.cpus != 1 {
        return Err("--icount needs one processor: leave --smp out".into());
    }
    machine.boot = boot(&top, uefi, sector, append)?;
    Ok(Request::Run(Box::new(Options { machine, command, adds, screenshot, timeout, verbose })))
}

fn boot(top: &Path, uefi: bool, sector: Option<PathBuf>, append: String) -> Result<Boot, String> {
    match (uefi, sector) {
        (_, Some(image)) => Ok(Boot::Sector { image }),
        (true, None) if !append.is_empty() => Err("--append goes with the direct boot, not with --uefi".into()),
        (true, None) => Ok(Boot::Firmware { image: top.join("build/limitless.img") }),
        (false, None) => Ok(Boot::Direct {
            kernel: top.join("build/kernel.stripped.elf"),
            initfs: top.join("build/initfs.img"),
            append,
        }),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        // Past this a deadline can't be represented on every host; a day is as good as for ever.
        .map(|time| time.min(Duration::from_secs(86_400)))
        .ok_or(format!("--timeout: '{text}' is not a number of seconds"))
}

fn network(network: &mut Network, text: &str) -> Result<(), String> {
    for part in text.split(',') {
        match part {
            "none" => *network = Network::None,
            forward => {
                let forward = (forward != "user").then(|| loopback_forward(forward)).transpose()?;
                match network {
                    Network::User(forwards) => forwards.extend(forward),
                    Network::None => *network = Network::User(forward.into_iter().collect()),
                }
            }
        }
    }
    Ok(())
}

/// `FILE` or `FILE:NAME`; a file whose own name holds the colon is taken as it is.
fn add(text: &str) -> Result<Add, String> {
    let (path, name) = match text.rsplit_once(':') {
        Some((path, name)) if !Path::new(text).exists() => (PathBuf::from(path), name.to_owned()),
        _ => {
            let path = PathBuf::from(text);
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            (path, name)
        }
    };
    let about = std::fs::metadata(&path).map_err(|error| format!("--add {}: {error}", path.display()))?;
    if !about.is_file() {
        return Err(format!("--add {}: not a file", path.display()));
    }
    if name.is_empty() || name.contains(['/', '\n']) {
        return Err(format!("--add {text}: '{name}' can't be a file's name"));
    }
    Ok(Add { path, name, executable: about.permissions().mode() & 0o111 != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &[&str]) -> Result<Options, String> {
        match parse(line.iter().map(ToString::to_string))? {
            Request::Run(options) => Ok(*options),
            Request::Help => Err("help".into()),
        }
    }

    #[test]
    fn the_command_is_kept_as_given_whatever_it_looks_like() {
        let options = run(&["--smp", "4", "--", "sh", "-c", "echo  --uefi 'x'", "--", ""]).unwrap();
        assert_eq!(options.command, ["sh", "-c", "echo  --uefi 'x'", "--", ""]);
        assert_eq!(options.machine.cpus, 4);
        assert!(matches!(options.machine.boot, Boot::Direct { .. }));
    }

    #[test]
    fn emulator_arguments_end_at_the_next_long_option() {
        let options = run(&["--qemu", "-device", "edu", "--device", "usb-kbd", "--uefi", "--", "ls"]).unwrap();
        assert_eq!(options.machine.extra, ["-device", "edu", "-device", "usb-kbd"]);
        assert!(matches!(options.machine.boot, Boot::Firmware { .. }));
    }

    #[test]
    fn networks_add_up_and_listen_on_loopback() {
        let options = run(&["--net", "user", "--net", "tcp::8080-:80,udp::53-:53", "--", "ls"]).unwrap();
        let forwards = ["tcp:127.0.0.1:8080-:80", "udp:127.0.0.1:53-:53"].map(String::from).to_vec();
        assert_eq!(options.machine.network, Network::User(forwards));
        assert_eq!(run(&["--", "ls"]).unwrap().machine.network, Network::None);
    }

    #[test]
    fn an_added_file_keeps_its_execute_bit_and_may_be_renamed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("prog");
        std::fs::write(&file, "x").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let options = run(&["--add", &format!("{}:other", file.display()), "--", "./other"]).unwrap();
        assert_eq!(options.adds, [Add { path: file.clone(), name: "other".into(), executable: true }]);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let options = run(&["--add", &file.display().to_string(), "--", "./prog"]).unwrap();
        assert_eq!(options.adds, [Add { path: file, name: "prog".into(), executable: false }]);
    }

    #[test]
    fn mistakes_are_named() {
        for (line, word) in [
            (&["--smp", "0", "--", "x"][..], "--smp"),
            (&["--timeout", "-3", "--", "x"], "--timeout"),
            (&["--timeout", "nan", "--", "x"], "--timeout"),
            (&["--frobnicate", "--", "x"], "--frobnicate"),
            (&["--icount", "--smp", "2", "--", "x"], "--icount"),
            (&["--add", "/does/not/exist", "--", "x"], "--add"),
            (&["--disk"], "--disk"),
            (&["--uefi", "--append", "x", "--", "x"], "--append"),
            (&["ls"], "after --"),
            (&["--"], "no command"),
        ] {
            let error = run(line).unwrap_err();
            assert!(error.contains(word), "{line:?}: {error}");
        }
    }
}
