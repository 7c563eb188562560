//! Hands the messages target to libFuzzer.

#![no_main]
#![forbid(unsafe_code)]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kernel_fuzz::target::Target::Messages.run::<{ kernel_fuzz::PLANTED }>(bytes));
