//! Names, security, early drivers and signals of the kernel.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
