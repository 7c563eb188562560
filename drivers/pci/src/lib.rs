//! The PCI bus manager: finds functions, hands each to one driver, stops what
//! a dead driver left.
//!
//! - [`space`]: configuration space, by ECAM or by ports
//! - [`function`]: what a function is and has
//! - [`enumerate`]: finding them
//! - [`server`]: the scheme `pci:`
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod enumerate;
pub mod function;
pub mod server;
pub mod space;
