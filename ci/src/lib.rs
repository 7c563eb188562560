//! The emulator harness and the system tests.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
