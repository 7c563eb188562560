//! Calls on the security policy, labels, and the audit record.

use super::{Answer, Context};
use crate::kernel::Kernel;
use crate::machine::Machine;
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// `policy_load`.
    pub fn policy_load(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `process_label`.
    pub fn process_label(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `audit_read`.
    pub fn audit_read(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `audit_write`.
    pub fn audit_write(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }
}
