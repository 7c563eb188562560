//! A row as the guest gives it, and rows of several runs put together.

use serde_json::{json, Value};

/// One figure and what belongs beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The figure of the first run.
    pub value: u64,
    /// By how much runs differed.
    pub spread: u64,
    /// The same where the processor has fast string moves (`-cpu max`).
    pub erms: Option<u64>,
    /// Of the value, copying or zeroing alone.
    pub copy: u64,
    /// Loads of the page-table root in it.
    pub cr3_loads: u64,
    /// Kernel entries in it.
    pub kernel_entries: u64,
    /// TLB flushes in it.
    pub tlb_flushes: u64,
    /// What it may be at most, always.
    pub limit: Option<u64>,
    /// What it has to come to; once the baseline is there, what it may be at most.
    pub target: Option<u64>,
    /// Whether the baseline is held for it.
    pub gated: bool,
}

impl Row {
    fn from_json(row: &Value, gated: bool) -> Option<Row> {
        let number = |key: &str| row[key].as_u64();
        (row["unit"].as_str() == Some("instructions")).then_some(())?;
        Some(Row {
            name: row["name"].as_str()?.to_owned(),
            value: number("value")?,
            spread: 0,
            erms: None,
            copy: number("copy").unwrap_or(0),
            cr3_loads: number("cr3_loads")?,
            kernel_entries: number("kernel_entries")?,
            tlb_flushes: number("tlb_flushes")?,
            limit: number("limit"),
            target: number("target"),
            gated,
        })
    }

    /// The row as it is kept in `build/bench.json`.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name, "value": self.value, "unit": "instructions", "spread": self.spread, "erms": self.erms,
            "copy": self.copy, "cr3_loads": self.cr3_loads, "kernel_entries": self.kernel_entries,
            "tlb_flushes": self.tlb_flushes, "limit": self.limit, "target": self.target,
        })
    }
}

/// The rows among lines: those that are JSON objects.
///
/// # Errors
/// A line that begins like a row and is none; no row at all.
pub fn parse<'a>(lines: impl Iterator<Item = &'a str>, gated: bool) -> Result<Vec<Row>, String> {
    let rows = lines
        .filter(|line| line.starts_with('{'))
        .map(|line| {
            let row: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
            Row::from_json(&row, gated).ok_or_else(|| format!("not a row: {line}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        return Err("there are no rows".into());
    }
    Ok(rows)
}

/// One set of rows of several runs: the first run's figures, and how far apart the runs are.
///
/// # Errors
/// The runs have not the same rows.
pub fn together(runs: &[Vec<Row>]) -> Result<Vec<Row>, String> {
    let (first, others) = runs.split_first().ok_or("there was no run")?;
    let mut all = first.clone();
    for run in others {
        same_rows(&all, run)?;
    }
    for (at, row) in all.iter_mut().enumerate() {
        let values = || runs.iter().map(|run| run[at].value);
        row.spread = values().max().unwrap_or(0) - values().min().unwrap_or(0);
    }
    Ok(all)
}

/// Puts the figures of a run with fast string moves beside those without.
///
/// # Errors
/// They have not the same rows.
pub fn beside(rows: &mut [Row], erms: &[Row]) -> Result<(), String> {
    same_rows(rows, erms)?;
    rows.iter_mut().zip(erms).for_each(|(row, other)| row.erms = Some(other.value));
    Ok(())
}

fn same_rows(left: &[Row], right: &[Row]) -> Result<(), String> {
    let names = |rows: &[Row]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
    if names(left) == names(right) {
        Ok(())
    } else {
        Err(format!("two runs have not the same rows: {:?}, {:?}", names(left), names(right)))
    }
}

#[cfg(test)]
mod tests {
    use super::{beside, parse, together};

    const LINE: &str = r#"{"name":"x","value":151,"unit":"instructions","cr3_loads":2,"kernel_entries":1,"tlb_flushes":0,"target":80}"#;

    #[test]
    fn rows_are_read_and_what_is_no_row_is_refused() {
        let rows = parse(["a remark", LINE].into_iter(), true).unwrap();
        assert_eq!((rows.len(), rows[0].value, rows[0].cr3_loads, rows[0].target), (1, 151, 2, Some(80)));
        assert!(parse(["nothing"].into_iter(), true).is_err());
        assert!(parse(["{oops"].into_iter(), true).is_err());
        assert!(parse([LINE.replace("instructions", "seconds").as_str()].into_iter(), true).is_err());
        assert!(parse([LINE.replace("151", "-1").as_str()].into_iter(), true).is_err());
    }

    #[test]
    fn runs_are_put_together_with_how_far_they_are_apart() {
        let run = |value: &str| parse([LINE.replace("151", value).as_str()].into_iter(), true).unwrap();
        let mut rows = together(&[run("100"), run("97"), run("103")]).unwrap();
        assert_eq!((rows[0].value, rows[0].spread), (100, 6));
        beside(&mut rows, &run("90")).unwrap();
        assert_eq!(rows[0].erms, Some(90));
        let other = parse([LINE.replace("\"x\"", "\"y\"").as_str()].into_iter(), true).unwrap();
        assert!(together(&[run("1"), other.clone()]).is_err() && beside(&mut rows, &other).is_err());
        assert!(together(&[]).is_err());
    }
}
