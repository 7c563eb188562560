//! The machine layer: everything of the kernel that is hardware.
//!
//! It implements `kernel_core::machine::Machine`, starts the processor, and calls the kernel's
//! methods at each entry. One folder an architecture; [`x86_64`] is the only one.
//!
//! All `unsafe` of the running kernel is here. The parts that are arithmetic (memory map, page-table
//! walks, calibration) compile and are tested on the host; the rest exists for the bare target only.
#![cfg_attr(not(test), no_std)]
#![allow(unsafe_code, reason = "this crate is where the kernel touches the machine (conventions, 18)")]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects))]

#[cfg(target_arch = "x86_64")]
pub mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64 as machine;
