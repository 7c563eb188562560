//! The supervisor: starts, watches and restarts every service, with what its manifest lists.
//!
//! - [`manifest`]: the TOML of a service, checked
//! - [`service`]: the life of a service, pure: what to do next and when
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod manifest;
pub mod service;
