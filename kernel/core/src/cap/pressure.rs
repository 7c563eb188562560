//! Pressure: whoever watches an account is told when it runs short.
//!
//! One watch an account. It is told once when the free pages fall below its number, and again only after they have been
//! above it.

use crate::id::{Id, Link};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::object::{Notification, Quota};

impl<M: Machine> Kernel<M> {
    /// Watches an account, in place of who did before; without a notification nobody does.
    pub(crate) fn pressure_set(&self, id: Id<Quota>, to: Link<Notification>, bits: u64, free_pages: u64) {
        let quota = &self.quotas[id];
        if let Some(to) = to {
            self.retain(to);
        }
        quota.pressure_bits.set(bits);
        quota.pressure_free.set(if to.is_some() { free_pages } else { 0 });
        quota.pressure_told.set(false);
        if let Some(before) = quota.pressure.replace(to) {
            self.release(before);
        }
        self.pressure_check(quota);
    }

    /// What an account uses has changed.
    #[inline]
    pub(crate) fn pressure_check(&self, quota: &Quota) {
        if quota.pressure_free.get() != 0 {
            self.pressure_tell(quota);
        }
    }

    #[cold]
    fn pressure_tell(&self, quota: &Quota) {
        let free = quota.limit_pages.get().saturating_sub(quota.used_pages.get());
        let short = free < quota.pressure_free.get();
        if short && !quota.pressure_told.get() {
            if let Some(to) = quota.pressure.get() {
                quota.pressure_told.set(true);
                self.notification_signal(to, quota.pressure_bits.get());
            }
        } else if !short {
            quota.pressure_told.set(false);
        }
    }
}
