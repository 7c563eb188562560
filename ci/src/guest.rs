//! A booted system that runs commands: emulator and agent's channel together.
//!
//! [`Guest::boot`] starts a machine; [`Guest::run`] runs one command and streams its input and
//! output; [`Guest::power_off`] ends it in order. Everything that can end a run early is an
//! [`End`], told apart by what the log, the channel and the emulator say.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::agent::{join_arguments, Decoder, FromGuest, Sender, ToGuest};
use crate::capture::LineWatch;
use crate::deadline::Deadline;
use crate::emulator::{Emulator, LogSink};
use crate::error::{Error, Result};
use crate::input::{Feeder, Input};
use crate::machine::{Handout, HandoutData, Machine};

/// How the kernel's log announces that the kernel has given up.
pub const PANIC_PREFIX: &str = "panic:";
/// How it announces that it restarts on request: a reset without it is a triple fault.
pub const REBOOT_PREFIX: &str = "reboot:";
/// The status QEMU ends with when the guest writes 0x10 to `isa-debug-exit` (2v + 1): an
/// orderly end.
pub const ORDERLY_EXIT: i32 = 33;

/// Why a command has no exit status.
#[derive(Debug)]
pub enum End {
    /// The deadline passed.
    TimedOut,
    /// The kernel panicked; the line after the prefix.
    Panic(String),
    /// The machine never came up, or went away, or its channel broke; how.
    Gone(String),
    /// A service that should run did not.
    Service(String),
    /// The guest switched itself off or restarted, as it was asked to.
    PoweredOff,
    /// Nobody reads the command's output any more.
    OutputClosed(io::Error),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimedOut => f.write_str("timed out"),
            Self::Panic(line) => write!(f, "kernel panic: {line}"),
            Self::Gone(how) => write!(f, "the machine is gone: {how}"),
            Self::Service(name) => write!(f, "service {name} does not run"),
            Self::PoweredOff => f.write_str("the guest switched itself off"),
            Self::OutputClosed(error) => write!(f, "writing the command's output: {error}"),
        }
    }
}

/// Where a command's output goes, as it comes.
pub trait Sink {
    /// Bytes of standard output.
    ///
    /// # Errors
    /// When they can't be passed on; the run ends then.
    fn output(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Bytes of standard error.
    ///
    /// # Errors
    /// As for output.
    fn errors(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// A command's whole result, kept in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The exit status.
    pub status: i32,
    /// Standard output.
    pub output: Vec<u8>,
    /// Standard error.
    pub errors: Vec<u8>,
}

impl Outcome {
    /// Standard output as text, with what is not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// Standard error as text, with what is not UTF-8 replaced.
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.errors).into_owned()
    }
}

impl Sink for Outcome {
    fn output(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.extend_from_slice(bytes);
        Ok(())
    }

    fn errors(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.errors.extend_from_slice(bytes);
        Ok(())
    }
}

/// A host file that the guest finds in the directory its command starts in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Add {
    /// The file on the host.
    pub path: PathBuf,
    /// Its name in the guest.
    pub name: String,
    /// Whether it may be run.
    pub executable: bool,
}

/// The handouts that carry a first command (if any) and files to a guest.
///
/// # Errors
/// When a name or an argument can't be carried.
pub fn handouts(command: &[String], adds: &[Add]) -> Result<Vec<Handout>> {
    let bytes = |name: &str, data: Vec<u8>| Handout { name: name.into(), data: HandoutData::Bytes(data) };
    // Its presence is what starts the agent: a system booted by a person has none.
    let mut all = vec![bytes("agent", b"1".to_vec())];
    if !command.is_empty() {
        all.push(bytes("command", join_arguments(command)?));
    }
    let mut index = String::new();
    for (add, number) in adds.iter().zip(0..) {
        if add.name.is_empty() || add.name.contains(['\n', '\0', '/']) {
            return Err(Error::Protocol(format!("{:?} can't be a file's name in the guest", add.name)));
        }
        index.push_str(&format!("{number} {} {}\n", if add.executable { 'x' } else { '-' }, add.name));
        all.push(Handout { name: format!("add/{number}"), data: HandoutData::File(add.path.clone()) });
    }
    if !adds.is_empty() {
        all.push(bytes("adds", index.into_bytes()));
    }
    Ok(all)
}

/// What the threads that listen tell the one that waits.
pub(crate) enum Event {
    Frame(FromGuest),
    Broken(Error),
    Closed,
    Panic,
    Input(Vec<u8>),
    InputEnd,
}

/// A machine that was started, and its agent's channel.
pub struct Guest {
    emulator: Emulator,
    sender: Sender<std::os::unix::net::UnixStream>,
    events: Receiver<Event>,
    events_in: mpsc::Sender<Event>,
    ready: bool,
    over: bool,
}

