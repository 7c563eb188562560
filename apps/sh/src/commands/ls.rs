//! `ls`: directories, and what is in them.

use crate::context::{Context, Options};
use crate::paths;
use crate::view;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use scheme::stat::{FileKind, Stat};

/// The console's control command for its size: columns | rows << 32.
const CONSOLE_SIZE: u64 = 2;

/// Runs `ls`.
pub fn ls(cx: &mut Context<'_>, options: &Options<'_>) {
    let paths = if options.operands.is_empty() { Vec::from(["."]) } else { options.operands.clone() };
    let mut files = Vec::new();
    let mut directories = Vec::new();
    for word in paths {
        let found = cx.path(word).and_then(|path| view::stat(cx.system, &path).map(|stat| (path, stat)));
        match cx.check(word, found) {
            Some((path, stat)) if stat.kind == FileKind::Directory && !options.has('d') => {
                directories.push((word, path))
            }
            Some((_, stat)) => files.push((word.to_string(), stat)),
            None => cx.status = 2,
        }
    }
    let several = files.len() + directories.len() > 1;
    let mut first = files.is_empty();
    show(cx, options, &files);
    for (word, path) in directories {
        let entries = view::list(cx.system, &path);
        let Some(entries) = cx.check(word, entries) else { continue };
        if !core::mem::replace(&mut first, false) {
            cx.out.bytes(b"\n");
        }
        if several {
            let _ = writeln!(cx.out, "{word}:");
        }
        let mut shown = Vec::new();
        for entry in entries {
            if entry.name.starts_with('.') && !options.has('a') {
                continue;
            }
            let mut stat = Stat { kind: entry.kind, size: entry.size, permissions: 0o777, ..Stat::default() };
            if options.has('l') {
                let full = paths::join(&path, &entry.name);
                match view::stat(cx.system, &full) {
                    Ok(known) => stat = known,
                    // A scheme's name in `scheme:` is no file there; a name can be gone since it was listed.
                    Err(_) if path == "scheme:" || path == "/scheme" => {}
                    Err(error) => cx.fail(&full, error),
                }
            }
            shown.push((entry.name, stat));
        }
        show(cx, options, &shown);
    }
}

fn show(cx: &mut Context<'_>, options: &Options<'_>, entries: &[(String, Stat)]) {
    if options.has('l') {
        let width = entries.iter().map(|(_, stat)| stat.size.to_string().len()).max().unwrap_or(1);
        for (name, stat) in entries {
            let links = stat.links.max(1);
            let _ =
                writeln!(cx.out, "{} {links:>2} {:>width$} {} {name}", mode(stat), stat.size, date(stat.modified_ns));
        }
        return;
    }
    let console = cx.out.stream().control(CONSOLE_SIZE, 0).ok().filter(|_| !options.has('1'));
    let Some(columns) = console.map(|size| size as u32 as usize) else {
        for (name, _) in entries {
            let _ = writeln!(cx.out, "{name}");
        }
        return;
    };
    let width = entries.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + 2;
    let per_line = (columns / width).max(1);
    let lines = entries.len().div_ceil(per_line).max(1);
    for line in 0..lines.min(entries.len()) {
        // Down the columns, as people read a sorted list.
        let mut row = String::new();
        for (name, stat) in entries.iter().skip(line).step_by(lines) {
            let mark = if stat.kind == FileKind::Directory { "/" } else { "" };
            row.push_str(&format!("{:<width$}", format!("{name}{mark}")));
        }
        let _ = writeln!(cx.out, "{}", row.trim_end());
    }
}

fn mode(stat: &Stat) -> String {
    let kind = match stat.kind {
        FileKind::File => '-',
        FileKind::Directory => 'd',
        FileKind::Stream => 'c',
        FileKind::Block => 'b',
        FileKind::Link => 'l',
    };
    let mut text = String::from(kind);
    for (i, letter) in "rwxrwxrwx".chars().enumerate() {
        text.push(if stat.permissions & (0o400 >> i) != 0 { letter } else { '-' });
    }
    text
}

/// A time of the day of 1970 and later, in UTC; dashes where it is not known.
fn date(time_ns: u64) -> String {
    if time_ns == 0 {
        return "---------- -----".into();
    }
    let minutes = time_ns / 60_000_000_000;
    let (days, minute) = (minutes / 1440, minutes % 1440);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minute / 60, minute % 60)
}

/// Year, month and day of a day counted from 1970: years are counted from March, so that the leap day ends them.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{civil, date};

    #[test]
    fn days_become_dates() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_454, (2026, 1, 1)),
        ] {
            assert_eq!(civil(days), expected, "{days}");
        }
        assert_eq!(date(951_827_696_000_000_000), "2000-02-29 12:34");
        assert_eq!(date(0), "---------- -----");
    }
}
