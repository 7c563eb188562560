//! The partition server's program: opens the disk it was told of and serves
//! its parts.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::{Error, Result};
use partition::PartitionServer;
use scheme::block_client::SchemeDevice;
use scheme::rt::start;
use scheme::wire::OpenFlags;

/// The disk when no argument names one.
const DISK: &str = "disk:";

fn open() -> Result<SchemeDevice> {
    let path = start::arguments().get(1).cloned().unwrap_or_else(|| DISK.into());
    let write = OpenFlags::READ | OpenFlags::WRITE;
    match SchemeDevice::open(&path, write) {
        Err(Error::ReadOnly | Error::PermissionDenied) => SchemeDevice::open(&path, OpenFlags::READ),
        other => other,
    }
}

fn run() -> u64 {
    match open() {
        Ok(disk) => scheme::server::serve(PartitionServer::new(disk)),
        Err(error) => {
            log::error!("no disk: {error}");
            1
        }
    }
}

scheme::entry!(run);
