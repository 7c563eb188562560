//! Builds initfs and the disk image on the host.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
