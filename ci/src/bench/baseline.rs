//! The committed figures: what is worse than they are, and how they are
//! changed.
//!
//! They hold for one compiler each, since another makes other code. Whoever writes figures anew says why: the reason
//! stands in the file, in the commit that changed what the figures tell of.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use crate::bench::row::Row;

/// Where the figures are kept, from the project's root.
pub const PATH: &str = "ci/bench-baseline.toml";
/// By how much a figure may differ, in percent.
const SLACK: u64 = 2;
/// What a person does about it.
const HOW: &str = "make bench-baseline REASON='why it is so now', and commit the file with the change";

/// The figures of one compiler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Why they are what they are.
    pub reason: String,
    /// By row.
    pub rows: BTreeMap<String, u64>,
}

/// All figures, by the compiler's version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline(BTreeMap<String, Figures>);

/// What a run says of the figures of its compiler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What must not be.
    pub faults: Vec<String>,
    /// What is better, or can't be judged.
    pub remarks: Vec<String>,
}

impl Baseline {
    /// Reads what [`Baseline::text`] writes.
    ///
    /// # Errors
    /// With what is not right.
    pub fn parse(text: &str) -> Result<Baseline, String> {
        let table: Table = text.parse().map_err(|error| format!("{error}"))?;
        let mut all = BTreeMap::new();
        for (compiler, value) in table {
            let reason = value.get("reason").and_then(Value::as_str).unwrap_or("").trim();
            if reason.is_empty() {
                return Err(format!("{compiler}: there is no reason"));
            }
            let rows = value.get("rows").and_then(Value::as_table).ok_or(format!("{compiler}: there are no rows"))?;
            let number = |(name, value): (&String, &Value)| {
                let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
                number.map(|number| (name.clone(), number)).ok_or(format!("{compiler}: {name} is no number"))
            };
            let rows = rows.iter().map(number).collect::<Result<_, _>>()?;
            all.insert(compiler, Figures { reason: reason.to_owned(), rows });
        }
        Ok(Baseline(all))
    }

