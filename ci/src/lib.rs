//! The emulator harness: boots the system, talks to it, and judges what it
//! says.
//!
//! Lowest first: [`machine`] describes a machine and spells QEMU's command line; [`emulator`]
//! runs it and never lets it outlive us ([`reaper`]); [`capture`] and [`qmp`] are its log and
//! its controls; [`agent`] is the result channel on the second serial port; [`guest`] puts
//! these together into "boot, run commands, power off"; [`place`] boots one program in init's place. Above them: `mk-run`, `mk-qemu` and the
//! runner of the system tests ([`runner`], [`suites`]). [`workspace`] reads the source tree for
//! the rules that `tests/rules.rs` keeps. [`pairs`] finds documented errors without a test; [`reference`] makes the page of the
//! kernel's calls, [`costs`] keeps what they take, [`bench`] what the system's paths take.
#![forbid(unsafe_code)]

pub mod agent;
pub mod bench;
pub mod capture;
pub mod context;
pub mod costs;
pub mod deadline;
pub mod emulator;
pub mod error;
pub mod firmware;
pub mod guest;
pub mod input;
pub mod machine;
pub mod options;
pub mod pairs;
pub mod place;
pub mod qmp;
pub mod reaper;
pub mod reference;
pub mod runner;
pub mod screen;
pub mod sector;
pub mod suites;
pub mod workspace;
