//! Random sequences of operations of many processes, checked against a simple
//! model of what should happen.
//!
//! Every call's answer is predicted; after every operation every thread has to be where the model has it (no wake-up is
//! lost, none comes from nowhere); every so often whole capability tables are compared, and every frame has to have
//! one owner and one payer. The same runs against a core with a fault planted in it have to fail.

mod authority;
mod exchange;
mod leases;
mod messages;
mod ops;
mod reference;
mod run;

use kernel_core::machine::Fault;
use kernel_core::world::frames;
use run::{Run, FRAMES};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// Operations of one seed: tables and accounts get old, but not so old that processes of the model pile up.
const OPERATIONS: u64 = 5_000;
/// Seeds of the run that every `make test` makes.
const SEEDS: u64 = 40;

fn run<const FAULT: u8>(seed: u64, operations: u64) -> Run<FAULT> {
    let mut run = Run::<FAULT>::new(seed);
    while run.operations < operations {
        run.step();
        if run.operations.is_multiple_of(64) {
            run.compare_tables();
            run.compare_objects();
            frames::check(&run.w.kernel, FRAMES);
        }
    }
    run.compare_tables();
    run.w.end();
    frames::check(&run.w.kernel, FRAMES);
    run
}

#[test]
fn the_core_does_what_the_model_says() {
    let multiply: u64 = std::env::var("MODEL_MULT").ok().and_then(|m| m.parse().ok()).unwrap_or(1);
    let (mut total, mut delivered, mut answered, mut told_of) = (0, 0, 0, 0);
    let mut done: std::collections::BTreeMap<&str, [u64; 2]> = Default::default();
    for seed in 1..=SEEDS * multiply {
        println!("seed {seed}");
        let run = run::<{ Fault::NONE }>(seed, OPERATIONS);
        total += run.operations;
        delivered += run.m.delivered;
        answered += run.m.answered;
        told_of += run.m.told_of;
        for (name, [ok, failed]) in run.done {
            let count = done.entry(name).or_default();
            *count = [count[0] + ok, count[1] + failed];
        }
    }
    println!("{total} operations, no failure: at most 3 in {total} at 95 %");
    println!("{delivered} messages were handed over, {answered} answers, {told_of} told of as cancelled");
    for (name, [ok, failed]) in &done {
        println!("{name}: {ok} went through, {failed} were refused");
        assert!(*ok > 0, "{name} never went through");
    }
    assert!(total >= 100_000 && delivered >= 10_000 && answered >= 5_000 && told_of >= 100);
    assert!(done.len() >= 25, "calls that were made");
}

/// Runs against a core with a fault until the model notices; answers after how many seeds.
fn caught<const FAULT: u8>() -> Option<u64> {
    (1..=10).find(|seed| catch_unwind(AssertUnwindSafe(|| run::<FAULT>(*seed, OPERATIONS))).is_err())
}

#[test]
fn a_lookup_that_does_not_compare_rights_is_noticed() {
    assert_eq!(caught::<{ Fault::RIGHTS }>(), Some(1));
}

#[test]
fn a_lookup_that_does_not_compare_generations_is_noticed() {
    assert_eq!(caught::<{ Fault::GENERATION }>(), Some(1));
}

#[test]
fn children_that_are_not_handed_to_their_grandparent_are_noticed() {
    assert_eq!(caught::<{ Fault::REPARENT }>(), Some(1));
}
