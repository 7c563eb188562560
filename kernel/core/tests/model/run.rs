//! Drives kernel and model side by side: whoever can run makes some call, and
//! both have to agree on what came of it.

use crate::reference::{Arrival, Endpoint, Model, Process, Wait, What, C, O, P};
use abi::call::Call;
use abi::memory::PAGE_SIZE;
use abi::message::buffer;
use abi::{error, Error, Kind, Rights};
use kernel_core::id::Id;
use kernel_core::object::{self, ThreadState};
use kernel_core::test_machine::TestMachine;
use kernel_core::world::{Outcome, World, CPU, MEMORY};
use std::collections::{BTreeMap, HashSet};

/// Frames of the machine.
pub const FRAMES: u32 = 2048;
/// Where a process keeps its data, behind the page of its IPC buffer.
pub const DATA: u64 = MEMORY + PAGE_SIZE;
/// Bytes of data.
pub const LENGTH: u64 = 8 * PAGE_SIZE;
/// Every thread's priority: then queues are first come, first served.
const PRIORITY: u8 = 10;

/// Rights of whoever makes an object.
pub const LOOK: Rights = Rights::TRANSFER.union(Rights::DERIVE).union(Rights::INSPECT);

/// A small generator of numbers (xorshift64*), so that a seed tells the whole run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let n = from.len() as u64;
        (n > 0).then(|| from[self.below(n) as usize])
    }
}

/// Kernel and model.
pub struct Run<const FAULT: u8> {
    pub w: World<FAULT>,
    pub m: Model,
    pub random: Random,
    /// By process of the model: its id, and its thread's.
    pub pids: Vec<Id<object::Process>>,
    pub tids: Vec<Option<Id<object::Thread>>>,
    /// Deadlines are all different, so that their order is known.
    deadlines: u64,
    /// What was done, by call, for those who want to know that everything was.
    pub done: BTreeMap<&'static str, [u64; 2]>,
    pub operations: u64,
}

impl<const FAULT: u8> Run<FAULT> {
    pub fn new(seed: u64) -> Run<FAULT> {
        let w = World::on(TestMachine::<FAULT>::kernel(FRAMES));
        let random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (pids, tids) = (Vec::new(), Vec::new());
        let done = BTreeMap::new();
        let mut run = Run { w, m: Model::default(), random, pids, tids, deadlines: 0, done, operations: 0 };
        let init = run.w.process();
        let thread = run.w.thread(init, PRIORITY);
        let root = run.w.quota_handle(init);
        let account = run.w.kernel.quotas[run.w.kernel.root_quota()].account.get();
        let p = run.process(init, account);
        run.tids[p] = Some(thread);
        run.m.processes[p].wait = Wait::Ready;
        let quota = run.m.object(Kind::Quota, account, What::Plain);
        run.m.add(p, root, quota, Rights::all(), None);
        run.fill(p);
        run
    }

    /// A process for the model.
    fn process(&mut self, pid: Id<object::Process>, account: u64) -> P {
        let p = self.m.processes.len();
        let number = self.w.kernel.processes[pid].header.object_id.get();
        let object = self.m.object(Kind::Process, number, What::Process(p));
        self.m.processes.push(Process {
            object,
            account,
            alive: true,
            wait: Wait::None,
            table: BTreeMap::new(),
            issued: HashSet::new(),
            closed: Vec::new(),
            data: vec![0; LENGTH as usize],
            expect: None,
            via: None,
        });
        self.pids.push(pid);
        self.tids.push(None);
        p
    }

    /// Puts something into every page of a process's data, so that all of them are in memory; `false`: its
    /// account has no room for that.
    fn fill(&mut self, p: P) -> bool {
        let data: Vec<u8> = (0..LENGTH).map(|_| self.random.next() as u8).collect();
        let filled = self.w.kernel.user_write(self.pids[p], DATA, &data).is_ok();
        self.m.processes[p].data = data;
        filled
    }

    /// A deadline some way off, or none.
    pub fn deadline(&mut self) -> u64 {
        if self.random.chance(10) {
            return 0;
        }
        self.deadlines += 1;
        self.w.now() + 10_000 + self.random.below(500) * 10_000 + self.deadlines % 10_000
    }

