//! What a stream of bytes can do to the core: two targets for a fuzzer, and
//! their kept inputs.
//!
//! A target turns bytes into operations on a [`World`](kernel_core::world::World), has everything checked after each of
//! them, and in the end takes all apart and looks whether every frame is back. A panic is a finding. The binaries
//! `fuzz-calls` and `fuzz-messages` hand the targets to libFuzzer (`mk/fuzz.sh`); a plain test replays the kept inputs.
//!
//! - [`input`]: bytes as numbers
//! - [`number`]: numbers that are worth trying
//! - [`handle`]: handles, most of which name something
//! - [`calls`]: any call with any registers, from several processes
//! - [`messages`]: messages, and that each arrives once, at the right one, as it was sent
//! - [`end`]: taking a world apart
//! - [`target`]: the targets by name
//! - [`pack`]: many inputs in one file
//! - [`trace`]: what an input does, told as it goes

#![forbid(unsafe_code)]

pub mod calls;
pub mod end;
pub mod handle;
pub mod input;
pub mod messages;
pub mod number;
pub mod pack;
pub mod target;
pub mod trace;

/// The fault that is planted in the core the binaries run on: none, but where the feature `planted` shows that one is found.
pub const PLANTED: u8 =
    if cfg!(feature = "planted") { kernel_core::machine::Fault::GENERATION } else { kernel_core::machine::Fault::NONE };
