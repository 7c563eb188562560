//! What the kernel does beside its state machine, once, at boot.
//!
//! Safe code: what it needs of the machine is handed in as functions.
//!
//! - [`acpi`]: the few things the kernel reads from the firmware's tables
//! - [`elf`], [`first`]: init's program, and the first process
//! - [`options`]: the words of the command line
//! - [`logger`]: from the `log` macros to the console and the kernel's log
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod acpi;
pub mod elf;
pub mod first;
pub mod logger;
pub mod options;
