//! The trait that a server's author writes: what a scheme answers to each
//! operation.
//!
//! Every method has a default that answers `NotSupported`, so a scheme says only what it can do. The
//! library keeps sessions, positions and paths, checks flags and ranges of requests, and does the
//! messages. A method that can't answer yet returns [`Stop::Later`]: the call is kept, and the method is called again,
//! with the same [`CallId`], after every event and every other call.

use crate::entry::Listing;
use crate::event::Readiness;
use crate::lease::{Source, Target};
use crate::message::{Caps, SendCap};
use crate::stat::{FileKind, Space, Stat};
use crate::wire::{OpenFlags, Whence};
use abi::memory::Protection;
use abi::{Error, Handle, Rights};

/// Why a method gives no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It failed; the caller is told.
    Error(Error),
    /// Not yet: ask again when something happened.
    Later,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(error)
    }
}

/// What a method answers.
pub type Outcome<T> = Result<T, Stop>;

const NOT_SUPPORTED: Stop = Stop::Error(Error::NotSupported);

/// Which call this is. A call that is asked again later keeps its number; numbers are not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CallId(pub u64);

/// Who calls, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Caller {
    /// What `open` (or [`Scheme::root`]) said the session stands for.
    pub id: u64,
    /// The session's badge: unique for all time on this endpoint.
    pub badge: u64,
    /// The caller's account: unforgeable, for bounding what is spent on each client.
    pub account: u64,
    /// The flags the session was opened with. A root session has `READ | WRITE | DIRECTORY`.
    pub flags: OpenFlags,
    /// Which call.
    pub call: CallId,
    /// The same call was begun before a restart and may have been done, wholly or in part. Do what is left of it and answer
    /// success; `Io` if what was done cannot be known. (The library itself answers where a name is simply gone, or there.)
    pub redo: bool,
}

/// What `open` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The session's identity from now on: [`Caller::id`] in its calls.
    pub id: u64,
    /// The type under which security rules know it; 0: the server's default.
    pub object_type: u64,
}

impl Opened {
    /// A session of the default type.
    pub const fn new(id: u64) -> Opened {
        Opened { id, object_type: 0 }
    }
}

/// What `control` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controlled {
    /// A number.
    pub value: u64,
    /// Bytes of the output that were filled.
    pub length: usize,
    /// Capabilities for the caller; `bool`: close ours once it is sent.
    pub caps: alloc::vec::Vec<(SendCap, bool)>,
}

impl Controlled {
    /// Just a number.
    pub fn value(value: u64) -> Controlled {
        Controlled { value, ..Controlled::default() }
    }
    /// A number, and this much output.
    pub fn output(value: u64, length: usize) -> Controlled {
        Controlled { value, length, ..Controlled::default() }
    }
}

/// A server behind a scheme.
///
/// Paths come normalised: no leading or double `/`, no `.` or `..`; the session itself is `""`. Offsets
/// come resolved. `caller.flags` was checked: `read` is only called on sessions open for reading,
/// `write` and `truncate` on those open for writing; `rename`, `unlink` and making need a writable base session.
pub trait Scheme {
    /// The identity behind a root session, which was made by whoever owns the endpoint with a `badge` below
    /// [`FIRST_OWN_BADGE`](crate::wire::FIRST_OWN_BADGE): one server can serve several names.
    fn root(&mut self, badge: u64) -> Outcome<u64> {
        let _ = badge;
        Ok(0)
    }

    /// Opens `path`, seen from the session `caller.id`. Errors: `NotFound`, `Exists`, `NotDirectory`, `IsDirectory`, …
    fn open(&mut self, caller: &Caller, path: &str, flags: OpenFlags) -> Outcome<Opened> {
        let _ = (caller, path, flags);
        Err(NOT_SUPPORTED)
    }

    /// Opens again, after a restart, what was `old` before it: `path` is seen from the root session that `caller`
    /// stands for, and `flags` neither make nor cut.
    fn reopen(&mut self, caller: &Caller, path: &str, flags: OpenFlags, old: u64) -> Outcome<Opened> {
        let _ = old;
        self.open(caller, path, flags)
    }

    /// Reads from `offset` into `target`; how many bytes. 0 is the end.
    fn read(&mut self, caller: &Caller, offset: u64, target: &mut Target<'_>) -> Outcome<usize> {
        let _ = (caller, offset, target);
        Err(NOT_SUPPORTED)
    }

    /// Writes `source` at `offset`; how many bytes.
    fn write(&mut self, caller: &Caller, offset: u64, source: &mut Source<'_>) -> Outcome<usize> {
        let _ = (caller, offset, source);
        Err(NOT_SUPPORTED)
    }

    /// The new position after a seek from `position`. The default suits everything that has a size; a stream
    /// answers `NotSupported`. Errors: `BadArgument` below 0.
    fn seek(&mut self, caller: &Caller, position: u64, whence: Whence, distance: i64) -> Outcome<u64> {
        let from = match whence {
            Whence::Start => 0,
            Whence::Current => position,
            Whence::End => self.stat(caller, "")?.size,
        };
        // Positions fit an i64 (POSIX off_t), so that u64::MAX can mean "the session's own".
        match from.checked_add_signed(distance) {
            Some(to) if i64::try_from(to).is_ok() => Ok(to),
            _ => Err(Error::BadArgument.into()),
        }
    }

