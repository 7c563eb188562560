//! Calls on event queues and on the readiness of sessions.

use super::cap::MAKER;
use super::{Answer, Context};
use crate::id::Id;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::mm::fault::Access;
use crate::object::{Endpoint, EventQueue, Quota};
use abi::event::{Mode, BATCH, MAX_CAPACITY};
use abi::memory::PAGE_SIZE;
use abi::{Error, Kind, Result, Rights};

/// Bytes that one event takes: a key and its bits.
const EVENT: u64 = 16;

/// A mask and a mode. Errors: `BadArgument`.
fn wanted(mask: u64, mode: u64) -> Result<(u32, Mode)> {
    let mask = u32::try_from(mask).map_err(|_| Error::BadArgument)?;
    Ok((mask, Mode::from_number(mode).ok_or(Error::BadArgument)?))
}

impl<M: Machine> Kernel<M> {
    /// `queue_create`. Errors: `BadArgument`, `OutOfQuota`, `OutOfMemory`, `TableFull`.
    pub fn queue_create(&self, cx: &Context) -> Result<Answer> {
        let capacity = Some(cx.arg(1)).filter(|n| (1..=MAX_CAPACITY).contains(n)).ok_or(Error::BadArgument)?;
        self.cap_room(cx.process, 1)?;
        let id = self.allocate_object::<EventQueue>(cx.id::<Quota>())?;
        self.event_queues[id].capacity.set(capacity as u32);
        self.give(cx, id, MAKER | Rights::RECEIVE)
    }

    /// `queue_add`. Charged to the queue's account. Errors: those of a look-up of the session (`INSPECT` asked),
    /// `BadArgument`, `Exists`, `TableFull`, `Busy` (the session has all the interests it can have), `OutOfQuota`,
    /// `OutOfMemory`.
    pub fn queue_add(&self, cx: &Context) -> Result<Answer> {
        let session = self.resolve(cx, cx.arg(1), Kind::Session, Rights::INSPECT)?;
        let (mask, mode) = wanted(cx.arg(3), cx.arg(4))?;
        let interest = self.interest_add(cx.id::<EventQueue>(), session.id(), cx.arg(2), mask, mode)?;
        self.interests[interest].via.set(session.cap.map_or(0, Id::raw));
        Ok(Answer::DONE)
    }

    /// `queue_change`. What is so already is told anew. Errors: `BadArgument`, `NotFound`.
    pub fn queue_change(&self, cx: &Context) -> Result<Answer> {
        let (mask, mode) = wanted(cx.arg(2), cx.arg(3))?;
        let interest = self.interest_find(cx.id::<EventQueue>(), cx.arg(1))?;
        self.interest_set(interest, mask, mode);
        Ok(Answer::DONE)
    }

    /// `queue_remove`. Errors: `NotFound`.
    pub fn queue_remove(&self, cx: &Context) -> Result<Answer> {
        let interest = self.interest_find(cx.id::<EventQueue>(), cx.arg(1))?;
        self.interest_end(interest);
        Ok(Answer::DONE)
    }

    /// `queue_wait`. A thread that is woken comes in here again and copies its events itself. Errors: `BadArgument`,
    /// `BadAddress`, `OutOfQuota`, `OutOfMemory` (of a page there), `TimedOut`, `Cancelled`, `Closed`.
    pub fn queue_wait(&self, cx: &Context) -> Result<Answer> {
        let id = cx.id::<EventQueue>();
        let woken_for = self.poll_back(cx.thread);
        if let Some(other) = woken_for.filter(|queue| *queue != id) {
            self.queue_settle(other);
        }
        let taken = self.queue_take(cx, id);
        if let Ok(0) = taken {
            Error::TimedOut.when(self.is_past(cx.arg(3)))?;
            self.threads[cx.thread].via.set(cx.subject.cap.map_or(0, Id::raw));
            self.queue_wait_begin(id, cx.thread, woken_for == Some(id), cx.arg(3));
            return Ok(Answer::Written);
        }
        // There may be more, for someone else.
        self.queue_settle(id);
        Ok(Answer::one(taken? as u64))
    }

    /// Writes what is pending to the caller's memory; how many. Errors: those of `queue_wait`, and then nothing is lost.
    fn queue_take(&self, cx: &Context, id: Id<EventQueue>) -> Result<usize> {
        let mut events = [(0, 0); BATCH];
        let capacity = usize::try_from(cx.arg(2)).map_err(|_| Error::BadArgument)?;
        let room = events.get_mut(..capacity).filter(|room| !room.is_empty()).ok_or(Error::BadArgument)?;
        self.room_check(cx, cx.arg(1), cx.arg(2).saturating_mul(EVENT))?;
        let count = self.queue_look(id, room);
        let mut words = [0; BATCH * 2];
        for ((key, bits), place) in room.iter().zip(words.chunks_exact_mut(2)) {
            place.copy_from_slice(&[*key, u64::from(*bits)]);
        }
        let words = words.get(..count.saturating_mul(2)).unwrap_or(&[]);
        self.user_write_words(cx.process, cx.arg(1), words)?;
        self.queue_told(id, count);
        Ok(count)
    }

    /// Checks that a range is the caller's to write, so that a bad address is found before a long wait.
    fn room_check(&self, cx: &Context, address: u64, length: u64) -> Result<()> {
        let space = self.processes[cx.process].space.get().ok_or(Error::BadAddress)?;
        let last = address.checked_add(length.saturating_sub(1)).ok_or(Error::BadAddress)?;
        for at in (address..last).step_by(PAGE_SIZE as usize).chain([last]) {
            self.user_frame(space, at, Access::Write)?;
        }
        Ok(())
    }

    /// `queue_bind`; without a notification it tells none. Errors: those of a look-up of the notification (`SEND`
    /// asked), `BadArgument` (no bits).
    pub fn queue_bind(&self, cx: &Context) -> Result<Answer> {
        let notification = (cx.arg(1) != 0).then(|| self.resolve_bits(cx, cx.arg(1), cx.arg(2))).transpose()?;
        self.queue_tell(cx.id::<EventQueue>(), notification, cx.arg(2));
        Ok(Answer::DONE)
    }

    /// `session_ready`. Errors: `BadArgument` (bits past 32), `NotFound`, `WrongState` (it has ended).
    pub fn session_ready(&self, cx: &Context) -> Result<Answer> {
        let bits = |word: u64| u32::try_from(word).map_err(|_| Error::BadArgument);
        let (set, clear) = (bits(cx.arg(2))?, bits(cx.arg(3))?);
        self.session_set_ready(cx.id::<Endpoint>(), cx.arg(1), set, clear).map(|()| Answer::DONE)
    }
}
