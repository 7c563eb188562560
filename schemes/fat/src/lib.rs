//! The FAT12/16/32 file system with long names: engine and scheme server.
//!
//! `Fat` is a mounted volume over any `BlockDevice`; everything else is a noun it is made of. The
//! engine holds no threads and no clock of its own: the device and the time are arguments, so the
//! whole of it runs on the host. README.md says what it promises after a crash, and its limits.
//!
//! - `volume` the mounted volume: mount, ordered commit, sync, space
//! - `boot_sector` the boot sector as validated values
//! - `cache` sectors in memory, bounded, written back in order
//! - `table` the allocation table: cells, allocation, deferred changes
//! - `chain` which clusters a file has, as extents
//! - `entry`, `long_name`, `names` directory slots and what a name may be
//! - `directory`, `insertion` reading and changing directories
//! - `node` open files and directories
//! - `file` reading, writing, truncating
//! - `namespace`, `rename` names to nodes: look up, make, remove, move
//! - `recover` what is put right when a volume was not closed properly
//! - `time` FAT time stamps
//! - `server` the scheme
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod boot_sector;
mod cache;
mod chain;
mod directory;
pub mod entry;
mod file;
mod insertion;
mod long_name;
mod names;
mod namespace;
mod node;
mod recover;
mod rename;
pub mod server;
mod table;
pub mod time;
pub mod volume;

pub use cache::CacheStats;
pub use namespace::DirEntry;
pub use node::{Kind, NodeId, Stat};
pub use volume::{Clock, Fat, MountOptions, Space};
