//! Calls on accounts.

use crate::object::Quota;
use crate::syscall::cap::{LOOK, MAKER};
use crate::syscall::{Answer, Context};
use crate::{Kernel, Machine};
use abi::{Error, Result, Rights};

impl<M: Machine> Kernel<M> {
    /// `quota_split`. Errors: `BadArgument` (no pages, unknown flags, nested too deep), `TableFull`, `OutOfQuota`,
    /// `OutOfMemory`.
    pub fn quota_split(&self, cx: &Context) -> Result<Answer> {
        Error::BadArgument.when(cx.arg(2) != 0)?;
        self.cap_room(cx.process, 1)?;
        let child = self.quota_make_child(cx.id::<Quota>(), cx.arg(1))?;
        self.give(cx, child, MAKER)
    }

    /// `quota_info`.
    pub fn quota_info(&self, cx: &Context) -> Result<Answer> {
        let quota = &self.quotas[cx.id::<Quota>()];
        let processes = u64::from(quota.process_count.get());
        Ok(Answer::Values([quota.limit_pages.get(), quota.used_pages.get(), processes, 0]))
    }

    /// `quota_process`. Errors: `NotFound`.
    pub fn quota_process(&self, cx: &Context) -> Result<Answer> {
        let (_, number) = self.process_after(cx.id::<Quota>(), cx.arg(1))?;
        Ok(Answer::one(number))
    }

    /// `quota_open`. Through `SELF_QUOTA` there is no `MANAGE`: processes of one account don't rule each other.
    /// The capability stems from the account's. Errors: `NotFound`, `Retry`, `TableFull`, `OutOfQuota`, `OutOfMemory`.
    pub fn quota_open(&self, cx: &Context) -> Result<Answer> {
        let process = self.processes_by_id().find(cx.arg(1)).ok_or(Error::NotFound)?;
        Error::NotFound.when(!self.process_is_charged_to(process, cx.id::<Quota>()))?;
        let subject = cx.subject;
        let kept = if subject.cap.is_some() { subject.rights & Rights::MANAGE } else { Rights::empty() };
        self.give_below(cx, process, LOOK | kept)
    }
}
