//! What a new process finds in its first page, and what an inspector reads
//! about a process.
//!
//! Whoever makes a process maps one read-only region and passes its address as the first
//! thread's argument (rdi). Little-endian:
//!
//! header (32 bytes): magic u64, total length u32, argument count u32, environment count u32,
//! handle count u32, 0 u64; then `handle count` × 32 bytes: name (24 bytes, zero-padded), handle
//! u32, kind u32; then the arguments and the environment (`NAME=value`), each as length u32 and
//! bytes, not padded.

use crate::error::{Error, Result};
use crate::Handle;

/// The first eight bytes.
pub const MAGIC: u64 = 0x5452_4154_534c_494d;
/// Bytes in the header.
pub const HEADER: usize = 32;
/// Bytes in a named handle.
pub const HANDLE: usize = 32;
/// The longest name of a handle.
pub const HANDLE_NAME: usize = 24;
/// The largest block.
pub const MAX_LENGTH: usize = 128 * 1024;

/// Where the spawner puts things in a new process, for programs that don't ask otherwise.
pub mod layout {
    /// The first thread's IPC buffer.
    pub const IPC_BUFFER: u64 = 0x7fff_0000_0000;
    /// The start block.
    pub const START_BLOCK: u64 = 0x7fff_0001_0000;
    /// One past the first thread's stack; below the stack is a guard page.
    pub const STACK_TOP: u64 = 0x7ffe_0000_0000;
    /// Bytes of stack.
    pub const STACK_LENGTH: u64 = 256 * 1024;
    /// Where the heap begins.
    pub const HEAP: u64 = 0x10_0000_0000;
    /// Where the kernel places mappings whose address is left to it.
    pub const ANYWHERE: u64 = 0x20_0000_0000;
}

/// Names of handles that the runtime knows.
pub mod names {
    /// `Log`, write.
    pub const LOG: &str = "log";
    /// `Endpoint`, receive and manage: where a server's calls come in.
    pub const ENDPOINT: &str = "endpoint";
    /// `Memory`: a server's keepsake.
    pub const KEEPSAKE: &str = "keepsake";
    /// `Notification` of init's: signal bit 0 when ready to serve.
    pub const READY: &str = "ready";
    /// `Session`: standard input, output and error.
    pub const STDIN: &str = "stdin";
    /// See [`STDIN`].
    pub const STDOUT: &str = "stdout";
    /// See [`STDIN`].
    pub const STDERR: &str = "stderr";
    /// `Process`: the process itself as its spawner sees it is not given; use `SELF_PROCESS`.
    pub const QUOTA_VIEW: &str = "quota-view";
}

/// A checked start block.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    bytes: &'a [u8],
    arguments: u32,
    environment: u32,
    handles: u32,
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    let part = bytes.get(at..at.saturating_add(4)).ok_or(Error::Corrupt)?;
    Ok(u32::from_le_bytes(part.try_into().map_err(|_| Error::Corrupt)?))
}

impl<'a> Start<'a> {
    /// Checks a block. Errors: `Corrupt`.
    pub fn new(bytes: &'a [u8]) -> Result<Start<'a>> {
        if bytes.get(..8) != Some(&MAGIC.to_le_bytes()) {
            return Err(Error::Corrupt);
        }
        let total = u32_at(bytes, 8)? as usize;
        let bytes = bytes.get(..total).ok_or(Error::Corrupt)?;
        let start = Start {
            bytes,
            arguments: u32_at(bytes, 12)?,
            environment: u32_at(bytes, 16)?,
            handles: u32_at(bytes, 20)?,
        };
        let strings = u64::from(start.arguments).saturating_add(u64::from(start.environment));
        if start.strings().count() as u64 != strings || start.handles().count() as u64 != u64::from(start.handles) {
            return Err(Error::Corrupt);
        }
        Ok(start)
    }

    fn strings(&self) -> impl Iterator<Item = &'a [u8]> + 'a {
        let bytes = self.bytes;
        let mut at = HEADER.saturating_add((self.handles as usize).saturating_mul(HANDLE));
        let mut left = u64::from(self.arguments).saturating_add(u64::from(self.environment));
        core::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            left = left.saturating_sub(1);
            let length = u32_at(bytes, at).ok()? as usize;
            let begin = at.checked_add(4)?;
            let end = begin.checked_add(length)?;
            at = end;
            bytes.get(begin..end)
        })
    }

    /// The arguments; the first is the program's name.
    pub fn arguments(&self) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.strings().take(self.arguments as usize)
    }

    /// The environment, as `NAME=value`.
    pub fn environment(&self) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.strings().skip(self.arguments as usize)
    }

    /// The named handles.
    pub fn handles(&self) -> impl Iterator<Item = (&'a str, Handle)> + 'a {
        let bytes = self.bytes;
        (0..self.handles as usize).map_while(move |i| {
            let at = i.checked_mul(HANDLE)?.checked_add(HEADER)?;
            let name = bytes.get(at..at.checked_add(HANDLE_NAME)?)?;
            let end = name.iter().position(|&b| b == 0).unwrap_or(HANDLE_NAME);
            let name = core::str::from_utf8(name.get(..end)?).ok()?;
            Some((name, Handle(u32_at(bytes, at.checked_add(HANDLE_NAME)?).ok()?)))
        })
    }

    /// The handle with this name.
    pub fn handle(&self, name: &str) -> Option<Handle> {
        self.handles().find(|(n, _)| *n == name).map(|(_, h)| h)
    }
}

