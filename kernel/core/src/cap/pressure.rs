//! Pressure: whoever watches an account is told when it runs short.
//!
//! One watch an account. It is told once when the free pages fall below its number, and again only after they have been
//! above it. An account is charged in the midst of everything, so it is told of on the way out of the kernel, by the reaper. When
//! nobody owns the account any more the watch goes: the notification may be charged to the very account that refers to it.

use crate::object::{Notification, Quota};
use crate::reaper::Reap;
use crate::{Id, Kernel, Link, Machine};

impl<M: Machine> Kernel<M> {
    /// Watches an account, in place of who did before; without a notification nobody does.
    pub(crate) fn pressure_set(&self, id: Id<Quota>, to: Link<Notification>, bits: u64, free_pages: u64) {
        let quota = &self.quotas[id];
        quota.pressure_bits.set(bits);
        quota.pressure_free.set(if to.is_some() { free_pages } else { 0 });
        quota.pressure_told.set(false);
        self.refer(&quota.pressure, to);
        self.pressure_check(id);
    }

    /// What an account uses, or its limit, has changed.
    #[inline]
    pub(crate) fn pressure_check(&self, id: Id<Quota>) {
        if self.quotas[id].pressure_free.get() != 0 {
            self.pressure_look(id);
        }
    }

    #[cold]
    fn pressure_look(&self, id: Id<Quota>) {
        let quota = &self.quotas[id];
        let free = quota.limit_pages.get().saturating_sub(quota.used_pages.get());
        let short = free < quota.pressure_free.get();
        if !short {
            quota.pressure_told.set(false);
        } else if !quota.pressure_told.replace(true) && !quota.pressed.replace(true) {
            self.retain(id);
            self.reap_later(Reap::Pressure(id));
        }
    }

    /// Tells whoever watches an account, which is short or was a moment ago. That is all there is to do.
    pub(crate) fn pressure_tell(&self, id: Id<Quota>) -> bool {
        let quota = &self.quotas[id];
        quota.pressed.set(false);
        if let Some(to) = quota.pressure.get() {
            self.notification_signal(to, quota.pressure_bits.get());
        }
        self.release(id);
        true
    }
}
