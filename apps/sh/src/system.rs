//! What the shell asks of the system: files, processes, services, time.
//!
//! [`System`] is the one seam between the shell and the world: [`machine`](crate::machine) is the real one, and the
//! tests have one in memory. Paths are absolute: `/a/b` or `scheme:a/b` (see [`paths`](crate::paths)).

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use scheme::entry::DirEntry;
use scheme::rt::calls::{CapabilityInfo, ProcessInfo};
use scheme::rt::quota::QuotaUsage;
use scheme::stat::{Space, Stat};
use scheme::wire::OpenFlags;
use scheme::{Error, Handle, Result};

/// Something open: a file, a console, a device.
pub trait Stream {
    /// Reads at the position; 0 at the end.
    fn read(&self, out: &mut [u8]) -> Result<usize>;
    /// Writes at the position; how many bytes.
    fn write(&self, data: &[u8]) -> Result<usize>;
    /// A command of the stream's own (a console's modes). Errors: `NotSupported` and others.
    fn control(&self, command: u64, argument: u64) -> Result<u64> {
        let _ = (command, argument);
        Err(Error::NotSupported)
    }
    /// What can be handed to a program; `None`: the program gets nothing there.
    fn session(&self) -> Option<Handle> {
        None
    }

    /// Writes all of it. Errors: the server's; `NoSpace` when it takes no more.
    fn write_all(&self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            match self.write(data)? {
                0 => return Err(Error::NoSpace),
                done => data = data.get(done..).unwrap_or(&[]),
            }
        }
        Ok(())
    }
}

/// A stream as the shell hands it about: redirections share it.
pub type Shared = Rc<dyn Stream>;
/// Standard input, output and error.
pub type Streams = [Shared; 3];

/// Nothing to read, and nothing kept of what is written.
#[derive(Debug)]
pub struct Null;

impl Stream for Null {
    fn read(&self, _: &mut [u8]) -> Result<usize> {
        Ok(0)
    }
    fn write(&self, data: &[u8]) -> Result<usize> {
        Ok(data.len())
    }
}

/// A program to start.
pub struct Program<'a> {
    /// Its file.
    pub path: &'a str,
    /// Its arguments, its name first.
    pub arguments: &'a [String],
    /// Its environment, as `NAME=value`.
    pub environment: &'a [String],
    /// Its streams.
    pub streams: &'a Streams,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exit(u64),
    /// Somebody ended it.
    Killed,
    /// A fault ended it: the CPU's vector.
    Fault(u64),
}

/// How much memory there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Pages of the whole account.
    pub total_pages: u64,
    /// Pages charged to it, those promised to accounts below it included.
    pub charged_pages: u64,
}

/// Everything outside the shell.
pub trait System {
    /// Opens something.
    fn open(&mut self, path: &str, flags: OpenFlags) -> Result<Shared>;
    /// Tells what a path leads to.
    fn stat(&mut self, path: &str) -> Result<Stat>;
    /// A directory's entries.
    fn list(&mut self, path: &str) -> Result<Vec<DirEntry>>;
    /// Makes a directory.
    fn mkdir(&mut self, path: &str) -> Result<()>;
    /// Removes a name; with `directory` an empty directory's.
    fn unlink(&mut self, path: &str, directory: bool) -> Result<()>;
    /// Gives something another name. Errors: `CrossDevice` between schemes.
    fn rename(&mut self, old: &str, new: &str) -> Result<()>;
    /// How full the medium is that holds a path. Errors: `NotSupported` where there is no medium.
    fn space(&mut self, path: &str) -> Result<Space>;
    /// Returns when what was written below a path is on its medium.
    fn sync(&mut self, path: &str) -> Result<()>;
    /// A command of a scheme's own: the value, and up to `room` bytes of output.
    fn control(&mut self, path: &str, command: u64, argument: u64, input: &[u8], room: usize)
        -> Result<(u64, Vec<u8>)>;
    /// Has init start a service with another program. Errors: init's.
    fn upgrade(&mut self, service: &str, program: &[u8]) -> Result<()>;
    /// The schemes that can be seen from here.
    fn schemes(&mut self) -> Result<Vec<String>>;

    /// Starts a program; its process's id. Errors: `NotExecutable`, those of files and of accounts.
    fn spawn(&mut self, program: &Program<'_>) -> Result<u64>;
    /// Waits for the end of a process that was started here. Errors: `NotFound`.
    fn wait(&mut self, process: u64) -> Result<Ended>;
    /// The processes there are, by id.
    fn processes(&mut self) -> Result<Vec<ProcessInfo>>;
    /// A process's capabilities.
    fn capabilities(&mut self, process: u64) -> Result<Vec<CapabilityInfo>>;
    /// What the account that a process is charged to is used for.
    fn account(&mut self, process: u64) -> Result<QuotaUsage>;
    /// The shell's own process.
    fn own_id(&mut self) -> u64;

    /// Nanoseconds since boot.
    fn now_ns(&mut self) -> u64;
    /// Waits.
    fn sleep_ns(&mut self, length: u64);
    /// How much memory there is.
    fn memory(&mut self) -> Result<Memory>;
    /// The kernel's log from a position on: bytes read (0: its end) and the next position.
    fn log(&mut self, position: u64, out: &mut [u8]) -> Result<(usize, u64)>;
}

/// What went wrong, in the words that people know from other systems.
pub fn reason(error: Error) -> &'static str {
    match error {
        Error::NotFound => "No such file or directory",
        Error::Exists => "File exists",
        Error::NotDirectory => "Not a directory",
        Error::IsDirectory => "Is a directory",
        Error::NotEmpty => "Directory not empty",
        Error::NoSpace => "No space left on device",
        Error::ReadOnly => "Read-only file system",
        Error::Io => "Input/output error",
        Error::NameTooLong => "File name too long",
        Error::InvalidName => "Invalid file name",
        Error::PermissionDenied | Error::NoRight | Error::Denied => "Permission denied",
        Error::CrossDevice => "Invalid cross-device link",
        Error::NotSupported => "Operation not supported",
        Error::TimedOut => "Timed out",
        Error::NotExecutable => "Exec format error",
        Error::FileTooLarge => "File too large",
        Error::OutOfMemory | Error::OutOfQuota => "Cannot allocate memory",
        other => other.text().trim(),
    }
}
