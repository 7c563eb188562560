//! Processes: how they begin, how they end.
//!
//! An end is one store to the state; from then on no thread of the process enters user mode again, and the
//! reaper takes the rest apart in bounded steps: threads, replies, capability table, address space, account.
//! Whoever watches is told when all of that is done.

use crate::cap::limit;
use crate::cap::reference::object;
use crate::cap::table::REVOKING;
use crate::list::{InProcess, InQuota};
use crate::object::{Cap, Endpoint, Namespace, Notification, Pin, Process, ProcessState, Quota, Watch};
use crate::reaper::Reap;
use crate::tree::All;
use crate::{store, Id, Kernel, Machine};
use abi::{Error, Kind, Result};

/// `Process::teardown`: stop the threads.
const THREADS: u32 = 0;
/// End the replies.
const REPLIES: u32 = 1;
/// From here on: `TABLE` + the index of the next entry to empty.
const TABLE: u32 = 2;
/// Give the pages of the table back.
const PAGES: u32 = u32::MAX - 3;
/// Empty the address space.
const SPACE: u32 = u32::MAX - 2;
/// Tell the watchers.
const WATCHES: u32 = u32::MAX - 1;
/// Nothing is left to take apart.
const DONE: u32 = u32::MAX;

/// Entries looked at in one step, used or not.
const ENTRIES_A_STEP: u32 = 16;

object!(Process, Process, |kernel, id| {
    kernel.processes_by_id().remove(id);
    kernel.process_slot_free(id);
});

impl Process {
    /// One step of taking a dead process apart; answers whether it was the last.
    pub fn reap_step<M: Machine>(kernel: &mut Kernel<M>, id: Id<Process>) -> bool {
        let process = &kernel.processes[id];
        match process.teardown.get() {
            THREADS => match kernel.threads.list::<InProcess>(&process.threads).first() {
                Some(thread) => kernel.thread_end(thread),
                None => process.teardown.set(REPLIES),
            },
            REPLIES => {
                if kernel.replies_end_step(id) {
                    kernel.processes[id].teardown.set(TABLE);
                }
            }
            PAGES => {
                if !kernel.table_shrink(id) {
                    process.teardown.set(SPACE);
                }
            }
            SPACE => {
                let Some(space) = process.space.get() else {
                    process.teardown.set(WATCHES);
                    return false;
                };
                if kernel.space_empty_step(space) {
                    kernel.process_let_go(id);
                }
            }
            WATCHES => {
                if !kernel.watch_tell(id) {
                    kernel.processes[id].teardown.set(DONE);
                    kernel.release(id);
                    return true;
                }
            }
            at => kernel.table_empty_step(id, at.wrapping_sub(TABLE)),
        }
        false
    }
}

