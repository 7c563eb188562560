//! The agent: runs the commands of `mk/run` and carries their streams over a
//! serial port.
//!
//! - [`frame`]: the frames of the channel
//! - [`fw_cfg`]: what the host handed out at boot
//! - [`server`]: the channel and the command's streams, as a scheme of the agent's own
//! - [`world`]: starting commands, asking init: what the tests replace
//! - [`system`]: the real one
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod frame;
pub mod fw_cfg;
pub mod server;
pub mod system;
pub mod world;
