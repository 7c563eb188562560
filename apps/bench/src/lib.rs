//! The measurements behind `make bench`: guest instructions on the yardstick
//! of the design pages.
//!
//! A measurement runs its operation many times between two reads of the time-stamp counter, which under
//! `-icount shift=0` counts instructions, and takes the kernel's counters before and after. What is printed is one JSON
//! object a line: `name`, `value`, `unit`, `cr3_loads`, `kernel_entries`, `tlb_flushes`, and `limit` where there is one.
//!
//! - [`row`]: a result
//! - [`raw`]: calls without the library around them
//! - [`measure`]: the operations
//! - [`costs`]: each call by itself
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod costs;
pub mod measure;
pub mod raw;
pub mod row;
