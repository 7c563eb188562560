//! From a request to the scheme's method and back to an answer: the same code
//! for kernel and host.
//!
//! Authority first: the badge's session and its flags, then the arguments, then the act. A numbered call is looked
//! up before it is done and recorded after ([`sequence`](crate::sequence)); what is not safe to do twice is
//! recorded as begun before.

mod operate;
mod request;

pub use request::{Endpoint, Reply, Request, Ticket, Turn};

use crate::event::Readiness;
use crate::scheme::{CallId, Caller, Outcome, Scheme, Stop};
use crate::sequence::{Progress, Record};
use crate::sessions::Sessions;
use crate::store::Store;
use crate::wire::{Operation, Tag, FIRST_OWN_BADGE};
use abi::Error;
use alloc::vec::Vec;

/// A scheme with its sessions.
#[derive(Debug)]
pub struct Dispatcher<S: Scheme, K: Store> {
    scheme: S,
    sessions: Sessions<K>,
    last_badge: u64,
    last_call: u64,
    /// A name was made, moved or removed since this server was started.
    disturbed: bool,
}

/// Whether a call of this kind may let a parked one go on.
pub fn may_wake(tag: u64) -> bool {
    let quiet = [Operation::Stat, Operation::List, Operation::Space, Operation::Seek, Operation::Set];
    Tag(tag).operation().is_ok_and(|operation| !quiet.contains(&operation))
}

impl<S: Scheme, K: Store> Dispatcher<S, K> {
    /// A scheme with what its keepsake tells of its sessions. Call [`Dispatcher::recover`] before the first request.
    pub fn new(scheme: S, store: K) -> Dispatcher<S, K> {
        Dispatcher { scheme, sessions: Sessions::new(store), last_badge: 0, last_call: 0, disturbed: false }
    }

    /// The scheme.
    pub fn scheme(&mut self) -> &mut S {
        &mut self.scheme
    }

    /// Open sessions, roots included.
    pub fn open_sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Checks what is remembered against the kernel's truth, and opens again what is still held.
    pub fn recover(&mut self, endpoint: &mut dyn Endpoint) {
        let mut live = Vec::new();
        let mut after = 0;
        while let Ok((badge, ended)) = endpoint.next(after) {
            after = badge;
            if ended {
                self.sessions.remove(badge);
                endpoint.acknowledge(badge);
            } else {
                live.push(badge);
            }
        }
        self.last_badge = self.sessions.last_badge().max(after);
        for badge in self.sessions.badges() {
            if live.binary_search(&badge).is_err() {
                self.sessions.remove(badge);
            }
        }
        for badge in live {
            if self.sessions.get(badge).is_some() {
                // What can't be opened now is tried again at its next call.
                let _ = self.identity(badge, 0);
            }
            self.assert_ready(endpoint, badge);
        }
    }

    /// Tells the kernel what a session is ready for. One that is not opened (again) yet is said to be ready: who waits
    /// for it will call, and be told.
    fn assert_ready(&mut self, endpoint: &mut dyn Endpoint, badge: u64) {
        let caller = self.sessions.get(badge).and_then(|session| {
            let flags = session.flags;
            session.id.map(|id| Caller { id, badge, flags, ..Caller::default() })
        });
        let ready = caller.map_or(Readiness::READ | Readiness::WRITE, |caller| self.scheme.readiness(&caller));
        endpoint.ready(badge, ready, !ready);
    }

    /// Tells the kernel of changes.
    fn tell_changes(&mut self, endpoint: &mut dyn Endpoint) {
        self.scheme.readiness_changes(&mut |badge, set, clear| endpoint.ready(badge, set, clear));
    }

    /// Bits of the endpoint's notification.
    pub fn event(&mut self, endpoint: &mut dyn Endpoint, bits: u64) {
        self.scheme.event(bits);
        self.tell_changes(endpoint);
    }

    /// The last handle of a session is gone.
    pub fn session_ended(&mut self, endpoint: &mut dyn Endpoint, badge: u64) {
        if let Some(session) = self.sessions.remove(badge) {
            if let Some(id) = session.id {
                self.scheme.close(&Caller { id, badge, flags: session.flags, ..Caller::default() });
            }
        }
        endpoint.acknowledge(badge);
        self.tell_changes(endpoint);
    }

    /// A parked request will not be asked again.
    pub fn cancelled(&mut self, request: &Request<'_>) {
        if let (Some(ticket), Some(session)) = (request.ticket, self.sessions.get(request.badge)) {
            let id = session.id.unwrap_or(session.old_id);
            let (badge, account, flags) = (request.badge, request.account, session.flags);
            self.scheme.cancelled(&Caller { id, badge, account, flags, call: ticket.call, redo: false });
        }
    }

    /// What a badge stands for; a root session seen first is entered, one from before a restart opened again.
    fn identity(&mut self, badge: u64, account: u64) -> Outcome<u64> {
        let Some(session) = self.sessions.get(badge) else {
            if badge >= FIRST_OWN_BADGE {
                // From before a restart, and no keepsake knows it.
                return Err(Error::Io.into());
            }
            let id = self.scheme.root(badge)?;
            self.sessions.insert_root(badge, id);
            return Ok(id);
        };
        if let Some(id) = session.id {
            return Ok(id);
        }
        let (root, flags, path, old) = (session.root, session.flags, session.path.clone(), session.old_id);
        let id = if root == badge {
            self.scheme.root(badge)?
        } else {
            let id = match self.sessions.get(root).and_then(|root| root.id) {
                Some(id) => id,
                None => self.scheme.root(root)?,
            };
            let caller = Caller { id, badge: root, account, flags, ..Caller::default() };
            match self.scheme.reopen(&caller, &path, flags.for_reopen(), old) {
                Ok(opened) => opened.id,
                Err(Stop::Later) => return Err(Stop::Later),
                // The file it stood for can't be had any more.
                Err(Stop::Error(_)) => return Err(Error::Io.into()),
            }
        };
        if let Some(session) = self.sessions.get_mut(badge) {
            session.id = Some(id);
        }
        Ok(id)
    }

