//! The real world behind the shell: schemes, processes, and what handles the
//! shell was given.
//!
//! Named handles it looks for: `quota-view` (processes and memory), `log-reader` (the kernel's log). They, and `log`,
//! are passed on to programs, so that a child shell can do what this one can.

use crate::paths;
use crate::system::{Ended, Memory, Program, Shared, Stream, System};
use abi::memory::MemoryFlags;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use scheme::client::File;
use scheme::entry::DirEntry;
use scheme::message::SendCap;
use scheme::process::{Command, Names, Process, Status};
use scheme::rt::calls::{self, CapabilityInfo, ProcessInfo};
use scheme::rt::memory;
use scheme::rt::quota::{self, QuotaUsage};
use scheme::rt::start;
use scheme::services::UPGRADE;
use scheme::stat::{Space, Stat};
use scheme::time;
use scheme::wire::OpenFlags;
use scheme::{Error, Handle, Result, Rights};

/// Handles that programs inherit by name.
const INHERITED: [&str; 3] = ["log", QUOTA_VIEW, LOG_READER];
const QUOTA_VIEW: &str = "quota-view";
const LOG_READER: &str = "log-reader";
/// The largest program file.
const LARGEST: usize = 64 << 20;
/// How long a scheme may take to tell its space: one that hangs must not hang `df`.
const PATIENCE_NS: u64 = 5 * time::SECOND;
/// The longest name of a process.
const NAME: usize = 31;

/// An open session.
struct Open(File);

impl Stream for Open {
    fn read(&self, out: &mut [u8]) -> Result<usize> {
        self.0.read(out)
    }
    fn write(&self, data: &[u8]) -> Result<usize> {
        self.0.write(data)
    }
    fn control(&self, command: u64, argument: u64) -> Result<u64> {
        self.0.control(command, argument, &[], &mut []).map(|(value, _)| value)
    }
    fn session(&self) -> Option<Handle> {
        self.0.connection().handle()
    }
}

/// A stream over a session that was given.
pub fn stream(handle: Handle) -> Shared {
    Rc::new(Open(File::from_handle(handle)))
}

/// The machine.
#[derive(Default)]
pub struct Machine {
    children: BTreeMap<u64, Process>,
}

impl Machine {
    fn process(&self, id: u64) -> Result<Handle> {
        calls::quota_open(view()?, id)
    }
}

fn view() -> Result<Handle> {
    start::handle(QUOTA_VIEW).ok_or(Error::NoRight)
}

impl System for Machine {
    fn open(&mut self, path: &str, flags: OpenFlags) -> Result<Shared> {
        Ok(Rc::new(Open(File::open(path, flags)?)))
    }
    fn stat(&mut self, path: &str) -> Result<Stat> {
        File::stat_path(path)
    }
    fn list(&mut self, path: &str) -> Result<Vec<DirEntry>> {
        File::open(path, OpenFlags::READ | OpenFlags::DIRECTORY)?.list()
    }
    fn mkdir(&mut self, path: &str) -> Result<()> {
        File::mkdir_path(path)
    }
    fn unlink(&mut self, path: &str, directory: bool) -> Result<()> {
        File::unlink_path(path, directory)
    }
    fn rename(&mut self, old: &str, new: &str) -> Result<()> {
        File::rename_path(old, new)
    }
    fn space(&mut self, path: &str) -> Result<Space> {
        let (mut root, _) = File::root_of(path)?;
        root.set_deadline(time::after_ns(PATIENCE_NS));
        root.space()
    }
    fn sync(&mut self, path: &str) -> Result<()> {
        File::root_of(path)?.0.sync()
    }
    fn control(
        &mut self,
        path: &str,
        command: u64,
        argument: u64,
        input: &[u8],
        room: usize,
    ) -> Result<(u64, Vec<u8>)> {
        let mut output = alloc::vec![0; room];
        let (value, length) = File::root_of(path)?.0.control(command, argument, input, &mut output)?;
        output.truncate(length);
        Ok((value, output))
    }
    fn upgrade(&mut self, service: &str, program: &[u8]) -> Result<()> {
        let (manager, _) = File::root_of("service-manager:")?;
        let length = program.len() as u64;
        let (memory, mut mapping) = memory::create(Handle::SELF_QUOTA, length.max(1), MemoryFlags::empty())?;
        let cap = SendCap { handle: memory, rights: Rights::READ };
        let asked = mapping
            .write(0, program)
            .and_then(|()| manager.control_with(UPGRADE, length, service.as_bytes(), &mut [], &[cap]));
        calls::close(memory);
        asked.map(|(_, _, mut caps)| caps.drain().for_each(calls::close))
    }
    fn schemes(&mut self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        loop {
            match calls::namespace_entry(Handle::SELF_NAMESPACE, names.len() as u64) {
                Ok(name) => names.push(name),
                Err(Error::NotFound) => break,
                Err(error) => return Err(error),
            }
        }
        names.sort();
        Ok(names)
    }

