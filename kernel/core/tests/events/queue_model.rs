//! Event queues and readiness in random orders, against a small model.
//!
//! The model knows sessions' words and, for each interest, what it has to tell. What a wait brings has to be what the
//! model has, in all and in bits; and after every operation nobody sleeps on a queue that has something to tell unless
//! someone is on the way (`World::check`, and here from the model's side).

use crate::random::Random;
use abi::call::Call;
use abi::event::{ERROR, HANG_UP};
use abi::{Error, Handle};
use kernel_core::id::Id;
use kernel_core::object::{Process, Thread, ThreadState};
use kernel_core::world::{Outcome, World, LENT};
use std::collections::{BTreeMap, BTreeSet};

const QUOTA: u64 = Handle::SELF_QUOTA.0 as u64;
const CAPACITY: usize = 5;
const ALWAYS: u32 = ERROR | HANG_UP;

#[derive(Clone, Copy)]
struct Interest {
    session: u64,
    mask: u32,
    mode: u64,
    armed: bool,
    edges: u32,
}

#[derive(Default)]
struct Queue {
    interests: BTreeMap<u64, Interest>,
    closed: bool,
}

struct Client {
    process: Id<Process>,
    threads: Vec<Id<Thread>>,
    /// Handles of the queues, and of the sessions by badge.
    queues: BTreeMap<usize, u64>,
    sessions: BTreeMap<u64, u64>,
    alive: bool,
}

