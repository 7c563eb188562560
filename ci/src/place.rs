//! A machine with a program in init's place, and nothing else on it.
//!
//! Its boot archive holds the program as `bin/init` and no manifest, so that the shipped system knows nothing of it. The program tells
//! what it has to tell in the kernel's log, and switches the machine off.

use tempfile::TempDir;

use crate::context::{path_text, scratch, tool, Context};
use crate::deadline::Deadline;
use crate::emulator::Emulator;
use crate::guest::PANIC_PREFIX;
use crate::machine::{Boot, Machine};

/// Such a machine, before its boot.
#[derive(Debug)]
pub struct Place {
    /// What may still be changed.
    pub machine: Machine,
    /// Holds the archive.
    _folder: TempDir,
}

/// The machine for `program`, a binary of the bare target.
///
/// # Errors
/// The archive can't be made.
pub fn with(context: &Context, program: &str) -> Result<Place, String> {
    let folder = scratch()?;
    let archive = folder.path().join("initfs.img");
    std::fs::create_dir(folder.path().join("etc")).map_err(|error| error.to_string())?;
    std::fs::write(folder.path().join("initfs.toml"), "").map_err(|error| error.to_string())?;
    let programs = context.build().join("target/x86_64-unknown-none/release");
    let init = format!("bin/init={}", programs.join(program).display());
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    let options = ["--root", &path_text(folder.path()), "--programs", &path_text(&programs), "--add", &init];
    let out = ["--out", &path_text(&archive)];
    tool(&path_text(&exe.with_file_name("filesystem-image")), &[&["initfs"], &options[..], &out[..]].concat())?;
    let mut machine = context.direct();
    if let Boot::Direct { initfs, .. } = &mut machine.boot {
        *initfs = archive;
    }
    Ok(Place { machine, _folder: folder })
}

impl Place {
    /// Boots it and waits until it has switched itself off; its log.
    ///
    /// # Errors
    /// A panic, or that it does not end, with the end of its log.
    pub fn run(&self, deadline: Deadline) -> Result<String, String> {
        let emulator = Emulator::start(&self.machine, deadline, Box::new(|_| {})).map_err(|error| error.to_string())?;
        let ended = emulator.wait(deadline);
        let log = emulator.log().text();
        let tail = || emulator.log().tail(20);
        if let Some(line) = log.lines().find_map(|line| line.strip_prefix(PANIC_PREFIX)) {
            return Err(format!("kernel panic: {}\n{}", line.trim(), tail()));
        }
        ended.ok_or_else(|| format!("it does not switch itself off\n{}", tail()))?;
        Ok(log)
    }
}