impl Guest {
    /// Starts `machine`; `log_sink` sees the kernel's log as it comes.
    ///
    /// # Errors
    /// When the emulator does not start.
    pub fn boot(machine: &Machine, deadline: Deadline, mut log_sink: LogSink) -> Result<Self> {
        let (events_in, events) = mpsc::channel();
        let mut watch = LineWatch::new(PANIC_PREFIX);
        let panics = events_in.clone();
        let sink = Box::new(move |bytes: &[u8]| {
            log_sink(bytes);
            if watch.saw(bytes) {
                // Fails only when nobody waits any more.
                let _ = panics.send(Event::Panic);
            }
        });
        let mut emulator = Emulator::start(machine, deadline, sink)?;
        let channel = emulator.take_agent().ok_or_else(|| Error::Protocol("the agent's channel is taken".into()))?;
        let reader = channel.try_clone().map_err(Error::host("the agent's socket"))?;
        let frames = events_in.clone();
        std::thread::spawn(move || read_frames(reader, &frames));
        Ok(Self { emulator, sender: Sender::new(channel), events, events_in, ready: false, over: false })
    }

    /// The machine itself.
    pub fn emulator(&mut self) -> &mut Emulator {
        &mut self.emulator
    }

    /// Whether the agent has answered.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether something has ended it: no command can run any more.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Waits until the agent answers.
    ///
    /// # Errors
    /// When something ends the machine first.
    pub fn wait_ready(&mut self, deadline: Deadline) -> std::result::Result<(), End> {
        while !self.ready {
            match self.next(deadline)? {
                FrameOrInput::Frame(FromGuest::Ready) => self.ready = true,
                FrameOrInput::Frame(FromGuest::ServiceDown(name)) => return Err(End::Service(name)),
                FrameOrInput::Frame(other) => return Err(End::Gone(format!("{other:?} before it was ready"))),
                FrameOrInput::Input(_) => {}
            }
        }
        Ok(())
    }

    /// Runs `argv`, with nothing on its standard input, and keeps what it writes.
    ///
    /// # Errors
    /// When something ends it first.
    pub fn run(&mut self, argv: &[&str], deadline: Deadline) -> std::result::Result<Outcome, End> {
        self.run_with_input(argv, Vec::new(), deadline)
    }