struct Run {
    w: World,
    random: Random,
    server: Id<Thread>,
    endpoint: u64,
    clients: Vec<Client>,
    queues: Vec<Queue>,
    /// Readiness by badge; none: it has ended.
    words: BTreeMap<u64, Option<u32>>,
    /// Threads that called `queue_wait` and have no answer yet, by number: the queue, the room.
    waiting: BTreeMap<u32, (usize, u64)>,
    /// Badges whose end the server has acknowledged.
    acknowledged: BTreeSet<u64>,
    told: u64,
    last_badge: u64,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut w = World::new();
        let owner = w.process();
        let server = w.thread(owner, 10);
        let quota = w.quota_handle(owner);
        let endpoint = w.ok(server, Call::EndpointCreate, &[quota])[0];
        let random = Random::new(seed);
        let (clients, queues, words) = Default::default();
        let waiting = BTreeMap::new();
        let mut run = Run {
            w,
            random,
            server,
            endpoint,
            clients,
            queues,
            words,
            waiting,
            acknowledged: BTreeSet::new(),
            told: 0,
            last_badge: 0,
        };
        for _ in 0..3 {
            run.client(owner);
        }
        run
    }

    /// A client with a queue of its own; sometimes it has one of another's too.
    fn client(&mut self, owner: Id<Process>) {
        let process = self.w.process();
        let threads: Vec<_> = (0..3).map(|n| self.w.thread(process, 9 + n)).collect();
        let mut client = Client { process, threads, queues: BTreeMap::new(), sessions: BTreeMap::new(), alive: true };
        let handle = self.w.ok(client.threads[0], Call::QueueCreate, &[QUOTA, CAPACITY as u64])[0];
        client.queues.insert(self.queues.len(), handle);
        if let Some(other) = self.clients.last() {
            for (n, handle) in &other.queues {
                client.queues.entry(*n).or_insert(self.w.give(other.process, *handle, process));
            }
        }
        self.queues.push(Queue::default());
        for _ in 0..3 {
            self.last_badge += 1;
            let made = self.w.ok(self.server, Call::SessionCreate, &[self.endpoint, self.last_badge, 0])[0];
            client.sessions.insert(self.last_badge, self.w.give(owner, made, process));
            self.w.ok(self.server, Call::Close, &[made]);
            self.words.insert(self.last_badge, Some(0));
        }
        self.clients.push(client);
    }

    fn ready_of(&self, interest: &Interest) -> u32 {
        (interest.mask | ALWAYS) & self.words[&interest.session].unwrap_or(HANG_UP)
    }

    fn news(&self, interest: &Interest) -> u32 {
        match interest.mode {
            1 => interest.edges,
            2 if !interest.armed => 0,
            _ => self.ready_of(interest),
        }
    }

    /// A thread that is not in a wait, of a client that lives.
    fn free_thread(&mut self) -> Option<(usize, Id<Thread>)> {
        let c = self.random.below(self.clients.len());
        let client = &self.clients[c];
        if !client.alive {
            return None;
        }
        let thread = client.threads[self.random.below(client.threads.len())];
        (!self.waiting.contains_key(&thread.raw())).then_some((c, thread))
    }

    fn any_queue(&mut self, c: usize) -> Option<(usize, u64)> {
        let all: Vec<_> = self.clients[c].queues.iter().map(|(n, handle)| (*n, *handle)).collect();
        (!all.is_empty()).then(|| self.random.pick(&all))
    }

    fn add(&mut self) {
        let Some((c, thread)) = self.free_thread() else { return };
        let Some((q, handle)) = self.any_queue(c) else { return };
        let sessions: Vec<_> = self.clients[c].sessions.iter().map(|(b, h)| (*b, *h)).collect();
        if sessions.is_empty() {
            return;
        }
        let (badge, session) = self.random.pick(&sessions);
        let (key, mask, mode) = (self.random.below(8) as u64, self.random.below(4) as u32, self.random.below(3) as u64);
        let got = self.w.call(thread, Call::QueueAdd, &[handle, session, key, u64::from(mask), mode]);
        let interests = &self.queues[q].interests;
        if interests.contains_key(&key) {
            assert_eq!(got, Outcome::Failed(Error::Exists));
        } else if interests.len() == CAPACITY {
            assert_eq!(got, Outcome::Failed(Error::TableFull));
        } else {
            assert!(matches!(got, Outcome::Done(_)), "{got:?}");
            let mut interest = Interest { session: badge, mask, mode, armed: true, edges: 0 };
            interest.edges = self.ready_of(&interest);
            self.queues[q].interests.insert(key, interest);
        }
    }

    fn change(&mut self, remove: bool) {
        let Some((c, thread)) = self.free_thread() else { return };
        let Some((q, handle)) = self.any_queue(c) else { return };
        let (key, mask, mode) = (self.random.below(8) as u64, self.random.below(4) as u32, self.random.below(3) as u64);
        let got = match remove {
            true => self.w.call(thread, Call::QueueRemove, &[handle, key]),
            false => self.w.call(thread, Call::QueueChange, &[handle, key, u64::from(mask), mode]),
        };
        let Some(mut interest) = self.queues[q].interests.remove(&key) else {
            return assert_eq!(got, Outcome::Failed(Error::NotFound));
        };
        assert!(matches!(got, Outcome::Done(_)), "{got:?}");
        if !remove {
            (interest.mask, interest.mode, interest.armed) = (mask, mode, true);
            interest.edges = self.ready_of(&interest);
            self.queues[q].interests.insert(key, interest);
        }
    }

    fn ready(&mut self) {
        let badge = 1 + self.random.below(self.last_badge as usize) as u64;
        let (set, clear) = (self.random.below(16) as u32 & 7, self.random.below(16) as u32);
        let args = [self.endpoint, badge, u64::from(set), u64::from(clear)];
        let got = self.w.call(self.server, Call::SessionReady, &args);
        let Some(word) = self.words[&badge] else {
            let error = if self.acknowledged.contains(&badge) { Error::NotFound } else { Error::WrongState };
            return assert_eq!(got, Outcome::Failed(error));
        };
        assert!(matches!(got, Outcome::Done(_)), "{got:?}");
        self.words.insert(badge, Some(word & !clear | set));
        self.edges(badge, set);
    }

    fn edges(&mut self, badge: u64, set: u32) {
        for interest in self.queues.iter_mut().flat_map(|q| q.interests.values_mut()).filter(|i| i.session == badge) {
            interest.edges |= set & (interest.mask | ALWAYS);
        }
    }

    fn session_ended(&mut self, badge: u64) {
        self.words.insert(badge, None);
        self.edges(badge, HANG_UP);
    }

    fn wait(&mut self) {
        let Some((c, thread)) = self.free_thread() else { return };
        let Some((q, handle)) = self.any_queue(c) else { return };
        let room = 1 + self.random.below(6) as u64;
        let deadline = if self.random.below(3) == 0 { 1 } else { 0 };
        let got = self.w.call(thread, Call::QueueWait, &[handle, LENT, room, deadline]);
        self.waiting.insert(thread.raw(), (q, room));
        self.answered(thread, got, deadline == 1);
    }

    /// What a wait brought, or that it waits, is what the model says.
    fn answered(&mut self, thread: Id<Thread>, got: Outcome, now: bool) {
        let (q, room) = self.waiting[&thread.raw()];
        let queue = &self.queues[q];
        let news: BTreeMap<u64, u32> =
            queue.interests.iter().map(|(key, i)| (*key, self.news(i))).filter(|(_, bits)| *bits != 0).collect();
        let count = match got {
            Outcome::Waits => return assert!(news.is_empty() && !now, "{news:?}"),
            Outcome::Failed(Error::TimedOut) => {
                assert!(news.is_empty() && now);
                self.waiting.remove(&thread.raw());
                return;
            }
            Outcome::Done([count, ..]) => count,
            other => panic!("{other:?}"),
        };
        self.waiting.remove(&thread.raw());
        assert_eq!(count, room.min(news.len() as u64));
        let process = self.w.kernel.threads[thread].process.get().expect("it lives");
        let mut words = vec![0; count as usize * 2];
        self.w.kernel.user_read_words(process, LENT, &mut words).unwrap();
        let mut seen = Vec::new();
        for pair in words.chunks(2) {
            assert!(!seen.contains(&pair[0]), "told twice in one batch");
            seen.push(pair[0]);
            assert_eq!(Some(&(pair[1] as u32)), news.get(&pair[0]));
            let interest = self.queues[q].interests.get_mut(&pair[0]).expect("it is watched");
            interest.edges = 0;
            interest.armed = false;
            self.told += 1;
        }
    }

    /// A thread that was woken comes back.
    fn comes_back(&mut self) {
        let ready: Vec<_> =
            self.waiting.keys().filter_map(|t| Id::try_new(*t as usize)).filter(|t| self.is_on_the_way(*t)).collect();
        if !ready.is_empty() {
            let thread = self.random.pick(&ready);
            let got = self.w.again(thread);
            self.answered(thread, got, false);
        }
    }

    fn is_on_the_way(&self, thread: Id<Thread>) -> bool {
        matches!(self.w.kernel.threads[thread].state.get(), ThreadState::Ready | ThreadState::Running)
    }

    fn cancel(&mut self) {
        let asleep: Vec<_> =
            self.waiting.keys().filter_map(|t| Id::try_new(*t as usize)).filter(|t| !self.is_on_the_way(*t)).collect();
        if !asleep.is_empty() {
            let thread = self.random.pick(&asleep);
            self.w.kernel.thread_cancel_wait(thread).unwrap();
            self.w.check();
            assert_eq!(self.w.outcome(thread), Outcome::Failed(Error::Cancelled));
            self.waiting.remove(&thread.raw());
        }
    }

    /// Ends a thread in the middle of whatever it does.
    fn end_thread(&mut self) {
        let c = self.random.below(self.clients.len());
        if self.clients[c].alive && self.clients[c].threads.len() > 1 {
            let n = self.random.below(self.clients[c].threads.len());
            let thread = self.clients[c].threads.remove(n);
            self.waiting.remove(&thread.raw());
            self.w.kernel.thread_end(thread);
            self.w.check();
        }
    }

    fn close_session(&mut self) {
        let Some((c, thread)) = self.free_thread() else { return };
        let badges: Vec<_> = self.clients[c].sessions.keys().copied().collect();
        if !badges.is_empty() {
            let badge = self.random.pick(&badges);
            let handle = self.clients[c].sessions.remove(&badge).expect("it has it");
            self.w.ok(thread, Call::Close, &[handle]);
            self.session_ended(badge);
            if self.random.below(2) == 0 {
                self.w.ok(self.server, Call::SessionAcknowledge, &[self.endpoint, badge]);
                assert_eq!(self.w.err(self.server, Call::SessionReady, &[self.endpoint, badge, 1, 0]), Error::NotFound);
                self.acknowledged.insert(badge);
            }
        }
    }

    fn kill(&mut self) {
        let c = self.random.below(self.clients.len());
        if self.clients.iter().filter(|client| client.alive).count() < 2 || !self.clients[c].alive {
            return;
        }
        self.w.kill(self.clients[c].process);
        let client = &mut self.clients[c];
        client.alive = false;
        let (sessions, threads) = (core::mem::take(&mut client.sessions), core::mem::take(&mut client.threads));
        client.queues.clear();
        for badge in sessions.into_keys() {
            self.session_ended(badge);
        }
        for thread in threads {
            self.waiting.remove(&thread.raw());
        }
        for q in 0..self.queues.len() {
            if !self.clients.iter().any(|client| client.queues.contains_key(&q)) {
                self.queues[q].interests.clear();
                self.queues[q].closed = true;
            }
        }
    }

    /// Nobody sleeps on a queue that has something to tell unless someone is on the way to it.
    fn check(&self) {
        for (q, queue) in self.queues.iter().enumerate().filter(|(_, queue)| !queue.closed) {
            let has_news = queue.interests.values().any(|i| self.news(i) != 0);
            let mut here =
                self.waiting.iter().filter(|(_, (at, _))| *at == q).filter_map(|(t, _)| Id::try_new(*t as usize));
            let asleep = here.clone().any(|thread| !self.is_on_the_way(thread));
            assert!(!asleep || !has_news || here.any(|thread| self.is_on_the_way(thread)), "a lost wake-up");
        }
    }
}

#[test]
fn queues_do_what_the_model_says() {
    let mut told = 0;
    for seed in 0..60 {
        println!("seed {seed}");
        let mut run = Run::new(seed);
        for _ in 0..600 {
            match run.random.below(100) {
                0..15 => run.add(),
                15..22 => run.change(false),
                22..28 => run.change(true),
                28..55 => run.ready(),
                55..75 => run.wait(),
                75..93 => run.comes_back(),
                93..95 => run.cancel(),
                95 => run.end_thread(),
                96..98 => run.close_session(),
                98 if run.random.below(6) == 0 => run.kill(),
                _ => run.comes_back(),
            }
            run.check();
        }
        told += run.told;
        run.w.end();
    }
    assert!(told > 5_000, "{told} events were told");
}
