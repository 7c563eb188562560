//! The example scheme: `hello:`. All of it is in [`server`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod server;

pub use server::Hello;
