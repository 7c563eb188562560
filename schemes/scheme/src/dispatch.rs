//! From a request to the scheme's method and back to an answer: the same code for kernel and host.
//!
//! Authority first: the badge's session and its flags, then the arguments, then the act. A numbered call is looked
//! up before it is done and recorded after ([`sequence`](crate::sequence)); what is not safe to do twice is
//! recorded as begun before.

use crate::entry::Listing;
use crate::lease::Lease;
use crate::message::{Caps, SendCap};
use crate::path;
use crate::scheme::{CallId, Caller, Control, Opened, Outcome, Scheme, Stop, SESSION_RIGHTS};
use crate::sequence::{Progress, Record};
use crate::sessions::Sessions;
use crate::store::Store;
use crate::wire::{OpenFlags, Operation, Tag, Whence, AT_POSITION, FIRST_OWN_BADGE};
use crate::wire::{SET_ACCESSED, SET_MODIFIED, UNLINK_DIRECTORY};
use abi::memory::Protection;
use abi::message::{LEASES, WORDS};
use abi::{Error, Handle, Result};
use alloc::string::String;
use alloc::vec::Vec;

/// What the dispatcher asks of the kernel (or of the harness that plays it).
pub trait Endpoint {
    /// Makes a session with a badge never used before. Errors: `BadArgument` or `Exists` for a used one.
    fn create(&mut self, badge: u64, object_type: u64) -> Result<Handle>;
    /// Acknowledges the end of a session.
    fn acknowledge(&mut self, badge: u64);
    /// The session with the next higher badge, and whether it has ended. Errors: `NotFound` at the end.
    fn next(&mut self, after: u64) -> Result<(u64, bool)>;
    /// Closes a capability.
    fn close(&mut self, handle: Handle);
    /// A time that never goes back, also over restarts, in nanoseconds.
    fn now_ns(&mut self) -> u64;
}

/// A request as it came.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// The badge of the session that was called.
    pub badge: u64,
    /// The caller's account.
    pub account: u64,
    /// The tag.
    pub tag: u64,
    /// The words.
    pub words: [u64; WORDS],
    /// Capabilities that came.
    pub caps: Caps,
    /// Leases.
    pub leases: [Lease<'a>; LEASES],
    /// Set by the dispatcher when the request is first seen; kept with it while it is parked.
    pub ticket: Option<Ticket>,
}

/// What stays with a call that is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Its number.
    pub call: CallId,
    /// It was begun before a restart.
    redo: bool,
    /// It was done before a restart, and only its answer is wanted again.
    made: bool,
    /// Where it was begun before a restart.
    start: Option<u64>,
}

/// An answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub tag: u64,
    /// The words.
    pub words: [u64; WORDS],
    /// Capabilities; `true`: ours is closed once they are sent.
    pub caps: Vec<(SendCap, bool)>,
}