    /// Makes a call as a process. With an interrupt now and then: what works in steps is called again.
    pub fn call(&mut self, p: P, call: Call, args: &[u64]) -> Outcome {
        let thread = self.tids[p].expect("it has a thread");
        let every = if self.random.chance(30) { 1 + self.random.below(3) as u32 } else { 0 };
        self.w.kernel.machine.interrupt_every(every);
        let outcome = loop {
            let outcome = self.w.call(thread, call, args);
            let again = match outcome {
                Outcome::Gone | Outcome::Waits => false,
                Outcome::Failed(Error::Retry) => true,
                _ => self.w.kernel.threads[thread].registers.rax.get() == call as u64,
            };
            if !again {
                break outcome;
            }
        };
        self.w.kernel.machine.interrupt_every(0);
        let count = self.done.entry(call.name()).or_default();
        count[usize::from(matches!(outcome, Outcome::Failed(_)))] += 1;
        outcome
    }

    /// Whether an error is one that only the shortage of something explains, and there is such a shortage.
    pub fn is_shortage(&self, p: P, error: Error) -> bool {
        match error {
            // Records of processes are few on this machine.
            Error::OutOfMemory => self.w.kernel.processes.iter_used().count() > 120,
            Error::TableFull => self.m.processes[p].table.len() > 900,
            Error::OutOfQuota => {
                let k = &self.w.kernel;
                // Some account of this run is nearly used up. (Which one was asked, the call knows.)
                k.quotas.iter_used().any(|q| k.quotas[q].limit_pages.get() < k.quotas[q].used_pages.get() + 16)
            }
            _ => false,
        }
    }

    /// Compares what came of a call with what had to come of it. `Some`: it went through, with these results.
    #[track_caller]
    pub fn agree<T>(&mut self, p: P, plan: Result<T, Error>, outcome: Outcome) -> Option<(T, [u64; 4])> {
        match (plan, outcome) {
            (Err(expected), Outcome::Failed(error)) => {
                assert_eq!(error, expected, "process {p}: another error");
                None
            }
            (Ok(_), Outcome::Failed(error)) => {
                assert!(self.is_shortage(p, error), "process {p}: refused what it may do: {error:?}");
                None
            }
            (Err(expected), other) => panic!("process {p}: {other:?} instead of {expected:?}"),
            (Ok(plan), Outcome::Done(values)) => Some((plan, values)),
            (Ok(plan), Outcome::Waits | Outcome::Gone) => Some((plan, [0; 4])),
        }
    }

    /// What `inspect` tells of a handle: the object's number.
    pub fn number(&mut self, p: P, handle: u64) -> u64 {
        match self.call(p, Call::Inspect, &[handle]) {
            Outcome::Done([_, _, number, _]) => number,
            other => panic!("a fresh handle can't be inspected: {other:?}"),
        }
    }

    /// A handle of a process for something: mostly a right one, sometimes any, or one that names nothing.
    pub fn handle(&mut self, p: P, kind: Kind, rights: Rights) -> u64 {
        let table = &self.m.processes[p].table;
        let fits = |c: &C| {
            let cap = self.m.cap(*c);
            self.m.objects[cap.object].kind == kind && cap.rights.contains(rights)
        };
        let right: Vec<C> = table.values().copied().filter(fits).collect();
        let any: Vec<C> = table.values().copied().collect();
        let random = &mut self.random;
        let chosen = match random.below(100) {
            0..82 => random.pick(&right).or_else(|| random.pick(&any)),
            82..90 => random.pick(&any),
            _ => None,
        };
        if let Some(c) = chosen {
            return u64::from(self.m.cap(c).handle);
        }
        let closed = random.pick(&self.m.processes[p].closed);
        match random.below(4) {
            0..2 => closed.map_or(0, u64::from),
            2 => random.below(80) | (1 + random.below(3)) << 16,
            _ => random.pick(&[0, 1, 1 << 32, 0xffff_ffef, u64::MAX]).unwrap_or(0),
        }
    }

    /// The object that a capability names.
    pub fn named(&self, c: C) -> O {
        self.m.cap(c).object
    }

    /// A process made by another, through the calls that anyone would make, with an account that it holds.
    pub fn spawn(&mut self, parent: P) -> Option<P> {
        let quota = self.handle(parent, Kind::Quota, Rights::MANAGE);
        let plan = self.m.look(parent, quota, Kind::Quota, Rights::MANAGE);
        let outcome = self.call(parent, Call::ProcessCreate, &[quota, DATA, 4, 200, 0]);
        let (c, [process, space, ..]) = self.agree(parent, plan, outcome)?;
        let account = self.m.objects[self.named(c)].number;
        let pid = self.w.object::<object::Process>(self.pids[parent], process);
        let child = self.process(pid, account);
        let object = self.m.processes[child].object;
        let maker = LOOK | Rights::MANAGE;
        self.m.add(parent, process, object, maker, None);
        let number = self.number(parent, space);
        let space_object = self.m.object(Kind::AddressSpace, number, What::Plain);
        let space_cap = self.m.add(parent, space, space_object, maker, None);
        let mut given_up = vec![space_cap];
        let made = self.equip(parent, child, quota, process, space, &mut given_up);
        for c in given_up {
            let handle = u64::from(self.m.cap(c).handle);
            assert!(matches!(self.call(parent, Call::Close, &[handle]), Outcome::Done(_)));
            self.m.close(c);
        }
        if !made {
            let outcome = self.call(parent, Call::ProcessKill, &[process, 3]);
            assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
            self.m.kill(child);
        }
        self.m.settle();
        self.compare();
        made.then_some(child)
    }

