//! Starting processes: a program file, an account, a namespace, capabilities
//! by name.
//!
//! The new process holds what [`Command`] granted it and nothing else: it is born with an empty capability table and an
//! empty namespace.

use crate::elf::{self, Program};
use crate::notification::Notification;
use crate::rt::{calls, memory, security};
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::start::{self, layout};
use abi::{Error, Handle, Result, Rights};
use alloc::string::String;
use alloc::vec::Vec;

/// The priority a process may use when its spawner says nothing.
pub const DEFAULT_PRIORITY: u64 = 128;

/// How a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It runs.
    Running,
    /// It ended by `exit`, with this code.
    Exited(u64),
    /// It was killed, with this code.
    Killed(u64),
    /// A fault ended it: the CPU's exception vector.
    Faulted(u64),
}

impl Status {
    /// What a shell calls its exit status: the code; 128 + 9 when killed; 128 + 11 after a fault.
    pub fn shell_code(self) -> u64 {
        match self {
            Status::Running => 0,
            Status::Exited(code) => code & 0xff,
            Status::Killed(_) => 137,
            Status::Faulted(_) => 139,
        }
    }
}

/// How a process stands. Errors: the kernel's.
pub fn status(process: Handle) -> Result<Status> {
    let (state, code, _) = calls::process_status(process)?;
    Ok(match state {
        0 => Status::Running,
        1 => Status::Exited(code),
        2 => Status::Killed(code),
        _ => Status::Faulted(code),
    })
}

/// What a new process is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// Our own.
    Own,
    /// One that we hold; it stays ours.
    Given(Handle),
    /// A new one of this many pages, out of ours (`parent` [`Handle::SELF_QUOTA`]) or another's.
    Split {
        /// Whose pages they are.
        parent: Handle,
        /// How many.
        pages: u64,
    },
}

/// What a new process gets to see of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Nothing.
    Empty,
    /// A namespace that we made or hold: ours with [`Handle::SELF_NAMESPACE`].
    Given(Handle),
}

/// A process in the making.
#[derive(Clone, Debug)]
pub struct Command {
    name: String,
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
    grants: Vec<(String, Handle, Rights)>,
    account: Account,
    names: Names,
    priority_limit: u64,
    priority: u64,
    stack: u64,
    label: Option<u32>,
}

impl Command {
    /// A process called `name`, which is its first argument too.
    pub fn new(name: &str) -> Command {
        Command {
            name: name.into(),
            arguments: alloc::vec![name.as_bytes().into()],
            environment: Vec::new(),
            grants: Vec::new(),
            account: Account::Own,
            names: Names::Empty,
            priority_limit: DEFAULT_PRIORITY,
            priority: DEFAULT_PRIORITY,
            stack: layout::STACK_LENGTH,
            label: None,
        }
    }

    /// Adds an argument.
    pub fn argument(&mut self, argument: impl AsRef<[u8]>) -> &mut Command {
        self.arguments.push(argument.as_ref().into());
        self
    }

    /// Replaces all arguments, the first (the program's name) included.
    pub fn arguments(&mut self, all: impl IntoIterator<Item = impl AsRef<[u8]>>) -> &mut Command {
        self.arguments = all.into_iter().map(|argument| argument.as_ref().into()).collect();
        self
    }

    /// Adds a variable.
    pub fn variable(&mut self, name: &str, value: &str) -> &mut Command {
        self.environment.push([name, "=", value].concat().into_bytes());
        self
    }

    /// Grants a capability under a name (at most 24 bytes), with at most these rights.
    pub fn grant(&mut self, name: &str, handle: Handle, rights: Rights) -> &mut Command {
        self.grants.push((name.into(), handle, rights));
        self
    }

    /// What it is charged to.
    pub fn account(&mut self, account: Account) -> &mut Command {
        self.account = account;
        self
    }

    /// What names it sees.
    pub fn names(&mut self, names: Names) -> &mut Command {
        self.names = names;
        self
    }

    /// The greatest priority it may use, and the one it starts with.
    pub fn priority(&mut self, limit: u64, first: u64) -> &mut Command {
        (self.priority_limit, self.priority) = (limit, first);
        self
    }

    /// The subject label it gets; ours, if nothing is said.
    pub fn label(&mut self, label: u32) -> &mut Command {
        self.label = Some(label);
        self
    }

    /// Bytes of stack for its first thread.
    pub fn stack(&mut self, length: u64) -> &mut Command {
        self.stack = length;
        self
    }

