//! Threads that wait for a page: who asks for it, who is told, who goes on.
//!
//! A waiting thread stands in a tree of its object, by page. The first of those who wait for the same page and access is also in
//! the pager's list of requests; a receive from the pager's endpoint tells the next of them, each once. When another
//! process receives there than before (a pager that was restarted), or that process ends, all are told again. Whoever serves the
//! endpoint is as urgent as the most urgent of those who wait. No memory is needed for any of it.

use crate::fault::Fault;
use crate::list::Queue;
use crate::object::{Endpoint, Memory, Process, Thread, ThreadState};
use crate::tree::Sending;
use crate::{store, Id, Kernel, Link, Machine};
use abi::{Error, Result};

/// Bits of a waiter's key below the page: what it wants, and then a number of its own.
const ORDER_BITS: u32 = 24;
const KIND_BITS: u32 = 22;
const NUMBER: u64 = (1 << KIND_BITS) - 1;
/// Waiters for one page that are looked at, and requests of one pager, when the most urgent has gone: with more of them the
/// pager stays as urgent as it was.
const LOOK: usize = 64;

fn first_key(page: u64) -> u64 {
    page.wrapping_shl(ORDER_BITS)
}

/// The first key of those who wait for a page in the same way: whoever asks for it comes before those who only wait, and readers
/// before writers.
fn kind_key(page: u64, is_listed: bool, write: bool) -> u64 {
    let kind = u64::from(!is_listed).wrapping_shl(1) | u64::from(write);
    first_key(page) | kind.wrapping_shl(KIND_BITS)
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
            store(&thread.fault, [fault.vector, fault.code, fault.address]);
        }
        thread.waits_in.set(Some(memory_id));
        thread.waits_at.set(page);
        thread.paging_write.set(write);
        self.retain(memory_id);
        match self.page_waiter(memory_id, page, true, write) {
            None => {
                self.page_waiter_enter(id, memory_id, true);
                self.request_list(id, endpoint);
            }
            Some(asking) => {
                self.page_waiter_enter(id, memory_id, false);
                self.page_urgency_raise(asking, thread.priority.get());
            }
        }
        self.server_in_line(self.request_urgency_raise(endpoint, thread.priority.get()));
        true
    }

    /// Puts a thread into its object's tree.
    fn page_waiter_enter(&self, id: Id<Thread>, memory: Id<Memory>, is_listed: bool) {
        let thread = &self.threads[id];
        let waiters = self.threads.tree::<Sending>(&self.memories[memory].page_waiters);
        let kind = kind_key(thread.waits_at.get(), is_listed, thread.paging_write.get());
        let mut number = thread.header.object_id.get() & NUMBER;
        while !waiters.insert(id, kind | number) {
            number = number.wrapping_add(1) & NUMBER;
        }
    }

    /// The first of those who wait for a page in the same way.
    fn page_waiter(&self, memory: Id<Memory>, page: u64, is_listed: bool, write: bool) -> Link<Thread> {
        let waiters = self.threads.tree::<Sending>(&self.memories[memory].page_waiters);
        let key = kind_key(page, is_listed, write);
        let id = waiters.ceiling(key)?;
        (self.threads[id].sending.key.get() & !NUMBER == key).then_some(id)
    }

    fn page_urgency_raise(&self, asking: Id<Thread>, priority: u8) {
        self.threads[asking].paging_urgency.update(|urgency| urgency.max(priority));
    }

    /// Someone of this urgency waits for a page of an endpoint's: answers who serves it, if that has to be brought in line.
    fn request_urgency_raise(&self, endpoint: Id<Endpoint>, priority: u8) -> Link<Thread> {
        let endpoint = &self.endpoints[endpoint];
        if priority <= endpoint.request_urgency.get() {
            return None;
        }
        endpoint.request_urgency.set(priority);
        endpoint.server.get()
    }

    /// Someone of this urgency does not wait for a page of an endpoint's any more: answers who serves it, if that has to be
    /// brought in line.
    fn request_urgency_drop(&self, endpoint: Id<Endpoint>, priority: u8) -> Link<Thread> {
        let endpoint = &self.endpoints[endpoint];
        let before = endpoint.request_urgency.get();
        if priority < before {
            return None;
        }
        let requests = self.threads.list::<Queue>(&endpoint.requests);
        let (mut now, mut looked) = (0, 0usize);
        for id in requests.iter().take(LOOK) {
            now = now.max(self.threads[id].paging_urgency.get());
            looked = looked.saturating_add(1);
        }
        if looked == LOOK || now == before {
            return None;
        }
        endpoint.request_urgency.set(now);
        endpoint.server.get()
    }

    fn server_in_line(&self, server: Link<Thread>) {
        if let Some(server) = server {
            self.priority_update(server);
        }
    }

    /// The urgency of those for whom a thread asks, by looking at them.
    fn page_urgency(&self, id: Id<Thread>, memory: Id<Memory>) -> u8 {
        let thread = &self.threads[id];
        let (page, write) = (thread.waits_at.get(), thread.paging_write.get());
        let waiters = self.threads.tree::<Sending>(&self.memories[memory].page_waiters);
        let mut urgency = thread.priority.get();
        let mut at = self.page_waiter(memory, page, false, write);
        for _ in 0..LOOK {
            let key = kind_key(page, false, write);
            let Some(other) = at.filter(|other| self.threads[*other].sending.key.get() & !NUMBER == key) else { break };
            urgency = urgency.max(self.threads[other].priority.get());
            at = waiters.next(other);
        }
        urgency
    }

    /// The priority of a thread that waits for a page has changed; answers whom it waits for.
    pub(crate) fn page_urgency_change(&self, id: Id<Thread>) -> Link<Thread> {
        let thread = &self.threads[id];
        let memory = thread.waits_in.get()?;
        let endpoint = self.memories[memory].pager.get()?;
        let asking = self.page_waiter(memory, thread.waits_at.get(), true, thread.paging_write.get())?;
        let before = self.threads[asking].paging_urgency.replace(self.page_urgency(asking, memory));
        let raised = self.request_urgency_raise(endpoint, self.threads[asking].paging_urgency.get());
        raised.or_else(|| self.request_urgency_drop(endpoint, before))
    }

    fn request_list(&self, id: Id<Thread>, endpoint_id: Id<Endpoint>) {
        let endpoint = &self.endpoints[endpoint_id];
        let thread = &self.threads[id];
        thread.paging_listed.set(true);
        thread.paging_urgency.set(thread.priority.get());
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

    /// A process has ended that may have been told of requests: whoever waits to receive there is told of all of them.
    pub(crate) fn requests_tell_again(&self, endpoint_id: Id<Endpoint>, dead: Id<Process>) {
        let endpoint = &self.endpoints[endpoint_id];
        let number = self.processes[dead].header.object_id.get();
        if endpoint.pager_process.get() == number && endpoint.requests.first.get() != 0 {
            endpoint.pager_process.set(0);
            endpoint.request_next.set(endpoint.requests.first.get());
            self.events_deliver(endpoint_id);
        }
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
                let urgency = thread.paging_urgency.get();
                let (page, write) = (thread.waits_at.get(), thread.paging_write.get());
                if let Some(other) = self.page_waiter(memory_id, page, false, write) {
                    self.threads.tree::<Sending>(&memory.page_waiters).remove(other);
                    self.page_waiter_enter(other, memory_id, true);
                    self.request_list(other, endpoint_id);
                    self.threads[other].paging_urgency.set(self.page_urgency(other, memory_id));
                }
                self.server_in_line(self.request_urgency_drop(endpoint_id, urgency));
            }
        } else if let Some(endpoint) = memory.pager.get() {
            let (page, write) = (thread.waits_at.get(), thread.paging_write.get());
            let asking = self.page_waiter(memory_id, page, true, write).map(|asking| (asking, &self.threads[asking]));
            if let Some((id, asking)) = asking.filter(|(_, a)| a.paging_urgency.get() == thread.priority.get()) {
                let before = asking.paging_urgency.replace(self.page_urgency(id, memory_id));
                self.server_in_line(self.request_urgency_drop(endpoint, before));
            }
        }
        self.release(memory_id);
    }

    /// Lets those go on who waited for a page and may access it now, until an interrupt is pending; answers whether it is done.
    pub(crate) fn page_waiters_go_on(&self, memory: Id<Memory>, page: u64) -> bool {
        let dirty = self.page_is_dirty(memory, page);
        let kinds = [(false, false), (true, false), (false, true), (true, true)];
        loop {
            // Those who only wait go before the one that asks: nobody has to take its place then.
            let next = |(is_listed, write): (bool, bool)| self.page_waiter(memory, page, is_listed, write);
            let Some(id) = kinds.into_iter().filter(|(_, write)| dirty || !write).find_map(next) else { return true };
            self.page_wait_end(id);
            self.page_wait_over(id);
            if self.machine.interrupt_pending() {
                return false;
            }
        }
    }

    /// A thread tries again: its access, or its call.
    pub(crate) fn page_wait_over(&self, id: Id<Thread>) {
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
        if let Some(from) = from {
            self.uncharge(from, 1);
        }
        self.refer(&info.quota, Some(to));
        Ok(())
    }
}
