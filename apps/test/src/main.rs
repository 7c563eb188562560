//! Hostile programs and scenarios, many to one binary: see README.md.
//!
//! - [`tap`]: what a test answers, and how that is written
//! - [`part`]: this program again, as another process
//! - [`raw`]: faults on purpose, raw calls
//! - [`disk`]: a block driver's counters, for tests that attach one
//! - one file a subject: [`die`], [`handles`], [`names`], [`messages`], [`leases`], [`mapped`], [`frames`], [`memory`], [`fork`],
//!   [`pager`], [`objects`], [`threads`], [`restart`], [`journal`], [`event`], [`ring`], [`futex`], [`process`], [`time`], [`registers`], [`upcall`], [`debug`], [`revoke`], [`security`], [`quota`], [`fill`],
//!   [`chaos`]
//! - [`smp`]: what only several processors show, asked for by name
//! - [`roots`]: the program in init's place, and what is tried there: [`ports`], [`device_memory`], [`interrupt`], [`domain`], [`system`], [`policy`]
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![deny(unsafe_code)]

extern crate alloc;

mod chaos;
mod debug;
mod device_memory;
mod die;
mod disk;
mod domain;
mod event;
mod fill;
mod fork;
mod frames;
mod futex;
mod handles;
mod interrupt;
mod journal;
mod leases;
mod mapped;
mod memory;
mod messages;
mod names;
mod objects;
mod pager;
mod part;
mod policy;
mod ports;
mod process;
mod quota;
mod raw;
mod registers;
mod restart;
mod revoke;
mod ring;
mod roots;
mod security;
mod smp;
mod system;
mod tap;
mod threads;
mod time;
mod upcall;

use alloc::string::String;
use alloc::vec::Vec;
use scheme::rt::start;
use tap::{Out, Test};

scheme::entry!(run);

/// All tests, in the order they are run.
fn all() -> Vec<&'static Test> {
    let subjects = [
        time::TESTS,
        handles::TESTS,
        names::TESTS,
        journal::TESTS,
        objects::TESTS,
        threads::TESTS,
        threads::PRIORITIES,
        messages::TESTS,
        restart::TESTS,
        memory::TESTS,
        fork::TESTS,
        pager::TESTS,
        quota::TESTS,
        fill::TESTS,
        process::TESTS,
        registers::TESTS,
        upcall::TESTS,
        debug::TESTS,
        revoke::TESTS,
        security::TESTS,
        leases::TESTS,
        mapped::TESTS,
        frames::TESTS,
        event::TESTS,
        ring::TESTS,
        futex::TESTS,
        die::TESTS,
        chaos::TESTS,
    ];
    subjects.into_iter().flatten().collect()
}

fn run() -> u64 {
    if roots::are_ours() {
        return roots::run();
    }
    let arguments: Vec<String> = start::arguments().into_iter().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let out = Out::new();
    match words.as_slice() {
        ["part", name, rest @ ..] => part::play(name, rest),
        ["disk", rest @ ..] => disk::run(&out, rest),
        ["smp", rest @ ..] => match smp::run(rest) {
            Ok(()) => 0,
            Err(why) => {
                out.line(&alloc::format!("{why:?}"));
                1
            }
        },
        ["die"] => {
            out.line(&die::WAYS.iter().map(|way| way.name).collect::<Vec<_>>().join(" "));
            0
        }
        ["die", how] => die::die(how),
        ["list"] => {
            all().iter().for_each(|test| out.line(test.name));
            0
        }
        ["list", "roots"] => {
            roots::all().iter().for_each(|test| out.line(test.name));
            0
        }
        [] => tap::run(&out, &all()),
        names => {
            let known = all();
            let mut chosen = Vec::new();
            for name in names {
                match known.iter().find(|test| test.name == *name) {
                    Some(test) => chosen.push(*test),
                    None => {
                        out.line(&alloc::format!("Bail out! there is no test '{name}'"));
                        return 2;
                    }
                }
            }
            tap::run(&out, &chosen)
        }
    }
}
