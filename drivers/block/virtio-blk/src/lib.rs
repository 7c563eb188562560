//! The virtio block driver: requests in, descriptors out, interrupts back;
//! nothing polls.
//!
//! - [`disk`]: requests on a virtqueue (virtio 1.2, section 5.2), with the device distrusted
//! - [`server`]: the scheme: a block device whose calls wait for their interrupt
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod disk;
pub mod server;
