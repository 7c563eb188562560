//! The machine layer for x86_64.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
