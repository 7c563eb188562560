//! The UEFI loader: from firmware to the kernel's first instruction.
//!
//! Built for `x86_64-unknown-uefi` and put at `\EFI\BOOT\BOOTX64.EFI`. On the host this is a program
//! that only says so; what it decides is in the library and tested there.
#![cfg_attr(target_os = "uefi", no_std, no_main)]
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

#[cfg(target_os = "uefi")]
extern crate alloc;

#[cfg(target_os = "uefi")]
mod firmware;

#[cfg(not(target_os = "uefi"))]
fn main() -> std::process::ExitCode {
    eprintln!("the loader runs on UEFI firmware: build it for x86_64-unknown-uefi");
    std::process::ExitCode::FAILURE
}
