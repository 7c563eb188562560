//! Memory.
pub mod frames;
