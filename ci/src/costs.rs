//! What calls cost in instructions: measured inside, kept in [`PATH`], shown
//! in the reference.
//!
//! A line a call: its name and a number. `make costs` measures and writes; a test measures and holds the file against it.

use std::collections::BTreeMap;

use abi::call::Call;

/// Where the numbers are kept, from the project's root.
pub const PATH: &str = "docs/costs.txt";
/// How far above the number in the file a call may come, in percent of it, before the file is no longer true.
const SLACK: u64 = 25;
/// And in instructions, for short calls.
const LEAST: u64 = 40;

/// Numbers by call's name.
pub type Costs = BTreeMap<String, u64>;

/// Reads the lines. Errors: a line that is none, with its words.
pub fn parse(text: &str) -> Result<Costs, String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (name, number) = line.split_once(' ').ok_or_else(|| format!("not a cost: {line}"))?;
            let number = number.parse().map_err(|error| format!("{error}: {line}"))?;
            let known = Call::ALL.iter().any(|call| call.name() == name);
            known.then(|| (name.to_string(), number)).ok_or_else(|| format!("there is no call {name}"))
        })
        .collect()
}

/// The lines, in the order of the calls.
pub fn lines(costs: &Costs) -> String {
    let head = "# Instructions that calls take in their plainest form, way in and out included: `make costs`.\n";
    let of = |call: &Call| costs.get(call.name()).map(|cost| format!("{} {cost}\n", call.name()));
    std::iter::once(head.to_string()).chain(Call::ALL.iter().filter_map(of)).collect()
}

/// What is not true any more of what was written: calls that take more, or that are measured and not written, or written and
/// not measured.
pub fn differences(written: &Costs, measured: &Costs) -> Vec<String> {
    let mut all = Vec::new();
    for (name, cost) in measured {
        match written.get(name) {
            None => all.push(format!("{name} is not in {PATH}: it takes {cost}")),
            Some(was) if *cost > was + (was * SLACK / 100).max(LEAST) => {
                all.push(format!("{name} takes {cost} instructions, and {PATH} says {was}"));
            }
            Some(_) => {}
        }
    }
    all.extend(
        written.keys().filter(|name| !measured.contains_key(*name)).map(|name| format!("{name} was not measured")),
    );
    all
}

#[cfg(test)]
mod tests {
    use super::{differences, lines, parse};

    #[test]
    fn what_is_written_is_read_again_and_held_against_what_is_measured() {
        let written = parse("# head\nclock 100\nnotify 1000\n").unwrap();
        assert_eq!(parse(&lines(&written)), Ok(written.clone()));
        let measured = |text: &str| differences(&written, &parse(text).unwrap()).len();
        assert_eq!(measured("clock 140\nnotify 1250\n"), 0);
        assert_eq!(measured("clock 141\nnotify 1251\n"), 2);
        assert_eq!(measured("clock 10\n"), 1);
        assert_eq!(measured("clock 10\nnotify 10\nwait 1\n"), 1);
        assert!(parse("clock\n").is_err() && parse("clock x\n").is_err() && parse("nothing 1\n").is_err());
    }
}
