//! Builds initfs and the disk image on the host, without root and without
//! mounts.
//!
//! The same inputs give the same bytes: names are sorted, ids are fixed, and time stands still at
//! `SOURCE_DATE_EPOCH`. An output file is replaced in one step, when it is whole.
//!
//! - [`initfs`]: the archive that travels with the kernel; [`manifest`]: which programs are in it
//! - [`disk`]: the image a firmware boots; [`volume`]: the FAT file systems on it
//! - [`strip`], [`tools`]: other people's programs that are called
//! - [`tree`]: what is in a directory; [`output`]: files that appear whole
//! - [`options`]: the command line; [`error`]: messages
#![forbid(unsafe_code)]

pub mod disk;
pub mod error;
pub mod initfs;
pub mod manifest;
pub mod options;
pub mod output;
pub mod strip;
pub mod tools;
pub mod tree;
pub mod volume;

pub use error::{Context, Error, Result};
