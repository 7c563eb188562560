//! What every system test is given: where things are, how to make a machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::machine::{Boot, Machine};

/// What a test says: nothing, or what was wrong.
pub type Verdict = Result<(), String>;

/// The surroundings of a run of tests.
#[derive(Clone, Debug)]
pub struct Context {
    /// The top of the source tree.
    pub top: PathBuf,
    /// Whether the long tests run too.
    pub long: bool,
    /// How many times as long the long ones are.
    pub mult: u32,
    /// Whether nothing is printed: for tests of the runner itself.
    pub quiet: bool,
}

impl Context {
    /// For the tree that holds the build in `top`/build.
    pub fn new(top: PathBuf) -> Self {
        Self { top, long: false, mult: 1, quiet: false }
    }

    /// The build's folder.
    pub fn build(&self) -> PathBuf {
        self.top.join("build")
    }

    /// A machine that boots the kernel directly.
    pub fn direct(&self) -> Machine {
        Machine::new(Boot::Direct {
            kernel: self.build().join("kernel.stripped.elf"),
            initfs: self.build().join("initfs.img"),
            append: String::new(),
        })
    }

    /// A machine that boots the disk image through firmware.
    pub fn firmware(&self) -> Machine {
        Machine::new(Boot::Firmware { image: self.build().join("limitless.img") })
    }

    /// `mk/run`'s binary, set up to use this build.
    pub fn mk_run(&self) -> Command {
        // Beside the runner itself: both are built together.
        let beside = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.join("mk-run")));
        let program = beside.filter(|path| path.exists()).unwrap_or_else(|| "mk-run".into());
        let mut command = Command::new(program);
        command.arg("--top").arg(&self.top);
        command
    }
}

/// An empty folder that goes away with its handle.
///
/// # Errors
/// When there is no room for one.
pub fn scratch() -> Result<TempDir, String> {
    tempfile::Builder::new().prefix("limitless-test-").tempdir().map_err(|error| format!("a scratch folder: {error}"))
}

/// Runs a tool of the host; its standard output. A tool that fails is an error with its words.
///
/// # Errors
/// When it can't be run, or ends with another status than 0.
pub fn tool(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        // mtools: don't ask, don't complain of geometry, and write times as they are.
        .env("MTOOLS_SKIP_CHECK", "1")
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} {}: {}\n{text}{errors}", arguments.join(" "), output.status));
    }
    Ok(text)
}

/// A path as an argument.
pub fn path_text(path: &Path) -> String {
    path.display().to_string()
}

/// `Ok` when `holds`; otherwise what `words` says.
///
/// # Errors
/// When it does not hold.
pub fn check(holds: bool, words: impl FnOnce() -> String) -> Verdict {
    if holds {
        Ok(())
    } else {
        Err(words())
    }
}