impl<M: Machine> Kernel<M> {
    /// All processes, by object id.
    pub fn processes_by_id(&self) -> crate::tree::Tree<'_, Process, All> {
        self.processes.tree::<All>(&self.all_processes)
    }

    /// Makes an empty process, running, without a capability to it yet: the caller inserts one, or ends it. It gets a
    /// space of its own, and the namespace given or an empty one. Errors: `OutOfQuota`, `OutOfMemory`.
    pub fn process_make(
        &self,
        quota: Id<Quota>,
        name: [u64; 4],
        priority_limit: u8,
        namespace: Option<Id<Namespace>>,
    ) -> Result<Id<Process>> {
        self.count_more(quota, limit::PROCESSES)?;
        let id = self.process_slot(quota).inspect_err(|_| self.count_less(quota, limit::PROCESSES))?;
        let process = &self.processes[id];
        let made = self.space_create(quota).and_then(|space| {
            self.refer(&process.space, Some(space));
            namespace.map_or_else(|| self.allocate_object::<Namespace>(quota), Ok)
        });
        let namespace = made.inspect_err(|_| {
            self.refer(&process.space, None);
            self.process_slot_free(id);
            self.count_less(quota, limit::PROCESSES);
        })?;
        self.refer(&process.namespace, Some(namespace));
        process.priority_limit.set(priority_limit);
        store(&process.name, name);
        self.refer(&process.quota, Some(quota));
        self.quota_adopt(quota);
        self.quotas[quota].process_count.update(|n| n.wrapping_add(1));
        self.processes.list::<InQuota>(&self.quotas[quota].processes).push_back(id);
        self.processes_by_id().insert(id, process.header.object_id.get());
        self.retain(id);
        Ok(id)
    }

    /// A fresh record, with its price paid.
    fn process_slot(&self, quota: Id<Quota>) -> Result<Id<Process>> {
        self.charge(quota, self.process_price.get())?;
        self.allocate_object::<Process>(quota).inspect_err(|_| self.uncharge(quota, self.process_price.get()))
    }

    fn process_slot_free(&self, id: Id<Process>) {
        let payer = self.processes[id].header.quota.get();
        let payer = payer.expect("invariant: an object has an account");
        self.uncharge(payer, self.process_price.get());
        self.free_object(id);
    }

    /// Ends a process: nothing of it runs any more, and the reaper takes it apart. Nothing happens when it has ended.
    pub fn process_end(&self, id: Id<Process>, state: ProcessState, code: u32) {
        let process = &self.processes[id];
        if process.state.get() == ProcessState::Running {
            process.state.set(state);
            process.exit_code.set(code);
            self.reap_later(Reap::Process(id));
            // None of its threads comes before its end.
            self.reap_urge(process.priority_limit.get());
            // On the other processors nothing of it runs any more when this returns; here, the way out sees to it.
            let here = self.here();
            for cpu in self.cpus.iter().filter(|cpu| !core::ptr::eq(*cpu, here)) {
                let of_it = |thread: &Id<crate::object::Thread>| self.threads[*thread].process.get() == Some(id);
                cpu.current.get().filter(of_it).into_iter().for_each(|thread| self.thread_end(thread));
            }
        }
    }

    /// A process that has not ended. Errors: `Closed`.
    pub(crate) fn process_running(&self, id: Id<Process>) -> Result<&Process> {
        let process = &self.processes[id];
        (process.state.get() == ProcessState::Running).then_some(process).ok_or(Error::Closed)
    }

    /// Whether a process has ended and everything it had is given back.
    pub fn process_is_gone(&self, id: Id<Process>) -> bool {
        self.processes[id].teardown.get() == DONE
    }

    /// A capability to a process is about to go. A process that has no thread, and that nobody could
    /// give one any more, ends.
    pub(crate) fn process_capability_gone(&self, id: Id<Process>) {
        let process = &self.processes[id];
        // What is left: this capability, and the process's own reference.
        if process.header.references.get() == 2 && process.thread_count.get() == 0 {
            self.process_end(id, ProcessState::Killed, 0);
        }
    }

    /// Empties some entries of a dead process's table; children go to the parents.
    fn table_empty_step(&self, id: Id<Process>, first: u32) {
        let process = &self.processes[id];
        for index in first..first.wrapping_add(ENTRIES_A_STEP) {
            process.teardown.set(TABLE.wrapping_add(index));
            let Some(cap) = self.cap_at(id, index) else {
                process.teardown.set(PAGES);
                return;
            };
            if self.caps[cap].kind().is_some() {
                self.entry_empty_step(cap);
                return;
            }
        }
        process.teardown.set(TABLE.wrapping_add(first).wrapping_add(ENTRIES_A_STEP));
    }

    fn entry_empty_step(&self, cap: Id<Cap>) {
        let entry = &self.caps[cap];
        if entry.flags.get() & REVOKING != 0 {
            // Revocations come before processes in the reaper; this one was started between two steps.
            if !self.revoke_step(cap) {
                return;
            }
            self.revoke_done(cap);
        }
        if entry.kind() == Some(Kind::Pin) && entry.first_child.get() == 0 {
            if let Some(pin) = Id::<Pin>::try_new(entry.object.get() as usize) {
                self.pin_holder_died(pin);
            }
        }
        if entry.kind() == Some(Kind::Endpoint) {
            if let Some(endpoint) = Id::<Endpoint>::try_new(entry.object.get() as usize) {
                self.requests_tell_again(endpoint, self.cap_holder(cap));
            }
        }
        // An error would say that it is being revoked, and it is not.
        let _ = self.cap_close_step(cap);
    }

    /// Lets go of space, namespace and account.
    fn process_let_go(&self, id: Id<Process>) {
        let process = &self.processes[id];
        self.refer(&process.space, None);
        self.refer(&process.namespace, None);
        if let Some(quota) = process.quota.replace(None) {
            self.processes.list::<InQuota>(&self.quotas[quota].processes).remove(id);
            self.quotas[quota].process_count.update(|n| n.wrapping_sub(1));
            self.count_less(quota, limit::PROCESSES);
            self.quota_disown(quota);
            self.release(quota);
        }
    }

    /// Has a notification told of a process's end; at once where it has ended. Errors: `OutOfQuota`, `OutOfMemory`.
    pub fn watch_add(&self, id: Id<Process>, to: Id<Notification>, bits: u64, quota: Id<Quota>) -> Result<()> {
        if self.process_is_gone(id) {
            self.notification_signal(to, bits);
            return Ok(());
        }
        let watch = self.allocate::<Watch>(quota)?;
        let w = &self.watches[watch];
        w.process.set(Some(id));
        self.refer(&w.notification, Some(to));
        w.bits.set(bits);
        w.next.set(self.processes[id].watches.replace(Some(watch)));
        Ok(())
    }

    /// Tells one watcher; answers whether there was one.
    fn watch_tell(&self, id: Id<Process>) -> bool {
        let Some(watch) = self.processes[id].watches.get() else { return false };
        let w = &self.watches[watch];
        self.processes[id].watches.set(w.next.get());
        let (to, bits) = (w.notification.get(), w.bits.get());
        self.free(watch);
        if let Some(to) = to {
            self.notification_signal(to, bits);
            self.release(to);
        }
        true
    }

    /// The process with the next higher id that is charged to an account or to one below it. Errors: `NotFound`.
    pub fn process_after(&self, quota: Id<Quota>, after: u64) -> Result<(Id<Process>, u64)> {
        let tree = self.processes_by_id();
        let mut at = tree.ceiling(after.checked_add(1).ok_or(Error::NotFound)?);
        while let Some(id) = at {
            if self.process_is_charged_to(id, quota) {
                return Ok((id, self.processes[id].header.object_id.get()));
            }
            at = tree.next(id);
        }
        Err(Error::NotFound)
    }

    /// Whether a live process is charged to an account or to one below it.
    pub fn process_is_charged_to(&self, id: Id<Process>, quota: Id<Quota>) -> bool {
        let own = self.processes[id].quota.get();
        own.is_some_and(|own| self.branch(own).any(|account| account == quota))
    }
}
