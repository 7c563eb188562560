//! What drivers stand on: registers, DMA memory, ports and interrupts from
//! capabilities.
//!
//! The only crate under `drivers/` with `unsafe`. A driver gets handles, never addresses; what it
//! maps here is bounds-checked, and the traits of [`access`] let it run on the host against fakes.
//!
//! - [`access`]: the traits
//! - [`window`], [`port`], [`interrupt`], [`dma`]: what is behind them on LimitlessOS
//! - [`bus`]: the contract between the bus manager and drivers, and the driver's side of it
//! - [`device`]: a claimed PCI device
//! - [`config`], [`acpi`]: for the bus manager
//! - [`uart`]: a serial port
//! - [`virtio`]: rings and transport of virtio devices
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod access;
pub mod acpi;
pub mod bus;
pub mod config;
pub mod device;
pub mod dma;
pub mod interrupt;
pub mod port;
pub mod uart;
pub mod virtio;
pub mod window;
