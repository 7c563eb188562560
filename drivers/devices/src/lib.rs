//! The device manager: finds disks and has what serves them started.
//!
//! - [`disks`]: which functions are disks, in which order
//! - [`manager`]: what is started for each, over the [`World`](manager::World) that the tests replace
//! - [`system`]: the real world: `pci:`, `service-manager:`, the servers that were started
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod disks;
pub mod manager;
pub mod system;
