//! The measurements behind `make bench`: guest instructions on the yardstick
//! of the design pages.
//!
//! A measurement runs its operation many times between two reads of the time-stamp counter, which under
//! `-icount shift=0` counts instructions, and takes the kernel's counters before and after. What is printed is one JSON
//! object a line: `name`, `value`, `unit`, `cr3_loads`, `kernel_entries`, `tlb_flushes`, and where there is one `copy` (of the
//! value, copying alone), `limit` or `target`.
//!
//! - [`row`]: a result
//! - [`raw`]: calls without the library around them
//! - [`counters`]: the kernel's counters, and measuring with them
//! - [`measure`]: the kernel's operations; [`objects`], [`interrupt`]: more of them; [`server`]: the second process
//! - [`place`]: the program in init's place, where these are measured
//! - [`system`]: rows of the system as it is shipped
//! - [`windows`]: the worst cases for interrupts, in init's place too
//! - [`costs`]: each call by itself
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod costs;
pub mod counters;
pub mod interrupt;
pub mod measure;
pub mod objects;
pub mod place;
pub mod raw;
pub mod row;
pub mod server;
pub mod system;
pub mod windows;