/// Writes a start block through `put`, which takes the next bytes. Errors: `NameTooLong` (a
/// handle's name), `BadArgument` (past [`MAX_LENGTH`]), and `put`'s.
pub fn write<'s>(
    arguments: &[&'s [u8]],
    environment: &[&'s [u8]],
    handles: &[(&'s str, Handle)],
    put: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let strings: usize = arguments.iter().chain(environment).map(|s| s.len().saturating_add(4)).sum();
    let total = HEADER.saturating_add(handles.len().saturating_mul(HANDLE)).saturating_add(strings);
    if total > MAX_LENGTH {
        return Err(Error::BadArgument);
    }
    put(&MAGIC.to_le_bytes())?;
    for number in [total, arguments.len(), environment.len(), handles.len(), 0, 0] {
        put(&(number as u32).to_le_bytes())?;
    }
    for (name, handle) in handles {
        let pad = [0; HANDLE_NAME];
        put(name.as_bytes())?;
        put(pad.get(name.len()..).ok_or(Error::NameTooLong)?)?;
        put(&u64::from(handle.0).to_le_bytes())?;
    }
    for string in arguments.iter().chain(environment) {
        put(&(string.len() as u32).to_le_bytes())?;
        put(string)?;
    }
    Ok(())
}

/// Words that `process_info` writes, in this order: id, state, exit code, threads, pages used,
/// capabilities, priority limit, run time in ns, then 4 words of name, then the subject label.
pub const PROCESS_INFO_WORDS: usize = 13;
/// Words that `process_capability` writes: handle, kind | rights << 8, badge or range, object id,
/// handle of the parent entry if it is in the same table or 0, id of the process that holds the parent; messages sent through
/// it; low half of the id of the process it came from (0: made here); a session's object type.
pub const CAPABILITY_INFO_WORDS: usize = 9;

#[cfg(test)]
mod tests {
    use super::{write, Start};
    use crate::Handle;

    fn block() -> Vec<u8> {
        let mut bytes = Vec::new();
        let handles = [("log", Handle(0x1_0001)), ("a-name-of-24-characters-", Handle(7))];
        write(&[b"sh", b"-c", b""], &[b"HOME=/"], &handles, &mut |b| {
            bytes.extend_from_slice(b);
            Ok(())
        })
        .unwrap();
        bytes
    }

    #[test]
    fn a_block_reads_back() {
        let bytes = block();
        let start = Start::new(&bytes).unwrap();
        assert_eq!(start.arguments().collect::<Vec<_>>(), [&b"sh"[..], b"-c", b""]);
        assert_eq!(start.environment().collect::<Vec<_>>(), [b"HOME=/"]);
        assert_eq!(start.handle("log"), Some(Handle(0x1_0001)));
        assert_eq!(start.handle("a-name-of-24-characters-"), Some(Handle(7)));
        assert_eq!(start.handle("stdin"), None);
    }

    #[test]
    fn every_cut_is_refused() {
        let bytes = block();
        for cut in 0..bytes.len() {
            assert!(Start::new(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