    /// Gives a new process its memory and its thread.
    fn equip(&mut self, parent: P, child: P, quota: u64, process: u64, space: u64, rest: &mut Vec<C>) -> bool {
        let length = PAGE_SIZE + LENGTH;
        let outcome = self.call(parent, Call::MemoryCreate, &[quota, length / PAGE_SIZE, 0]);
        let Some((_, [memory, ..])) = self.agree(parent, Ok(()), outcome) else { return false };
        let number = self.number(parent, memory);
        let object = self.m.object(Kind::Memory, number, What::Plain);
        let rights = LOOK | Rights::READ | Rights::WRITE | Rights::EXECUTE;
        rest.push(self.m.add(parent, memory, object, rights, None));
        let outcome = self.call(parent, Call::SpaceMap, &[space, memory, MEMORY, 0, length, 3]);
        if self.agree(parent, Ok(()), outcome).is_none() || !self.fill(child) {
            return false;
        }
        let args = [process, MEMORY, MEMORY, 0, MEMORY, u64::from(PRIORITY)];
        let outcome = self.call(parent, Call::ThreadCreate, &args);
        let Some((_, [thread, ..])) = self.agree(parent, Ok(()), outcome) else { return false };
        self.tids[child] = Some(self.w.object::<object::Thread>(self.pids[parent], thread));
        let number = self.number(parent, thread);
        let object = self.m.object(Kind::Thread, number, What::Plain);
        rest.push(self.m.add(parent, thread, object, LOOK | Rights::MANAGE, None));
        self.m.processes[child].wait = Wait::Ready;
        true
    }

    /// Lets all that was begun come to its end on both sides, and compares every thread.
    pub fn settle(&mut self) {
        while self.w.kernel.reap_pending() {
            let _ = self.w.kernel.leave(CPU);
        }
        self.m.settle();
        self.compare();
        self.operations += 1;
    }

    fn compare(&mut self) {
        while self.w.kernel.reap_pending() {
            let _ = self.w.kernel.leave(CPU);
        }
        for p in 0..self.m.processes.len() {
            let Some(thread) = self.tids[p] else { continue };
            if !self.m.processes[p].alive {
                let gone = matches!(self.w.outcome(thread), Outcome::Gone) || self.is_anothers(p, thread);
                assert!(gone, "process {p} has ended, and its thread has not");
                self.tids[p] = None;
                continue;
            }
            self.compare_thread(p, thread);
        }
        for (p, address) in std::mem::take(&mut self.m.unmapped) {
            if self.m.processes[p].alive {
                let read = self.w.kernel.user_read(self.pids[p], address, &mut [0]);
                assert_eq!(read, Err(Error::BadAddress), "process {p} still reads at {address:#x} what was lent");
            }
        }
        self.arrivals();
    }

    /// A thread's place was used again for a thread of a later process.
    fn is_anothers(&self, p: P, thread: Id<object::Thread>) -> bool {
        self.tids.iter().skip(p + 1).any(|t| *t == Some(thread))
    }

