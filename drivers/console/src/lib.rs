//! The console server: one terminal on the serial line, the framebuffer and
//! the keyboard.
//!
//! What programs write goes to the serial line as it is, and through [`screen`] to the framebuffer;
//! what comes in on the line or from the keyboard is one stream, which [`discipline`] edits.
//!
//! - [`screen`]: the terminal: cells, cursor, escape sequences
//! - [`font`]: the glyphs, also for tests that look at screenshots
//! - [`paint`]: cells to pixels
//! - [`framebuffer`]: where the pixels go
//! - [`keyboard`]: scan codes to bytes
//! - [`discipline`]: raw and line-wise input
//! - [`server`]: the scheme
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod discipline;
pub mod font;
pub mod framebuffer;
pub mod keyboard;
pub mod paint;
pub mod screen;
pub mod server;
