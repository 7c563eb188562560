//! The library of every scheme server and client.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod block;
