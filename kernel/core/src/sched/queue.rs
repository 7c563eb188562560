//! Ready threads: one list a priority, and a bitmap that finds the highest.

use super::Cpu;
use crate::fields;
use crate::list::Queue;
use crate::object::{ListHead, Thread};
use crate::{Field, Id, Kernel, Machine};

fields! {
/// The run queue. The running thread is not in it.
#[repr(C)]
pub struct RunQueue {
    /// The highest priority that is ready, plus 1; 0: none. The fast path looks only at this.
    pub top: Field<u16>,
    /// One bit a priority: whether its list holds anyone.
    pub words: [Field<u64>; 4],
    /// A list for each priority, sixteen a row.
    pub heads: [[ListHead; 16]; 16],
}
}

impl RunQueue {
    /// The highest priority that is ready.
    #[inline(always)]
    pub fn top(&self) -> Option<u8> {
        self.top.get().checked_sub(1).map(|priority| priority as u8)
    }

    pub(crate) fn head(&self, priority: u8) -> &ListHead {
        let row = self.heads.get(usize::from(priority >> 4));
        row.and_then(|row| row.get(usize::from(priority & 15))).expect("invariant: a list for each priority")
    }

    pub(crate) fn word(&self, priority: u8) -> (&Field<u64>, u64) {
        let word = self.words.get(usize::from(priority >> 6)).expect("invariant: a bit for each priority");
        (word, 1u64.wrapping_shl(u32::from(priority & 63)))
    }

    fn mark(&self, priority: u8) {
        let (word, bit) = self.word(priority);
        word.update(|w| w | bit);
        let above = u16::from(priority).wrapping_add(1);
        self.top.update(|top| top.max(above));
    }

    fn unmark(&self, priority: u8) {
        let (word, bit) = self.word(priority);
        word.update(|w| w & !bit);
        if self.top.get() != u16::from(priority).wrapping_add(1) {
            return;
        }
        let mut top = 0u16;
        for (words, base) in self.words.iter().zip([0u16, 64, 128, 192]) {
            if words.get() != 0 {
                top = base.wrapping_add(64).wrapping_sub(words.get().leading_zeros() as u16);
            }
        }
        self.top.set(top);
    }
}

impl<M: Machine> Kernel<M> {
    /// Puts a thread into the list of its priority, at the end or (a turn that it has not finished) at the front.
    pub(crate) fn ready_insert(&self, thread: Id<Thread>, front: bool) {
        let queue = &self.cpu_of(&self.threads[thread]).queue;
        let priority = self.threads[thread].priority.get();
        let list = self.threads.list::<Queue>(queue.head(priority));
        if front {
            list.push_front(thread);
        } else {
            list.push_back(thread);
        }
        queue.mark(priority);
    }

    /// Takes a thread out of the list of its priority.
    pub(crate) fn ready_remove(&self, thread: Id<Thread>) {
        let queue = &self.cpu_of(&self.threads[thread]).queue;
        let priority = self.threads[thread].priority.get();
        let list = self.threads.list::<Queue>(queue.head(priority));
        list.remove(thread);
        if list.is_empty() {
            queue.unmark(priority);
        }
    }

    /// Takes out the thread whose turn it is on a processor.
    pub(crate) fn ready_take(&self, cpu: &Cpu) -> Option<Id<Thread>> {
        let queue = &cpu.queue;
        let thread = self.threads.list::<Queue>(queue.head(queue.top()?)).first()?;
        self.ready_remove(thread);
        Some(thread)
    }
}
