//! Handlers of notifications and their timers.

use super::{Answer, Context};
use crate::object::{Endpoint, Notification, Quota};
use crate::{Kernel, Machine};
use abi::{Kind, Result, Rights};

impl<M: Machine> Kernel<M> {
    /// Makes a notification. Errors: `OutOfQuota`, `OutOfMemory`, `TableFull`.
    pub fn notification_create(&self, cx: &Context) -> Result<Answer> {
        self.cap_room(cx.process, 1)?;
        let id = self.allocate_object::<Notification>(cx.id::<Quota>())?;
        let rights = Rights::TRANSFER | Rights::DERIVE | Rights::INSPECT | Rights::SEND | Rights::RECEIVE;
        Ok(Answer::one(self.cap_give(cx, Kind::Notification, id.raw(), rights).word()))
    }

    /// Delivers a notification's bits to receivers of an endpoint too, in place of the notification that was bound
    /// there. Errors: those of a look-up of the endpoint (`RECEIVE` asked).
    pub fn notification_bind(&self, cx: &Context) -> Result<Answer> {
        let endpoint = self.resolve(cx, cx.arg(1), Kind::Endpoint, Rights::RECEIVE)?.id::<Endpoint>();
        self.notification_bind_to(cx.id::<Notification>(), endpoint);
        Ok(Answer::DONE)
    }

    /// Sets bits. Errors: `NoRight` (its badge does not have these bits, too).
    pub fn notify(&self, cx: &Context) -> Result<Answer> {
        self.check_bits(cx.subject, cx.arg(1))?;
        self.notification_signal(cx.id::<Notification>(), cx.arg(1));
        Ok(Answer::DONE)
    }

    /// Waits until bits are set, and takes them. Errors: `TimedOut`, `Cancelled`, `Interrupted` (an upcall
    /// came), `Closed` (the notification ended).
    pub fn wait(&self, cx: &Context) -> Result<Answer> {
        let bits = self.notification_wait(cx.id::<Notification>(), cx.subject.cap, cx.thread, cx.arg(1))?;
        Ok(bits.map_or(Answer::Written, Answer::one))
    }

    /// Sets bits at a time, or up to `slack_ns` later together with others, so that fewer interrupts are taken; a time
    /// that has passed does so at once, 0 disarms. Errors: `NoRight` (its badge does not have these bits, too).
    pub fn timer_set(&self, cx: &Context) -> Result<Answer> {
        self.check_bits(cx.subject, cx.arg(1))?;
        self.notification_timer(cx.id::<Notification>(), cx.arg(1), cx.arg(2), cx.arg(3));
        Ok(Answer::DONE)
    }
}
