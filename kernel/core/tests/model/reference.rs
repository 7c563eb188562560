//! The reference: what the contract says about capabilities, messages and
//! lives, in the plainest Rust.
//!
//! It knows nothing of arenas, trees or steps: objects are numbers, tables are maps, and an end happens at once.

use abi::{Error, Kind, Rights};
use std::collections::{BTreeMap, HashSet, VecDeque};

/// A process of the model.
pub type P = usize;
/// An object of the model.
pub type O = usize;
/// A capability of the model.
pub type C = usize;

/// What a caller lent: a range of its data area.
#[derive(Clone, Debug)]
pub struct Lease {
    pub lender: P,
    pub offset: u64,
    pub length: u64,
    pub access: u32,
    pub withdrawn: bool,
    /// Where servers have parts of it mapped: process, address, offset in the lease, length.
    pub maps: Vec<(P, u64, u64, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyState {
    Free,
    Receiving,
    Bound,
    Cancelled,
}

#[derive(Debug)]
pub enum What {
    Plain,
    Process(P),
    Notification { bits: u64, waiters: VecDeque<P>, bound: Option<O> },
    Endpoint(Endpoint),
    Session { endpoint: O, badge: u64, senders: usize, ended: bool },
    Reply(Reply),
}

#[derive(Debug, Default)]
pub struct Endpoint {
    pub closed: bool,
    pub receivers: VecDeque<P>,
    pub senders: VecDeque<P>,
    pub ended: Vec<u64>,
    pub told: Option<u64>,
    pub last_badge: u64,
    pub sessions: BTreeMap<u64, O>,
    pub notification: Option<O>,
    /// Calls that are not wanted any more, of which nobody was told yet.
    pub cancelled: VecDeque<O>,
}

#[derive(Debug)]
pub struct Reply {
    /// What the call was received from.
    pub endpoint: Option<O>,
    /// Why the call is not wanted any more, once that was noted.
    pub reason: Option<Error>,
    pub state: ReplyState,
    pub owner: Option<P>,
    pub caller: Option<P>,
    pub receiver: Option<P>,
    pub lease: Option<Lease>,
    pub end_error: Option<Error>,
}

#[derive(Debug)]
pub struct Object {
    pub kind: Kind,
    /// Its object id in the kernel.
    pub number: u64,
    pub caps: usize,
    pub what: What,
}

#[derive(Debug)]
pub struct Cap {
    pub holder: P,
    pub handle: u32,
    pub object: O,
    pub rights: Rights,
    pub parent: Option<C>,
    /// The latest first.
    pub children: VecDeque<C>,
}

#[derive(Clone, Debug)]
pub struct Message {
    pub session: O,
    pub tag: u64,
    pub words: [u64; 6],
    pub caps: Vec<(u32, Rights)>,
    pub lease: Option<Lease>,
    pub wants_reply: bool,
    pub deadline: u64,
}

#[derive(Debug)]
pub enum Wait {
    Ready,
    Sending(Message),
    Awaiting {
        reply: O,
        deadline: u64,
    },
    Receiving {
        endpoint: O,
        reply: O,
        deadline: u64,
    },
    Waiting {
        on: O,
        deadline: u64,
    },
    Sleeping {
        deadline: u64,
    },
    /// It has no thread: not yet, or no more.
    None,
}

/// What a thread finds in its registers when it runs again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    pub status: Result<(), Error>,
    /// rdi, rsi, rdx, r8, where the contract says something.
    pub values: [Option<u64>; 4],
    pub words: Option<[u64; 6]>,
    /// Length and access of the first lease, in its IPC buffer.
    pub lease: Option<(u64, u64)>,
}

impl Expect {
    pub fn status(status: Result<(), Error>) -> Expect {
        Expect { status, values: [None; 4], words: None, lease: None }
    }
}

/// A capability that arrived with a message: its handle is read from the receiver's IPC buffer afterwards.
#[derive(Debug)]
pub struct Arrival {
    pub to: P,
    pub index: usize,
    pub from: Option<(C, Rights)>,
}

#[derive(Debug)]
pub struct Process {
    pub object: O,
    pub account: u64,
    pub alive: bool,
    pub wait: Wait,
    pub table: BTreeMap<u16, C>,
    /// Every handle it was ever given.
    pub issued: HashSet<u32>,
    pub closed: Vec<u32>,
    pub data: Vec<u8>,
    pub expect: Option<Expect>,
    /// What it waits through.
    pub via: Option<C>,
}

#[derive(Debug, Default)]
pub struct Model {
    pub processes: Vec<Process>,
    pub objects: Vec<Object>,
    pub caps: Vec<Option<Cap>>,
    pub arrivals: Vec<Arrival>,
    /// Mappings that have to be gone by the end of the operation: process and address.
    pub unmapped: Vec<(P, u64)>,
    /// Messages handed over, and answers.
    pub delivered: u64,
    pub answered: u64,
    /// Calls of which a server was told that they are not wanted any more.
    pub told_of: u64,
    dying: Vec<P>,
    closing: Vec<O>,
}

impl Model {
    pub fn cap(&self, c: C) -> &Cap {
        self.caps[c].as_ref().expect("a live capability")
    }
    pub fn cap_mut(&mut self, c: C) -> &mut Cap {
        self.caps[c].as_mut().expect("a live capability")
    }
    pub fn object(&mut self, kind: Kind, number: u64, what: What) -> O {
        self.objects.push(Object { kind, number, caps: 0, what });
        self.objects.len() - 1
    }
    pub fn endpoint(&mut self, o: O) -> &mut Endpoint {
        match &mut self.objects[o].what {
            What::Endpoint(e) => e,
            other => panic!("{other:?} is no endpoint"),
        }
    }
    pub fn reply(&mut self, o: O) -> &mut Reply {
        match &mut self.objects[o].what {
            What::Reply(r) => r,
            other => panic!("{other:?} is no reply"),
        }
    }
    pub fn session(&mut self, o: O) -> (O, u64) {
        match self.objects[o].what {
            What::Session { endpoint, badge, .. } => (endpoint, badge),
            ref other => panic!("{other:?} is no session"),
        }
    }

