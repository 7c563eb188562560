//! Limits of accounts beside their pages: how many threads and processes they
//! and those below them may have.
//!
//! The counts are kept all the way up (accounts nest [`super::quota::DEPTH`] deep at most), so that a limit holds for a
//! whole branch however it is split. Limits are set through the account above: nobody raises their own.

use crate::object::Quota;
use crate::{Field, Id, Kernel, Machine};
use abi::quota::Limit;
use abi::{Error, Result};

/// A limit of an account, 0 for none, and what counts against it.
pub(super) type Count = fn(&Quota) -> (&Field<u32>, &Field<u32>);
pub(super) const THREADS: Count = |account| (&account.thread_limit, &account.threads);
pub(super) const PROCESSES: Count = |account| (&account.process_limit, &account.processes_below);

impl<M: Machine> Kernel<M> {
    /// An account and all above it.
    pub(super) fn branch(&self, quota: Id<Quota>) -> impl Iterator<Item = Id<Quota>> + '_ {
        core::iter::successors(Some(quota), |id| self.quotas[*id].parent.get())
    }

    /// Counts one less in a whole branch.
    pub(super) fn count_less(&self, quota: Id<Quota>, count: Count) {
        self.branch(quota).for_each(|id| count(&self.quotas[id]).1.update(|n| n.saturating_sub(1)));
    }

    /// Counts one more in a whole branch. Errors: `OutOfQuota` (someone's limit is reached; nothing was counted).
    pub(super) fn count_more(&self, quota: Id<Quota>, count: Count) -> Result<()> {
        let full = |(limit, used): (&Field<u32>, &Field<u32>)| limit.get() != 0 && used.get() >= limit.get();
        Error::OutOfQuota.when(self.branch(quota).any(|id| full(count(&self.quotas[id]))))?;
        self.branch(quota).for_each(|id| count(&self.quotas[id]).1.update(|n| n.saturating_add(1)));
        Ok(())
    }

    /// Sets a limit of an account below another. Errors: `BadArgument` (it is not directly below), `Busy` (it uses more
    /// pages than that), `OutOfQuota` (the account above has not so many pages left).
    pub(crate) fn quota_limit_set(&self, parent: Id<Quota>, id: Id<Quota>, what: Limit, value: u64) -> Result<()> {
        let quota = &self.quotas[id];
        Error::BadArgument.when(quota.parent.get() != Some(parent))?;
        let narrow = u32::try_from(value).unwrap_or(u32::MAX);
        match what {
            Limit::Threads => quota.thread_limit.set(narrow),
            Limit::Processes => quota.process_limit.set(narrow),
            Limit::Pages => {
                let limit = quota.limit_pages.get();
                Error::Busy.when(value < quota.used_pages.get() || value == 0)?;
                match value.checked_sub(limit) {
                    Some(more) => self.charge(parent, more)?,
                    None => self.uncharge(parent, limit.saturating_sub(value)),
                }
                quota.limit_pages.set(value);
                self.pressure_check(id);
            }
        }
        Ok(())
    }
}
