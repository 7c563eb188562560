//! The fat scheme server.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
