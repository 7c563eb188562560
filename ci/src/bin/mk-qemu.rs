//! `make qemu`: the disk image, booted through firmware for a person to use.
//!
//! With a display the screen is a window; without one it is served as VNC on loopback. The
//! serial console is the terminal's either way. `--smoke` waits for the prompt instead, and
//! ends with 0 when it came.
#![forbid(unsafe_code)]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use ci::context::{scratch, Context};
use ci::deadline::Deadline;
use ci::emulator::{Emulator, QEMU};
use ci::machine::Machine;
use ci::reaper;
use ci::suites::PROMPT;

/// How long a smoke test waits for the prompt.
const SMOKE_SECONDS: u64 = 180;

fn main() -> ExitCode {
    let context = Context::new(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
    let mut machine = Machine { memory: "1G".into(), ..context.firmware() };
    let mut smoke = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--smoke" => smoke = true,
            // Anything else is QEMU's.
            _ => machine.extra.push(argument),
        }
    }
    let done = if smoke { wait_for_prompt(&machine) } else { show(&machine) };
    match done {
        Ok(code) => code,
        Err(words) => {
            eprintln!("make qemu: {words}");
            ExitCode::FAILURE
        }
    }
}

fn wait_for_prompt(machine: &Machine) -> Result<ExitCode, String> {
    let deadline = Deadline::seconds(SMOKE_SECONDS);
    let emulator = Emulator::start(machine, deadline, Box::new(|_| {})).map_err(|error| error.to_string())?;
    let came = emulator.console().wait_for(PROMPT, 0, deadline);
    println!("{}", emulator.console().text());
    match came {
        Ok(_) => {
            println!("make qemu: the prompt came");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(format!("{error}\n-- kernel log\n{}", emulator.log().tail(60))),
    }
}

fn show(machine: &Machine) -> Result<ExitCode, String> {
    let folder = scratch()?;
    let mut command = reaper::command(QEMU);
    command.args(machine.hardware_arguments(folder.path()).map_err(|error| error.to_string())?);
    // The terminal is the serial console; Ctrl-C goes to the guest.
    command.args(["-serial", "mon:stdio"]);
    match window() {
        Some(kind) => {
            command.args(["-display", kind]);
            println!("The screen is in QEMU's window; the serial console is here. Ctrl-A X ends it.");
        }
        None => {
            let port = free_vnc_port().ok_or("no free port for VNC on 127.0.0.1")?;
            command.args(["-display", &format!("vnc=127.0.0.1:{}", port - VNC_BASE)]);
            println!(
                "There is no display: the screen is served as VNC on 127.0.0.1:{port}, \
                 the serial console is here. Ctrl-A X ends it."
            );
        }
    }
    let emulator = reaper::spawn(command, folder.path().to_owned()).map_err(|error| error.to_string())?;
    let status = emulator.finish();
    Ok(ExitCode::from(if status.success() { 0 } else { 1 }))
}

/// The kind of window QEMU can open here; none without a display.
fn window() -> Option<&'static str> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !set("DISPLAY") && !set("WAYLAND_DISPLAY") {
        return None;
    }
    let help = Command::new(QEMU).args(["-display", "help"]).output().ok()?;
    let known = String::from_utf8_lossy(&help.stdout).into_owned();
    let found = ["gtk", "sdl"].into_iter().find(|kind| known.lines().any(|line| line.trim() == *kind));
    if found.is_none() {
        println!("There is a display, but this QEMU can open no window (Debian: qemu-system-gui).");
    }
    found
}

const VNC_BASE: u16 = 5900;

fn free_vnc_port() -> Option<u16> {
    (VNC_BASE..VNC_BASE + 100).find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
}
