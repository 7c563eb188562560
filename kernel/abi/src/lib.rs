//! The contract between kernel and user programs.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
