//! The contract between the kernel and user programs, compiled by both sides.
//!
//! Numbers and layouts here are kept: fields may be added where a length or a version says so, and
//! nothing is renumbered. What each word means, who writes it and who reads it stands beside it.
//!
//! - [`call`]: the kernel's calls, one row each
//! - [`error`]: why a call or a scheme operation fails
//! - [`quota`]: what an account tells of itself
//! - [`refusal`]: which errors each call answers with
//! - [`event`]: what sessions are ready for, and how that is told
//! - [`handle`], [`rights`], [`kind`]: what a capability looks like to its holder
//! - [`message`]: registers and the IPC buffer of a message, leases
//! - [`memory`]: kinds of memory, protections, the user half
//! - [`fault`]: the report on a thread that died of a fault
//! - [`boot`]: what the loader tells the kernel, and what the kernel gives init
//! - [`start`]: what a new process finds in its first page
//! - [`thread`]: a thread's registers, the frames of upcalls, the messages on faults
//! - [`initfs`]: the archive that travels with the kernel
//! - [`security`]: policies, labels, types, audit records
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod boot;
pub mod call;
pub mod cost;
pub mod error;
pub mod event;
pub mod fault;
pub mod handle;
pub mod initfs;
pub mod kind;
pub mod memory;
pub mod message;
pub mod quota;
pub mod refusal;
pub mod rights;
pub mod security;
pub mod start;
pub mod thread;

pub use error::{Error, Result};
pub use handle::Handle;
pub use kind::Kind;
pub use rights::Rights;
