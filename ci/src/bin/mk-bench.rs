//! `make bench`: runs the measurements on the yardstick, shows them, and holds
//! them against the baseline.
//!
//! Without options: three runs and one with fast string moves; a table, and `build/bench.json`. `--check` is one run and no table:
//! what `make test` does. `--write-baseline REASON` writes the committed figures anew. A fault that [`ci::bench::baseline`] finds
//! makes the whole fail.
//! `--windows` measures how long interrupts are off: [`ci::bench::windows`].
//!
//! With `--write-costs` or `--check-costs` it measures what each call costs instead: see [`ci::costs`].
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ci::bench::baseline::{self, Baseline};
use ci::bench::row::{beside, together, Row};
use ci::bench::run::{self, Erms};
use ci::bench::table::table;
use ci::bench::windows;
use ci::context::Context;
use ci::costs;

/// How often everything is measured for the table.
const RUNS: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let context = Context::new(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
    let done = match words.as_slice() {
        [] => show(&context, &context.build().join("bench.json")),
        ["--out", path] => show(&context, Path::new(path)),
        ["--check"] => run::all(&context, Erms::Hidden).and_then(|rows| judge(&context, &rows)),
        ["--write-baseline", reason] => write_baseline(&context, reason),
        ["--windows"] => show_windows(&context),
        ["--write-costs", path] => write_costs(&context, path),
        ["--check-costs", path] => check_costs(&context, path),
        _ => {
            eprintln!(
                "usage: mk-bench [--out FILE | --check | --write-baseline REASON | --windows | --write-costs FILE | --check-costs FILE]"
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            eprintln!("bench: {words}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, prints the table, keeps the rows, and judges them.
fn show(context: &Context, out: &Path) -> Result<(), String> {
    let runs = (0..RUNS).map(|_| run::all(context, Erms::Hidden)).collect::<Result<Vec<_>, _>>()?;
    let mut rows = together(&runs)?;
    beside(&mut rows, &run::all(context, Erms::Shown)?)?;
    print!("{}", table(&rows));
    let lines: Vec<_> = rows.iter().map(|row| format!("  {}", row.to_json())).collect();
    std::fs::write(out, format!("[\n{}\n]\n", lines.join(",\n")))
        .map_err(|error| format!("{}: {error}", out.display()))?;
    judge(context, &rows)
}

/// Holds rows against limits and baseline: remarks are told, faults are the error.
fn judge(context: &Context, rows: &[Row]) -> Result<(), String> {
    let compiler = baseline::compiler(&context.build())?;
    let found = Baseline::read(&context.top.join(baseline::PATH))?.judge(&compiler, rows);
    for remark in &found.remarks {
        println!("bench: {remark}");
    }
    if found.faults.is_empty() {
        Ok(())
    } else {
        Err(found.faults.join("\nbench: "))
    }
}

fn write_baseline(context: &Context, reason: &str) -> Result<(), String> {
    let path = context.top.join(baseline::PATH);
    let mut all = Baseline::read(&path)?;
    let rows = run::kernel(context, Erms::Hidden)?;
    all.set(&baseline::compiler(&context.build())?, reason, &rows)?;
    std::fs::write(&path, all.text()).map_err(|error| format!("{}: {error}", path.display()))
}

/// How long interrupts are off through the worst cases.
fn show_windows(context: &Context) -> Result<(), String> {
    let report = windows::run(context)?;
    print!("{}", report.table());
    let faults = report.faults();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("\nbench: "))
    }
}

/// Measures what each call costs, and writes it.
fn write_costs(context: &Context, path: &str) -> Result<(), String> {
    let measured = costs::parse(&run::inside(context, Erms::Hidden, &["app-bench", "calls"])?)?;
    std::fs::write(path, costs::lines(&measured)).map_err(|error| format!("{path}: {error}"))
}

/// Measures what each call costs, and complains of what is written where that is not so any more.
fn check_costs(context: &Context, path: &str) -> Result<(), String> {
    let written = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let measured = costs::parse(&run::inside(context, Erms::Hidden, &["app-bench", "calls"])?)?;
    let differences = costs::differences(&costs::parse(&written)?, &measured);
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!("{} (make costs)", differences.join("; ")))
}
