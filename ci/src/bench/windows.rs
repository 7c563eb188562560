//! How long interrupts are off, and how late an urgent thread is, through the
//! worst cases.
//!
//! The measuring build of the kernel (`make kernel-measure`) tells of its windows in its log when the machine is switched off; `app-bench`
//! in init's place goes through the cases and tells how late its urgent thread was in each. On the yardstick, where a nanosecond is an
//! instruction.

use abi::call::{Call, FIRST};

use crate::context::Context;
use crate::deadline::Deadline;
use crate::machine::Boot;
use crate::place;

/// The longest that interrupts may be off, and what is aimed at for 999 of 1000.
pub const LONGEST: u64 = 10_000;
/// How late an urgent thread may be.
pub const LATEST: u64 = 20_000;
/// How long all cases may take on a slow host.
const SECONDS: u64 = 600;
/// Enough for the largest case: 1 GiB, with the tables that map it.
const MEMORY: &str = "2560M";

/// What one way into the kernel came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The call, the fault or the interrupt.
    pub entry: String,
    /// How many windows there were.
    pub count: u64,
    /// The longest.
    pub longest: u64,
    /// Of 1000, 999 are below this.
    pub most: u64,
    /// The longest way from in to out, looks for interrupts included.
    pub whole: u64,
}

/// How late the urgent thread was in one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// The case.
    pub what: String,
    /// By how much at most.
    pub worst: u64,
    /// How often it had to be in time.
    pub count: u64,
    /// How long the case took.
    pub taken: u64,
}

/// All that a run tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// By way in.
    pub windows: Vec<Window>,
    /// By case.
    pub late: Vec<Late>,
}

/// Boots the measuring kernel and goes through the cases.
///
/// # Errors
/// A case does not end well; the log's end.
pub fn run(context: &Context) -> Result<Report, String> {
    let mut place = place::with(context, "app-bench")?;
    place.machine.icount = true;
    place.machine.memory = MEMORY.into();
    if let Boot::Direct { kernel, append, .. } = &mut place.machine.boot {
        *kernel = context.build().join("kernel.measure.elf");
        *append = "windows".into();
    }
    let log = place.run(Deadline::seconds(SECONDS))?;
    Report::parse(&log)
}

impl Report {
    /// Reads a log.
    ///
    /// # Errors
    /// It is not whole.
    pub fn parse(log: &str) -> Result<Report, String> {
        let mut report = Report::default();
        let told = |line: &str| line.split_once("] ").map(|(_, words)| words.to_owned());
        for words in log.lines().filter_map(told) {
            if let Some(rest) = words.strip_prefix("init: late ") {
                report.late.push(late(rest).ok_or(format!("not a case: {words}"))?);
            } else if let Some(rest) = words.strip_prefix("window ") {
                report.windows.push(window(rest).ok_or(format!("not a window: {words}"))?);
            }
        }
        if !log.contains("] init: measured") || report.windows.is_empty() || report.late.is_empty() {
            let tail: Vec<_> = log.lines().rev().take(20).collect();
            return Err(format!("it told not all:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n")));
        }
        Ok(report)
    }

    /// What is longer or later than it may be.
    pub fn faults(&self) -> Vec<String> {
        let long = self.windows.iter().filter(|window| window.longest > LONGEST).map(|window| {
            format!(
                "interrupts were off for {} instructions in {}, {LONGEST} is the limit",
                window.longest, window.entry
            )
        });
        let late = self.late.iter().filter(|late| late.worst > LATEST).map(|late| {
            format!(
                "an urgent thread was {} instructions late beside: {}; {LATEST} is the limit",
                late.worst, late.what
            )
        });
        long.chain(late).collect()
    }

    /// Both as tables to be read.
    pub fn table(&self) -> String {
        let mut text =
            format!("{:<28} {:>9} {:>9} {:>9} {:>12}\n", "interrupts off", "windows", "longest", "99.9 %", "in to out");
        for window in &self.windows {
            let Window { entry, count, longest, most, whole } = window;
            text.push_str(&format!("{entry:<28} {count:>9} {longest:>9} {most:>9} {whole:>12}\n"));
        }
        text.push_str(&format!(
            "\n{:<56} {:>9} {:>9} {:>12}\n",
            "an urgent thread beside", "times", "latest", "instructions"
        ));
        for late in &self.late {
            text.push_str(&format!("{:<56} {:>9} {:>9} {:>12}\n", late.what, late.count, late.worst, late.taken));
        }
        text
    }
}

fn late(rest: &str) -> Option<Late> {
    let mut words = rest.splitn(4, ' ');
    let mut number = || words.next()?.parse().ok();
    let (worst, count, taken) = (number()?, number()?, number()?);
    Some(Late { what: words.next()?.to_owned(), worst, count, taken })
}

fn window(rest: &str) -> Option<Window> {
    let numbers: Vec<u64> = rest.split(' ').map(|word| word.parse().ok()).collect::<Option<_>>()?;
    let [entry, count, longest, most, whole] = numbers[..] else { return None };
    Some(Window { entry: name(entry), count, longest, most, whole })
}

/// The name of a way in: vectors, then calls from 256 on (`kernel/arch`, `window.rs`).
fn name(entry: u64) -> String {
    match entry {
        3 => "a breakpoint".into(),
        14 => "a page fault".into(),
        240 => "the timer".into(),
        0..=255 => format!("vector {entry}"),
        _ => Call::from_number(FIRST + entry - 256).map_or(format!("call {entry}"), |call| call.name().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Late, Report, Window};

    const LOG: &str = "\
[    0.005518] LimitlessOS: 2555 MiB free
[    0.114777] init: late 2210 1567 76568401 granting 100,000 capabilities
[    0.927717] init: measured
[    0.928021] window 14 263265 6135 3584 6135
[    0.928161] window 290 19 10001 10240 32273
";

    #[test]
    fn windows_and_cases_are_read_and_held_against_their_limits() {
        let report = Report::parse(LOG).unwrap();
        let what = "granting 100,000 capabilities".to_owned();
        assert_eq!(report.late, [Late { what, worst: 2210, count: 1567, taken: 76_568_401 }]);
        let revoke = Window { entry: "revoke".into(), count: 19, longest: 10_001, most: 10_240, whole: 32_273 };
        assert_eq!(report.windows[1], revoke);
        assert_eq!(report.faults().len(), 1);
        assert_eq!(Report::parse(&LOG.replace("10001", "10000").replace("2210", "20001")).unwrap().faults().len(), 1);
        assert_eq!(Report::parse(&LOG.replace("10001", "10000")).unwrap().faults().len(), 0);
        assert!(report.table().contains("a page fault"));
    }

    #[test]
    fn a_log_that_is_cut_short_counts_for_nothing() {
        for gone in ["] init: measured", "] window", "] init: late"] {
            assert!(Report::parse(&LOG.replace(gone, "] something")).is_err(), "{gone}");
        }
        assert!(Report::parse(&LOG.replace("10240", "x")).is_err());
    }
}
