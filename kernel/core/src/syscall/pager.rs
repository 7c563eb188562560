//! Calls of pagers: memory whose pages a server supplies; pressure.

use super::{Answer, Context};
use crate::kernel::Kernel;
use crate::machine::Machine;
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// `pager_create`.
    pub fn pager_create(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `pager_supply`.
    pub fn pager_supply(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `pager_fail`.
    pub fn pager_fail(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `pager_take`.
    pub fn pager_take(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `pressure_watch`.
    pub fn pressure_watch(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }
}
