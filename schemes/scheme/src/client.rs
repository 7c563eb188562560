//! The client's side: files, directories and devices behind schemes.
//!
//! A [`File`] is one session. Its calls are sent again, with the same sequence number, when a server was
//! restarted under them; a page that was not in memory is brought in; `Retry` is retried. So a program sees time pass,
//! and nothing else.

use crate::entry::{self, DirEntry};
use crate::message::{Caps, Connection, Incoming, Lend, Outgoing, SendCap};
use crate::path;
use crate::session::Session;
use crate::stat::{Space, Stat};
use crate::wire::{OpenFlags, Operation, Tag, Whence, AT_POSITION, LIST_END};
use crate::wire::{SET_ACCESSED, SET_MODIFIED, UNLINK_DIRECTORY};
use abi::memory::Protection;
use abi::{error, Error, Handle, Result};
use alloc::vec::Vec;

/// How often one call is sent again because its server was restarted, before that is called a failure.
pub const MAX_RESENDS: u32 = 64;

/// Something open behind a scheme.
#[derive(Debug)]
pub struct File<C: Connection = Session> {
    connection: C,
    non_blocking: bool,
    deadline_ns: u64,
}

impl File<Session> {
    /// Opens `scheme:path` or a POSIX path (see [`path::resolve`]). Errors: `NotFound` also for a scheme that this
    /// process has no name for; `InvalidName` for a relative path; the server's.
    pub fn open(path: &str, flags: OpenFlags) -> Result<File> {
        let (scheme, rest) = path::resolve(path)?;
        File::new(Session::root(&scheme)).open_at(&rest, flags)
    }

    /// The root session of the scheme that `path` names, and the rest of the path: for calls that take paths.
    /// Errors: `InvalidName`.
    pub fn root_of(path: &str) -> Result<(File, alloc::string::String)> {
        let (scheme, rest) = path::resolve(path)?;
        Ok((File::new(Session::root(&scheme)), rest.into_owned()))
    }

    /// A session that was given, by its handle.
    pub fn from_handle(handle: Handle) -> File {
        File::new(Session::from_handle(handle))
    }

    /// What `path` leads to, without opening it. Errors: as [`File::open`].
    pub fn stat_path(path: &str) -> Result<Stat> {
        let (root, rest) = File::root_of(path)?;
        root.stat_at(&rest)
    }

    /// The whole contents. Errors: as [`File::open`], `FileTooLarge` past `limit`.
    pub fn read_all_of(path: &str, limit: usize) -> Result<Vec<u8>> {
        File::open(path, OpenFlags::READ)?.read_to_end(limit)
    }

    /// Gives `old` the name `new`. Errors: `CrossDevice` between schemes, the server's.
    pub fn rename_path(old: &str, new: &str) -> Result<()> {
        let (old_scheme, old_rest) = path::resolve(old)?;
        let (new_scheme, new_rest) = path::resolve(new)?;
        if old_scheme != new_scheme {
            return Err(Error::CrossDevice);
        }
        File::new(Session::root(&old_scheme)).rename(&old_rest, &new_rest)
    }

    /// Removes a name; with `directory` an empty directory's. Errors: the server's.
    pub fn unlink_path(path: &str, directory: bool) -> Result<()> {
        let (root, rest) = File::root_of(path)?;
        root.unlink(&rest, directory)
    }

    /// Makes a directory. Errors: `Exists`, the server's.
    pub fn mkdir_path(path: &str) -> Result<()> {
        let (root, rest) = File::root_of(path)?;
        root.mkdir(&rest)
    }
}

impl<C: Connection> File<C> {
    /// A file over a connection.
    pub fn new(connection: C) -> File<C> {
        File { connection, non_blocking: false, deadline_ns: 0 }
    }

    /// The connection.
    pub fn connection(&self) -> &C {
        &self.connection
    }

    /// The connection, given up as a file.
    pub fn into_connection(self) -> C {
        self.connection
    }

