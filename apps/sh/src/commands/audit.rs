//! `audit`: what the security policy decided.

use crate::commands::services::table;
use crate::context::{Context, Options};
use crate::system::{reason, System};
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use scheme::services::{AuditLine, AUDIT, AUDIT_DENIALS, AUDIT_END, LABELS};
use scheme::Result;

/// Room for lines asked for at once.
const ROOM: usize = 16 * 1024;
/// The most lines that are kept to be shown.
const MOST: usize = 100_000;

/// The last `count` lines of the record.
fn lines(system: &mut dyn System, command: u64, count: usize) -> Result<VecDeque<String>> {
    let mut kept = VecDeque::new();
    let mut position = 0;
    // Our own reading is recorded too: what comes after this is not shown.
    let (end, _) = system.control("audit:", AUDIT_END, 0, &[], 0)?;
    while position < end {
        let (next, text) = system.control("audit:", command, position, &[], ROOM)?;
        let text = String::from_utf8_lossy(&text);
        if text.is_empty() {
            break;
        }
        for line in text.lines() {
            if kept.len() >= count {
                kept.pop_front();
            }
            kept.push_back(line.to_string());
        }
        position = next;
    }
    Ok(kept)
}

/// `audit`.
pub fn audit(cx: &mut Context<'_>, options: &Options<'_>) {
    let count = match options.value('n').map(str::parse::<usize>) {
        None => MOST,
        Some(Ok(count)) if count > 0 => count.min(MOST),
        Some(_) => return cx.complain(format_args!("-n: not a number of lines")),
    };
    let command = if options.has('d') { AUDIT_DENIALS } else { AUDIT };
    let lines = match lines(cx.system, command, count) {
        Ok(lines) => lines,
        Err(error) => return cx.complain(format_args!("the record can't be read from here: {}", reason(error))),
    };
    let head = ["TIME", "VERDICT", "KIND", "PID", "NAME", "LABEL", "OTHER", "TYPE", "RIGHTS", "WHAT"];
    let mut rows = Vec::from([head.map(String::from)]);
    for l in lines.iter().filter_map(|line| AuditLine::parse(line)) {
        let cells = [l.time, l.verdict, l.kind, l.pid, l.name, l.label, l.other, l.object_type, l.rights, l.what];
        rows.push(cells.map(String::from));
    }
    table(cx, &rows);
}

/// The names that the policy has for subject labels, by number; none where they can't be had.
pub fn labels(system: &mut dyn System) -> Vec<String> {
    let Ok((_, text)) = system.control("services:", LABELS, 0, &[], ROOM) else { return Vec::new() };
    let text = String::from_utf8_lossy(&text);
    let subjects = text.lines().filter_map(|line| line.strip_prefix("subject ")?.split_once(' '));
    subjects.map(|(_, name)| name.to_string()).collect()
}
