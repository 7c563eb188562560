//! Calls that only init can make, tried by the test program in init's place.
//!
//! The machine is one of [`place`](crate::place). The program runs its tests with the capabilities it finds, tells of them in the kernel's log
//! (Test Anything Protocol), and switches the machine off.

use std::time::Duration;

use crate::context::{Context, Verdict};
use crate::deadline::Deadline;
use crate::place;
use crate::runner::{Told, Unit, Work};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// What stands before the first process's own words in a line of the log.
const VOICE: &str = "] init: ";

/// One boot.
pub fn units() -> Vec<Unit> {
    vec![Unit { name: "in init's place".into(), weight: 1, long: false, work: Work::Told(Box::new(run)) }]
}

fn run(context: &Context) -> Result<Told, String> {
    let log = place::with(context, "app-test")?.run(Deadline::after(PATIENCE))?;
    let tests = told(&log).map_err(|reason| {
        let tail: Vec<_> = log.lines().rev().take(20).collect();
        format!("{reason}\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
    })?;
    Ok(Told { tests, record: log })
}

/// The tests that a log tells of, in order. A log that does not tell of as many as it announced tells nothing.
fn told(log: &str) -> Result<Vec<(String, Verdict)>, String> {
    let mut lines = log.lines().filter_map(|line| Some(line.split_once(VOICE)?.1)).peekable();
    let plan = lines.find_map(|line| line.strip_prefix("1..")).ok_or("no tests were announced")?;
    let mut tests = Vec::new();
    while let Some(line) = lines.next() {
        let (holds, rest) = match (line.strip_prefix("ok "), line.strip_prefix("not ok ")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => continue, // what the program logs beside
        };
        let name = rest.split_once(" - ").map_or(rest, |(_, name)| name);
        let why = lines.next_if(|next| next.starts_with("# ")).unwrap_or("# no reason was given");
        let verdict = match name.split_once(" # SKIP") {
            // Nothing is missing here that a test could do without.
            Some(_) => Err("it was left out".into()),
            None if holds => Ok(()),
            None => Err(why.trim_start_matches("# ").into()),
        };
        tests.push((name.split(" # ").next().unwrap_or(name).to_owned(), verdict));
    }
    if plan.parse() == Ok(tests.len()) && !tests.is_empty() {
        Ok(tests)
    } else {
        Err(format!("{plan} tests were announced and {} told", tests.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::told;

    const LOG: &str = "\
[    0.022167] LimitlessOS: 505 MiB free
[    0.100000] init: 1..3
[    0.200000] init: ok 1 - one
[    0.300000] init: a word between
[    0.400000] init: not ok 2 - two
[    0.400001] init: # it was 5, not 4
[    0.500000] fork: ok 9 - not the first process's word
[    0.600000] init: ok 3 - three # SKIP no device
";

    #[test]
    fn each_test_is_told_with_its_verdict() {
        let got = told(LOG).unwrap();
        let want =
            [("one", Ok(())), ("two", Err("it was 5, not 4".to_owned())), ("three", Err("it was left out".to_owned()))];
        assert_eq!(got, want.map(|(name, verdict)| (name.to_owned(), verdict)));
    }

    #[test]
    fn a_run_that_was_cut_short_counts_for_nothing() {
        for cut in ["] init: ok 3 - three # SKIP no device\n", "] init: 1..3\n"] {
            let log = LOG.replace(cut, "\n");
            assert!(told(&log).is_err(), "{cut}");
        }
        assert!(told("[    0.100000] init: 1..0\n").is_err());
        assert!(told("").is_err());
    }
}
