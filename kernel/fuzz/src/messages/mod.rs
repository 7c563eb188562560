//! Placeholder.

/// Runs one input.
pub fn run<const FAULT: u8>(_bytes: &[u8]) {}
