//! Calls on event queues and on the readiness of sessions.

use super::{Answer, Context};
use crate::kernel::Kernel;
use crate::machine::Machine;
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// `queue_create`.
    pub fn queue_create(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `queue_add`.
    pub fn queue_add(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `queue_change`.
    pub fn queue_change(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `queue_remove`.
    pub fn queue_remove(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `queue_wait`.
    pub fn queue_wait(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `queue_bind`.
    pub fn queue_bind(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }

    /// `session_ready`.
    pub fn session_ready(&self, _cx: &Context) -> Result<Answer> {
        Err(Error::NotSupported)
    }
}
