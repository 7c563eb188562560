//! Rows of the system as it is shipped: its boot, a process from its program
//! file.
//!
//! They grow with the programs in the image, and so no baseline is held for them.

use crate::counters::Counters;
use crate::measure::FEW;
use crate::row::{Bound, Row, Sample};
use abi::boot::Counter;
use abi::{Error, Result};
use scheme::client::File;
use scheme::process::Command;

/// All of them. `program` is this program's own file. Errors: the kernel's, init's.
pub fn all(program: &[u8], print: &mut dyn FnMut(&Row)) -> Result<()> {
    let counters = Counters::new()?;
    boot(&counters, print)?;
    print(&counters.run("process from its program file: create, start, exit, wait", FEW, || {
        let mut command = Command::new("app-bench");
        command.argument("nothing");
        command.spawn(program)?.wait(0).map(|_| ())
    })?);
    Ok(())
}

/// From the kernel's first instruction to init's, and to the shell's first prompt.
fn boot(counters: &Counters, print: &mut dyn FnMut(&Row)) -> Result<()> {
    let words = counters.words()?;
    let at = |c: Counter| words.get(c as usize).copied().unwrap_or(0);
    let one = |name, tsc, bound| Row { name, total: Sample { tsc, ..Sample::default() }, count: 1, bound, copy: 0 };
    let to_init = at(Counter::InitTsc).wrapping_sub(at(Counter::EntryTsc));
    print(&one("boot: kernel entry to init", to_init, Bound::None));
    let text = File::read_all_of("services:sh", 4096)?;
    let text = core::str::from_utf8(&text).map_err(|_| Error::Corrupt)?;
    let ready_ns: u64 = text.lines().find_map(|l| l.strip_prefix("ready-ns ")?.parse().ok()).ok_or(Error::Corrupt)?;
    if ready_ns == 0 {
        return Err(Error::NotFound);
    }
    // On the yardstick a nanosecond is an instruction; elsewhere the counter's rate tells.
    let ticks = u128::from(ready_ns).saturating_mul(u128::from(at(Counter::TscHz))) / 1_000_000_000;
    let ticks = u64::try_from(ticks).unwrap_or(u64::MAX);
    print(&one("boot: kernel entry to prompt", ticks, Bound::Limit(400_000_000)));
    Ok(())
}
