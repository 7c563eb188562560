//! One running emulator: its process, its channels, its folder.
//!
//! [`Emulator::start`] listens on the channels' sockets, starts QEMU and accepts its
//! connections. Dropping it kills the process and removes the folder. The thread that starts
//! one keeps it (see [`crate::reaper`]).

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::capture::Capture;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::qmp::Qmp;
use crate::reaper::{self, Owned};

/// The emulator's program.
pub const QEMU: &str = "qemu-system-x86_64";

/// Called with each piece of the kernel's log as it comes.
pub type LogSink = Box<dyn FnMut(&[u8]) + Send>;

/// A machine that runs.
pub struct Emulator {
    // Fields drop in this order: the process first, its folder last.
    process: Owned,
    log: Capture,
    console: Capture,
    console_input: UnixStream,
    agent: Option<UnixStream>,
    errors: Capture,
    qmp: Qmp,
    command_line: Vec<String>,
    _folder: TempDir,
}

impl Emulator {
    /// Starts `machine`; `log_sink` sees the kernel's log as it comes.
    ///
    /// # Errors
    /// When QEMU can't be started, refuses its arguments (its own words are in the error), or
    /// has not connected all channels by the deadline.
    pub fn start(machine: &Machine, deadline: Deadline, log_sink: LogSink) -> Result<Self> {
        // Short, because a Unix socket's path is at most 107 bytes.
        let folder = tempfile::Builder::new()
            .prefix("limitless-")
            .tempdir_in("/tmp")
            .map_err(Error::host("making a folder in /tmp"))?;
        let command_line = machine.arguments(folder.path())?;
        let [log, console, agent, qmp] = ["log", "console", "agent", "qmp"].map(|name| listen(folder.path(), name));
        let (log, console, agent, qmp) = (log?, console?, agent?, qmp?);

        let mut command = reaper::command(QEMU);
        command
            .args(&command_line)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C at the terminal reaches us, and we end it in order.
            .process_group(0);
        let (process, errors) = reaper::spawn_with_errors(command, folder.path().to_owned())?;
        let errors = Capture::drain(errors, |_| {});

        let accept = |listener: UnixListener| accept(&listener, &process, &errors, deadline);
        let log = Capture::drain(accept(log)?, log_sink);
        let console_input = accept(console)?;
        let console_output = console_input.try_clone().map_err(Error::host("the console's socket"))?;
        let agent = accept(agent)?;
        // QEMU connects before it looks at its devices: it may refuse one now, and its own words
        // say more than a broken connection.
        let qmp = Qmp::connect(accept(qmp)?, deadline)
            .map_err(|error| process.wait(Deadline::seconds(1)).map_or(error, |status| refusal(status, &errors)))?;
        Ok(Self {
            console: Capture::drain(console_output, |_| {}),
            console_input,
            agent: Some(agent),
            process,
            log,
            errors,
            qmp,
            command_line,
            _folder: folder,
        })
    }

    /// The kernel's log.
    pub fn log(&self) -> &Capture {
        &self.log
    }

    /// What the system's console has shown on the first serial port.
    pub fn console(&self) -> &Capture {
        &self.console
    }

    /// What QEMU itself complained about.
    pub fn errors(&self) -> &Capture {
        &self.errors
    }

    /// Types `text` on the serial console.
    ///
    /// # Errors
    /// When the emulator has ended.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        self.console_input.write_all(text.as_bytes()).map_err(Error::host("typing on the console"))
    }

    /// The agent's channel; once.
    pub fn take_agent(&mut self) -> Option<UnixStream> {
        self.agent.take()
    }

    /// The machine's controls.
    pub fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }

    /// QEMU's arguments, for the record of a failure.
    pub fn command_line(&self) -> &[String] {
        &self.command_line
    }

    /// Waits until QEMU has ended.
    pub fn wait(&self, deadline: Deadline) -> Option<ExitStatus> {
        // Its log socket closes when it ends; only then is there a status to collect.
        self.log.wait_end(deadline);
        self.process.wait(deadline)
    }

    /// Ends QEMU now.
    pub fn kill(&self) {
        self.process.kill();
    }
}

fn listen(folder: &Path, name: &str) -> Result<UnixListener> {
    let path = folder.join(name);
    UnixListener::bind(&path).map_err(Error::host(format!("listening on {}", path.display())))
}

/// Takes QEMU's connection. A listener has no deadline of its own, so it is asked repeatedly;
/// QEMU connects all channels within a few milliseconds of its start, or never.
fn accept(listener: &UnixListener, process: &Owned, errors: &Capture, deadline: Deadline) -> Result<UnixStream> {
    listener.set_nonblocking(true).map_err(Error::host("a channel's socket"))?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).map_err(Error::host("a channel's socket"))?;
                return Ok(stream);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(Error::host("accepting a channel")(error)),
        }
        if deadline.passed() {
            return Err(Error::TimedOut("the emulator's start".into()));
        }
        if let Some(status) = process.wait(Deadline::after(Duration::from_millis(2))) {
            return Err(refusal(status, errors));
        }
    }
}

fn refusal(status: ExitStatus, errors: &Capture) -> Error {
    errors.wait_end(Deadline::seconds(1));
    Error::Emulator(format!("{QEMU} ended with {status}: {}", errors.tail(10)))
}
