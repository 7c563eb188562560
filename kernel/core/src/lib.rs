//! The kernel's state machine, without hardware.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
