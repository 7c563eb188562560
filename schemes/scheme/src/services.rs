//! The contract of init's two schemes: `services:` to look and ask,
//! `service-manager:` to start instances.
//!
//! `services:` lists the services; the file of a service holds one `key value` line each for: `name`, `state`
//! (waiting, starting, ready, backing-off, finished, failed), `restarts`, `pid` (0: not running), `ready-ns` (when it was last
//! ready, since boot; 0: not yet), `scheme` (`-`: none),
//! `memory-pages` and `memory-limit`, `holds` (names of the capabilities of its manifest, blank-separated), `sees` (the
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
