//! `services`: what init keeps running.

use crate::context::{Context, Options};
use crate::system::{reason, System};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use scheme::wire::OpenFlags;
use scheme::Result;

type Facts = BTreeMap<String, String>;

/// The longest description of a service that is read.
const LONGEST: usize = 64 * 1024;

/// What `services:` says of one service.
fn facts(system: &mut dyn System, name: &str) -> Result<Facts> {
    let stream = system.open(&["services:", name].concat(), OpenFlags::READ)?;
    let mut text = Vec::new();
    let mut piece = [0; 1024];
    while text.len() < LONGEST {
        match stream.read(&mut piece)? {
            0 => break,
            length => text.extend_from_slice(piece.get(..length).unwrap_or(&[])),
        }
    }
    let text = String::from_utf8_lossy(&text);
    let pair = |line: &str| {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        (key.to_string(), value.trim().to_string())
    };
    Ok(text.lines().map(pair).collect())
}

/// `services`.
pub fn services(cx: &mut Context<'_>, options: &Options<'_>) {
    if !options.operands.is_empty() {
        return details(cx, options);
    }
    let names = match cx.system.list("services:") {
        Ok(entries) => entries,
        Err(error) => return cx.complain(format_args!("services: can't be listed: {}", reason(error))),
    };
    let head = ["NAME", "STATE", "RESTARTS", "PID", "SCHEME", "LABEL", "MEMORY", "HOLDS"].map(String::from);
    let mut rows = Vec::from([head]);
    for entry in names {
        let known = facts(cx.system, &entry.name);
        let Some(known) = cx.check(&entry.name, known) else { continue };
        let get = |key: &str| known.get(key).cloned().unwrap_or_default();
        let kib =
            |key: &str| known.get(key).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |p| p.saturating_mul(4));
        let memory = format!("{}K/{}K", kib("memory-pages"), kib("memory-limit"));
        let [state, restarts, pid, scheme] = ["state", "restarts", "pid", "scheme"].map(get);
        rows.push([entry.name.clone(), state, restarts, pid, scheme, get("label"), memory, get("holds")]);
    }
    table(cx, &rows);
}

/// Writes rows with columns as wide as they must be.
pub fn table<const N: usize>(cx: &mut Context<'_>, rows: &[[String; N]]) {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(cx.out, "{}", line.trim_end());
    }
}

fn details(cx: &mut Context<'_>, options: &Options<'_>) {
    for word in options.operands.iter().copied() {
        let known = facts(cx.system, word);
        let Some(known) = cx.check(word, known) else { continue };
        for (key, value) in known {
            let _ = writeln!(cx.out, "{key} {value}");
        }
    }
}
