//! A FAT32 file system inside an image file, made by `mkfs.fat` and filled by
//! mtools.
//!
//! Files go in one by one, sorted: `mcopy -s` would take them in the host directory's order, and two
//! builds would differ.

use crate::error::Result;
use crate::tools;
use std::path::{Path, PathBuf};

/// Bytes in a sector.
pub const SECTOR: u64 = 512;

/// Where in the image a volume lies, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The image.
    pub image: PathBuf,
    /// The first sector.
    pub start: u64,
    /// Sectors.
    pub length: u64,
    /// The label, up to 11 characters.
    pub label: &'static str,
    /// The serial number.
    pub serial: u32,
}

/// A formatted volume.
#[derive(Debug)]
pub struct Volume {
    /// How mtools names it: file and offset.
    address: String,
    make_directory: PathBuf,
    copy: PathBuf,
}

impl Volume {
    /// Makes an empty FAT32 there.
    pub fn format(place: &Place) -> Result<Volume> {
        let mkfs = tools::find(&["mkfs.fat"], "dosfstools")?;
        let mut command = tools::command(&mkfs)?;
        command.args(["-F", "32", "--invariant", "-i", &format!("{:08x}", place.serial), "-n", place.label]);
        command.args(["-h", &place.start.to_string(), &format!("--offset={}", place.start)]);
        command.arg(&place.image).arg((place.length * SECTOR / 1024).to_string());
        tools::run(&mut command)?;
        Ok(Volume {
            address: format!("{}@@{}", place.image.display(), place.start * SECTOR),
            make_directory: tools::find(&["mmd"], "mtools")?,
            copy: tools::find(&["mcopy"], "mtools")?,
        })
    }

    /// Makes a directory.
    pub fn directory(&self, name: &str) -> Result<()> {
        let mut command = tools::command(&self.make_directory)?;
        tools::run(command.args(["-i", &self.address, &format!("::{name}")]))
    }

    /// Copies a file in.
    pub fn file(&self, name: &str, from: &Path) -> Result<()> {
        let mut command = tools::command(&self.copy)?;
        tools::run(command.args(["-i", &self.address]).arg(from).arg(format!("::{name}")))
    }
}