    /// Makes the process from a program file and starts it. Errors: `NotExecutable`, `OutOfQuota`, the kernel's; nothing is
    /// left of it then.
    pub fn spawn(&self, file: &[u8]) -> Result<Process> {
        let program = elf::parse(file)?;
        let (quota, split) = match self.account {
            Account::Own => (Handle::SELF_QUOTA, false),
            Account::Given(quota) => (quota, false),
            Account::Split { parent, pages } => (calls::quota_split(parent, pages, 0)?, true),
        };
        let namespace = match self.names {
            Names::Empty => Handle::NONE,
            Names::Given(namespace) => namespace,
        };
        let made = calls::process_create(quota, &self.name, self.priority_limit, namespace);
        let started = made.and_then(|(process, space)| {
            // Before it is given anything: what it may have depends on it.
            let labelled = self.label.map_or(Ok(()), |label| security::process_label(process, label));
            let started = labelled.and_then(|()| self.fill(&program, file, process, space, quota));
            calls::close(space);
            match started {
                Ok(()) => Ok(process),
                Err(error) => {
                    let _ = calls::process_kill(process, 0);
                    calls::close(process);
                    Err(error)
                }
            }
        });
        match started {
            Ok(process) => Ok(Process { process, quota: if split { quota } else { Handle::NONE } }),
            Err(error) => {
                if split {
                    calls::close(quota);
                }
                Err(error)
            }
        }
    }

    fn fill(&self, program: &Program, file: &[u8], process: Handle, space: Handle, quota: Handle) -> Result<()> {
        for segment in &program.segments {
            let data = file.get(segment.file.clone()).ok_or(Error::NotExecutable)?;
            let inside = segment.address - segment.first_page();
            place(space, quota, segment.first_page(), segment.pages(), inside, data, segment.protection)?;
        }
        let stack = memory::page_align(self.stack)?.max(PAGE_SIZE);
        // Nothing is ever mapped below the stack: the page there is its guard.
        let read_write = Protection::READ | Protection::WRITE;
        place(space, quota, layout::STACK_TOP - stack, stack / PAGE_SIZE, 0, &[], read_write)?;
        place(space, quota, layout::IPC_BUFFER, 1, 0, &[], read_write)?;
        let block = self.start_block(process)?;
        let pages = memory::page_align(block.len() as u64)? / PAGE_SIZE;
        place(space, quota, layout::START_BLOCK, pages, 0, &block, Protection::READ)?;
        let thread = calls::thread_create(
            process,
            program.entry,
            layout::STACK_TOP,
            layout::START_BLOCK,
            layout::IPC_BUFFER,
            self.priority,
        )?;
        calls::close(thread);
        Ok(())
    }

    fn start_block(&self, process: Handle) -> Result<Vec<u8>> {
        let mut granted = Vec::new();
        for (name, handle, rights) in &self.grants {
            granted.push((name.as_str(), calls::process_grant(process, *handle, *rights)?));
        }
        let arguments: Vec<&[u8]> = self.arguments.iter().map(Vec::as_slice).collect();
        let environment: Vec<&[u8]> = self.environment.iter().map(Vec::as_slice).collect();
        let mut block = Vec::new();
        start::write(&arguments, &environment, &granted, &mut |bytes| {
            block.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(block)
    }
}

/// Puts fresh pages with `data` at `inside` into a space; our handle to them goes, the mapping keeps them.
fn place(
    space: Handle,
    quota: Handle,
    address: u64,
    pages: u64,
    inside: u64,
    data: &[u8],
    protection: Protection,
) -> Result<()> {
    let memory = calls::memory_create(quota, pages, MemoryFlags::empty())?;
    let length = pages.saturating_mul(PAGE_SIZE);
    let placed = calls::memory_write(memory, inside, data)
        .and_then(|()| calls::space_map(space, memory, address, 0, length, protection));
    calls::close(memory);
    placed.map(|_| ())
}

/// A process that was started. Dropping it gives the capability up; the process goes on.
#[derive(Debug)]
pub struct Process {
    process: Handle,
    quota: Handle,
}

impl Process {
    /// The capability.
    pub fn handle(&self) -> Handle {
        self.process
    }

    /// The account that was split off for it; `NONE` where none was.
    pub fn quota(&self) -> Handle {
        self.quota
    }

    /// Its id. Errors: the kernel's.
    pub fn id(&self) -> Result<u64> {
        Ok(calls::process_status(self.process)?.2)
    }

    /// How it stands. Errors: the kernel's.
    pub fn status(&self) -> Result<Status> {
        status(self.process)
    }

    /// Has `bits` set in a notification when it has ended. Errors: the kernel's.
    pub fn watch(&self, notification: &Notification, bits: u64) -> Result<()> {
        calls::process_watch(self.process, notification.handle(), bits)
    }

    /// Waits for its end. Errors: `TimedOut` (0: never), the kernel's.
    pub fn wait(&self, deadline_ns: u64) -> Result<Status> {
        let ended = Notification::new()?;
        self.watch(&ended, 1)?;
        ended.wait_until(deadline_ns)?;
        self.status()
    }

    /// Ends it. Errors: the kernel's.
    pub fn kill(&self, code: u64) -> Result<()> {
        calls::process_kill(self.process, code)
    }

    /// The capabilities, to be closed by who takes them: process and split account (or `NONE`).
    pub fn into_handles(self) -> (Handle, Handle) {
        let handles = (self.process, self.quota);
        core::mem::forget(self);
        handles
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        calls::close(self.process);
        calls::close(self.quota);
    }
}
