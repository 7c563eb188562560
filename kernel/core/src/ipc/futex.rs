//! Futexes: threads that wait at a word of memory.
//!
//! A word is known by its memory object and its offset there, so that it is the same for all who map it, in whatever
//! process and wherever. The waiting thread is the record: the first at each word stands in a tree of the object by
//! offset, the others in a tree of theirs that hangs off the first; most urgent first, then by arrival. A wait holds a
//! reference to the object and not to a mapping: who unmaps the word can still be woken through another mapping of it.

use crate::mm::fault::Access;
use crate::object::{MappingKind, Memory, Process, Thread, ThreadState};
use crate::sched::donation::urgency_key;
use crate::tree::{Sending, Tree};
use crate::{Id, Kernel, Machine, VirtAddr};
use abi::{Error, Result};
use core::sync::atomic::Ordering::Relaxed;

/// A word that threads can wait at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    memory: Id<Memory>,
    /// In bytes.
    offset: u64,
}

impl<M: Machine> Kernel<M> {
    /// The word at an address of a process. Errors: `BadArgument` (not aligned), `BadAddress` (not in memory that the
    /// process mapped and can read; borrowed pages and registers are refused: they are someone else's).
    pub(crate) fn futex_word(&self, process: Id<Process>, address: u64) -> Result<Word> {
        Error::BadArgument.when(address & 3 != 0)?;
        let at = VirtAddr::try_user(address).ok_or(Error::BadAddress)?;
        let space = self.processes[process].space.get().ok_or(Error::BadAddress)?;
        let mapping = &self.mappings[self.mapping_at(space, at.0).ok_or(Error::BadAddress)?];
        match (mapping.kind.get(), mapping.memory.get()) {
            (MappingKind::Memory, Some(memory)) if Access::Read.allowed(mapping.protection()) => {
                let page = mapping.page_at(at.page().0);
                let offset = page.saturating_mul(abi::memory::PAGE_SIZE).saturating_add(at.offset() as u64);
                Ok(Word { memory, offset })
            }
            _ => Err(Error::BadAddress),
        }
    }

    /// What an aligned word of a process's memory holds, loaded at once. Errors: as `user_frame`.
    pub(crate) fn futex_value(&self, process: Id<Process>, address: u64) -> Result<u32> {
        let space = self.processes[process].space.get().ok_or(Error::BadAddress)?;
        let frame = self.user_frame(space, address, Access::Read)?;
        let offset = VirtAddr(address).offset();
        let word = self.machine.frame_words(frame).get(offset / 8).map_or(0, |word| word.load(Relaxed));
        Ok(if offset & 4 == 0 { word as u32 } else { word.wrapping_shr(32) as u32 })
    }

    /// Has a thread that runs wait at a word.
    pub(crate) fn futex_wait_begin(&self, id: Id<Thread>, word: Word, deadline_ns: u64) {
        self.threads[id].state.set(ThreadState::FutexWaiting);
        self.futex_enter(id, word);
        self.deadline_set(id, deadline_ns);
    }

    /// Wakes the first who waits at a word; answers whether there was one.
    pub(crate) fn futex_wake_one(&self, word: Word) -> bool {
        let Some(first) = self.first_waiters(word.memory).find(word.offset) else { return false };
        self.futex_wait_end(first);
        self.thread_answer(first, Ok(()));
        true
    }

    /// Moves the first who waits at a word behind those of the same urgency at another; answers whether there was one.
    pub(crate) fn futex_move_one(&self, from: Word, to: Word) -> bool {
        let Some(first) = self.first_waiters(from.memory).find(from.offset) else { return false };
        let memory = self.futex_leave(first);
        self.futex_enter(first, to);
        self.release(memory);
        true
    }

    /// Takes a thread out of the queue at the word it waits at.
    pub(crate) fn futex_wait_end(&self, id: Id<Thread>) {
        let memory = self.futex_leave(id);
        self.release(memory);
    }

    /// A waiting thread's priority has changed: its turn changes with it.
    pub(crate) fn futex_turn_again(&self, id: Id<Thread>) {
        let thread = &self.threads[id];
        let offset = thread.waits_at.get();
        let memory = self.futex_leave(id);
        thread.waits_in.set(Some(memory));
        thread.waits_turn.set(urgency_key(thread.priority.get(), thread.waits_turn.get()));
        self.futex_queue(id, Word { memory, offset });
    }

    /// The first at each word of an object.
    fn first_waiters(&self, memory: Id<Memory>) -> Tree<'_, Thread, Sending> {
        self.threads.tree::<Sending>(&self.memories[memory].futexes)
    }

    /// Those behind the first at a word.
    fn further_waiters(&self, first: Id<Thread>) -> Tree<'_, Thread, Sending> {
        self.threads.tree::<Sending>(&self.threads[first].waits_more)
    }

    fn futex_enter(&self, id: Id<Thread>, word: Word) {
        let (thread, memory) = (&self.threads[id], &self.memories[word.memory]);
        let arrival = memory.futex_arrivals.get();
        memory.futex_arrivals.set(arrival.wrapping_add(1));
        self.retain(word.memory);
        thread.waits_in.set(Some(word.memory));
        thread.waits_at.set(word.offset);
        thread.waits_turn.set(urgency_key(thread.priority.get(), arrival));
        self.futex_queue(id, word);
    }

    /// Puts a thread in its turn.
    fn futex_queue(&self, id: Id<Thread>, word: Word) {
        let firsts = self.first_waiters(word.memory);
        let turn = |id: Id<Thread>| self.threads[id].waits_turn.get();
        match firsts.find(word.offset) {
            None => {
                firsts.insert(id, word.offset);
            }
            Some(first) if turn(id) < turn(first) => {
                firsts.remove(first);
                self.threads[id].waits_more.set(self.threads[first].waits_more.replace(0));
                firsts.insert(id, word.offset);
                self.further_waiters(id).insert(first, turn(first));
            }
            Some(first) => {
                self.further_waiters(first).insert(id, turn(id));
            }
        }
    }

    /// Takes a thread out of its turn; the reference to the object that it answers is the caller's to let go.
    #[must_use = "the object was retained"]
    fn futex_leave(&self, id: Id<Thread>) -> Id<Memory> {
        let thread = &self.threads[id];
        let memory = thread.waits_in.replace(None).expect("invariant: it waits at a word");
        let offset = thread.waits_at.get();
        let firsts = self.first_waiters(memory);
        let first = firsts.find(offset).expect("invariant: somebody is the first at a word");
        if first != id {
            self.further_waiters(first).remove(id);
            return memory;
        }
        firsts.remove(id);
        if let Some(next) = self.further_waiters(id).first() {
            self.further_waiters(id).remove(next);
            self.threads[next].waits_more.set(thread.waits_more.replace(0));
            firsts.insert(next, offset);
        }
        memory
    }
}
