//! The initfs server's program: maps the archive it was given and serves it.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::initfs::{Archive, HEADER};
use abi::memory::PAGE_SIZE;
use abi::{Error, Result};
use initfs::InitFs;
use scheme::rt::{calls, memory, start};

/// The archive under the start block's `initfs`.
fn archive() -> Result<InitFs<'static>> {
    let handle = start::handle("initfs").ok_or(Error::NotFound)?;
    let (pages, _, _) = calls::memory_info(handle)?;
    let mut head = [0; HEADER];
    calls::memory_read(handle, 0, &mut head)?;
    let length = Archive::total_length(&head).ok_or(Error::Corrupt)?;
    if length > pages.saturating_mul(PAGE_SIZE) {
        return Err(Error::Corrupt);
    }
    InitFs::new(Archive::new(memory::fixed_bytes(handle, length)?)?)
}

fn run() -> u64 {
    match archive() {
        Ok(server) => scheme::server::serve(server),
        Err(error) => {
            log::error!("no archive to serve: {error}");
            1
        }
    }
}

scheme::entry!(run);
