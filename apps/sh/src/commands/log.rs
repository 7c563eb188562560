//! `dmesg`: the kernel's log.

use crate::context::{Context, Options};
use crate::system::reason;

/// `dmesg`.
pub fn dmesg(cx: &mut Context<'_>, _: &Options<'_>) {
    let mut piece = [0; 4096];
    let mut position = 0;
    loop {
        match cx.system.log(position, &mut piece) {
            Ok((0, _)) => return,
            Ok((length, next)) => {
                cx.out.bytes(piece.get(..length).unwrap_or(&[]));
                position = next;
            }
            Err(error) => return cx.complain(format_args!("the log can't be read from here: {}", reason(error))),
        }
    }
}
