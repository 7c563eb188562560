//! Mandatory access control, and the record of what it decided.
//!
//! - [`policy`]: the rules in their frames: loading, looking up
//! - [`check`]: who may have which session: the decisions
//! - [`audit`]: the records, in rings that never block
//!
//! Called by the handlers and by whatever hands a session to another process. Until a policy is loaded everything is
//! allowed and nothing recorded. Lock: the kernel's; frames of the rings are the kernel's own.

pub mod audit;
pub mod check;
pub mod policy;

pub use policy::Security;
