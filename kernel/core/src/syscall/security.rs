//! Calls on the security policy, labels, and the audit record.

use super::{Answer, Context};
use crate::object::Process;
use crate::{Kernel, Machine};
use abi::security::{NAME, PATH, RECORD_LENGTH};
use abi::{Error, Result};

/// Bytes of one.
const LENGTH: u64 = RECORD_LENGTH as u64;
/// Records copied by one call.
const RECORDS: u64 = 16;

impl<M: Machine> Kernel<M> {
    /// `policy_load`. Errors: `WrongState` (one is loaded already), `BadArgument` (it is malformed, longer than
    /// `MAX_LENGTH`, or gives the default subject or type anything), `BadAddress`, `OutOfQuota`, `OutOfMemory`.
    pub fn policy_load(&self, cx: &Context) -> Result<Answer> {
        self.policy_take(cx.process, cx.arg(1), cx.arg(2))?;
        self.audit_policy(cx.process);
        Ok(Answer::DONE)
    }

    /// `process_label`. Errors: `Closed` (the process has ended), `WrongState` (it has a thread or a capability),
    /// `BadArgument` (no such label), `Denied` (the policy lets the caller's label not).
    pub fn process_label(&self, cx: &Context) -> Result<Answer> {
        let id = cx.id::<Process>();
        let process = self.process_running(id)?;
        // A running process without threads never had one: the last thread's end is the process's. What it holds was
        // given to it under the label it has.
        Error::WrongState.when(process.thread_count.get() != 0 || process.cap_count.get() != 0)?;
        let label = u32::try_from(cx.arg(1)).map_err(|_| Error::BadArgument)?;
        self.label_decide(cx.process, id, label)?;
        process.label.set(label);
        Ok(Answer::DONE)
    }

    /// `audit_read`: at most 16 records a call, only whole ones; length 0 at the end. Errors: `WrongState` (no policy is
    /// loaded: there are no rings), `BadArgument` (no such ring, or no room for one record), `BadAddress`, and
    /// `OutOfQuota`, `OutOfMemory` for the caller's page.
    pub fn audit_read(&self, cx: &Context) -> Result<Answer> {
        let (ring, position, address) = (cx.arg(1), cx.arg(2), cx.arg(3));
        let room = cx.arg(4) / LENGTH;
        let written = self.audit_written(ring)?;
        Error::BadArgument.when(room == 0)?;
        let first = position.clamp(Self::audit_oldest(ring, written), written);
        let count = written.wrapping_sub(first).min(room).min(RECORDS);
        for index in 0..count {
            let at = index.wrapping_mul(LENGTH);
            let to = address.checked_add(at).ok_or(Error::BadAddress)?;
            self.user_write_words(cx.process, to, &self.audit_at(ring, first.wrapping_add(index)))?;
        }
        let length = count.wrapping_mul(LENGTH);
        Ok(Answer::Values([length, first.wrapping_add(count), first.saturating_sub(position), 0]))
    }

    /// `audit_write`. Errors: `WrongState` (no policy is loaded), `BadArgument` (shorter than a name, or longer than name
    /// and text), `BadAddress`, and `OutOfQuota`, `OutOfMemory` for the caller's page.
    pub fn audit_write(&self, cx: &Context) -> Result<Answer> {
        Error::WrongState.when(!self.security.is_loaded())?;
        let mut bytes = [0; NAME + PATH];
        let length = usize::try_from(cx.arg(2)).map_err(|_| Error::BadArgument)?;
        let given = bytes.get_mut(..length).filter(|b| b.len() >= NAME).ok_or(Error::BadArgument)?;
        self.user_read(cx.process, cx.arg(1), given)?;
        let (name, text) = given.split_first_chunk::<NAME>().ok_or(Error::BadArgument)?;
        self.audit_note(cx.process, *name, text);
        Ok(Answer::DONE)
    }
}
