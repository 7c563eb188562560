//! What the agent asks of the system: commands to run, init, the power.

use alloc::string::String;
use alloc::vec::Vec;
use scheme::Result;

/// Everything outside the agent.
pub trait World {
    /// Starts a command whose standard streams are the sessions with badges `first`, `first + 1` and `first + 2` of the agent's
    /// endpoint. Its end is told as [`ENDED`](crate::server::ENDED). Errors: those of starting.
    fn start(&mut self, arguments: &[String], first: u64) -> Result<()>;
    /// The status of the command that ran; `None` while it runs. After `Some` its sessions are gone.
    fn ended(&mut self) -> Option<i32>;
    /// Essential services that don't run.
    fn missing(&mut self) -> Vec<String>;
    /// Brings everything to its medium and switches off; returns only if that fails.
    fn power_off(&mut self);
}
