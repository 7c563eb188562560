//! The rows as a table to be read.

use crate::bench::peers;
use crate::bench::row::Row;

const COLUMNS: usize = 12;
const HEAD: [&str; COLUMNS] = [
    "instructions",
    "value",
    "spread",
    "erms",
    "copy",
    "path",
    "cr3 loads",
    "entries",
    "flushes",
    "at most",
    "seL4; MCS",
    "Linux",
];

/// One line a row, columns straight. A bound that is not kept yet is marked with `!`.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(String::from)];
    lines.extend(rows.iter().map(cells));
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for line in &lines {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Words to the left, numbers to the right.
            let padded = if column == 0 { format!("{cell:<width$}  ") } else { format!("{cell:>width$}  ") };
            text.push_str(&padded);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

fn cells(row: &Row) -> [String; COLUMNS] {
    let (sel4, linux) = peers::of(&row.name);
    let or_nothing = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let copied = (row.copy > 0).then_some(row.copy);
    let bound = row.limit.or(row.target);
    let mark = if bound.is_some_and(|bound| row.value > bound) { "!" } else { "" };
    [
        row.name.clone(),
        row.value.to_string(),
        row.spread.to_string(),
        or_nothing(row.erms),
        or_nothing(copied),
        or_nothing(copied.map(|copy| row.value.saturating_sub(copy))),
        row.cr3_loads.to_string(),
        row.kernel_entries.to_string(),
        row.tlb_flushes.to_string(),
        format!("{mark}{}", or_nothing(bound)),
        sel4.to_owned(),
        linux.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::bench::row::parse;

    const LINES: [&str; 2] = [
        r#"{"name":"empty syscall","value":136,"unit":"instructions","cr3_loads":0,"kernel_entries":1,"tlb_flushes":0,"target":80}"#,
        r#"{"name":"x","value":5604,"unit":"instructions","cr3_loads":2,"kernel_entries":3,"tlb_flushes":1,"copy":512,"target":6000}"#,
    ];

    #[test]
    fn columns_stand_straight_and_bounds_not_kept_are_marked() {
        let mut rows = parse(LINES.into_iter(), true).unwrap();
        rows[0].erms = Some(130);
        let table = table(&rows);
        let lines: Vec<_> = table.lines().collect();
        let end = |line: &str, cell: &str| line.find(cell).unwrap() + cell.len();
        assert_eq!(end(lines[0], "value"), end(lines[1], "136"), "{table}");
        assert_eq!(end(lines[0], "value"), end(lines[2], "5604"), "{table}");
        assert_eq!(end(lines[0], "path"), end(lines[2], "5092"), "{table}");
        assert_eq!(end(lines[0], "at most"), end(lines[1], "!80"), "{table}");
        assert!(lines[1].contains("89") && lines[1].ends_with("325") && !lines[2].contains('!'), "{table}");
    }
}
