//! The partition server: the parts of a disk, each as a block device of its
//! own.
//!
//! - [`server`]: requests to operations, forwarded to the disk with bounds
//! - [`table`]: what a disk's partition table says, whatever its kind
//! - [`mbr`]: the four entries of a master boot record, and the chain of logical ones
//! - [`gpt`]: GUID partition tables, checked, with the backup to fall back on
//! - [`crc32`]: the checksum of GPT
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod crc32;
pub mod gpt;
pub mod mbr;
pub mod server;
pub mod table;

pub use server::PartitionServer;
