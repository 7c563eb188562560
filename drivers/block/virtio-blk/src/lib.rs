//! The virtio block driver.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