    /// What a look-up has to answer.
    pub fn look(&self, p: P, word: u64, kind: Kind, rights: Rights) -> Result<C, Error> {
        let c = self.look_any(p, word)?;
        let cap = self.cap(c);
        if self.objects[cap.object].kind != kind {
            return Err(Error::WrongKind);
        }
        if !cap.rights.contains(rights) {
            return Err(Error::NoRight);
        }
        Ok(c)
    }
    pub fn look_any(&self, p: P, word: u64) -> Result<C, Error> {
        let handle = u32::try_from(word).map_err(|_| Error::BadHandle)?;
        let c = *self.processes[p].table.get(&(handle as u16)).ok_or(Error::BadHandle)?;
        if self.cap(c).handle != handle {
            return Err(Error::BadHandle);
        }
        Ok(c)
    }

    /// A capability that the kernel says it has put in.
    pub fn add(&mut self, p: P, handle: u64, object: O, rights: Rights, parent: Option<C>) -> C {
        let handle = u32::try_from(handle).expect("a handle has 32 bits");
        assert!(handle & 0xffff != 0 && handle >> 16 != 0 && handle >> 16 != 0xffff, "{handle:#x} is a handle");
        assert!(self.processes[p].issued.insert(handle), "{handle:#x} was a handle of process {p} before");
        let c = self.caps.len();
        self.caps.push(Some(Cap { holder: p, handle, object, rights, parent, children: VecDeque::new() }));
        assert_eq!(self.processes[p].table.insert(handle as u16, c), None, "{handle:#x} is in use");
        if let Some(parent) = parent {
            self.cap_mut(parent).children.push_front(c);
        }
        self.objects[object].caps += 1;
        c
    }

