//! Accounts of pages: splitting, charging, and what happens to charges when an
//! account's owner goes.
//!
//! A child's limit is charged to its parent whole, so the sum of what is used never passes what there is.
//! An account without capabilities and live processes is *orphaned*: its limit shrinks to what is still
//! used, and follows it; so each page it still holds is one page of its parent's, which is what "charges
//! move to the nearest living ancestor" means, without a walk over everything that was charged.

use crate::cap::reference::object;
use crate::list::Siblings;
use crate::object::Quota;
use crate::{Id, Kernel, Link, Machine};
use abi::{Error, Result};

/// How deep accounts nest. A charge to an orphan walks up at most this far.
pub const DEPTH: u8 = 32;

object!(Quota, Quota, |kernel, id| {
    // The account goes, and those above it that only it kept alive, one after another.
    let mut ended = Some(id);
    while let Some(id) = ended {
        ended = kernel.quota_end(id);
    }
});

impl<M: Machine> Kernel<M> {
    /// The account that holds every frame that is free now. It never ends.
    pub(crate) fn root_quota_create(&self) -> Result<()> {
        let id = self.first_quota_page()?;
        let quota = &self.quotas[id];
        quota.header.object_id.set(self.fresh_object_id());
        quota.header.references.set(1);
        quota.owners.set(1);
        quota.account.set(quota.header.object_id.get());
        // The page that holds its own record is the first that it pays for.
        quota.used_pages.set(1);
        quota.limit_pages.set(u64::from(self.frames.free()).saturating_add(1));
        self.root_quota.set(Some(id));
        Ok(())
    }

    /// The account of all memory.
    pub fn root_quota(&self) -> Id<Quota> {
        self.root_quota.get().expect("invariant: the root account lives from boot on")
    }

    /// Makes a child account with no references yet. Errors: `BadArgument` (no pages, nested too deep),
    /// `OutOfQuota`, `OutOfMemory`.
    pub fn quota_make_child(&self, parent: Id<Quota>, limit_pages: u64) -> Result<Id<Quota>> {
        let depth = self.quotas[parent].depth.get();
        Error::BadArgument.when(limit_pages == 0 || depth >= DEPTH)?;
        self.charge(parent, limit_pages)?;
        let id = self.allocate_object::<Quota>(parent).inspect_err(|_| self.uncharge(parent, limit_pages))?;
        let quota = &self.quotas[id];
        quota.limit_pages.set(limit_pages);
        quota.account.set(quota.header.object_id.get());
        quota.parent.set(Some(parent));
        quota.depth.set(depth.saturating_add(1));
        self.quotas.list::<Siblings>(&self.quotas[parent].children).push_back(id);
        Ok(id)
    }

    /// Charges pages to an account. Errors: `OutOfQuota`.
    pub fn charge(&self, quota: Id<Quota>, pages: u64) -> Result<()> {
        let mut living = quota;
        while self.quotas[living].orphaned.get() {
            living = self.quotas[living].parent.get().ok_or(Error::OutOfQuota)?;
        }
        let account = &self.quotas[living];
        let used = account.used_pages.get().checked_add(pages).ok_or(Error::OutOfQuota)?;
        Error::OutOfQuota.when(used > account.limit_pages.get())?;
        account.used_pages.set(used);
        self.pressure_check(living);
        let mut at = quota;
        while at != living {
            let orphan = &self.quotas[at];
            orphan.used_pages.update(|n| n.saturating_add(pages));
            orphan.limit_pages.update(|n| n.saturating_add(pages));
            at = orphan.parent.get().expect("invariant: the walk before came to the living account");
        }
        Ok(())
    }

    /// Takes a charge back.
    pub fn uncharge(&self, quota: Id<Quota>, pages: u64) {
        let mut next: Link<Quota> = Some(quota);
        while let Some(id) = next {
            let account = &self.quotas[id];
            let less = |n: u64| n.checked_sub(pages).expect("invariant: no more is taken back than was charged");
            account.used_pages.update(less);
            if !account.orphaned.get() {
                self.pressure_check(id);
                return;
            }
            account.limit_pages.update(less);
            next = account.parent.get();
        }
    }

    /// A capability or a process of its own more.
    pub(crate) fn quota_adopt(&self, id: Id<Quota>) {
        let quota = &self.quotas[id];
        debug_assert!(!quota.orphaned.get(), "invariant: nobody can name an orphan");
        quota.owners.update(|n| n.saturating_add(1));
    }

    /// One of these less. With the last one the account gives back what it does not use.
    pub(crate) fn quota_disown(&self, id: Id<Quota>) {
        let quota = &self.quotas[id];
        let owners = quota.owners.get().checked_sub(1).expect("invariant: an owner that goes was counted");
        quota.owners.set(owners);
        if owners == 0 {
            let free = quota.limit_pages.get().saturating_sub(quota.used_pages.get());
            quota.limit_pages.set(quota.used_pages.get());
            quota.orphaned.set(true);
            if let Some(parent) = quota.parent.get() {
                self.uncharge(parent, free);
            }
            self.pressure_set(id, None, 0, 0);
        }
    }

    /// Frees one account that nothing refers to; answers its parent if that has to end as well.
    fn quota_end(&self, id: Id<Quota>) -> Link<Quota> {
        let quota = &self.quotas[id];
        if !quota.orphaned.get() {
            // It was made and never given to anyone.
            quota.owners.set(1);
            self.quota_disown(id);
        }
        let parent = quota.parent.get()?;
        self.quotas.list::<Siblings>(&self.quotas[parent].children).remove(id);
        quota.header.object_id.set(0);
        self.free(id);
        let references = &self.quotas[parent].header.references;
        let left = references.get().checked_sub(1).expect("invariant: a child keeps its parent alive");
        references.set(left);
        (left == 0).then_some(parent)
    }
}
