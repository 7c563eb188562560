//! Calls on the limits of accounts, and on what they are used for.

use super::{Answer, Context};
use crate::kernel::Kernel;
use crate::machine::Machine;
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// `quota_limit`.
    pub fn quota_limit(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `quota_usage`.
    pub fn quota_usage(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `process_quota`.
    pub fn process_quota(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }
}
