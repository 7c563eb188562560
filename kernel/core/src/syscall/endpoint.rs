//! Handlers of endpoints, their sessions, and reply objects.

use super::cap::MAKER;
use super::{Answer, Context};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::object::{Endpoint, Quota};
use abi::{Error, Result, Rights};

impl<M: Machine> Kernel<M> {
    /// Makes an endpoint. Errors: `OutOfQuota`, `OutOfMemory`, `TableFull`.
    pub fn endpoint_create(&self, cx: &Context) -> Result<Answer> {
        self.make::<Endpoint>(cx, cx.id(), MAKER | Rights::RECEIVE)
    }

    /// Makes a session with a badge above all that the endpoint has ever used, charged to the caller. Errors:
    /// `BadArgument` (badge 0, or an object type past 32 bits), `Exists` (such a badge was used), `Denied` (the
    /// caller may not make sessions of the type), `OutOfQuota`, `OutOfMemory`, `TableFull`.
    pub fn session_create(&self, cx: &Context) -> Result<Answer> {
        let object_type = u32::try_from(cx.arg(2)).map_err(|_| Error::BadArgument)?;
        self.make_decide(cx.process, object_type)?;
        let handle = self.session_make(cx.id::<Endpoint>(), cx.process, cx.arg(1), object_type)?;
        Ok(Answer::one(handle.word()))
    }

    /// Acknowledges the end of a session. Errors: `NotFound`, `WrongState` (it has not ended).
    pub fn session_acknowledge(&self, cx: &Context) -> Result<Answer> {
        self.session_forget(cx.id::<Endpoint>(), cx.arg(1)).map(|()| Answer::DONE)
    }

    /// The session with the next higher badge. Errors: `NotFound` (there is none).
    pub fn session_next(&self, cx: &Context) -> Result<Answer> {
        let (badge, has_ended) = self.session_after(cx.id::<Endpoint>(), cx.arg(1))?;
        Ok(Answer::Values([badge, u64::from(has_ended), 0, 0]))
    }

    /// Makes a reply object. Errors: `OutOfQuota`, `OutOfMemory`, `TableFull`.
    pub fn reply_create(&self, cx: &Context) -> Result<Answer> {
        Ok(Answer::one(self.reply_make(cx.process, cx.id::<Quota>())?.word()))
    }
}
