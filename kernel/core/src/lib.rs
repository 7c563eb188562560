//! The kernel's state machine: no hardware, no `unsafe`, testable on the host.
//!
//! One value, [`Kernel`], and every call, fault and interrupt is a method on it. It is generic over
//! [`machine::Machine`]; handlers return what to do [`Next`]; nothing here waits.
//!
//! - [`field`], [`id`], [`arena`], [`object`]: how objects are laid out and refer to each other
//! - [`machine`], [`address`]: what is asked of the hardware
//! - [`kernel`]: the value itself; [`boot`]: the first process
//! - [`tree`], [`list`]: intrusive containers
//! - [`log`]: the log and the reports on faults; [`fault`]: what becomes of a fault
//! - [`reaper`]: what ends in bounded steps
//! - [`cap`]: capability tables, derivation, accounts, processes, names
//! - [`mm`]: frames, memory objects, address spaces, user memory, leases' pages, pins
//! - [`ipc`]: endpoints, calls, replies, leases' lives, notifications
//! - [`sched`]: run queues, deadlines, time slices
//! - [`irq`]: interrupts, ports, device registers
//! - [`syscall`]: from registers to handlers
#![cfg_attr(not(any(test, feature = "host")), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(any(test, feature = "host")),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

pub mod address;
pub mod arena;
pub mod boot;
pub mod cap;
pub mod fault;
pub mod field;
pub mod id;
pub mod ipc;
pub mod irq;
pub mod kernel;
pub mod list;
pub mod lock;
pub mod log;
pub mod machine;
pub mod mm;
pub mod object;
pub mod reaper;
pub mod sched;
pub mod security;
pub mod syscall;
#[cfg(any(test, feature = "host"))]
pub mod test_machine;
pub mod tree;
#[cfg(any(test, feature = "host"))]
pub mod world;

#[cfg(any(test, feature = "host"))]
pub use world::pairs;

// The words that nearly every file uses.
pub use address::{CpuId, FrameNumber, PhysAddr, VirtAddr};
pub use field::{store, Field};
pub use id::{Id, Link};
pub use kernel::{InKernel, Kernel, Next};
pub use machine::Machine;
