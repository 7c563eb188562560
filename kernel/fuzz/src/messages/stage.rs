//! Three processes with five threads that talk to each other, and a keeper who
//! made everything and never waits.

use super::record::{Doing, Mapped, Number, Pinned, Record};
use crate::handle::{table, Entry};
use abi::call::Call;
use abi::memory::PAGE_SIZE;
use abi::{Handle, Kind, Rights};
use kernel_core::id::Id;
use kernel_core::object::{Process, ProcessState, Thread, ThreadState};
use kernel_core::test_machine::TestMachine;
use kernel_core::world::{World, LENT};
use std::collections::BTreeMap;

/// Frames of the machine.
pub const FRAMES: u32 = 2048;
/// Where data lies that is known to be mapped, and bytes of it.
pub const DATA: u64 = LENT;
/// Bytes of data.
pub const LENGTH: u64 = 12 * PAGE_SIZE;
/// Processes that talk, and how many threads each has.
const THREADS: [usize; 3] = [2, 2, 1];
/// Sessions to each endpoint.
const SESSIONS: u64 = 3;

/// A thread that talks.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    pub process: Id<Process>,
    pub thread: Id<Thread>,
    pub doing: Doing,
}

/// A world and what is known of it.
pub struct Stage<const FAULT: u8> {
    pub w: World<FAULT>,
    /// The one who never waits.
    pub keeper: Actor,
    /// The others who live.
    pub actors: Vec<Actor>,
    /// The keeper's handles of their threads.
    pub threads: Vec<(Id<Thread>, u64)>,
    /// The keeper's sessions, from which all others are derived, and notifications.
    pub sessions: Vec<u64>,
    pub notifications: Vec<u64>,
    /// The messages, by number.
    pub messages: BTreeMap<Number, Record>,
    /// What each reply object, by its object id, is bound to.
    pub bound: BTreeMap<u64, Number>,
    /// Whose end ends what a reply object is bound to, by its object id.
    pub owners: BTreeMap<u64, Id<Process>>,
    pub mapped: Vec<Mapped>,
    pub pinned: Vec<Pinned>,
    /// Messages sent so far.
    pub count: Number,
}

impl<const FAULT: u8> Stage<FAULT> {
    /// Everybody is there, and nobody has said anything.
    pub fn new() -> Stage<FAULT> {
        let mut w = World::on(TestMachine::<FAULT>::kernel(FRAMES));
        let keeper = actor(&mut w, None, 200);
        let quota = w.quota_handle(keeper.process);
        let mut stage = Stage {
            w,
            keeper,
            actors: Vec::new(),
            threads: Vec::new(),
            sessions: Vec::new(),
            notifications: Vec::new(),
            messages: BTreeMap::new(),
            bound: BTreeMap::new(),
            owners: BTreeMap::new(),
            mapped: Vec::new(),
            pinned: Vec::new(),
            count: 0,
        };
        for (n, threads) in THREADS.into_iter().enumerate() {
            let mut process = None;
            for i in 0..threads {
                let one = actor(&mut stage.w, process, 10 + 5 * ((n + i) % 3) as u8);
                process = Some(one.process);
                stage.actors.push(one);
                let all = Rights::all();
                let handle = stage.w.kernel.cap_insert(keeper.process, Kind::Thread, one.thread.raw(), all, None);
                stage.threads.push((one.thread, handle.expect("there is room").word()));
            }
        }
        let mut processes: Vec<Id<Process>> = stage.actors.iter().map(|actor| actor.process).collect();
        processes.dedup();
        for home in &processes {
            stage.equip(*home, quota, &processes);
        }
        stage
    }

    /// An endpoint for a process, with a notification and reply objects, and sessions to it for everyone.
    fn equip(&mut self, home: Id<Process>, quota: u64, processes: &[Id<Process>]) {
        let keeper = self.keeper;
        let make = |w: &mut World<FAULT>, call: Call, args: &[u64]| w.ok(keeper.thread, call, args)[0];
        let endpoint = make(&mut self.w, Call::EndpointCreate, &[quota]);
        let notification = make(&mut self.w, Call::NotificationCreate, &[quota]);
        self.w.ok(keeper.thread, Call::NotificationBind, &[notification, endpoint]);
        self.notifications.push(notification);
        self.w.give(keeper.process, endpoint, home);
        self.w.give(keeper.process, notification, home);
        for badge in 1..=SESSIONS {
            let session = make(&mut self.w, Call::SessionCreate, &[endpoint, badge, 0]);
            self.sessions.push(session);
            for process in processes {
                if badge == 1 || *process != home {
                    self.w.give(keeper.process, session, *process);
                }
            }
        }
        // From here on it is the process's own: when it dies, its endpoint is closed.
        make(&mut self.w, Call::Close, &[endpoint]);
        let thread = self.actors.iter().find(|actor| actor.process == home).expect("it has a thread").thread;
        for _ in 0..3 {
            self.w.ok(thread, Call::ReplyCreate, &[Handle::SELF_QUOTA.word()]);
        }
        let k = &self.w.kernel;
        let domain = k.domain_new(k.root_quota(), false).expect("there is memory");
        k.cap_insert(home, Kind::DmaDomain, domain.raw(), Rights::all(), None).expect("there is room");
    }

    /// All that a process has.
    pub fn table(&self, process: Id<Process>) -> Vec<Entry> {
        table(&self.w.kernel, process)
    }

    /// Whether a process still runs.
    pub fn lives(&self, process: Id<Process>) -> bool {
        let k = &self.w.kernel;
        k.processes.is_used(process) && k.processes[process].state.get() == ProcessState::Running
    }

    /// Whether a thread could make a call.
    pub fn is_ready(&self, thread: Id<Thread>) -> bool {
        matches!(self.w.kernel.threads[thread].state.get(), ThreadState::Ready | ThreadState::Running)
    }
}

fn actor<const FAULT: u8>(w: &mut World<FAULT>, process: Option<Id<Process>>, priority: u8) -> Actor {
    let process = process.unwrap_or_else(|| w.process());
    let thread = w.thread(process, priority);
    Actor { process, thread, doing: Doing::Nothing }
}
