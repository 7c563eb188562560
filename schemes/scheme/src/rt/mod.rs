//! The runtime: kernel calls, start, heap, threads. The library's only
//! `unsafe`.
//!
//! Everything above it is safe Rust. On the host (`target_os` is not `none`) the same functions exist
//! and every kernel call answers `NoSuchCall`, so that servers compile and are tested there.
//!
//! - [`syscall`]: the stubs, one for each row of the contract
//! - [`calls`]: the same, safe and typed, for all that can't hurt the caller's own memory
//! - [`clone`](mod@clone): copies of memory, of this process
//! - [`buffer`]: the thread's IPC buffer, and what a thread keeps for itself in it
//! - [`message`]: call, receive, reply
//! - [`event`]: event queues, readiness, futexes
//! - [`lease`]: copying, mapping and pinning what callers lent
//! - [`memory`]: mapping Memory objects
//! - [`pager`]: memory whose pages this program supplies; pressure
//! - [`quota`]: accounts: limits, and what they are used for
//! - [`security`]: labels, policy, audit record
//! - [`start`]: entry, start block, panics
//! - [`heap`]: the global allocator
//! - [`thread`]: more threads; [`debug`]: looking at them
//! - [`upcall`]: functions that interrupt them
#![allow(unsafe_code, reason = "kernel calls, raw memory and entry points live here and nowhere else in the library")]

pub mod buffer;
pub mod calls;
pub mod clone;
pub mod debug;
pub mod event;
#[cfg(target_os = "none")]
pub mod heap;
pub mod lease;
pub mod memory;
pub mod message;
pub mod pager;
pub mod quota;
pub mod security;
pub mod start;
pub mod syscall;
pub mod thread;
pub mod upcall;
