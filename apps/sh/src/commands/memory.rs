//! `free`: how much memory is used.

use crate::context::{Context, Options};
use crate::system::reason;
use core::fmt::Write;

/// `free`. Used is what processes have; promised is what accounts were given a right to, used or not.
pub fn free(cx: &mut Context<'_>, _: &Options<'_>) {
    let known = cx.system.memory().and_then(|memory| cx.system.processes().map(|processes| (memory, processes)));
    let (memory, processes) = match known {
        Ok(known) => known,
        Err(error) => return cx.complain(format_args!("memory can't be seen from here: {}", reason(error))),
    };
    let used: u64 = processes.iter().map(|p| p.pages).fold(0, u64::saturating_add);
    let kib = |pages: u64| pages.saturating_mul(4);
    let _ = writeln!(cx.out, "{:>20} {:>11} {:>11} {:>11}", "total", "used", "free", "promised");
    let _ = writeln!(
        cx.out,
        "Mem: {:>15} {:>11} {:>11} {:>11}",
        kib(memory.total_pages),
        kib(used),
        kib(memory.total_pages.saturating_sub(used)),
        kib(memory.charged_pages)
    );
}
