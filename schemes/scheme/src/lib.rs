//! The library of every scheme server and client.
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod block;
pub mod block_client;
pub mod block_server;
pub mod client;
pub mod dispatch;
pub mod elf;
pub mod entry;
#[cfg(not(target_os = "none"))]
pub mod host;
pub mod keepsake;
pub mod lease;
pub mod log;
pub mod message;
pub mod notification;
pub mod path;
pub mod process;
pub mod rt;
pub mod scheme;
pub mod sequence;
pub mod server;
pub mod services;
pub mod session;
pub mod sessions;
pub mod stat;
pub mod store;
pub mod time;
pub mod wire;

pub use abi::{Error, Handle, Result, Rights};
