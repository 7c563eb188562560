//! The machines that measure: the system as it is shipped, and `app-bench` in
//! init's place.
//!
//! Both are the yardstick of the design pages: one processor, `-icount shift=0`, `-seed 1` (the emulator's random numbers, from
//! which addresses are drawn, are the same in each run).

use crate::bench::row::{parse, Row};
use crate::context::Context;
use crate::deadline::Deadline;
use crate::guest::{handouts, Guest, Outcome};
use crate::input::Input;
use crate::place;

/// How long one boot with its measurements may take on a slow host.
const SECONDS: u64 = 600;
/// The processor of the yardstick, and the same with fast string moves.
const CPU: &str = "max,-erms";
const CPU_ERMS: &str = "max";
/// What stands before the rows in the log.
const VOICE: &str = "] rows: ";

/// Whether the processor tells of fast string moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erms {
    /// It does not: how the peers were measured.
    Hidden,
    /// It does.
    Shown,
}

impl Erms {
    fn cpu(self) -> Option<String> {
        Some(if self == Erms::Hidden { CPU } else { CPU_ERMS }.into())
    }
}

/// All rows of one run: the system's, then the kernel's.
///
/// # Errors
/// With what went wrong inside, and the end of the log.
pub fn all(context: &Context, erms: Erms) -> Result<Vec<Row>, String> {
    let mut rows = system(context, erms)?;
    rows.extend(kernel(context, erms)?);
    Ok(rows)
}

/// The rows of the system as it is shipped.
///
/// # Errors
/// As [`all`].
pub fn system(context: &Context, erms: Erms) -> Result<Vec<Row>, String> {
    let text = inside(context, erms, &["app-bench"])?;
    parse(text.lines(), false)
}

/// The kernel's rows, measured where nothing else runs.
///
/// # Errors
/// As [`all`].
pub fn kernel(context: &Context, erms: Erms) -> Result<Vec<Row>, String> {
    let mut place = place::with(context, "app-bench")?;
    place.machine.icount = true;
    place.machine.cpu = erms.cpu();
    let log = place.run(Deadline::seconds(SECONDS))?;
    if !log.lines().any(|line| line.ends_with("] init: measured")) {
        let tail: Vec<_> = log.lines().rev().take(20).collect();
        return Err(format!("app-bench did not end well:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n")));
    }
    parse(log.lines().filter_map(|line| Some(line.split_once(VOICE)?.1)), true)
}

/// What a program prints that is run inside, where an instruction is a nanosecond.
///
/// # Errors
/// As [`all`].
pub fn inside(context: &Context, erms: Erms, command: &[&str]) -> Result<String, String> {
    let mut machine = context.direct();
    machine.icount = true;
    machine.cpu = erms.cpu();
    let words: Vec<_> = command.iter().map(|word| word.to_string()).collect();
    machine.handouts = handouts(&words, &[]).map_err(|error| error.to_string())?;
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