    /// Closing: children go to the parent.
    pub fn close(&mut self, c: C) {
        let parent = self.cap(c).parent;
        while let Some(child) = self.cap_mut(c).children.pop_front() {
            self.cap_mut(child).parent = parent;
            if let Some(parent) = parent {
                self.cap_mut(parent).children.push_front(child);
            }
        }
        self.remove(c);
    }

    /// Revoking: every descendant goes. (In the kernel's order: it shows in the order in which ends are told.)
    pub fn revoke(&mut self, c: C) {
        while let Some(child) = self.cap(c).children.front().copied() {
            for _ in 0..8 {
                let Some(below) = self.cap_mut(child).children.pop_front() else { break };
                self.cap_mut(below).parent = Some(c);
                self.cap_mut(c).children.push_front(below);
            }
            if self.cap(child).children.is_empty() {
                self.wait_revoked(child);
                self.remove(child);
            }
        }
    }

    /// What waits through a capability that is taken away: a call of which something is mapped goes on to its answer.
    fn wait_revoked(&mut self, c: C) {
        let p = self.cap(c).holder;
        if self.processes[p].via != Some(c) {
            return;
        }
        match &self.processes[p].wait {
            Wait::Awaiting { reply, .. } => {
                let reply = *reply;
                self.withdraw(reply);
                let r = self.reply(reply);
                if r.lease.as_ref().is_some_and(|l| !l.maps.is_empty()) {
                    r.end_error = r.end_error.or(Some(Error::Revoked));
                    return self.cancel_note(reply, Error::Revoked);
                }
                (r.state, r.caller, r.end_error) = (ReplyState::Cancelled, None, None);
                self.wake(p, Expect::status(Err(Error::Revoked)));
                self.cancel_note(reply, Error::Revoked);
            }
            Wait::Sending(_) | Wait::Receiving { .. } | Wait::Waiting { .. } => {
                self.stop(p);
                self.wake(p, Expect::status(Err(Error::Revoked)));
            }
            Wait::Ready | Wait::Sleeping { .. } | Wait::None => {}
        }
    }

    fn remove(&mut self, c: C) {
        let cap = self.caps[c].take().expect("a live capability");
        assert!(cap.children.is_empty());
        if let Some(parent) = cap.parent {
            self.cap_mut(parent).children.retain(|x| *x != c);
        }
        self.processes[cap.holder].table.remove(&(cap.handle as u16));
        self.processes[cap.holder].closed.push(cap.handle);
        self.objects[cap.object].caps -= 1;
        if self.objects[cap.object].caps == 0 {
            self.unnamed(cap.object);
        }
    }

    /// No capability names an object any more.
    fn unnamed(&mut self, o: O) {
        match &mut self.objects[o].what {
            What::Plain => {}
            What::Process(p) => {
                let p = *p;
                if self.processes[p].alive && matches!(self.processes[p].wait, Wait::None) {
                    self.kill(p);
                }
            }
            What::Notification { .. } => self.notification_release(o),
            What::Endpoint(endpoint) => {
                endpoint.closed = true;
                endpoint.told = None;
                if let Some(n) = endpoint.notification.take() {
                    if let What::Notification { bound, .. } = &mut self.objects[n].what {
                        *bound = None;
                    }
                    self.notification_release(n);
                }
                self.closing.push(o);
            }
            What::Session { .. } => self.session_release(o),
            What::Reply(reply) => match reply.state {
                ReplyState::Free => {}
                ReplyState::Receiving => {
                    let p = reply.receiver.expect("someone receives");
                    self.receiver_remove(p);
                    self.wake(p, Expect::status(Err(Error::Closed)));
                }
                ReplyState::Bound | ReplyState::Cancelled => self.abandon(o, Error::Closed),
            },
        }
    }

