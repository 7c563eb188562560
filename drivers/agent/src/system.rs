//! The real world: the shell, the namespace, init, the directory that commands
//! start in.

use crate::fw_cfg::{added, Device, FwCfg};
use crate::server::ENDED;
use crate::world::World;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use scheme::client::File;
use scheme::notification::Notification;
use scheme::process::{Command, Names, Process, Status};
use scheme::rt::{calls, start};
use scheme::scheme::SESSION_RIGHTS;
use scheme::services::{MISSING, POWER_OFF};
use scheme::time;
use scheme::wire::OpenFlags;
use scheme::{Error, Handle, Result, Rights};

/// Names of fw_cfg files begin so.
pub const PREFIX: &str = "opt/org.limitless/";
/// Handles that commands inherit by name.
const INHERITED: [&str; 3] = ["log", "quota-view", "log-reader"];
/// The shell.
const SHELL: &str = "initfs:bin/sh";
const LARGEST_SHELL: usize = 16 << 20;
/// Runs its arguments as a command, blanks and all.
const RUNNER: &str = "\"$@\"";
/// How long init or a file system may take to answer.
const PATIENCE_NS: u64 = 10 * time::SECOND;
/// The most directories below `/run` that are tried.
const MOST_DIRECTORIES: u32 = 10_000;

/// The machine.
pub struct Machine {
    endpoint: Handle,
    notification: Notification,
    shell: Vec<u8>,
    directory: String,
    command: Option<(Process, [Handle; 3])>,
}

impl Machine {
    /// A machine whose commands' streams are sessions of `endpoint` and whose ends are told through `notification`.
    pub fn new(endpoint: Handle, notification: Notification, directory: String) -> Machine {
        Machine { endpoint, notification, shell: Vec::new(), directory, command: None }
    }

    fn sessions(&self, first: u64) -> Result<[Handle; 3]> {
        let mut sessions = [Handle::NONE; 3];
        for (slot, badge) in sessions.iter_mut().zip(first..) {
            match calls::session_create(self.endpoint, badge, 0) {
                Ok(session) => *slot = session,
                Err(error) => {
                    sessions.into_iter().for_each(calls::close);
                    return Err(error);
                }
            }
        }
        Ok(sessions)
    }

    fn spawn(&self, arguments: &[String], sessions: &[Handle; 3]) -> Result<Process> {
        let mut command = Command::new("sh");
        let runner = ["sh", "-c", RUNNER, "sh"].into_iter().chain(arguments.iter().map(String::as_str));
        command.arguments(runner).names(Names::Given(Handle::SELF_NAMESPACE));
        for entry in start::start().into_iter().flat_map(|start| start.environment()) {
            let entry = String::from_utf8_lossy(entry);
            match entry.split_once('=') {
                Some(("PWD" | "READY_BITS", _)) | None => {}
                Some((name, value)) => {
                    command.variable(name, value);
                }
            }
        }
        command.variable("PWD", &self.directory);
        for (name, session) in ["stdin", "stdout", "stderr"].into_iter().zip(sessions) {
            command.grant(name, *session, SESSION_RIGHTS);
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
        let process = command.spawn(&self.shell)?;
        if let Err(error) = process.watch(&self.notification, ENDED) {
            let _ = process.kill(0);
            return Err(error);
        }
        Ok(process)
    }
}

/// The root of a scheme; calls on it end in time.
fn root(scheme: &str) -> Result<File> {
    let (mut root, _) = File::root_of(scheme)?;
    root.set_deadline(time::after_ns(PATIENCE_NS));
    Ok(root)
}

impl World for Machine {
    fn start(&mut self, arguments: &[String], first: u64) -> Result<()> {
        if self.shell.is_empty() {
            self.shell = File::read_all_of(SHELL, LARGEST_SHELL)?;
        }
        let sessions = self.sessions(first)?;
        match self.spawn(arguments, &sessions) {
            Ok(process) => {
                self.command = Some((process, sessions));
                Ok(())
            }
            Err(error) => {
                sessions.into_iter().for_each(calls::close);
                Err(error)
            }
        }
    }

    fn ended(&mut self) -> Option<i32> {
        let (process, sessions) = self.command.take()?;
        match process.status() {
            Ok(Status::Running) => {
                self.command = Some((process, sessions));
                None
            }
            Ok(status) => {
                sessions.into_iter().for_each(calls::close);
                Some(status.shell_code() as i32)
            }
            Err(error) => {
                log::error!("the command's status: {error}");
                sessions.into_iter().for_each(calls::close);
                Some(1)
            }
        }
    }

    fn missing(&mut self) -> Vec<String> {
        let mut output = alloc::vec![0; 4096];
        let asked = root("services:").and_then(|services| services.control(MISSING, 0, &[], &mut output));
        match asked {
            Ok((_, length)) => {
                let text = String::from_utf8_lossy(output.get(..length).unwrap_or(&[])).into_owned();
                text.lines().map(ToString::to_string).collect()
            }
            Err(error) => {
                log::error!("init does not answer: {error}");
                ["init".to_string()].into()
            }
        }
    }

    fn power_off(&mut self) {
        for index in 0.. {
            let Ok(scheme) = calls::namespace_entry(Handle::SELF_NAMESPACE, index) else { break };
            if scheme == "file" || scheme.starts_with("disk-") {
                if let Err(error) = root(&[&scheme, ":"].concat()).and_then(|root| root.sync()) {
                    log::error!("{scheme}: can't be written back: {error}");
                }
            }
        }
        if let Err(error) = root("services:").and_then(|services| services.control(POWER_OFF, 0, &[], &mut [])) {
            log::error!("init does not switch off: {error}");
        }
    }
}

/// Makes the directory that commands start in: `/run/N` with the first N that is free. Errors: the file system's.
pub fn make_directory() -> Result<String> {
    match File::mkdir_path("/run") {
        Ok(()) | Err(Error::Exists) => {}
        Err(error) => return Err(error),
    }
    for number in 1..MOST_DIRECTORIES {
        let path = format!("/run/{number}");
        match File::mkdir_path(&path) {
            Ok(()) => return Ok(path),
            Err(Error::Exists) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::NoSpace)
}

/// Puts the files that were handed out into a directory. Errors: which, and why.
pub fn add_files<D: Device>(device: &mut FwCfg<D>, directory: &str) -> core::result::Result<(), String> {
    let index = match device.read(&[PREFIX, "adds"].concat(), 1 << 20) {
        Ok(index) => index,
        Err(Error::NotFound) => return Ok(()),
        Err(error) => return Err(format!("the list of files: {error}")),
    };
    let index = String::from_utf8_lossy(&index).into_owned();
    for line in index.lines() {
        let done = added(line).and_then(|(number, name)| {
            let handout = device.find(&format!("{PREFIX}add/{number}")).ok_or(Error::NotFound)?;
            let path = format!("{directory}/{name}");
            let file = File::open(&path, OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE)?;
            device.each_piece(&handout, |piece| file.write_all(piece))
        });
        done.map_err(|error| format!("file '{line}': {error}"))?;
    }
    Ok(())
}
