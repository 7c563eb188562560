//! The memory file system: directories and files that live as long as their
//! server.
//!
//! - [`server`]: requests to operations
//! - [`tree`]: names and nodes
//! - [`contents`]: the bytes of a file, in chunks, sparse
//! - [`budget`]: how much memory all of it may take
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod budget;
pub mod contents;
pub mod server;
pub mod tree;

pub use server::MemFs;
