//! The supervisor: starts, watches and restarts every service, with what its
//! manifest lists.
//!
//! - [`audit`]: the audit record as lines
//! - [`manifest`]: the TOML of a service, checked
//! - [`policy`]: the security policy, from TOML to the kernel's numbers
//! - [`life`]: the life of a service, pure: what to do next and when
//! - [`service`]: a service, and what init holds for it
//! - [`roots`]: what the kernel gives init
//! - [`rtc`]: the time of day
//! - [`supervisor`]: the services and what is done with them
//! - [`symbols`]: fault reports as people read them
//! - [`upgrade`]: new builds of services
//! - [`server`]: `services:`, `service-manager:`, `audit:`
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod audit;
pub mod life;
pub mod manifest;
pub mod policy;
pub mod roots;
pub mod rtc;
pub mod server;
pub mod service;
pub mod supervisor;
pub mod symbols;
pub mod upgrade;