impl Reply {
    fn words(words: [u64; WORDS]) -> Reply {
        Reply { words, ..Reply::default() }
    }
    fn one(word: u64) -> Reply {
        Reply::words([word, 0, 0, 0, 0, 0])
    }
    fn error(error: Error) -> Reply {
        Reply { tag: u64::from(error.number()), ..Reply::default() }
    }
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Answer it so.
    Answer(Reply),
    /// Keep it, and ask again when something happened.
    Parked,
}

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
        }
    }

    /// Bits of the endpoint's notification.
    pub fn event(&mut self, bits: u64) {
        self.scheme.event(bits);
    }

    /// The last handle of a session is gone.
    pub fn session_ended(&mut self, endpoint: &mut dyn Endpoint, badge: u64) {
        if let Some(session) = self.sessions.remove(badge) {
            if let Some(id) = session.id {
                self.scheme.close(&Caller { id, badge, flags: session.flags, ..Caller::default() });
            }
        }
        endpoint.acknowledge(badge);
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
        let id = self.identity(badge, request.account)?;
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
            let record =
                Record { stamp: 0, sequence, progress, status, operation, start, words, position };
            self.sessions.record(badge, record);
        } else if let Some(session) = self.sessions.get_mut(badge) {
            session.position = position;
        }
    }

    fn operate(
        &mut self,
        endpoint: &mut dyn Endpoint,
        request: &mut Request<'_>,
        caller: &Caller,
        ticket: Ticket,
        effect: &mut Effect,
    ) -> Outcome<Reply> {
        let words = request.words;
        let [lease0, lease1, ..] = &mut request.leases;
        match effect.operation {
            Operation::Open => {
                let path = path_of(lease0)?;
                let mut flags = OpenFlags::from_word(words[1])?;
                if ticket.made {
                    flags = flags.for_reopen();
                }
                self.open(endpoint, caller, &path, flags, ticket, effect)
            }
            Operation::Read => {
                allowed(caller, OpenFlags::READ)?;
                let (offset, moves) = self.place(caller, words[0], ticket, effect)?;
                if moves {
                    self.begin(caller.badge, effect);
                }
                let mut target = lease0.target()?;
                let count = self.scheme.read(caller, offset, &mut target)?.min(target.len());
                if moves {
                    effect.position = offset.saturating_add(count as u64);
                }
                Ok(Reply::one(count as u64))
            }
            Operation::Write => {
                allowed(caller, OpenFlags::WRITE)?;
                let (offset, moves) = self.place(caller, words[0], ticket, effect)?;
                if moves || caller.flags.contains(OpenFlags::APPEND) {
                    self.begin(caller.badge, effect);
                }
                let mut source = lease0.source()?;
                let count = self.scheme.write(caller, offset, &mut source)?.min(source.len());
                if moves {
                    effect.position = offset.saturating_add(count as u64);
                }
                Ok(Reply::one(count as u64))
            }
            Operation::Seek => {
                let whence = Whence::from_word(words[1])?;
                effect.position = self.scheme.seek(caller, effect.position, whence, words[0] as i64)?;
                Ok(Reply::one(effect.position))
            }
            Operation::Stat => {
                let path = path_of(lease0)?;
                Ok(Reply::words(self.scheme.stat(caller, &path)?.to_words()))
            }
            Operation::List => {
                let mut target = lease0.target()?;
                let mut listing = Listing::new(&mut target);
                let next = self.scheme.list(caller, words[0], &mut listing)?;
                let length = listing.finish()?;
                Ok(Reply::words([length as u64, next, 0, 0, 0, 0]))
            }
            Operation::Rename => {
                let (old, new) = (path_of(lease0)?, path_of(lease1)?);
                allowed(caller, OpenFlags::WRITE)?;
                if old.is_empty() || new.is_empty() || path::below(&new, &old).is_some_and(|rest| !rest.is_empty()) {
                    return Err(Error::BadArgument.into());
                }
                self.expect(caller, &old, true, effect)?;
                self.begin(caller.badge, effect);
                match self.scheme.rename(caller, &old, &new) {
                    Err(Stop::Error(Error::NotFound)) if caller.redo => self.done_before(ticket)?,
                    other => self.changed(other)?,
                }
                self.renamed(caller.badge, &old, &new);
                Ok(Reply::default())
            }
            Operation::Unlink => {
                let path = path_of(lease0)?;
                allowed(caller, OpenFlags::WRITE)?;
                if path.is_empty() || words[1] & !UNLINK_DIRECTORY != 0 {
                    return Err(Error::BadArgument.into());
                }
                self.expect(caller, &path, true, effect)?;
                self.begin(caller.badge, effect);
                match self.scheme.unlink(caller, &path, words[1] == UNLINK_DIRECTORY) {
                    Err(Stop::Error(Error::NotFound)) if caller.redo => self.done_before(ticket)?,
                    other => self.changed(other)?,
                }
                Ok(Reply::default())
            }
            Operation::Truncate => {
                allowed(caller, OpenFlags::WRITE)?;
                self.scheme.truncate(caller, words[0]).map(|()| Reply::default())
            }
            Operation::Map => {
                let protection = u8::try_from(words[2]).ok().and_then(Protection::from_bits);
                let protection = protection.ok_or(Error::BadArgument)?;
                allowed(caller, OpenFlags::READ)?;
                if protection.contains(Protection::WRITE) {
                    allowed(caller, OpenFlags::WRITE)?;
                }
                let cap = self.scheme.map(caller, words[0], words[1], protection)?;
                Ok(Reply { caps: alloc::vec![cap], ..Reply::default() })
            }
            Operation::Watch => {
                let notification = request.caps.take(0).ok_or(Error::BadHandle)?;
                match self.scheme.watch(caller, words[0], notification, words[1]) {
                    Ok(ready) => Ok(Reply::one(ready)),
                    Err(stop) => {
                        endpoint.close(notification);
                        // There is nothing to wait for: a watch is only an entry.
                        Err(if stop == Stop::Later { Error::WouldBlock.into() } else { stop })
                    }
                }
            }
            Operation::Control => {
                let (input, output) = (lease0.source()?, lease1.target()?);
                let room = output.len();
                self.begin(caller.badge, effect);
                let caps = &mut request.caps;
                let mut control = Control { command: words[0], argument: words[1], input, output, caps };
                let done = self.scheme.control(caller, &mut control)?;
                let words = [done.value, done.length.min(room) as u64, 0, 0, 0, 0];
                Ok(Reply { words, caps: done.caps, ..Reply::default() })
            }
            Operation::Sync => self.scheme.sync(caller).map(|()| Reply::default()),
            Operation::Space => Ok(Reply::words(self.scheme.space(caller)?.to_words())),
            Operation::Set => {
                let time = |bit: u64, at: u64| (words[0] & bit != 0).then_some(at);
                let (modified, accessed) = (time(SET_MODIFIED, words[1]), time(SET_ACCESSED, words[2]));
                self.scheme.set(caller, modified, accessed).map(|()| Reply::default())
            }
        }
    }

    /// The offset a read or write is at, and whether it moves the session's position.
    fn place(&mut self, caller: &Caller, offset: u64, ticket: Ticket, effect: &mut Effect) -> Outcome<(u64, bool)> {
        let moves = offset == AT_POSITION;
        let appends = effect.operation == Operation::Write && caller.flags.contains(OpenFlags::APPEND);
        effect.start = match ticket.start {
            Some(start) => start,
            None if appends => match self.scheme.stat(caller, "") {
                Ok(stat) => stat.size,
                Err(Stop::Error(Error::NotSupported)) => 0,
                Err(stop) => return Err(stop),
            },
            None if moves => effect.position,
            None if i64::try_from(offset).is_err() => return Err(Error::BadArgument.into()),
            None => offset,
        };
        Ok((effect.start, moves))
    }

    fn open(
        &mut self,
        endpoint: &mut dyn Endpoint,
        caller: &Caller,
        path: &str,
        flags: OpenFlags,
        ticket: Ticket,
        effect: &mut Effect,
    ) -> Outcome<Reply> {
        let changes = flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE);
        if flags.intersects(OpenFlags::WRITE | OpenFlags::APPEND) || changes {
            allowed(caller, OpenFlags::WRITE)?;
        }
        let base = self.sessions.get(caller.badge).ok_or(Error::Io)?;
        let (root, full) = (base.root, path::join(&base.path, path)?);
        if changes {
            if flags.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) {
                self.expect(caller, path, false, effect)?;
            }
            self.begin(caller.badge, effect);
        }
        let opened = match self.scheme.open(caller, path, flags) {
            Err(Stop::Error(Error::Exists)) if caller.redo && changes => {
                self.done_before(ticket)?;
                self.scheme.open(caller, path, flags.for_reopen())?
            }
            other if changes => self.changed(other)?,
            other => other?,
        };
        match self.new_session(endpoint, opened) {
            Ok((badge, handle)) => {
                let kept = flags & !(OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE);
                self.sessions.insert(badge, root, opened.id, kept, full);
                let caps = alloc::vec![(SendCap { handle, rights: SESSION_RIGHTS }, true)];
                Ok(Reply { caps, ..Reply::default() })
            }
            Err(error) => {
                self.scheme.close(&Caller { id: opened.id, flags, ..*caller });
                Err(error.into())
            }
        }
    }

    /// Before a name is made, moved or removed: checks that it is not there, or there, and notes that this was so, so that
    /// a repetition after a restart can tell what the first attempt did. Errors: `Exists` or `NotFound`.
    fn expect(&mut self, caller: &Caller, path: &str, there: bool, effect: &mut Effect) -> Outcome<()> {
        if effect.sequence == 0 || caller.redo {
            return Ok(());
        }
        match (self.scheme.stat(caller, path), there) {
            (Ok(_), true) | (Err(Stop::Error(Error::NotFound)), false) => effect.start = CHECKED,
            (Ok(_), false) => return Err(Error::Exists.into()),
            (Err(Stop::Error(Error::NotFound)), true) => return Err(Error::NotFound.into()),
            (Err(Stop::Later), _) => return Err(Stop::Later),
            // The scheme can't tell; so a repetition can't either.
            (Err(_), _) => {}
        }
        Ok(())
    }

    /// A repetition finds the effect there. It was its own if that was checked before it was begun, and nobody
    /// changed a name since the restart. Errors: `Io` when that cannot be known.
    fn done_before(&self, ticket: Ticket) -> Result<()> {
        if ticket.start == Some(CHECKED) && !self.disturbed {
            Ok(())
        } else {
            Err(Error::Io)
        }
    }

    fn changed<T>(&mut self, outcome: Outcome<T>) -> Outcome<T> {
        self.disturbed |= outcome.is_ok();
        outcome
    }

    /// Makes a session with a badge that was never used, also not before a restart.
    fn new_session(&mut self, endpoint: &mut dyn Endpoint, opened: Opened) -> Result<(u64, Handle)> {
        let badge = self.last_badge.saturating_add(1).max(FIRST_OWN_BADGE);
        self.last_badge = badge;
        match endpoint.create(badge, opened.object_type) {
            Ok(handle) => Ok((badge, handle)),
            // Used before a restart, and ended since. Fewer than one a nanosecond were made, so the time is unused.
            Err(Error::BadArgument | Error::Exists) => {
                let badge = endpoint.now_ns().max(badge.saturating_add(1));
                self.last_badge = badge;
                Ok((badge, endpoint.create(badge, opened.object_type)?))
            }
            Err(error) => Err(error),
        }
    }

    fn renamed(&mut self, badge: u64, old: &str, new: &str) {
        let Some(base) = self.sessions.get(badge) else { return };
        let root_id = self.sessions.get(base.root).and_then(|root| root.id);
        if let (Ok(old), Ok(new)) = (path::join(&base.path, old), path::join(&base.path, new)) {
            self.sessions.renamed(root_id, &old, &new);
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

/// The session must have been opened so. Errors: `PermissionDenied`.
fn allowed(caller: &Caller, needed: OpenFlags) -> Result<()> {
    if caller.flags.contains(needed) {
        Ok(())
    } else {
        Err(Error::PermissionDenied)
    }
}

/// A path that was lent, copied in once and normalised. Errors: `NameTooLong`, `InvalidName`, those of leases.
fn path_of(lease: &mut Lease<'_>) -> Result<String> {
    let mut source = lease.source()?;
    if source.len() > path::MAX_PATH {
        return Err(Error::NameTooLong);
    }
    let bytes = source.to_vec(path::MAX_PATH)?;
    path::normalise(core::str::from_utf8(&bytes).map_err(|_| Error::InvalidName)?)
}
