//! What went wrong, and the firmware's console to say it on.
#![allow(unsafe_code, reason = "whether there is a console stands in the firmware's system table")]

use alloc::format;
use alloc::string::String;
use core::fmt::{Arguments, Display, Formatter, Write};
use uefi::{system, table};

/// Why the kernel can't be started, in words for whoever sits before the screen.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// `what` is what it is about, `why` a predicate: "kernel.elf", "is not there".
    pub fn because(what: &str, why: &str) -> Failure {
        Failure(format!("{what} {why}"))
    }

    /// The firmware's own answer on `what`.
    pub fn firmware(what: &str, error: &uefi::Error<impl core::fmt::Debug>) -> Failure {
        Failure(format!("{what}: the firmware says {}", error.status()))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Writes on the firmware's console, where there is one. Only before boot services end.
pub fn say(text: Arguments<'_>) {
    let Some(table) = table::system_table_raw() else { return };
    // SAFETY: 1. the entry point was handed this table by the firmware, which keeps it until boot
    // services end, and they have not; 2. only one field is read, and nothing else runs meanwhile.
    let has_console = unsafe { !table.as_ref().stdout.is_null() };
    if has_console {
        // A console that can't show a message is no reason not to boot.
        system::with_stdout(|console| console.write_fmt(text).unwrap_or_default());
    }
}
