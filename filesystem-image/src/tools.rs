//! Other people's programs: found, run with fixed surroundings, and quoted
//! when they complain.

use crate::error::{Context, Error, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the time stands when `SOURCE_DATE_EPOCH` does not say: the start of 2026, UTC.
pub const EPOCH: u64 = 1_767_225_600;

/// The first of `names` that is installed. `package` is what to install where none is.
pub fn find(names: &[&str], package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // File-system tools live where only root's PATH leads.
    let extra = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let directories: Vec<_> = std::env::split_paths(&path).chain(extra).collect();
    let places = names.iter().flat_map(|name| directories.iter().map(move |directory| directory.join(name)));
    let is_there = |place: &PathBuf| place.is_file();
    let missing = || Error::new(format!("{}: not found; it comes with the package {package}", names.join(" or ")));
    places.into_iter().find(is_there).ok_or_else(missing)
}

/// The seconds since 1970 that every file in an image carries.
pub fn epoch() -> Result<u64> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text.trim().parse().about("SOURCE_DATE_EPOCH"),
        Err(_) => Ok(EPOCH),
    }
}

/// A command that sees the same locale, zone, time and settings wherever it runs.
pub fn command(program: &Path) -> Result<Command> {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").env("SOURCE_DATE_EPOCH", epoch()?.to_string());
    command.env("MTOOLSRC", "/dev/null").env("MTOOLS_SKIP_CHECK", "1").env("HOME", "/nonexistent");
    Ok(command)
}

/// Runs it; what it printed where it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().about(&name)?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_string());
    Err(Error::new(format!("{name}: {}\n{}", output.status, said.join("\n").trim())))
}

#[cfg(test)]
mod tests {
    use super::{command, find, run};

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        let message = find(&["no-such-tool", "nor-this"], "the-package").unwrap_err().to_string();
        assert!(message.contains("no-such-tool or nor-this") && message.contains("the-package"), "{message}");
    }

    #[test]
    fn a_failing_tool_is_quoted() {
        let mut sh = command(&find(&["sh"], "dash").unwrap()).unwrap();
        let message = run(sh.args(["-c", "echo this is why >&2; exit 3"])).unwrap_err().to_string();
        assert!(message.contains("3") && message.contains("this is why"), "{message}");
    }
}