    fn spawn(&mut self, program: &Program<'_>) -> Result<u64> {
        let file = File::read_all_of(program.path, LARGEST)?;
        let name = paths::last(program.path);
        let end = (0..=name.len().min(NAME)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        let mut command = Command::new(name.get(..end).unwrap_or(name));
        command.arguments(program.arguments).names(Names::Given(Handle::SELF_NAMESPACE));
        for entry in program.environment {
            if let Some((name, value)) = entry.split_once('=') {
                command.variable(name, value);
            }
        }
        for (name, stream) in ["stdin", "stdout", "stderr"].into_iter().zip(program.streams) {
            if let Some(session) = stream.session() {
                command.grant(name, session, Rights::all());
            }
        }
        for name in INHERITED {
            // What may not be passed on is no reason not to start.
            let may_go = |handle: &Handle| {
                calls::inspect(*handle).is_ok_and(|(_, rights, ..)| rights.contains(Rights::TRANSFER))
            };
            if let Some(handle) = start::handle(name).filter(may_go) {
                command.grant(name, handle, Rights::all());
            }
        }
        let process = command.spawn(&file)?;
        let id = process.id()?;
        self.children.insert(id, process);
        Ok(id)
    }

    fn wait(&mut self, process: u64) -> Result<Ended> {
        let process = self.children.remove(&process).ok_or(Error::NotFound)?;
        loop {
            match process.wait(0)? {
                Status::Running => {}
                Status::Exited(code) => return Ok(Ended::Exit(code)),
                Status::Killed(_) => return Ok(Ended::Killed),
                Status::Faulted(vector) => return Ok(Ended::Fault(vector)),
            }
        }
    }

    fn processes(&mut self) -> Result<Vec<ProcessInfo>> {
        let view = view()?;
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let id = match calls::quota_process(view, after) {
                Ok(id) => id,
                Err(Error::NotFound) => return Ok(all),
                Err(error) => return Err(error),
            };
            after = id;
            // One that ended meanwhile is no matter.
            let Ok(process) = self.process(id) else { continue };
            let info = calls::process_info(process);
            calls::close(process);
            all.extend(info);
        }
    }

    fn capabilities(&mut self, process: u64) -> Result<Vec<CapabilityInfo>> {
        let process = self.process(process)?;
        let mut all = Vec::new();
        let mut index = 0;
        let end = loop {
            match calls::process_capability(process, index) {
                Ok((info, next)) => {
                    all.push(info);
                    index = next;
                }
                Err(Error::NotFound) => break Ok(all),
                Err(error) => break Err(error),
            }
        };
        calls::close(process);
        end
    }

    fn account(&mut self, process: u64) -> Result<QuotaUsage> {
        let process = self.process(process)?;
        let quota = calls::process_quota(process);
        calls::close(process);
        let quota = quota?;
        let usage = quota::usage(quota);
        calls::close(quota);
        usage
    }

    fn own_id(&mut self) -> u64 {
        calls::thread_id().map(|(_, process)| process).unwrap_or(0)
    }
    fn now_ns(&mut self) -> u64 {
        time::now_ns()
    }
    fn sleep_ns(&mut self, length: u64) {
        time::sleep_ns(length);
    }
    fn memory(&mut self) -> Result<Memory> {
        let (total_pages, charged_pages, _) = calls::quota_info(view()?)?;
        Ok(Memory { total_pages, charged_pages })
    }
    fn log(&mut self, position: u64, out: &mut [u8]) -> Result<(usize, u64)> {
        calls::log_read(start::handle(LOG_READER).ok_or(Error::NoRight)?, position, out)
    }
}