    fn compare_thread(&mut self, p: P, thread: Id<object::Thread>) {
        let state = self.w.kernel.threads[thread].state.get();
        let process = &mut self.m.processes[p];
        let agrees = match process.wait {
            Wait::Ready => matches!(state, ThreadState::Ready | ThreadState::Running),
            Wait::Sending(_) => state == ThreadState::Sending,
            Wait::Awaiting { .. } => state == ThreadState::AwaitingReply,
            Wait::Receiving { .. } => state == ThreadState::Receiving,
            Wait::Waiting { .. } => state == ThreadState::Waiting,
            Wait::Sleeping { .. } => state == ThreadState::Sleeping,
            Wait::None => state == ThreadState::Inactive,
        };
        assert!(agrees, "process {p} is {state:?}, and should be {:?}", process.wait);
        if !matches!(process.wait, Wait::Ready) {
            return;
        }
        let Some(expect) = process.expect.take() else { return };
        let r = &self.w.kernel.threads[thread].registers;
        assert_eq!(error::check(r.rax.get()), expect.status, "process {p}: its status");
        let values = [&r.rdi, &r.rsi, &r.rdx, &r.r8].map(|v| v.get());
        for (value, expected) in values.iter().zip(expect.values) {
            if let Some(expected) = expected {
                assert_eq!(*value, expected, "process {p}: {values:x?} for {expect:x?}");
            }
        }
        if let Some(words) = expect.words {
            assert_eq!(self.w.words(thread), words, "process {p}: its words");
        }
        if let Some((length, access)) = expect.lease {
            let told =
                (self.w.buffer(thread, buffer::RECEIVED_LEASES), self.w.buffer(thread, buffer::RECEIVED_LEASES + 1));
            assert_eq!(told, (length, access), "process {p}: its lease");
        }
    }

    /// Reads the handles of capabilities that came with messages.
    fn arrivals(&mut self) {
        for Arrival { to, index, from } in std::mem::take(&mut self.m.arrivals) {
            if !self.m.processes[to].alive {
                continue;
            }
            let thread = self.tids[to].expect("a receiver has a thread");
            let word = self.w.buffer(thread, buffer::RECEIVED_CAPS + index);
            match (word, from) {
                (0, None) => {}
                (0, Some(_)) => assert!(self.is_shortage(to, Error::OutOfQuota), "process {to}: nothing arrived"),
                (word, None) => panic!("process {to}: {word:#x} arrived out of nothing"),
                (word, Some((c, rights))) => {
                    let object = self.named(c);
                    let kind = self.m.objects[object].kind as u64;
                    assert_eq!(word >> 32, u64::from(rights.bits()) | kind << 16, "process {to}: what arrived");
                    self.m.add(to, word & 0xffff_ffff, object, rights, Some(c));
                }
            }
        }
    }

    /// Compares every capability table, entry by entry, with where each entry came from.
    pub fn compare_tables(&self) {
        let k = &self.w.kernel;
        for (p, process) in self.m.processes.iter().enumerate().filter(|(_, process)| process.alive) {
            let pid = self.pids[p];
            let base = k.cap_table(pid) as usize;
            let mut found = 0;
            for index in
                1..k.processes[pid].table_pages.get() as usize * kernel_core::arena::Arena::<object::Cap>::PER_PAGE
            {
                let entry = &k.caps[Id::try_new(base + index).expect("an id")];
                let Some(kind) = entry.kind() else { continue };
                found += 1;
                let c = process.table.get(&(index as u16));
                let cap = self.m.cap(*c.unwrap_or_else(|| panic!("process {p} has a {kind:?} at {index} too much")));
                let object = &self.m.objects[cap.object];
                assert_eq!((entry.handle().0, entry.rights(), kind), (cap.handle, cap.rights, object.kind));
                let parent = Id::try_new(entry.parent.get() as usize);
                let parent = parent.map(|c| (k.cap_holder(c), k.caps[c].handle().0));
                let expected = cap.parent.map(|c| self.m.cap(c));
                let expected = expected.map(|c| (self.pids[c.holder], c.handle));
                assert_eq!(parent, expected, "process {p}: where entry {index} came from");
            }
            assert_eq!(found, process.table.len(), "process {p} has too few entries");
        }
    }

    /// Compares what exists with what is named.
    pub fn compare_objects(&self) {
        let k = &self.w.kernel;
        let count = |f: &dyn Fn(&crate::reference::Object) -> bool| self.m.objects.iter().filter(|o| f(o)).count();
        let notifications = count(&|o| match o.what {
            What::Notification { bound, .. } => o.caps > 0 || bound.is_some(),
            _ => false,
        });
        assert_eq!(k.notifications.iter_used().count(), notifications, "notifications");
        let bound = |o: &What| matches!(o, What::Reply(r) if r.state == crate::reference::ReplyState::Bound);
        assert_eq!(k.replies.iter_used().count(), count(&|o| o.kind == Kind::Reply && (o.caps > 0 || bound(&o.what))));
        let sessions = count(&|o| match &o.what {
            What::Session { endpoint, badge, ended, .. } => match &self.m.objects[*endpoint].what {
                What::Endpoint(e) => !ended || e.ended.contains(badge),
                _ => false,
            },
            _ => false,
        });
        assert_eq!(k.sessions.iter_used().count(), sessions, "sessions");
    }

    pub fn fresh_endpoint() -> What {
        What::Endpoint(Endpoint::default())
    }
}
