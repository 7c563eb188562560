//! Calls of debuggers and supervisors on threads.

use super::{Answer, Context};
use crate::kernel::Kernel;
use crate::machine::Machine;
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// `thread_suspend`.
    pub fn thread_suspend(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `thread_resume`.
    pub fn thread_resume(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `thread_registers`.
    pub fn thread_registers(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `thread_set_registers`.
    pub fn thread_set_registers(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `thread_fault_handler`.
    pub fn thread_fault_handler(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }
}