    pub fn notification_release(&mut self, o: O) {
        let is_named = self.objects[o].caps != 0;
        let What::Notification { waiters, bound, .. } = &mut self.objects[o].what else { return };
        if is_named || bound.is_some() {
            return;
        }
        for p in std::mem::take(waiters) {
            self.wake(p, Expect::status(Err(Error::Closed)));
        }
    }

    /// A capability or a sender less: a session that has none ends.
    pub fn session_release(&mut self, o: O) {
        let caps = self.objects[o].caps;
        let What::Session { endpoint, badge, senders, ended } = &mut self.objects[o].what else { return };
        if caps != 0 || *senders != 0 || *ended {
            return;
        }
        *ended = true;
        let (endpoint, badge) = (*endpoint, *badge);
        let e = self.endpoint(endpoint);
        if e.closed {
            return;
        }
        e.ended.push(badge);
        if e.told.is_none() {
            e.told = Some(badge);
        }
        self.events(endpoint);
    }

    pub fn sender_release(&mut self, o: O) {
        if let What::Session { senders, .. } = &mut self.objects[o].what {
            *senders -= 1;
        }
        self.session_release(o);
    }

    /// A process ends.
    pub fn kill(&mut self, p: P) {
        if std::mem::replace(&mut self.processes[p].alive, false) {
            self.dying.push(p);
        }
    }

    pub fn stop(&mut self, p: P) {
        match std::mem::replace(&mut self.processes[p].wait, Wait::None) {
            Wait::Sending(message) => {
                let (endpoint, _) = self.session(message.session);
                self.endpoint(endpoint).senders.retain(|x| *x != p);
                self.sender_release(message.session);
            }
            Wait::Awaiting { reply, .. } => {
                self.withdraw(reply);
                let r = self.reply(reply);
                (r.state, r.caller) = (ReplyState::Cancelled, None);
                self.cancel_note(reply, Error::Closed);
            }
            Wait::Receiving { endpoint, reply, .. } => {
                self.endpoint(endpoint).receivers.retain(|x| *x != p);
                self.reply_freed(reply);
            }
            Wait::Waiting { on, .. } => {
                if let What::Notification { waiters, .. } = &mut self.objects[on].what {
                    waiters.retain(|x| *x != p);
                }
            }
            Wait::Ready | Wait::Sleeping { .. } | Wait::None => {}
        }
        self.processes[p].expect = None;
    }

    /// All that follows from what has happened, as the reaper does it.
    pub fn settle(&mut self) {
        loop {
            if let Some(p) = self.dying.pop() {
                self.stop(p);
                for o in 0..self.objects.len() {
                    if let What::Reply(r) = &mut self.objects[o].what {
                        // What it had mapped goes with its space, whoever answers the call.
                        r.lease.iter_mut().for_each(|lease| lease.maps.retain(|map| map.0 != p));
                    }
                    if matches!(&self.objects[o].what, What::Reply(r) if r.owner == Some(p)) {
                        self.reply(o).owner = None;
                        self.abandon(o, Error::Restarted);
                    }
                }
                while let Some((_, c)) = self.processes[p].table.first_key_value() {
                    self.close(*c);
                }
            } else if let Some(o) = self.closing.pop() {
                let e = self.endpoint(o);
                let (receivers, senders) = (std::mem::take(&mut e.receivers), std::mem::take(&mut e.senders));
                e.ended.clear();
                for p in receivers {
                    let Wait::Receiving { reply, .. } = self.processes[p].wait else { panic!("it receives") };
                    self.reply_freed(reply);
                    self.wake(p, Expect::status(Err(Error::Closed)));
                }
                for p in senders {
                    let wait = std::mem::replace(&mut self.processes[p].wait, Wait::Ready);
                    let Wait::Sending(message) = wait else { panic!("it sends") };
                    self.wake(p, Expect::status(Err(Error::Closed)));
                    self.sender_release(message.session);
                }
            } else {
                return;
            }
        }
    }
}
