//! The operations, one arm each: authority, then arguments, then the scheme's
//! method.

use super::{Dispatcher, Effect, Endpoint, Reply, Request, Ticket, CHECKED};
use crate::entry::Listing;
use crate::lease::Lease;
use crate::message::SendCap;
use crate::path;
use crate::scheme::{Caller, Control, Opened, Outcome, Scheme, Stop, SESSION_RIGHTS};
use crate::store::Store;
use crate::wire::{OpenFlags, Operation, Whence, AT_POSITION, FIRST_OWN_BADGE};
use crate::wire::{SET_ACCESSED, SET_MODIFIED, UNLINK_DIRECTORY};
use abi::memory::Protection;
use abi::{Error, Handle, Result};
use alloc::string::String;

impl<S: Scheme, K: Store> Dispatcher<S, K> {
    pub(super) fn operate(
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
                self.assert_ready(endpoint, badge);
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
