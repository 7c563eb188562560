//! Threads that wait for a page: who asks for it, who is told, who goes on.
//!
//! A waiting thread stands in a tree of its object, by page. The first of those who wait for the same page and access is also in
//! the pager's list of requests; a receive from the pager's endpoint tells the next of them, each once. When another
//! process receives there than before (a pager that was restarted), all are told again. No memory is needed for any of it.

use crate::fault::Fault;
use crate::id::Id;
use crate::kernel::Kernel;
use crate::list::Queue;
use crate::machine::Machine;
use crate::object::{Endpoint, Memory, Process, Thread, ThreadState};
use crate::tree::Sending;
use abi::{Error, Result};

/// Bits of a waiter's key below the page.
const ORDER_BITS: u32 = 24;

fn first_key(page: u64) -> u64 {
    page.wrapping_shl(ORDER_BITS)
}

impl<M: Machine> Kernel<M> {
    /// Has the running thread wait for the page that was wanted, if one was; answers whether it waits. With `fault` it
    /// retries its access afterwards, else it makes its call again.
    pub(crate) fn page_wait(&self, id: Id<Thread>, fault: Option<Fault>) -> bool {
        let Some(memory_id) = self.wanted.memory.replace(None) else { return false };
        let memory = &self.memories[memory_id];
        let Some(endpoint) = memory.pager.get() else { return false };
        let (page, write) = (self.wanted.page.get(), self.wanted.write.get());
        let thread = &self.threads[id];
        thread.state.set(ThreadState::Paging);
        thread.paging_call.set(fault.is_none());
        if let Some(fault) = fault {
            for (place, word) in thread.fault.iter().zip([fault.vector, fault.code, fault.address]) {
                place.set(word);
            }
        }
        thread.waits_in.set(Some(memory_id));
        thread.waits_at.set(page);
        thread.paging_write.set(write);
        self.retain(memory_id);
        let is_first = !self.is_asked_for(memory_id, page, write);
        let waiters = self.threads.tree::<Sending>(&memory.page_waiters);
        let mut key = first_key(page) | self.threads[id].header.object_id.get() & 0xff_ffff;
        while !waiters.insert(id, key) {
            key = first_key(page) | key.wrapping_add(1) & 0xff_ffff;
        }
        if is_first {
            self.request_list(id, endpoint);
        }
        true
    }

