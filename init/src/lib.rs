//! The supervisor of every service.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
