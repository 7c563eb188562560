//! `free`: how much memory is used.

use crate::context::{Context, Options};
use crate::system::reason;
use alloc::vec::Vec;
use core::fmt::Write;
use scheme::services::COUNTERS;

/// Places of the kernel's counters in the answer to [`COUNTERS`]: frames that are free, and all of them (`abi::boot::Counter`).
const FREE: usize = abi::boot::Counter::FreeFrames as usize;
const TOTAL: usize = abi::boot::Counter::TotalFrames as usize;

/// `free`. Used is what is in use now, the kernel's own included; promised is what accounts have a right to, used or not.
pub fn free(cx: &mut Context<'_>, _: &Options<'_>) {
    let known = cx.system.control("services:", COUNTERS, 0, &[], 256);
    let known = known.and_then(|(_, counters)| cx.system.memory().map(|memory| (counters, memory)));
    let (counters, memory) = match known {
        Ok(known) => known,
        Err(error) => return cx.complain(format_args!("memory can't be seen from here: {}", reason(error))),
    };
    let counters: Vec<u64> =
        counters.chunks_exact(8).filter_map(|word| Some(u64::from_le_bytes(word.try_into().ok()?))).collect();
    let (Some(free), Some(total)) = (counters.get(FREE), counters.get(TOTAL)) else {
        return cx.complain(format_args!("init tells no such counters"));
    };
    let kib = |pages: u64| pages.saturating_mul(4);
    let _ = writeln!(cx.out, "{:>20} {:>11} {:>11} {:>11}", "total", "used", "free", "promised");
    let _ = writeln!(
        cx.out,
        "Mem: {:>15} {:>11} {:>11} {:>11}",
        kib(*total),
        kib(total.saturating_sub(*free)),
        kib(*free),
        kib(memory.charged_pages)
    );
}