    /// Does what a request asks for. Capabilities that nobody took are closed when it is answered.
    pub fn call(&mut self, endpoint: &mut dyn Endpoint, request: &mut Request<'_>) -> Turn {
        let outcome = self.numbered(endpoint, request);
        self.tell_changes(endpoint);
        let reply = match outcome {
            Ok(reply) => reply,
            Err(Stop::Later) if !Tag(request.tag).is_non_blocking() => return Turn::Parked,
            Err(Stop::Later) => {
                self.cancelled(request);
                Reply::error(Error::WouldBlock)
            }
            Err(Stop::Error(error)) => Reply::error(error),
        };
        for handle in request.caps.drain() {
            endpoint.close(handle);
        }
        Turn::Answer(reply)
    }

    /// Looks a numbered call up, does it if it has to be done, and records it.
    fn numbered(&mut self, endpoint: &mut dyn Endpoint, request: &mut Request<'_>) -> Outcome<Reply> {
        let operation = Tag(request.tag).operation()?;
        let (badge, sequence) = (request.badge, request.words[5]);
        let was_open = self.sessions.get(badge).is_some_and(|session| session.id.is_some());
        let id = self.identity(badge, request.account)?;
        if !was_open {
            self.assert_ready(endpoint, badge);
        }
        let session = self.sessions.get(badge).ok_or(Error::Io)?;
        let flags = session.flags;
        let ticket = match request.ticket {
            Some(ticket) => ticket,
            None => {
                let known = session.records.find(sequence).filter(|_| sequence != 0).copied();
                let known = known.filter(|record| record.operation == operation as u16);
                self.last_call = self.last_call.saturating_add(1);
                let mut ticket = Ticket { call: CallId(self.last_call), redo: false, made: false, start: None };
                if let Some(record) = known {
                    let done = record.progress == Progress::Done;
                    if done && (record.status != 0 || is_whole(operation, &record)) {
                        let [w0, w1] = record.words;
                        let words = [w0, w1, 0, 0, 0, 0];
                        return Ok(Reply { tag: u64::from(record.status), words, caps: Vec::new() });
                    }
                    // The same bytes again, from where they were; the same file again, not made anew.
                    ticket = Ticket { redo: true, made: done, start: Some(record.start), ..ticket };
                }
                request.ticket = Some(ticket);
                ticket
            }
        };
        let caller = Caller { id, badge, account: request.account, flags, call: ticket.call, redo: ticket.redo };
        let start = ticket.start.unwrap_or(0);
        let mut effect = Effect { sequence, operation, start, position: session.position };
        let outcome = self.operate(endpoint, request, &caller, ticket, &mut effect);
        self.conclude(badge, &effect, &outcome);
        outcome
    }

    /// Records that a call is about to be done which must not be done twice unknowingly.
    fn begin(&mut self, badge: u64, effect: &Effect) {
        let Effect { sequence, operation, start, position } = *effect;
        let session = self.sessions.get(badge);
        let known = session.and_then(|s| s.records.find(sequence)).is_some_and(|r| r.start == start);
        if sequence != 0 && !known {
            let operation = operation as u16;
            let record =
                Record { sequence, progress: Progress::Begun, operation, start, position, ..Record::default() };
            self.sessions.record(badge, record);
        }
    }

    /// Records how a numbered call ended.
    fn conclude(&mut self, badge: u64, effect: &Effect, outcome: &Outcome<Reply>) {
        let Effect { sequence, operation, start, position } = *effect;
        let (status, words) = match outcome {
            Ok(reply) => (0, [reply.words[0], reply.words[1]]),
            Err(Stop::Later) => return,
            // These had no effect and will be sent again under the same number.
            Err(Stop::Error(Error::LeaseFault | Error::Retry)) => {
                return self.sessions.withdraw(badge, sequence);
            }
            Err(Stop::Error(error)) => (error.number(), [0, 0]),
        };
        if sequence != 0 {
            let (progress, operation) = (Progress::Done, operation as u16);
            let record = Record { stamp: 0, sequence, progress, status, operation, start, words, position };
            self.sessions.record(badge, record);
        } else if let Some(session) = self.sessions.get_mut(badge) {
            session.position = position;
        }
    }
}

/// In the place of an offset, where an operation has none: see [`Dispatcher::expect`].
const CHECKED: u64 = 1;

/// What a numbered call does to its session.
#[derive(Clone, Copy)]
struct Effect {
    sequence: u64,
    operation: Operation,
    start: u64,
    position: u64,
}

/// Whether the record of a call that was done is all of its answer: not so where it brought data or capabilities,
/// which are fetched again.
fn is_whole(operation: Operation, record: &Record) -> bool {
    match operation {
        Operation::Open | Operation::Read | Operation::Map => false,
        Operation::Control => record.words[1] == 0,
        _ => true,
    }
}
