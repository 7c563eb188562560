//! From the `log` macros to wherever the kernel's log goes.
//!
//! Each record becomes one line, `[seconds.microseconds] text`, handed to a function that the kernel
//! binary registers. No heap, no lock: a line is put together on the stack and cut at [`LINE`] bytes.

use core::fmt::Write;
use log::{Level, LevelFilter, Log, Metadata, Record};

/// The most bytes in a line.
pub const LINE: usize = 512;

/// Where lines go, and the clock.
#[derive(Clone, Copy)]
pub struct Out {
    /// Takes a line, with its end.
    pub write: fn(&[u8]),
    /// Nanoseconds since boot.
    pub now_ns: fn() -> u64,
}

/// The logger. Lives in a static of the kernel binary.
pub struct Logger(pub Out);

/// A line in the making.
struct Line {
    bytes: [u8; LINE],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            // One place is kept for the end of the line.
            if self.length.saturating_add(1) >= LINE {
                return Ok(());
            }
            let safe = if byte < b' ' && byte != b'\t' { b' ' } else { byte };
            if let Some(slot) = self.bytes.get_mut(self.length) {
                *slot = safe;
                self.length = self.length.saturating_add(1);
            }
        }
        Ok(())
    }
}

/// Makes the line of a record and hands it to `write`.
pub fn line(now_ns: u64, level: Level, text: core::fmt::Arguments, write: fn(&[u8])) {
    let mut line = Line { bytes: [0; LINE], length: 0 };
    let (seconds, micros) = (now_ns / 1_000_000_000, now_ns / 1000 % 1_000_000);
    let mark = match level {
        Level::Error => "error: ",
        Level::Warn => "warning: ",
        _ => "",
    };
    let _ = write!(line, "[{seconds:5}.{micros:06}] {mark}{text}");
    if let Some(slot) = line.bytes.get_mut(line.length) {
        *slot = b'\n';
        line.length = line.length.saturating_add(1);
    }
    write(line.bytes.get(..line.length).unwrap_or(&[]));
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }
    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            line((self.0.now_ns)(), record.level(), *record.args(), self.0.write);
        }
    }
    fn flush(&self) {}
}

/// Bytes of lines kept before there is a kernel.
const EARLY: usize = 4096;

/// The lines of the first moments, kept for the kernel's log. Lines that don't fit are shown all the same.
pub struct EarlyLog {
    bytes: [u8; EARLY],
    length: usize,
    open: bool,
}

impl EarlyLog {
    /// Empty, and taking lines.
    pub const fn new() -> EarlyLog {
        EarlyLog { bytes: [0; EARLY], length: 0, open: true }
    }

    /// Keeps a line, if there is room for all of it.
    pub fn push(&mut self, line: &[u8]) {
        let end = self.length.saturating_add(line.len());
        if let Some(room) = self.bytes.get_mut(self.length..end).filter(|_| self.open) {
            room.copy_from_slice(line);
            self.length = end;
        }
    }

    /// Hands the lines over; from then on none is kept.
    pub fn hand_over(&mut self, take: impl FnOnce(&[u8])) {
        take(self.bytes.get(..self.length).unwrap_or(&[]));
        (self.length, self.open) = (0, false);
    }
}

impl Default for EarlyLog {
    fn default() -> Self {
        EarlyLog::new()
    }
}

/// Makes `logger` the one that the macros use.
pub fn initialise(logger: &'static Logger, level: LevelFilter) {
    // Only a second logger is refused, and there is none.
    let _ = log::set_logger(logger);
    log::set_max_level(level);
}

#[cfg(test)]
mod tests;
