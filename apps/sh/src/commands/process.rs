//! `ps`, `kill`, `caps`: processes and what they hold.

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

/// `caps`.
pub fn caps(cx: &mut Context<'_>, options: &Options<'_>) {
    let Some(word) = options.operands.first().copied() else { return };
    let all = cx.system.processes();
    let all = match all {
        Ok(all) => all,
        Err(error) => return cx.complain(format_args!("processes can't be seen from here: {}", reason(error))),
    };
    let by_id = word.parse::<u64>().ok();
    let named = |p: &&ProcessInfo| if by_id.is_some() { Some(p.id) == by_id } else { p.name == word };
    let Some(process) = all.iter().find(named) else {
        return cx.complain(format_args!("{word}: no such process"));
    };
    let capabilities = cx.system.capabilities(process.id);
    let Some(capabilities) = cx.check(word, capabilities) else { return };
    let _ = writeln!(cx.out, "{:>10} {:<13} {:<9} {:>18} {:>7} PARENT", "HANDLE", "KIND", "RIGHTS", "BADGE", "OBJECT");
    for cap in capabilities {
        let _ = writeln!(
            cx.out,
            "{:#10x} {:<13} {} {:#18x} {:>7} {}",
            cap.handle.0,
            cap.kind.name(),
            rights(cap.rights),
            cap.badge,
            cap.object,
            parent(&cap)
        );
    }
}
