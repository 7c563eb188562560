//! Calls on upcalls and on foreign call numbers.

use super::{Answer, Context};
use crate::kernel::Kernel;
use crate::machine::Machine;
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// `thread_upcall`.
    pub fn thread_upcall(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `upcall_handler`.
    pub fn upcall_handler(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `upcall_return`.
    pub fn upcall_return(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `upcall_mask`.
    pub fn upcall_mask(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `foreign_handler`.
    pub fn foreign_handler(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }
}
