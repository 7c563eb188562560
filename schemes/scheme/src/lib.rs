//! The library of every scheme server and client: what a driver's author reads
//! first.
//!
//! A *scheme* is a name such as `file:`, `disk-1:` or `hello:` behind which a server answers messages. A program
//! opens `scheme:path` and gets a session; reading, writing and the rest are calls on it, with the program's own
//! memory lent for the length of the call. A server is a value of a type that implements [`scheme::Scheme`]:
//!
//! ```
//! use scheme::lease::Target;
//! use scheme::scheme::{Caller, Opened, Outcome, Scheme};
//! use scheme::wire::OpenFlags;
//!
//! struct Hello;
//!
//! impl Scheme for Hello {
//!     fn open(&mut self, _: &Caller, _path: &str, _: OpenFlags) -> Outcome<Opened> {
//!         Ok(Opened::new(1))
//!     }
//!     fn read(&mut self, _: &Caller, offset: u64, target: &mut Target<'_>) -> Outcome<usize> {
//!         Ok(target.fill_from(b"Hello, world!\n", offset)?)
//!     }
//! }
//!
//! // On the machine: `scheme::server::serve(Hello)`. Here, through the same dispatcher and client:
//! # #[cfg(not(target_os = "none"))] {
//! let harness = scheme::host::Harness::new(Hello);
//! let file = harness.root().open_at("x", OpenFlags::READ)?;
//! assert_eq!(file.read_to_end(100)?, b"Hello, world!\n");
//! # }
//! # Ok::<(), scheme::Error>(())
//! ```
//!
//! `schemes/example` is a whole one, with its program, tests and manifest.
//!
//! What a server is told of
//! - [`scheme`]: the trait; [`lease`]: what callers lend; [`entry`], [`stat`]: directories and attributes
//! - [`server`]: the loop; [`dispatch`]: request to method; [`sessions`]: what is open
//! - [`keepsake`], [`sequence`], [`store`]: what survives a crash, and calls that are done once
//! - [`host`]: the harness for tests
//!
//! What a client uses
//! - [`client`]: files; [`session`], [`message`]: what they are called through; [`path`]: names
//! - [`process`], [`elf`]: starting programs; [`services`]: asking init
//!
//! What both share
//! - [`wire`]: the protocol, word by word; [`block`], [`block_client`], [`block_server`]: disks
//! - [`ring`]: asynchronous messages through shared memory
//! - [`log`], [`notification`], [`time`]; [`rt`]: kernel calls, start, heap, threads, and all the `unsafe`
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod block;
pub mod block_client;
pub mod block_server;
pub mod client;
pub mod dispatch;
pub mod elf;
pub mod entry;
pub mod event;
#[cfg(not(target_os = "none"))]
pub mod host;
pub mod keepsake;
pub mod lease;
pub mod log;
pub mod message;
pub mod notification;
pub mod path;
pub mod process;
pub mod ring;
pub mod rt;
pub mod scheme;
pub mod sequence;
pub mod server;
pub mod services;
pub mod session;
pub mod sessions;
pub mod stat;
pub mod store;
pub mod time;
pub mod wire;

pub use abi::{Error, Handle, Result, Rights};

/// The examples in the kernel's own page, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../kernel/README.md")]
struct KernelExamples;
