//! Runs the system tests: `ci-tests [--list] [--long] [--mult N] [FILTER...]`.
//!
//! A filter selects the tests whose name holds it. One line a test; the last line is
//! `N passed, N failed`.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use ci::context::Context;
use ci::runner::{self, Unit, Work};
use ci::suites;

fn main() -> ExitCode {
    // The tree this was built from; a run from elsewhere may name another.
    let top = std::env::var_os("LIMITLESS_TOP")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")), PathBuf::from);
    let mut context = Context::new(top);
    let mut filters = Vec::new();
    let mut list = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => list = true,
            "--long" => context.long = true,
            "--mult" => match arguments.next().and_then(|value| value.parse().ok()) {
                Some(mult) => context.mult = mult,
                None => return usage("--mult needs a number"),
            },
            option if option.starts_with('-') => return usage(&format!("unknown option {option}")),
            _ => filters.push(argument),
        }
    }
    let units = suites::all();
    if list {
        units.iter().for_each(print);
        return ExitCode::SUCCESS;
    }
    if runner::run(&context, units, &filters) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn usage(words: &str) -> ExitCode {
    eprintln!("ci-tests: {words}\nusage: ci-tests [--list] [--long] [--mult N] [FILTER...]");
    ExitCode::from(2)
}

fn print(unit: &Unit) {
    match &unit.work {
        Work::Alone(_) => println!("{}", unit.name),
        Work::Told(_) => println!("{}: what the machine tells", unit.name),
        Work::Boot(plan) => {
            let names = plan.cases.iter().map(|case| &case.name).chain(plan.after.iter().map(|case| &case.name));
            names.for_each(|name| println!("{}: {name}", unit.name));
            if let Some(program) = &plan.discover {
                println!("{}: what `{program} list` names", unit.name);
            }
        }
    }
}
