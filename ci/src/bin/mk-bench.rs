//! `make bench`: runs the measurements on the yardstick and shows them.
//!
//! `app-bench` measures, inside, on one processor where an instruction is a nanosecond, and
//! writes one JSON object a line: `name`, `value`, `unit`, and what belongs beside it
//! (`cr3_loads`, `kernel_entries`, `tlb_flushes`; `limit`, where there is one to keep). Here they become a
//! table and `build/bench.json`. A value past its limit makes the whole fail.
//!
//! With `--write-costs` or `--check-costs` it measures what each call costs instead: see [`ci::costs`].
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use ci::context::Context;
use ci::costs;
use ci::deadline::Deadline;
use ci::guest::{handouts, Guest, Outcome};
use ci::input::Input;
use serde_json::Value;

/// How long all measurements may take on a slow host.
const SECONDS: u64 = 900;

fn main() -> ExitCode {
    let mut out = PathBuf::from("build/bench.json");
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--out", Some(path)) => out = path.into(),
            ("--write-costs", Some(path)) => return told(write_costs(&path)),
            ("--check-costs", Some(path)) => return told(check_costs(&path)),
            _ => {
                eprintln!("usage: mk-bench [--out FILE | --write-costs FILE | --check-costs FILE]");
                return ExitCode::from(2);
            }
        }
    }
    match measure().and_then(|rows| keep(&rows, &out).map(|()| rows)) {
        Ok(rows) => {
            print!("{}", table(&rows));
            let over: Vec<_> = rows.iter().filter(|row| over_limit(row)).collect();
            for row in &over {
                eprintln!("bench: {} is {}, and {} is the limit", row["name"], row["value"], row["limit"]);
            }
            if over.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(words) => {
            eprintln!("bench: {words}");
            ExitCode::FAILURE
        }
    }
}

fn told(done: Result<(), String>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            eprintln!("bench: {words}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what each call costs, and writes it.
fn write_costs(path: &str) -> Result<(), String> {
    let measured = costs::parse(&inside(&["app-bench", "calls"])?)?;
    std::fs::write(path, costs::lines(&measured)).map_err(|error| format!("{path}: {error}"))
}

/// Measures what each call costs, and complains of what is written where that is not so any more.
fn check_costs(path: &str) -> Result<(), String> {
    let written = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let measured = costs::parse(&inside(&["app-bench", "calls"])?)?;
    let differences = costs::differences(&costs::parse(&written)?, &measured);
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!("{} (make costs)", differences.join("; ")))
}

fn measure() -> Result<Vec<Value>, String> {
    rows(&inside(&["app-bench"])?)
}

/// What a program prints that is run inside, where an instruction is a nanosecond.
fn inside(command: &[&str]) -> Result<String, String> {
    let context = Context::new(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
    let mut machine = context.direct();
    machine.icount = true;
    machine.handouts = handouts(&command.iter().map(|word| word.to_string()).collect::<Vec<_>>(), &[])
        .map_err(|error| error.to_string())?;
    let deadline = Deadline::seconds(SECONDS);
    let mut guest = Guest::boot(&machine, deadline, Box::new(|_| {})).map_err(|error| error.to_string())?;
    let mut outcome = Outcome::default();
    let status = guest
        .follow(Input::Bytes(Vec::new()), &mut outcome, deadline)
        .map_err(|end| format!("{end}\n{}", guest.emulator().log().tail(40)))?;
    if status != 0 {
        let log = guest.emulator().log().tail(20);
        let said = format!("{}{}", outcome.text(), outcome.error_text());
        return Err(format!("{} ended with {status}\n{said}{log}", command.join(" ")));
    }
    Ok(outcome.text())
}

/// The rows in a bench program's output.
fn rows(text: &str) -> Result<Vec<Value>, String> {
    let rows = text
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| {
            let row: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
            let whole = row["name"].is_string() && row["value"].is_number() && row["unit"].is_string();
            whole.then_some(row).ok_or_else(|| format!("not a row: {line}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        return Err(format!("app-bench gave no rows:\n{text}"));
    }
    Ok(rows)
}

fn keep(rows: &[Value], out: &std::path::Path) -> Result<(), String> {
    let lines: Vec<_> = rows.iter().map(|row| format!("  {row}")).collect();
    std::fs::write(out, format!("[\n{}\n]\n", lines.join(",\n"))).map_err(|error| format!("{}: {error}", out.display()))
}

fn over_limit(row: &Value) -> bool {
    match (row["value"].as_f64(), row["limit"].as_f64()) {
        (Some(value), Some(limit)) => value > limit,
        _ => false,
    }
}

const COLUMNS: usize = 7;

fn table(rows: &[Value]) -> String {
    const HEAD: [&str; COLUMNS] = ["name", "value", "unit", "cr3_loads", "kernel_entries", "tlb_flushes", "limit"];
    let cell = |row: &Value, key: &str| match &row[key] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut lines = vec![HEAD.map(|key| key.replace('_', " "))];
    lines.extend(rows.iter().map(|row| HEAD.map(|key| cell(row, key))));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Words to the left, numbers to the right.
            let padded = match HEAD[column] {
                "name" | "unit" => format!("{cell:<width$}  "),
                _ => format!("{cell:>width$}  "),
            };
            text.push_str(&padded);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = concat!(
        "a remark\n",
        r#"{"name":"empty syscall","value":151,"unit":"instructions","kernel_entries":1,"limit":150}"#,
        "\n",
        r#"{"name":"boot","value":3,"unit":"instructions"}"#,
        "\n"
    );

    #[test]
    fn rows_are_read_limits_kept_and_columns_stand_straight() {
        let rows = rows(TEXT).unwrap();
        assert_eq!(rows.iter().map(over_limit).collect::<Vec<_>>(), [true, false]);
        let table = table(&rows);
        let at = |line: &str| line.find("instructions").unwrap();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(at(lines[1]), at(lines[2]), "{table}");
    }

    #[test]
    fn what_is_no_row_is_refused() {
        assert!(rows("{\"name\":\"x\"}\n").is_err());
        assert!(rows("{oops\n").is_err());
        assert!(rows("nothing\n").is_err());
    }
}
