//! `make bench`: what the guest measured, beside what it has to be.
//!
//! `app-bench` measures inside, on one processor where an instruction is a nanosecond, and gives one JSON object a row.
//!
//! - [`row`]: a row, and rows of several runs put together
//! - [`run`]: the machines that measure
//! - [`baseline`]: the committed figures, and what is worse than they are
//! - [`peers`]: what seL4 and Linux take
//! - [`table`]: all of it to be read
//! - [`windows`]: how long interrupts are off, and how late an urgent thread is

pub mod baseline;
pub mod peers;
pub mod row;
pub mod run;
pub mod table;
pub mod windows;
