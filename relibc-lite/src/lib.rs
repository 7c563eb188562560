//! The C library of LimitlessOS, in its beginnings: POSIX over schemes.
//!
//! What is here so far is the contract that everything else stands on: which `errno` a program sees for
//! which error of the system. Symbols, headers and start files come with the POSIX work.
//!
//! - [`errno`]: errors as C programs number them
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod errno;
