//! `initfs:`: the archive that came with the kernel, as a read-only tree.
//!
//! - [`server`]: requests to operations
//! - [`tree`]: directories, inferred from the files' names
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod server;
pub mod tree;

pub use server::InitFs;
