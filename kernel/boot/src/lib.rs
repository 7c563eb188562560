//! The UEFI loader's decisions, apart from the firmware: what the host can
//! test.
//!
//! The binary beside this library talks to the firmware; every choice it makes comes from here.
//! Nothing here touches memory it was not handed as a slice.
//!
//! - [`kernel`]: what of `kernel.elf` goes where
//! - [`tables`]: the page tables the kernel starts on
//! - [`regions`]: from the firmware's memory map to the kernel's
//! - [`screen`]: which video mode
//! - [`options`]: the command line
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "a test that panics has failed, which is what it is for"
    )
)]

extern crate alloc;

pub mod kernel;
pub mod options;
pub mod regions;
pub mod screen;
pub mod tables;

/// Bytes in a page.
pub const PAGE: u64 = abi::memory::PAGE_SIZE;
/// Bytes in a large page.
pub const LARGE_PAGE: u64 = abi::memory::LARGE_PAGE_SIZE;
/// The loader keeps everything it leaves to the kernel below this, and maps all of it one to one.
pub const IDENTITY_END: u64 = 4 << 30;

/// Pages that hold `bytes`.
pub const fn pages(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE)
}
