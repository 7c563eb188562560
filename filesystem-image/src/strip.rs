//! Programs without their debug information.
//!
//! The symbol table stays: init names the functions of a backtrace from it. `objcopy` comes with
//! every C compiler, and knows the format's corners.

use crate::error::{Context, Error, Result};
use crate::tools;
use std::fs;
use std::path::Path;

/// The file's bytes without debug information. Errors where it is not an ELF program.
pub fn strip(program: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(program).about(program.display())?;
    if !bytes.starts_with(b"\x7fELF") {
        return Err(Error::new(format!("{}: not an ELF program", program.display())));
    }
    let objcopy = tools::find(&["objcopy", "llvm-objcopy", "llvm-objcopy-22", "rust-objcopy"], "binutils")?;
    let dir = tempfile::tempdir().about("temporary directory")?;
    let out = dir.path().join("stripped");
    tools::run(tools::command(&objcopy)?.arg("--strip-debug").arg(program).arg(&out)).about(program.display())?;
    fs::read(&out).about(out.display())
}
