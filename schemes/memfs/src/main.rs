//! The memory file system's program: as large as three quarters of its account.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::memory::PAGE_SIZE;
use abi::Handle;
use scheme::rt::calls;

/// What it may hold when nothing tells the account's size.
const DEFAULT_PAGES: u64 = 4096;

fn run() -> u64 {
    let pages = calls::quota_info(Handle::SELF_QUOTA).map_or(DEFAULT_PAGES, |(limit, _, _)| limit);
    // The rest is for the program, its sessions, and the heap's own waste.
    let limit = pages.saturating_mul(PAGE_SIZE) / 4 * 3;
    scheme::server::serve(memfs::MemFs::new(limit, scheme::time::wall_ns))
}

scheme::entry!(run);
