//! Limits of accounts beside their pages: how many threads and processes they
//! and those below them may have.
//!
//! The counts are kept all the way up (accounts nest [`super::quota::DEPTH`] deep at most), so that a limit holds for a
//! whole branch however it is split. Limits are set through the account above: nobody raises their own.

use crate::field::Field;
use crate::id::Id;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::object::Quota;
use abi::quota::Limit;
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// An account and all above it.
    pub(super) fn branch(&self, quota: Id<Quota>) -> impl Iterator<Item = Id<Quota>> + '_ {
        core::iter::successors(Some(quota), |id| self.quotas[*id].parent.get())
    }

    fn count_less(&self, quota: Id<Quota>, count: impl Fn(&Quota) -> &Field<u32>) {
        self.branch(quota).for_each(|id| count(&self.quotas[id]).update(|n| n.saturating_sub(1)));
    }

    /// Counts one more in a whole branch. Errors: `OutOfQuota` (someone's limit is reached; nothing was counted).
    fn count_more(&self, quota: Id<Quota>, count: impl Fn(&Quota) -> (&Field<u32>, &Field<u32>)) -> Result<()> {
        let full = |(limit, used): (&Field<u32>, &Field<u32>)| limit.get() != 0 && used.get() >= limit.get();
        if self.branch(quota).any(|id| full(count(&self.quotas[id]))) {
            return Err(Error::OutOfQuota);
        }
        self.branch(quota).for_each(|id| count(&self.quotas[id]).1.update(|n| n.saturating_add(1)));
        Ok(())
    }

    /// One thread more. Errors: `OutOfQuota`.
    pub(crate) fn threads_count_more(&self, quota: Id<Quota>) -> Result<()> {
        self.count_more(quota, |account| (&account.thread_limit, &account.threads))
    }

    /// One thread less.
    pub(crate) fn threads_count_less(&self, quota: Id<Quota>) {
        self.count_less(quota, |account| &account.threads);
    }

    /// One process more. Errors: `OutOfQuota`.
    pub(crate) fn processes_count_more(&self, quota: Id<Quota>) -> Result<()> {
        self.count_more(quota, |account| (&account.process_limit, &account.processes_below))
    }

    /// One process less.
    pub(crate) fn processes_count_less(&self, quota: Id<Quota>) {
        self.count_less(quota, |account| &account.processes_below);
    }

    /// Sets a limit of an account below another. Errors: `BadArgument` (it is not directly below), `Busy` (it uses more
    /// pages than that), `OutOfQuota` (the account above has not so many pages left).
    pub(crate) fn quota_limit_set(&self, parent: Id<Quota>, id: Id<Quota>, what: Limit, value: u64) -> Result<()> {
        let quota = &self.quotas[id];
        if quota.parent.get() != Some(parent) {
            return Err(Error::BadArgument);
        }
        let narrow = u32::try_from(value).unwrap_or(u32::MAX);
        match what {
            Limit::Threads => quota.thread_limit.set(narrow),
            Limit::Processes => quota.process_limit.set(narrow),
            Limit::Pages => {
                let limit = quota.limit_pages.get();
                if value < quota.used_pages.get() || value == 0 {
                    return Err(Error::Busy);
                }
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
