//! Calls that make copies: of memory, of spaces, of capability tables.

use super::{Answer, Context};
use crate::kernel::Kernel;
use crate::machine::Machine;
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// `memory_clone`.
    pub fn memory_clone(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `space_clone`.
    pub fn space_clone(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `table_clone`.
    pub fn table_clone(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }
}
