//! `reboot` and `poweroff`: asked of init, which holds the power.

use crate::context::{Context, Options};
use crate::system::reason;
use scheme::services::{POWER_OFF, REBOOT};

fn ask(cx: &mut Context<'_>, command: u64) {
    // What was printed so far should be seen before the light goes out.
    cx.out.flush();
    if let Err(error) = cx.system.control("services:", command, 0, &[], 0) {
        cx.complain(format_args!("{}", reason(error)));
    }
}

/// `reboot`.
pub fn reboot(cx: &mut Context<'_>, _: &Options<'_>) {
    ask(cx, REBOOT);
}

/// `poweroff`.
pub fn poweroff(cx: &mut Context<'_>, _: &Options<'_>) {
    ask(cx, POWER_OFF);
}