    fn page_waiters_of(&self, memory: Id<Memory>, page: u64) -> impl Iterator<Item = Id<Thread>> + '_ {
        let waiters = self.threads.tree::<Sending>(&self.memories[memory].page_waiters);
        let mut at = waiters.ceiling(first_key(page));
        core::iter::from_fn(move || {
            let id = at.filter(|id| self.threads[*id].waits_at.get() == page)?;
            at = waiters.next(id);
            Some(id)
        })
    }

    /// Whether a page is asked for already, with this access.
    fn is_asked_for(&self, memory: Id<Memory>, page: u64, write: bool) -> bool {
        self.page_waiters_of(memory, page).any(|id| {
            let thread = &self.threads[id];
            thread.paging_listed.get() && thread.paging_write.get() == write
        })
    }

    fn request_list(&self, id: Id<Thread>, endpoint_id: Id<Endpoint>) {
        let endpoint = &self.endpoints[endpoint_id];
        self.threads[id].paging_listed.set(true);
        self.threads.list::<Queue>(&endpoint.requests).push_back(id);
        if endpoint.request_next.get() == 0 {
            endpoint.request_next.set(id.raw());
        }
        self.events_deliver(endpoint_id);
    }

    /// The next request to tell of: key, page, whether it is to be written. A process that has not received here before is told
    /// of all of them.
    pub(crate) fn request_take(&self, endpoint: &Endpoint, by: Id<Process>) -> Option<[u64; 3]> {
        let number = self.processes[by].header.object_id.get();
        if endpoint.pager_process.replace(number) != number {
            endpoint.request_next.set(endpoint.requests.first.get());
        }
        let id = Id::<Thread>::try_new(endpoint.request_next.get() as usize)?;
        let next = self.threads.list::<Queue>(&endpoint.requests).next(id);
        endpoint.request_next.set(next.map_or(0, Id::raw));
        let thread = &self.threads[id];
        let memory = thread.waits_in.get().expect("invariant: it waits for a page of something");
        let key = self.memories[memory].pager_key.get();
        Some([key, thread.waits_at.get(), u64::from(thread.paging_write.get())])
    }

    /// Takes a thread out of whatever it waits in for a page; another one asks in its place.
    pub(crate) fn page_wait_end(&self, id: Id<Thread>) {
        let thread = &self.threads[id];
        let memory_id = thread.waits_in.replace(None).expect("invariant: it waits for a page of something");
        let memory = &self.memories[memory_id];
        self.threads.tree::<Sending>(&memory.page_waiters).remove(id);
        if thread.paging_listed.replace(false) {
            if let Some(endpoint_id) = memory.pager.get() {
                let endpoint = &self.endpoints[endpoint_id];
                let requests = self.threads.list::<Queue>(&endpoint.requests);
                if endpoint.request_next.get() == id.raw() {
                    endpoint.request_next.set(requests.next(id).map_or(0, Id::raw));
                }
                requests.remove(id);
                let (page, write) = (thread.waits_at.get(), thread.paging_write.get());
                let other = self
                    .page_waiters_of(memory_id, page)
                    .find(|other| self.threads[*other].paging_write.get() == write);
                if let Some(other) = other {
                    self.request_list(other, endpoint_id);
                }
            }
        }
        self.release(memory_id);
    }

    /// Lets those go on who waited for a page and may access it now.
    pub(crate) fn page_waiters_go_on(&self, memory: Id<Memory>, page: u64) {
        let dirty = self.page_is_dirty(memory, page);
        loop {
            let free = |id: &Id<Thread>| dirty || !self.threads[*id].paging_write.get();
            let Some(id) = self.page_waiters_of(memory, page).find(free) else { return };
            self.page_wait_end(id);
            self.page_wait_over(id);
        }
    }

    /// A thread tries again: its access, or its call.
    fn page_wait_over(&self, id: Id<Thread>) {
        if self.threads[id].paging_call.get() {
            self.call_again(id);
        } else {
            self.make_ready(id);
        }
    }

    /// One of those who wait for a page from `first` to before `end` will not get it: its access faults, its call fails.
    /// Answers whether there was one.
    pub(crate) fn page_wait_fail(&self, memory: Id<Memory>, first: u64, end: u64) -> bool {
        let waiters = self.threads.tree::<Sending>(&self.memories[memory].page_waiters);
        let waiter = waiters.ceiling(first_key(first)).filter(|id| self.threads[*id].waits_at.get() < end);
        let Some(id) = waiter else { return false };
        self.page_wait_end(id);
        let thread = &self.threads[id];
        if thread.paging_call.get() {
            self.thread_answer(id, Err(Error::BadAddress));
        } else {
            thread.state.set(ThreadState::Inactive);
            self.fault_after_wait(id);
        }
        true
    }

    /// A step of ending an endpoint: one of those who wait for its pages, or one of its objects, is told. Answers whether there
    /// are none left.
    pub(crate) fn pager_end_step(&self, endpoint: &Endpoint) -> bool {
        let Some(memory) = Id::<Memory>::try_new(endpoint.paged.first.get() as usize) else { return true };
        if !self.page_wait_fail(memory, 0, u64::MAX) {
            self.pager_lose(memory);
        }
        false
    }

    /// Moves the charge for a frame to another account. Errors: `OutOfQuota`.
    pub(crate) fn frame_move(&self, frame: crate::address::FrameNumber, to: Id<crate::object::Quota>) -> Result<()> {
        let Some(info) = self.frame_info(frame) else { return Ok(()) };
        let from = info.quota.get();
        if from == Some(to) {
            return Ok(());
        }
        self.charge(to, 1)?;
        self.retain(to);
        info.quota.set(Some(to));
        if let Some(from) = from {
            self.uncharge(from, 1);
            self.release(from);
        }
        Ok(())
    }
}
