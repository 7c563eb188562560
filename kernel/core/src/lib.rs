//! The kernel's state machine: no hardware, no `unsafe`, testable on the host.
//!
//! One value, [`Kernel`], and every call, fault and interrupt is a method on it. It is generic over
//! [`machine::Machine`]; handlers return what to do [`Next`]; nothing here waits.
//!
//! - [`field`], [`id`], [`arena`], [`object`]: how objects are laid out and refer to each other
//! - [`machine`], [`address`]: what is asked of the hardware
//! - [`kernel`]: the value itself
//! - [`tree`], [`list`]: intrusive containers
//! - [`cap`]: capability tables, derivation, accounts, processes, names
//! - [`mm`]: frames, memory objects, address spaces, user memory, leases' pages, pins
//! - [`ipc`]: endpoints, calls, replies, leases' lives, notifications
//! - [`sched`]: run queues, deadlines, time slices
//! - [`irq`]: interrupts, ports, device registers
//! - [`syscall`]: from registers to handlers
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod address;
pub mod arena;
pub mod field;
pub mod id;
pub mod kernel;
pub mod machine;
pub mod mm;
pub mod object;
pub mod sched;

pub use kernel::{Kernel, Next};
