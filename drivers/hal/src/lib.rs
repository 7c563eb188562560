//! What drivers stand on: registers, DMA memory, ports and interrupts from capabilities.
//!
//! The only crate under `drivers/` with `unsafe`. A driver gets handles, never addresses; what it
//! maps here is bounds-checked, and the traits of [`access`] let it run on the host against fakes.
//!
//! - [`access`]: the traits
//! - [`virtio`]: rings and transport of virtio devices
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod access;
pub mod virtio;
