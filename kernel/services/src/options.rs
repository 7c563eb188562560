//! The words of the kernel's command line.
//!
//! `quiet`: the log leaves COM1 alone. `log=LEVEL`: error, warn, info, debug or trace. `cpus=N`: at most so many
//! processors. Words the kernel does not know are init's.

use log::LevelFilter;

/// What the kernel was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The log leaves COM1 alone.
    pub quiet: bool,
    /// What is logged.
    pub level: LevelFilter,
    /// The most processors used; at least 1.
    pub cpus: usize,
}

impl Options {
    /// Reads a command line. A level that does not exist changes nothing.
    pub fn parse(line: &str) -> Options {
        let mut options = Options { quiet: false, level: LevelFilter::Info, cpus: usize::MAX };
        for word in line.split_ascii_whitespace() {
            if word == "quiet" {
                options.quiet = true;
            } else if let Some(level) = word.strip_prefix("log=").and_then(|name| name.parse().ok()) {
                options.level = level;
            } else if let Some(cpus) = word.strip_prefix("cpus=").and_then(|number| number.parse().ok()) {
                options.cpus = usize::max(cpus, 1);
            }
        }
        options
    }
}

#[cfg(test)]
mod tests;
