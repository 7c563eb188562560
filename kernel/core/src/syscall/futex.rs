//! Calls on futex words.

use super::{Answer, Context};
use crate::kernel::Kernel;
use crate::machine::Machine;
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// `futex_wait`.
    pub fn futex_wait(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `futex_wake`.
    pub fn futex_wake(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `futex_requeue`.
    pub fn futex_requeue(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }
}
