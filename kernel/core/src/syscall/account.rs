//! Calls on the limits of accounts, and on what they are used for.

use super::{Answer, Context};
use crate::arena::ArenaKind;
use crate::id::Id;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::object::{Process, Quota};
use abi::quota::{Limit, Word, OBJECTS, WORDS};
use abi::{Error, Kind, Result, Rights};

macro_rules! arenas {
    ($($kind:ident)+) => { [$(ArenaKind::$kind),+] };
}

/// The arenas whose objects are counted, in the order of [`OBJECTS`].
const COUNTED: [ArenaKind; OBJECTS.len()] = arenas!(Process Thread Space Memory Endpoint Session Reply Notification
    Namespace Name Quota DmaDomain Pin Interrupt IoPorts DeviceMemory Mapping Lease Watch EventQueue Interest Parked);

impl<M: Machine> Kernel<M> {
    /// `quota_limit`. Errors: `BadHandle`, `WrongKind`, `NoRight` (the child; `INSPECT` is asked), `BadArgument` (no such limit,
    /// or the second account is not directly below the first), `Busy` (it uses more pages than that), `OutOfQuota`.
    pub fn quota_limit(&self, cx: &Context) -> Result<Answer> {
        let child = self.resolve(cx, cx.arg(1), Kind::Quota, Rights::INSPECT)?.id::<Quota>();
        let what = Limit::from_number(cx.arg(2)).ok_or(Error::BadArgument)?;
        self.quota_limit_set(cx.id(), child, what, cx.arg(3)).map(|()| Answer::DONE)
    }

    /// `quota_usage`. As many whole words as there is room for. Errors: `BadAddress`.
    pub fn quota_usage(&self, cx: &Context) -> Result<Answer> {
        let words = self.quota_words(cx.id());
        let room = usize::try_from(cx.arg(2) / 8).unwrap_or(usize::MAX);
        let words = words.get(..room).unwrap_or(&words);
        self.user_write_words(cx.process, cx.arg(1), words)?;
        Ok(Answer::one((words.len() as u64).saturating_mul(8)))
    }

    /// What `quota_usage` tells.
    pub fn quota_words(&self, id: Id<Quota>) -> [u64; WORDS] {
        let quota = &self.quotas[id];
        let parent = quota.parent.get().map_or(0, |parent| self.quotas[parent].account.get());
        let mut words = [0; WORDS];
        let mut put = |at: usize, value: u64| {
            if let Some(word) = words.get_mut(at) {
                *word = value;
            }
        };
        put(Word::Account as usize, quota.account.get());
        put(Word::Parent as usize, parent);
        put(Word::LimitPages as usize, quota.limit_pages.get());
        put(Word::UsedPages as usize, quota.used_pages.get());
        put(Word::ThreadLimit as usize, u64::from(quota.thread_limit.get()));
        put(Word::Threads as usize, u64::from(quota.threads.get()));
        put(Word::ProcessLimit as usize, u64::from(quota.process_limit.get()));
        put(Word::Processes as usize, u64::from(quota.processes_below.get()));
        for (n, kind) in COUNTED.into_iter().enumerate() {
            let count = quota.objects.get(kind as usize).map_or(0, |count| count.get());
            put((Word::Objects as usize).saturating_add(n), u64::from(count));
        }
        words
    }

    /// `process_quota`. It stems from the process's capability. Errors: `Closed` (the process has ended), `Retry`,
    /// `TableFull`, `OutOfQuota`, `OutOfMemory`.
    pub fn process_quota(&self, cx: &Context) -> Result<Answer> {
        let quota = self.processes[cx.id::<Process>()].quota.get().ok_or(Error::Closed)?;
        self.give_below(cx, quota, Rights::INSPECT)
    }
}