    /// From now on calls that would wait answer `WouldBlock` (or wait again).
    pub fn set_non_blocking(&mut self, yes: bool) {
        self.non_blocking = yes;
    }

    /// From now on calls end with `TimedOut` at this time (of the monotonic clock; 0: never).
    pub fn set_deadline(&mut self, deadline_ns: u64) {
        self.deadline_ns = deadline_ns;
    }

    /// Opens `path`, seen from here. Errors: the server's.
    pub fn open_at(&self, path: &str, flags: OpenFlags) -> Result<File<C>> {
        let sequence = flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE);
        let words = [0, u64::from(flags.bits()), 0, 0, 0];
        let mut leases = [Lend::Read(path.as_bytes())];
        let mut answer = self.request(Operation::Open, words, sequence, &mut leases, &[])?;
        let session = answer.caps.take(0).ok_or(answer.caps.missing());
        self.drop_caps(&mut answer.caps);
        Ok(File::new(self.connection.adopt(session?)?))
    }

    /// Reads at the position; how many bytes, 0 at the end. Errors: the server's.
    pub fn read(&self, out: &mut [u8]) -> Result<usize> {
        self.read_at(AT_POSITION, out)
    }

    /// Reads at an offset. Errors: the server's.
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        self.read_into(offset, Lend::Write(out))
    }

    /// Reads into memory that is lent on: a file system passes its caller's buffer to the disk. Errors: the server's,
    /// `LeaseFault` (to be answered as it is).
    pub fn read_into(&self, offset: u64, buffer: Lend<'_>) -> Result<usize> {
        let length = buffer.len();
        let words = [offset, length as u64, 0, 0, 0];
        let answer = self.request(Operation::Read, words, offset == AT_POSITION, &mut [buffer], &[])?;
        count(&answer, length)
    }

    /// Writes at the position; how many bytes. Errors: the server's.
    pub fn write(&self, data: &[u8]) -> Result<usize> {
        self.write_at(AT_POSITION, data)
    }

    /// Writes at an offset. Errors: the server's.
    pub fn write_at(&self, offset: u64, data: &[u8]) -> Result<usize> {
        self.write_from(offset, Lend::Read(data))
    }

    /// Writes from memory that is lent on. Errors: as [`File::read_into`].
    pub fn write_from(&self, offset: u64, data: Lend<'_>) -> Result<usize> {
        let length = data.len();
        let words = [offset, length as u64, 0, 0, 0];
        let answer = self.request(Operation::Write, words, true, &mut [data], &[])?;
        count(&answer, length)
    }

    /// Writes all of it at the position. Errors: the server's; `NoSpace` when it takes no more.
    pub fn write_all(&self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            match self.write(data)? {
                0 => return Err(Error::NoSpace),
                done => data = data.get(done..).unwrap_or(&[]),
            }
        }
        Ok(())
    }

    /// Fills `out` from `offset`, or less at the end. Errors: the server's.
    pub fn read_full_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        let mut done = 0usize;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(offset.saturating_add(done as u64), rest)? {
                0 => break,
                more => done = done.saturating_add(more),
            }
        }
        Ok(done)
    }

    /// The rest from the position on. Errors: the server's; `FileTooLarge` past `limit`.
    pub fn read_to_end(&self, limit: usize) -> Result<Vec<u8>> {
        const CHUNK: usize = 64 * 1024;
        let mut data = Vec::new();
        loop {
            let length = data.len();
            if length > limit {
                return Err(Error::FileTooLarge);
            }
            data.resize(length.saturating_add(CHUNK), 0);
            let more = self.read(data.get_mut(length..).unwrap_or(&mut []))?;
            data.truncate(length.saturating_add(more));
            if more == 0 {
                return Ok(data);
            }
        }
    }

    /// Moves the position; where it is then. Errors: `BadArgument` below 0, `NotSupported` on a stream.
    pub fn seek(&self, whence: Whence, distance: i64) -> Result<u64> {
        let words = [distance as u64, whence as u64, 0, 0, 0];
        Ok(self.request(Operation::Seek, words, true, &mut [], &[])?.words[0])
    }

    /// What this is. Errors: the server's.
    pub fn stat(&self) -> Result<Stat> {
        self.stat_at("")
    }

    /// What `path`, seen from here, is. Errors: the server's.
    pub fn stat_at(&self, path: &str) -> Result<Stat> {
        let answer = self.request(Operation::Stat, [0; 5], false, &mut [Lend::Read(path.as_bytes())], &[])?;
        Stat::from_words(&answer.words)
    }

    /// Some entries from `cursor` (0 at first) on, and where to go on ([`LIST_END`] at the end). Errors: the server's, `Corrupt`.
    pub fn list_some(&self, cursor: u64) -> Result<(Vec<DirEntry>, u64)> {
        let mut buffer = alloc::vec![0; 16 * 1024];
        let room = buffer.len();
        let lease = Lend::Write(&mut buffer);
        let answer = self.request(Operation::List, [cursor, 0, 0, 0, 0], false, &mut [lease], &[])?;
        let length = count(&answer, room)?;
        let next = answer.words[1];
        let entries = entry::parse(buffer.get(..length).unwrap_or(&[]))?;
        if entries.is_empty() && next != LIST_END {
            return Err(Error::Corrupt);
        }
        Ok((entries, next))
    }

    /// All entries. Errors: as [`File::list_some`]; `FileTooLarge` past a million.
    pub fn list(&self) -> Result<Vec<DirEntry>> {
        let mut all = Vec::new();
        let mut cursor = 0;
        while cursor != LIST_END {
            let (entries, next) = self.list_some(cursor)?;
            all.extend(entries);
            cursor = next;
            if all.len() > 1_000_000 {
                return Err(Error::FileTooLarge);
            }
        }
        Ok(all)
    }

    /// Gives `old` the name `new`, both seen from here. Errors: the server's.
    pub fn rename(&self, old: &str, new: &str) -> Result<()> {
        let mut leases = [Lend::Read(old.as_bytes()), Lend::Read(new.as_bytes())];
        self.request(Operation::Rename, [0; 5], true, &mut leases, &[]).map(|_| ())
    }

    /// Removes a name; with `directory` an empty directory's. Errors: the server's.
    pub fn unlink(&self, path: &str, directory: bool) -> Result<()> {
        let words = [0, if directory { UNLINK_DIRECTORY } else { 0 }, 0, 0, 0];
        self.request(Operation::Unlink, words, true, &mut [Lend::Read(path.as_bytes())], &[]).map(|_| ())
    }

    /// Makes a directory. Errors: `Exists`, the server's.
    pub fn mkdir(&self, path: &str) -> Result<()> {
        self.open_at(path, OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::DIRECTORY).map(|_| ())
    }

    /// Sets the length. Errors: the server's.
    pub fn truncate(&self, length: u64) -> Result<()> {
        self.request(Operation::Truncate, [length, 0, 0, 0, 0], true, &mut [], &[]).map(|_| ())
    }

    /// A Memory with the contents from `offset` on. Errors: the server's.
    pub fn map(&self, offset: u64, length: u64, protection: Protection) -> Result<Handle> {
        let words = [offset, length, u64::from(protection.bits()), 0, 0];
        let mut answer = self.request(Operation::Map, words, false, &mut [], &[])?;
        let memory = answer.caps.take(0).ok_or(Error::TableFull);
        self.drop_caps(&mut answer.caps);
        memory
    }

    /// Asks to have `bits` set in a notification when one of `interest` may be true; what is true now. Errors: the server's.
    pub fn watch(&self, interest: u64, notification: SendCap, bits: u64) -> Result<u64> {
        let words = [interest, bits, 0, 0, 0];
        Ok(self.request(Operation::Watch, words, false, &mut [], &[notification])?.words[0])
    }

    /// A command that only this scheme knows: its value, and bytes of output. It is taken to change something, so it is done once.
    /// Errors: the server's.
    pub fn control(&self, command: u64, argument: u64, input: &[u8], output: &mut [u8]) -> Result<(u64, usize)> {
        let (value, length, mut caps) = self.control_with(command, argument, input, output, &[])?;
        self.drop_caps(&mut caps);
        Ok((value, length))
    }

    /// The same with capabilities, there and back; those that come back are the caller's to close. Errors: the server's.
    pub fn control_with(
        &self,
        command: u64,
        argument: u64,
        input: &[u8],
        output: &mut [u8],
        caps: &[SendCap],
    ) -> Result<(u64, usize, Caps)> {
        let room = output.len();
        let words = [command, argument, 0, 0, 0];
        let mut leases = [Lend::Read(input), Lend::Write(output)];
        let answer = self.request(Operation::Control, words, true, &mut leases, caps)?;
        let length = answer.words[1];
        let length = usize::try_from(length).ok().filter(|length| *length <= room).ok_or(Error::Corrupt)?;
        Ok((answer.words[0], length, answer.caps))
    }

    /// Returns when everything written is on the medium. Errors: the server's.
    pub fn sync(&self) -> Result<()> {
        self.request(Operation::Sync, [0; 5], false, &mut [], &[]).map(|_| ())
    }

    /// Total and free space. Errors: the server's.
    pub fn space(&self) -> Result<Space> {
        Space::from_words(&self.request(Operation::Space, [0; 5], false, &mut [], &[])?.words)
    }

    /// Sets times, in nanoseconds since 1970. Errors: the server's.
    pub fn set(&self, modified_ns: Option<u64>, accessed_ns: Option<u64>) -> Result<()> {
        let mask = modified_ns.map_or(0, |_| SET_MODIFIED) | accessed_ns.map_or(0, |_| SET_ACCESSED);
        let words = [mask, modified_ns.unwrap_or(0), accessed_ns.unwrap_or(0), 0, 0];
        self.request(Operation::Set, words, true, &mut [], &[]).map(|_| ())
    }

    fn drop_caps(&self, caps: &mut Caps) {
        for handle in caps.drain() {
            self.connection.discard(handle);
        }
    }

    /// Sends one request until it is answered for good.
    fn request(
        &self,
        operation: Operation,
        words: [u64; 5],
        numbered: bool,
        leases: &mut [Lend<'_>],
        caps: &[SendCap],
    ) -> Result<Incoming> {
        // An empty path needs no lease.
        let leases = if matches!(leases, [Lend::Read([])]) { &mut [] } else { leases };
        let address = leases.first().map_or(0, Lend::address);
        let tag = Tag::new(operation).at_page_offset(address).non_blocking(self.non_blocking);
        let [a, b, c, d, e] = words;
        let sequence = if numbered { self.connection.next_sequence() } else { 0 };
        let (mut resends, mut faults) = (0u32, 0u32);
        loop {
            let mut request = Outgoing {
                tag: tag.0,
                words: [a, b, c, d, e, sequence],
                caps: caps.into(),
                leases: leases.iter_mut().map(Lend::again).collect(),
                deadline_ns: self.deadline_ns,
            };
            let outcome = self.connection.call(&mut request).and_then(|mut answer| {
                error::check(answer.tag).inspect_err(|_| self.drop_caps(&mut answer.caps))?;
                Ok(answer)
            });
            match outcome {
                // The same number again: the server knows whether it was done.
                Err(Error::Restarted) if resends < MAX_RESENDS => resends = resends.saturating_add(1),
                Err(Error::Restarted) => return Err(Error::Io),
                Err(Error::LeaseFault) if faults < 8 => {
                    faults = faults.saturating_add(1);
                    for lend in leases.iter_mut() {
                        self.connection.touch(lend)?;
                    }
                }
                Err(Error::Retry) => self.connection.pause(),
                other => return other,
            }
        }
    }
}

/// The count in word 0 of an answer, which can't be more than was asked for. Errors: `Corrupt`.
fn count(answer: &Incoming, limit: usize) -> Result<usize> {
    usize::try_from(answer.words[0]).ok().filter(|count| *count <= limit).ok_or(Error::Corrupt)
}