    /// As [`Self::run`], with `input` on its standard input.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with_input(
        &mut self,
        argv: &[&str],
        input: Vec<u8>,
        deadline: Deadline,
    ) -> std::result::Result<Outcome, End> {
        self.wait_ready(deadline)?;
        let argv: Vec<_> = argv.iter().map(ToString::to_string).collect();
        self.sender.send(&ToGuest::Run(&argv)).map_err(|error| self.gone(&error))?;
        let mut outcome = Outcome::default();
        outcome.status = self.follow(Input::Bytes(input), &mut outcome, deadline)?;
        Ok(outcome)
    }

    /// Follows the command that runs (the one handed out at boot, or one just sent) to its end:
    /// feeds it `input`, passes its output to `sink`; its exit status.
    ///
    /// # Errors
    /// When something ends it first.
    pub fn follow(&mut self, input: Input, sink: &mut dyn Sink, deadline: Deadline) -> std::result::Result<i32, End> {
        self.wait_ready(deadline)?;
        let mut feeder = Feeder::new(input, self.events_in.clone());
        loop {
            let frame = match self.next(deadline)? {
                FrameOrInput::Frame(frame) => frame,
                FrameOrInput::Input(piece) => {
                    feeder.arrived(piece, &mut self.sender).map_err(|error| self.gone(&error))?;
                    continue;
                }
            };
            match frame {
                FromGuest::Output(bytes) => sink.output(&bytes).map_err(End::OutputClosed)?,
                FromGuest::Errors(bytes) => sink.errors(&bytes).map_err(End::OutputClosed)?,
                FromGuest::Exit(status) => return Ok(status),
                FromGuest::ServiceDown(name) => return Err(End::Service(name)),
                FromGuest::WantsInput(count) => {
                    feeder.granted(count, &mut self.sender).map_err(|error| self.gone(&error))?;
                }
                FromGuest::Ready => return Err(End::Gone("the agent started a second time".into())),
            }
        }
    }

    /// Asks the guest to write back what is not written and switch off; waits until it has.
    ///
    /// # Errors
    /// When it does not, or panics on the way.
    pub fn power_off(&mut self, deadline: Deadline) -> std::result::Result<(), End> {
        self.sender.send(&ToGuest::PowerOff).map_err(|error| self.gone(&error))?;
        loop {
            match self.next(deadline) {
                Ok(_) => {} // late words of a command that has ended
                Err(End::PoweredOff) => return Ok(()),
                Err(end) => return Err(end),
            }
        }
    }

    /// All there is to know about this machine, for the record of a failure.
    pub fn record(&self) -> String {
        let emulator = &self.emulator;
        format!(
            "== command line\n{} {}\n== emulator\n{}\n== kernel log\n{}\n== console\n{}\n",
            crate::emulator::QEMU,
            emulator.command_line().join(" "),
            emulator.errors().text(),
            emulator.log().text(),
            emulator.console().text(),
        )
    }

    fn next(&mut self, deadline: Deadline) -> std::result::Result<FrameOrInput, End> {
        let next = self.next_event(deadline);
        self.over |= next.is_err();
        next
    }

    fn next_event(&mut self, deadline: Deadline) -> std::result::Result<FrameOrInput, End> {
        match self.events.recv_timeout(deadline.left()) {
            Ok(Event::Frame(frame)) => Ok(FrameOrInput::Frame(frame)),
            Ok(Event::Input(bytes)) => Ok(FrameOrInput::Input(Some(bytes))),
            Ok(Event::InputEnd) => Ok(FrameOrInput::Input(None)),
            Ok(Event::Broken(error)) => Err(self.gone(&error)),
            Ok(Event::Panic | Event::Closed) => Err(self.post_mortem(deadline)),
            Err(RecvTimeoutError::Timeout) => Err(End::TimedOut),
            Err(RecvTimeoutError::Disconnected) => Err(End::Gone("its listeners ended".into())),
        }
    }

    /// What a failure to talk to the guest means: if it died, how it died says more.
    fn gone(&mut self, error: &Error) -> End {
        self.over = true;
        match self.post_mortem(Deadline::seconds(2)) {
            End::Gone(how) => End::Gone(format!("{error}; {how}")),
            end => end,
        }
    }

    /// Why the machine is ending. The kernel is given a moment to finish its last words.
    fn post_mortem(&mut self, deadline: Deadline) -> End {
        let status = self.emulator.wait(deadline.at_most(Duration::from_secs(3)));
        if let Some(line) = self.emulator.log().line_with_prefix(PANIC_PREFIX) {
            return End::Panic(line);
        }
        let Some(status) = status else {
            return End::Gone("the channel is closed but the emulator runs".into());
        };
        let reason = self.emulator.qmp().shutdown_reason();
        let rebooted = || self.emulator.log().line_with_prefix(REBOOT_PREFIX).is_some();
        match (status.code(), reason.as_deref()) {
            (Some(ORDERLY_EXIT), _) | (Some(0), Some("guest-shutdown")) => End::PoweredOff,
            (Some(0), Some("guest-reset")) if rebooted() => End::PoweredOff,
            (Some(0), Some("guest-reset")) => End::Gone("it was reset (a triple fault?)".into()),
            _ => {
                let errors = self.emulator.errors().tail(5);
                End::Gone(format!(
                    "the emulator ended with {status}{}{errors}",
                    if errors.is_empty() { "" } else { ": " }
                ))
            }
        }
    }
}

enum FrameOrInput {
    Frame(FromGuest),
    /// A piece of standard input, or its end.
    Input(Option<Vec<u8>>),
}

fn read_frames(mut reader: impl Read, events: &mpsc::Sender<Event>) {
    let mut decoder = Decoder::new();
    let mut chunk = vec![0; 65536];
    let last = loop {
        match decoder.next_frame() {
            Ok(Some(frame)) => {
                if events.send(Event::Frame(frame)).is_err() {
                    return;
                }
                continue;
            }
            Ok(None) => {}
            Err(error) => break Event::Broken(error),
        }
        match reader.read(&mut chunk) {
            Ok(0) if decoder.is_mid_frame() => {
                break Event::Broken(Error::Protocol("the channel ended in the middle of a frame".into()))
            }
            Ok(0) => break Event::Closed,
            Ok(count) => decoder.push(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A killed emulator resets the connection.
            Err(_) => break Event::Closed,
        }
    };
    // Fails only when nobody waits any more.
    let _ = events.send(last);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handouts_carry_the_command_and_an_index_of_the_files() {
        let adds = [Add { path: "/host/prog".into(), name: "my prog".into(), executable: true }];
        let all = handouts(&["./my prog".into(), "-x".into()], &adds).unwrap();
        let named = |name: &str| match &all.iter().find(|h| h.name == name).expect("handout").data {
            HandoutData::Bytes(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            HandoutData::File(path) => path.display().to_string(),
        };
        assert_eq!(named("command"), "./my prog\0-x");
        assert_eq!(named("adds"), "0 x my prog\n");
        assert_eq!(named("add/0"), "/host/prog");
    }

    #[test]
    fn a_file_name_that_would_break_the_index_is_refused() {
        for name in ["a\nb", "", "../x"] {
            let add = Add { path: "/x".into(), name: name.into(), executable: false };
            assert!(handouts(&[], &[add]).is_err(), "{name:?}");
        }
    }
}
