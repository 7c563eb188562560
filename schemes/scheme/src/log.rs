//! The log: the `log` crate's macros, into the kernel's log.
//!
//! A line is `NAME: message`, warnings and errors marked. Without a `log` capability lines go nowhere; on the host, to
//! standard error.

use core::fmt::{self, Write};

/// The longest line the kernel keeps.
pub const LINE: usize = 512;

/// A line in the making, on the stack; what is too long is cut.
#[derive(Debug)]
pub struct Line {
    bytes: [u8; LINE],
    used: usize,
}

impl Line {
    /// An empty line.
    pub const fn new() -> Line {
        Line { bytes: [0; LINE], used: 0 }
    }

    /// The line so far.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or(&[])
    }
}

impl Default for Line {
    fn default() -> Line {
        Line::new()
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (slot, byte) in self.bytes.iter_mut().skip(self.used).zip(text.bytes()) {
            *slot = byte;
            self.used = self.used.saturating_add(1);
        }
        Ok(())
    }
}

/// Puts a line into the log as it is.
pub fn raw(line: &[u8]) {
    #[cfg(target_os = "none")]
    if let Some(log) = crate::rt::start::handle(abi::start::names::LOG) {
        let _ = crate::rt::calls::log_write(log, line);
    }
    #[cfg(not(target_os = "none"))]
    std::eprintln!("{}", std::string::String::from_utf8_lossy(line));
}

struct KernelLog;

impl log::Log for KernelLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = Line::new();
        let mark = match record.level() {
            log::Level::Error => "error: ",
            log::Level::Warn => "warning: ",
            _ => "",
        };
        let _ = write!(line, "{mark}{}", record.args());
        raw(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Makes the log the target of the macros. The runtime calls it before `main`.
pub fn init() {
    static LOG: KernelLog = KernelLog;
    if log::set_logger(&LOG).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
}
