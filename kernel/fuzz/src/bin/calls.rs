//! Hands the calls target to libFuzzer.

#![no_main]
#![forbid(unsafe_code)]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kernel_fuzz::target::Target::Calls.run::<{ kernel_fuzz::PLANTED }>(bytes));