    /// The file at `path`; empty where there is none.
    ///
    /// # Errors
    /// It can't be read, or is not right.
    pub fn read(path: &Path) -> Result<Baseline, String> {
        if !path.exists() {
            return Ok(Baseline::default());
        }
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Baseline::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The file's text.
    pub fn text(&self) -> String {
        // What JSON escapes, TOML reads.
        let quote = |text: &str| serde_json::Value::from(text).to_string();
        let mut text = String::from(
            "# What the kernel's rows of `make bench` come to, by the compiler that built it. `make test` fails where one is more\n\
             # than 2 % worse. Written by: make bench-baseline REASON='why the figures are what they are now'\n",
        );
        for (compiler, figures) in &self.0 {
            let compiler = quote(compiler);
            text.push_str(&format!("\n[{compiler}]\nreason = {}\n\n[{compiler}.rows]\n", quote(&figures.reason)));
            for (name, value) in &figures.rows {
                text.push_str(&format!("{} = {value}\n", quote(name)));
            }
        }
        text
    }

    /// Puts measured figures in the place of the compiler's.
    ///
    /// # Errors
    /// No reason is given.
    pub fn set(&mut self, compiler: &str, reason: &str, rows: &[Row]) -> Result<(), String> {
        if reason.trim().is_empty() {
            return Err(format!("the figures are changed with a reason: {HOW}"));
        }
        let gated = rows.iter().filter(|row| row.gated);
        let rows = gated.map(|row| (row.name.clone(), row.value)).collect();
        self.0.insert(compiler.to_owned(), Figures { reason: reason.trim().to_owned(), rows });
        Ok(())
    }

    /// Holds measured rows against their limits and the compiler's figures.
    pub fn judge(&self, compiler: &str, rows: &[Row]) -> Findings {
        let mut found = Findings::default();
        for row in rows {
            if let Some(limit) = row.limit.filter(|limit| row.value > *limit) {
                found.faults.push(format!("'{}' is {}, and {limit} is the limit", row.name, row.value));
            }
        }
        match self.0.get(compiler) {
            Some(figures) => figures.judge(rows, &mut found),
            None => found.remarks.push(format!(
                "there are no figures for {compiler} in {PATH}: nothing is held against them (to write some: {HOW})"
            )),
        }
        found
    }
}

impl Figures {
    fn judge(&self, rows: &[Row], found: &mut Findings) {
        let gated = || rows.iter().filter(|row| row.gated);
        for row in gated() {
            let (name, is) = (&row.name, row.value);
            let Some(&was) = self.rows.get(name) else {
                found.faults.push(format!("'{name}' is {is} and not in {PATH}: {HOW}"));
                continue;
            };
            let (percent, hundredth) = (is.saturating_mul(100), was.saturating_mul(100));
            let slack = was.saturating_mul(SLACK);
            // A target that the figures have reached is a limit, within the slack or not.
            let lost = row.target.filter(|target| was <= *target && is > *target);
            if percent > hundredth + slack {
                found.faults.push(format!("'{name}' is {is} instructions, and {PATH} says {was}: mend it, or {HOW}"));
            } else if let Some(target) = lost {
                found.faults.push(format!("'{name}' is {is}, and was at most {target} already ({was} in {PATH})"));
            } else if percent + slack < hundredth {
                found.remarks.push(format!("'{name}' is {is} instructions, better than {was} in {PATH}: {HOW}"));
            }
        }
        let gone = self.rows.keys().filter(|name| gated().all(|row| row.name != **name));
        found.faults.extend(gone.map(|name| format!("'{name}' is in {PATH} and was not measured: {HOW}")));
    }
}

/// The version of the compiler that the build uses, as its set-up wrote it down (`build/toolchain.mk`).
///
/// # Errors
/// There is no such line.
pub fn compiler(build: &Path) -> Result<String, String> {
    let path = build.join("toolchain.mk");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let version = text.lines().find_map(|line| line.strip_prefix("TOOLCHAIN_VERSION := "));
    version.map(|version| version.trim().to_owned()).ok_or(format!("{}: no version", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{Baseline, Figures, Findings};
    use crate::bench::row::{parse, Row};

    const COMPILER: &str = "rustc 1.96.0 (\"odd\" version)";

    fn row(name: &str, value: u64, target: Option<u64>) -> Row {
        let line = format!(
            r#"{{"name":"{name}","value":{value},"unit":"instructions","cr3_loads":0,"kernel_entries":1,"tlb_flushes":0}}"#
        );
        Row { target, ..parse([line.as_str()].into_iter(), true).unwrap().remove(0) }
    }

    fn written(rows: &[Row]) -> Baseline {
        let mut baseline = Baseline::default();
        baseline.set(COMPILER, "the first figures", rows).unwrap();
        baseline
    }

    fn counts(found: &Findings) -> (usize, usize) {
        (found.faults.len(), found.remarks.len())
    }

    #[test]
    fn figures_are_read_as_they_were_written() {
        let baseline = written(&[row("call, 0 words", 990, None), row("a \\\"b\\\"", 5, None)]);
        assert_eq!(Baseline::parse(&baseline.text()), Ok(baseline));
    }

    #[test]
    fn figures_without_a_reason_are_refused() {
        assert!(Baseline::default().set(COMPILER, " ", &[row("x", 1, None)]).is_err());
        let text = written(&[row("x", 1, None)]).text();
        assert!(Baseline::parse(&text.replace("the first figures", "")).is_err());
        assert!(Baseline::parse(&text.replace("= 1", "= \"one\"")).is_err());
        assert!(Baseline::parse(&text.replace("= 1", "= -1")).is_err());
    }

    #[test]
    fn what_is_more_than_two_percent_worse_is_a_fault_and_what_is_better_a_remark() {
        let baseline = written(&[row("x", 1000, None)]);
        for (value, want) in [(1021, (1, 0)), (1020, (0, 0)), (980, (0, 0)), (979, (0, 1))] {
            assert_eq!(counts(&baseline.judge(COMPILER, &[row("x", value, None)])), want, "{value}");
        }
        let worse = baseline.judge(COMPILER, &[row("x", 1021, None)]);
        assert!(worse.faults[0].contains("'x' is 1021") && worse.faults[0].contains("make bench-baseline"));
    }

    #[test]
    fn a_target_once_reached_is_a_limit() {
        let target = Some(1000);
        let reached = written(&[row("x", 999, target)]);
        assert_eq!(counts(&reached.judge(COMPILER, &[row("x", 1001, target)])), (1, 0));
        assert_eq!(counts(&reached.judge(COMPILER, &[row("x", 1000, target)])), (0, 0));
        let not_yet = written(&[row("x", 1500, target)]);
        assert_eq!(counts(&not_yet.judge(COMPILER, &[row("x", 1510, target)])), (0, 0));
    }

    #[test]
    fn rows_that_are_new_or_gone_are_faults_and_rows_that_grow_with_the_image_are_none() {
        let baseline = written(&[row("x", 1000, None), row("y", 1, None)]);
        assert_eq!(counts(&baseline.judge(COMPILER, &[row("x", 1000, None)])), (1, 0));
        let rows = [row("x", 1000, None), row("y", 1, None), row("z", 1, None)];
        assert_eq!(counts(&baseline.judge(COMPILER, &rows)), (1, 0));
        let boot = Row { gated: false, ..row("boot", 9, None) };
        let rows = [row("x", 1000, None), row("y", 1, None), boot];
        assert_eq!(counts(&baseline.judge(COMPILER, &rows)), (0, 0));
        assert!(!written(&rows).text().contains("boot"));
    }

    #[test]
    fn for_another_compiler_limits_hold_and_figures_do_not() {
        let baseline = written(&[row("x", 1000, None)]);
        let found = baseline.judge("rustc 2.0.0", &[row("x", 5000, None)]);
        assert_eq!(counts(&found), (0, 1));
        assert!(found.remarks[0].contains("rustc 2.0.0"));
        let limited = Row { limit: Some(4999), ..row("x", 5000, None) };
        assert_eq!(counts(&baseline.judge("rustc 2.0.0", &[limited])), (1, 1));
    }

    #[test]
    fn the_committed_figures_are_sound() {
        let text = include_str!("../../bench-baseline.toml");
        let Baseline(all) = Baseline::parse(text).unwrap();
        assert!(all.values().all(|Figures { rows, .. }| !rows.is_empty()) && !all.is_empty());
    }
}
