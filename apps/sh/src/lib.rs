//! The shell: reads lines, runs commands, is the first program a person meets.
//!
//! - [`lexer`], [`parser`], [`expand`], [`pattern`]: from text to arguments
//! - [`editor`]: line editing and history
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod editor;
pub mod expand;
pub mod lexer;
pub mod parser;
pub mod pattern;
