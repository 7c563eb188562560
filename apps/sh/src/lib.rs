//! The shell: reads lines, runs commands, is the first program a person meets.
//!
//! - [`lexer`], [`parser`], [`expand`], [`pattern`], [`quote`]: from text to arguments, and back
//! - [`shell`], [`builtin`], [`program`]: the interpreter, what changes it, the programs it starts
//! - [`commands`], [`context`]: the commands that run inside it
//! - [`system`], [`paths`], [`view`]: the world as it sees it; [`machine`] is the real one
//! - [`editor`], [`interactive`]: line editing and history, talking with a person
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod builtin;
pub mod commands;
pub mod context;
pub mod editor;
pub mod expand;
pub mod interactive;
pub mod lexer;
pub mod machine;
pub mod parser;
pub mod paths;
pub mod pattern;
pub mod program;
pub mod quote;
pub mod shell;
pub mod system;
pub mod view;