    /// What `path`, seen from the session, is. Before a name is made, moved or removed the library asks whether it is
    /// there, to tell after a restart whether that was done; a scheme that can't tell answers `NotSupported`.
    fn stat(&mut self, caller: &Caller, path: &str) -> Outcome<Stat> {
        if !path.is_empty() {
            return Err(NOT_SUPPORTED);
        }
        let kind = if caller.flags.contains(OpenFlags::DIRECTORY) { FileKind::Directory } else { FileKind::Stream };
        Ok(Stat { kind, permissions: 0o600, links: 1, id: caller.id, ..Stat::default() })
    }

    /// Pushes entries of the directory from `cursor` on (0: the first); answers the cursor to go on from, or
    /// [`LIST_END`](crate::wire::LIST_END). Stop at the first entry that `push` refuses.
    fn list(&mut self, caller: &Caller, cursor: u64, listing: &mut Listing<'_, '_>) -> Outcome<u64> {
        let _ = (caller, cursor, listing);
        Err(NOT_SUPPORTED)
    }

    /// Gives `old` the name `new`, both seen from the session; a file that has that name is replaced, an empty
    /// directory by a directory.
    fn rename(&mut self, caller: &Caller, old: &str, new: &str) -> Outcome<()> {
        let _ = (caller, old, new);
        Err(NOT_SUPPORTED)
    }

    /// Removes a name; with `directory` an empty directory's, else anything else's.
    fn unlink(&mut self, caller: &Caller, path: &str, directory: bool) -> Outcome<()> {
        let _ = (caller, path, directory);
        Err(NOT_SUPPORTED)
    }

    /// Makes the file this long, with zeroes where it grows.
    fn truncate(&mut self, caller: &Caller, length: u64) -> Outcome<()> {
        let _ = (caller, length);
        Err(NOT_SUPPORTED)
    }

    /// A Memory that holds the contents from `offset` on, for the caller to map; `bool`: close ours once it is sent.
    fn map(&mut self, caller: &Caller, offset: u64, length: u64, protection: Protection) -> Outcome<(SendCap, bool)> {
        let _ = (caller, offset, length, protection);
        Err(NOT_SUPPORTED)
    }

    /// From now on signals `bits` in `notification` when one of `interest`
    /// ([`READY_READ`](crate::wire::READY_READ), …) may have become true; answers what is true now. The handle is ours: close it
    /// with the session, or when a new `watch` replaces this one.
    fn watch(&mut self, caller: &Caller, interest: u64, notification: Handle, bits: u64) -> Outcome<u64> {
        let _ = (caller, interest, notification, bits);
        Err(NOT_SUPPORTED)
    }

    /// What only this scheme knows.
    fn control(&mut self, caller: &Caller, control: &mut Control<'_, '_>) -> Outcome<Controlled> {
        let _ = (caller, control);
        Err(NOT_SUPPORTED)
    }

    /// Returns when all that was written is where it outlives a loss of power.
    fn sync(&mut self, caller: &Caller) -> Outcome<()> {
        let _ = caller;
        Ok(())
    }

    /// Total and free space.
    fn space(&mut self, caller: &Caller) -> Outcome<Space> {
        let _ = caller;
        Err(NOT_SUPPORTED)
    }

    /// Sets the times of change and access, in nanoseconds since 1970.
    fn set(&mut self, caller: &Caller, modified_ns: Option<u64>, accessed_ns: Option<u64>) -> Outcome<()> {
        let _ = (caller, modified_ns, accessed_ns);
        Err(NOT_SUPPORTED)
    }

    /// The session is over: nobody holds it any more.
    fn close(&mut self, caller: &Caller) {
        let _ = caller;
    }

    /// A call that was answered [`Stop::Later`] is not wanted any more: it was cancelled, or its caller died.
    fn cancelled(&mut self, caller: &Caller) {
        let _ = caller;
    }

    /// What a session is ready for. Asked when it is opened, and after a restart for every session that is still held,
    /// so that no wake-up is lost over a crash.
    fn readiness(&mut self, caller: &Caller) -> Readiness {
        let _ = caller;
        Readiness::READ | Readiness::WRITE
    }

    /// Tells of changes of readiness, by badge: what is set (which wakes whoever watches for the change, even where it
    /// was set) and what is cleared. Asked after every call and event, before the answer goes out.
    fn readiness_changes(&mut self, tell: &mut dyn FnMut(u64, Readiness, Readiness)) {
        let _ = tell;
    }

    /// Bits of the notification that is bound to the endpoint (an interrupt, a timer, a peer).
    fn event(&mut self, bits: u64) {
        let _ = bits;
    }
}

/// What a `control` call brings.
pub struct Control<'c, 'l> {
    /// Which command.
    pub command: u64,
    /// Its argument.
    pub argument: u64,
    /// Data for the command.
    pub input: Source<'l>,
    /// Room for its answer.
    pub output: Target<'l>,
    /// Capabilities for it; what is not taken is closed.
    pub caps: &'c mut Caps,
}

/// The rights with which a new session is handed to its opener.
pub const SESSION_RIGHTS: Rights = Rights::SEND.union(Rights::TRANSFER).union(Rights::DERIVE).union(Rights::INSPECT);
