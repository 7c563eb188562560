//! The kept inputs, run without a fuzzer: none finds anything, and on a core
//! with a fault some do.

use kernel_core::machine::Fault;
use kernel_fuzz::pack::unpack;
use kernel_fuzz::target::Target;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// The kept inputs of a target.
fn kept(target: Target) -> Vec<Vec<u8>> {
    let file: &[u8] = match target {
        Target::Calls => include_bytes!("../corpus/calls.pack"),
        Target::Messages => include_bytes!("../corpus/messages.pack"),
    };
    let inputs = unpack(file).expect("the file is whole");
    assert!(inputs.len() >= 50, "{}: there are inputs", target.name());
    inputs
}

fn nothing_is_found(target: Target) {
    let inputs = kept(target);
    for (number, input) in inputs.iter().enumerate() {
        println!("{} {number}: {input:02x?}", target.name());
        target.run::<{ Fault::NONE }>(input);
    }
}

#[test]
fn the_kept_inputs_of_calls_find_nothing() {
    nothing_is_found(Target::Calls);
}

#[test]
fn the_kept_inputs_of_messages_find_nothing() {
    nothing_is_found(Target::Messages);
}

/// Whether some kept input finds the fault.
fn is_found<const FAULT: u8>(target: Target) -> bool {
    kept(target).iter().any(|input| catch_unwind(AssertUnwindSafe(|| target.run::<FAULT>(input))).is_err())
}

#[test]
fn a_lookup_that_does_not_compare_rights_is_found() {
    assert!(is_found::<{ Fault::RIGHTS }>(Target::Calls));
    assert!(is_found::<{ Fault::RIGHTS }>(Target::Messages));
}

#[test]
fn a_lookup_that_does_not_compare_generations_is_found() {
    assert!(is_found::<{ Fault::GENERATION }>(Target::Calls));
    assert!(is_found::<{ Fault::GENERATION }>(Target::Messages));
}
