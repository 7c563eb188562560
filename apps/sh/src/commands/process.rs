//! `ps`, `kill`, `caps`, `quota`: processes, what they hold, what they use.

use crate::commands::audit::labels;
use crate::context::{Context, Options};
use crate::system::reason;
use alloc::format;
use alloc::string::String;
use core::fmt::Write;
use scheme::rt::calls::{CapabilityInfo, ProcessInfo};
use scheme::services::KILL;
use scheme::{Error, Rights};

/// What a process is doing.
fn state(process: &ProcessInfo) -> &'static str {
    match process.state {
        0 => "running",
        1 => "ended",
        2 => "killed",
        3 => "faulted",
        _ => "?",
    }
}

/// `ps`.
pub fn ps(cx: &mut Context<'_>, _: &Options<'_>) {
    let all = cx.system.processes();
    let all = match all {
        Ok(all) => all,
        Err(error) => return cx.complain(format_args!("processes can't be seen from here: {}", reason(error))),
    };
    let _ = writeln!(
        cx.out,
        "{:>5} {:<8} {:>3} {:>8} {:>5} {:>4} {:>9} {:<10} NAME",
        "PID", "STATE", "THR", "MEMORY", "CAPS", "PRIO", "TIME", "LABEL"
    );
    let labels = labels(cx.system);
    for p in all {
        let label = labels.get(p.label as usize).cloned().unwrap_or_else(|| format!("{}", p.label));
        let memory = format!("{}K", p.pages.saturating_mul(4));
        let time = format!("{}.{:03}", p.run_ns / 1_000_000_000, p.run_ns / 1_000_000 % 1000);
        let _ = writeln!(
            cx.out,
            "{:>5} {:<8} {:>3} {memory:>8} {:>5} {:>4} {time:>9} {label:<10} {}",
            p.id,
            state(&p),
            p.threads,
            p.capabilities,
            p.priority_limit,
            p.name
        );
    }
}

/// `kill`.
pub fn kill(cx: &mut Context<'_>, options: &Options<'_>) {
    for word in &options.operands {
        match cx.system.control("services:", KILL, 0, word.as_bytes(), 0) {
            Ok(_) => {}
            Err(Error::NotFound) => cx.complain(format_args!("{word}: no such service or process")),
            Err(error) => cx.complain(format_args!("{word}: {}", reason(error))),
        }
    }
}

fn rights(rights: Rights) -> String {
    let letters = [
        (Rights::READ, 'r'),
        (Rights::WRITE, 'w'),
        (Rights::EXECUTE, 'x'),
        (Rights::SEND, 's'),
        (Rights::RECEIVE, 'v'),
        (Rights::INSPECT, 'i'),
        (Rights::DERIVE, 'd'),
        (Rights::TRANSFER, 't'),
        (Rights::MANAGE, 'm'),
    ];
    letters.into_iter().map(|(right, letter)| if rights.contains(right) { letter } else { '-' }).collect()
}

fn parent(cap: &CapabilityInfo) -> String {
    if !cap.parent.is_none() {
        return format!("{:#x}", cap.parent.0);
    }
    match cap.parent_process {
        0 => "-".into(),
        process => format!("process {process}"),
    }
}

/// The id of the process that a word names, by number or by name; complains where there is none.
fn named(cx: &mut Context<'_>, word: &str) -> Option<u64> {
    let all = match cx.system.processes() {
        Ok(all) => all,
        Err(error) => {
            cx.complain(format_args!("processes can't be seen from here: {}", reason(error)));
            return None;
        }
    };
    let by_id = word.parse::<u64>().ok();
    let fits = |p: &&ProcessInfo| if by_id.is_some() { Some(p.id) == by_id } else { p.name == word };
    let found = all.iter().find(fits).map(|p| p.id);
    if found.is_none() {
        cx.complain(format_args!("{word}: no such process"));
    }
    found
}

/// `quota`.
pub fn quota(cx: &mut Context<'_>, options: &Options<'_>) {
    let Some(word) = options.operands.first().copied() else { return };
    let Some(process) = named(cx, word) else { return };
    let usage = cx.system.account(process);
    let Some(usage) = cx.check(word, usage) else { return };
    let parent = if usage.parent == 0 { "the root".into() } else { format!("split from account {}", usage.parent) };
    let _ = writeln!(cx.out, "account {}, {parent}", usage.account);
    let _ = writeln!(cx.out, "{:<13} {:>8} {:>8}", "WHAT", "USED", "LIMIT");
    let limit = |limit: u64| if limit == 0 { "-".into() } else { format!("{limit}") };
    let _ = writeln!(cx.out, "{:<13} {:>8} {:>8}", "pages", usage.pages.0, usage.pages.1);
    let _ = writeln!(cx.out, "{:<13} {:>8} {:>8}", "threads", usage.threads.0, limit(usage.threads.1));
    let _ = writeln!(cx.out, "{:<13} {:>8} {:>8}", "processes", usage.processes.0, limit(usage.processes.1));
    for (name, count) in usage.objects.into_iter().filter(|(_, count)| *count > 0) {
        let _ = writeln!(cx.out, "{name:<13} {count:>8} {:>8}", "-");
    }
}

/// `caps`.
pub fn caps(cx: &mut Context<'_>, options: &Options<'_>) {
    let Some(word) = options.operands.first().copied() else { return };
    let Some(process) = named(cx, word) else { return };
    let capabilities = cx.system.capabilities(process);
    let Some(capabilities) = cx.check(word, capabilities) else { return };
    let _ = writeln!(
        cx.out,
        "{:>10} {:<13} {:<9} {:>18} {:>7} {:>8} {:>6} PARENT",
        "HANDLE", "KIND", "RIGHTS", "BADGE", "OBJECT", "MESSAGES", "FROM"
    );
    for cap in capabilities {
        let _ = writeln!(
            cx.out,
            "{:#10x} {:<13} {} {:#18x} {:>7} {:>8} {:>6} {}",
            cap.handle.0,
            cap.kind.name(),
            rights(cap.rights),
            cap.badge,
            cap.object,
            cap.messages,
            if cap.origin == 0 { "-".into() } else { format!("{}", cap.origin) },
            parent(&cap)
        );
    }
}
