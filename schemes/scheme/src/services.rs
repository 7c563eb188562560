//! The contract of init's schemes: `services:` to look and ask,
//! `service-manager:` to start instances, `audit:` to read the record.
//!
//! `services:` lists the services; the file of a service holds one `key value` line each for: `name`, `state`
//! (waiting, starting, ready, backing-off, finished, failed), `restarts`, `upgrades` (new builds that took its place), `pid` (0: not running), `ready-ns` (when it was last
//! ready, since boot; 0: not yet), `scheme` (`-`: none), `label` and
//! `object-type` (as the security policy calls them), `memory-pages` and `memory-limit`, `holds` (names of the capabilities of its manifest, blank-separated), `sees` (the
//! schemes in its namespace, blank-separated). Commands below are `control` calls on the root of either.

use abi::{Error, Result};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Powers the machine off after telling services to finish.
pub const POWER_OFF: u64 = 1;
/// Starts the machine anew.
pub const REBOOT: u64 = 2;
/// Writes the argument (2 to 127) to the emulator's exit device, which makes 2 × it + 1 the exit status; powers off where there is none.
pub const EXIT: u64 = 3;
/// Input: the name of a service or the decimal id of a process. Ends it, however it is; a service is then restarted by its manifest.
pub const KILL: u64 = 4;
/// Only on `service-manager:`. Input: a [`StartInstance`]; capabilities: the sessions it names, in order.
/// Errors: `NotFound` (no such template), `Exists` (the instance runs), `BadArgument`.
pub const START: u64 = 5;
/// Output: names of services marked essential that can't be kept running, one a line. Value: how many.
pub const MISSING: u64 = 6;
/// Output: the kernel's counters, u64 little-endian, in the order of `abi::boot::Counter`.
pub const COUNTERS: u64 = 7;

/// Output: the names that the security policy has for numbers, one `subject NUMBER NAME` or `type NUMBER NAME` a line.
pub const LABELS: u64 = 8;

/// Only on `service-manager:`. Input: the name of a service that runs; argument: the length of a program in bytes; capability: a Memory
/// with it (READ). The service is ended and started again with this program, the same capabilities and its keepsake; if the
/// program ends before it is ready, the one before is started again. Errors: `NotFound` (no such service, or it is over for
/// good), `Busy` (another upgrade is under way), `BadArgument` (no such Memory, or too long), `NotExecutable`.
pub const UPGRADE: u64 = 9;

/// Only on `audit:`. Argument: a position, first 0. Output: whole lines of the record from there on (see [`AuditLine`]);
/// value: the position after them. No output: the end. Errors: `BadArgument` (no room for a line).
pub const AUDIT: u64 = 1;
/// As [`AUDIT`]: the denials alone, which are kept longer, each label's for itself.
pub const AUDIT_DENIALS: u64 = 2;
/// Value: the position after the last record that there is. Reading is recorded too: who reads no further comes to an end.
pub const AUDIT_END: u64 = 3;

/// A line of the record: words with single blanks between them, `-` where there is nothing. Bytes that programs chose are
/// escaped, so that a word is a word and a line a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditLine<'a> {
    /// Seconds since boot, with six decimals. `lost` stands here in a line that says in `verdict` how many records are
    /// gone before the next.
    pub time: &'a str,
    /// `allowed` or `denied`.
    pub verdict: &'a str,
    /// The word of an `abi::security::Kind`.
    pub kind: &'a str,
    /// The process that acted.
    pub pid: &'a str,
    /// Its name then.
    pub name: &'a str,
    /// Its label.
    pub label: &'a str,
    /// The other label and, after a `/`, process.
    pub other: &'a str,
    /// The object's type.
    pub object_type: &'a str,
    /// Rights asked for `>` rights given, as letters.
    pub rights: &'a str,
    /// Scheme and path, service and note, or kind and number of the object.
    pub what: &'a str,
}

impl<'a> AuditLine<'a> {
    /// The words of a line; `None` where they are not as many.
    pub fn parse(line: &'a str) -> Option<AuditLine<'a>> {
        let mut words = line.split(' ');
        let mut next = || words.next();
        let line = AuditLine {
            time: next()?,
            verdict: next()?,
            kind: next()?,
            pid: next()?,
            name: next()?,
            label: next()?,
            other: next()?,
            object_type: next()?,
            rights: next()?,
            what: next()?,
        };
        words.next().is_none().then_some(line)
    }
}

/// A wish for an instance of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartInstance {
    /// The template's name as its file says, without the instance: `virtio-blk`.
    pub template: String,
    /// What `{instance}` stands for.
    pub instance: String,
    /// Under which scheme names the sessions sent along appear in the instance's namespace.
    pub sessions: Vec<String>,
}

impl StartInstance {
    /// The wire form: one line each.
    pub fn to_text(&self) -> String {
        let mut out = [self.template.as_str(), "\n", &self.instance, "\n"].concat();
        for name in &self.sessions {
            out.push_str(name);
            out.push('\n');
        }
        out
    }

    /// From the wire form. Errors: `BadArgument`.
    pub fn from_text(text: &str) -> Result<StartInstance> {
        let mut lines = text.lines().map(ToString::to_string);
        let (Some(template), Some(instance)) = (lines.next(), lines.next()) else { return Err(Error::BadArgument) };
        let sessions: Vec<String> = lines.collect();
        let plain = |s: &String| {
            !s.is_empty() && s.len() <= 31 && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        };
        if !plain(&template) || !plain(&instance) || sessions.len() > abi::message::CAPS || !sessions.iter().all(plain)
        {
            return Err(Error::BadArgument);
        }
        Ok(StartInstance { template, instance, sessions })
    }
}

#[cfg(test)]
mod tests {
    use super::StartInstance;

    #[test]
    fn a_wish_reads_back_and_nonsense_is_refused() {
        let wish = StartInstance { template: "fat".into(), instance: "1-0".into(), sessions: vec!["disk".into()] };
        assert_eq!(StartInstance::from_text(&wish.to_text()), Ok(wish));
        for bad in ["", "a", "a\n", "a\nb c", "a\nb\nc\nd\ne\nf\ng"] {
            assert!(StartInstance::from_text(bad).is_err(), "{bad:?}");
        }
    }
}
