//! The channel and the command's streams: a scheme whose sessions are standard
//! input, output and error.
//!
//! Each command gets sessions with badges of its own; those of earlier commands answer `Closed`. Writers wait while much is on its
//! way out, readers while nothing came: both as parked calls, asked again after each interrupt of the UART.

use crate::frame::{Decoder, FromHost, ToHost};
use crate::world::World;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use hal::access::Ports;
use hal::uart::Uart;
use scheme::lease::{Source, Target};
use scheme::scheme::{Caller, Outcome, Scheme, Stop};
use scheme::stat::{FileKind, Stat};
use scheme::wire::Whence;
use scheme::Error;

/// Bit of the endpoint's notification: the UART interrupted.
pub const UART: u64 = 1;
/// Bit: the command ended.
pub const ENDED: u64 = 2;
/// From so many bytes on their way out on, writers wait.
const FULL: usize = 16 * 1024;
/// The most bytes one write takes, so that a queue that is not full never gets much longer than [`FULL`].
const PIECE: usize = 16 * 1024;
/// The most bytes of input asked for at once.
const GRANT: usize = 32 * 1024;
/// Badges of one command: three streams, and one that is left out.
const BADGES: u64 = 4;
/// The status where a command could not be started at all.
const NOT_STARTED: i32 = 126;

/// The three streams, by what is left of a badge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Input,
    Output,
    Errors,
}

/// The agent.
pub struct Agent<P: Ports, W: World> {
    uart: Uart<P>,
    world: W,
    decoder: Decoder,
    /// The first badge of the command that runs, or of the last one.
    base: u64,
    running: bool,
    input: VecDeque<u8>,
    input_ended: bool,
    /// Bytes of input asked for that have not come.
    granted: usize,
}

impl<P: Ports, W: World> Agent<P, W> {
    /// An agent on its serial port; it says that it runs.
    pub fn new(uart: Uart<P>, world: W) -> Agent<P, W> {
        let mut agent = Agent {
            uart,
            world,
            decoder: Decoder::default(),
            base: 0,
            running: false,
            input: VecDeque::new(),
            input_ended: false,
            granted: 0,
        };
        agent.say(ToHost::Ready);
        agent
    }

    /// The serial port.
    pub fn uart(&self) -> &Uart<P> {
        &self.uart
    }

    fn say(&mut self, frame: ToHost<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        if let Err(error) = self.uart.send(&bytes) {
            log::error!("the serial port: {error}");
        }
    }

    /// Runs a command; if it can't be started, says so as if it had run.
    pub fn run(&mut self, arguments: &[String]) {
        if self.running {
            log::error!("asked to run a second command at once");
            return;
        }
        self.base += BADGES;
        self.input.clear();
        (self.input_ended, self.granted) = (false, 0);
        match self.world.start(arguments, self.base + 1) {
            Ok(()) => self.running = true,
            Err(error) => self.refuse(&format!("the shell can't be started: {error}")),
        }
    }

    /// Ends a command that never began, with this reason.
    pub fn refuse(&mut self, reason: &str) {
        self.say(ToHost::Errors(format!("agent: {reason}\n").as_bytes()));
        self.finish(NOT_STARTED);
    }

    fn finish(&mut self, status: i32) {
        self.running = false;
        for service in self.world.missing() {
            self.say(ToHost::ServiceDown(&service));
        }
        self.say(ToHost::Exit(status));
    }

    fn take(&mut self, frame: FromHost) {
        match frame {
            FromHost::Run(arguments) => self.run(&arguments),
            // Late words for a command that has ended.
            FromHost::Input(_) | FromHost::InputEnd if !self.running => {}
            FromHost::Input(bytes) => {
                self.granted = self.granted.saturating_sub(bytes.len());
                self.input.extend(bytes);
            }
            FromHost::InputEnd => self.input_ended = true,
            FromHost::PowerOff => self.world.power_off(),
        }
    }

    /// Which stream a session is. Errors: `Closed` when its command has ended.
    fn stream(&self, id: u64) -> Result<Stream, Error> {
        match id.checked_sub(self.base) {
            Some(1) if self.running => Ok(Stream::Input),
            Some(2) if self.running => Ok(Stream::Output),
            Some(3) if self.running => Ok(Stream::Errors),
            _ => Err(Error::Closed),
        }
    }
}

impl<P: Ports, W: World> Scheme for Agent<P, W> {
    fn root(&mut self, badge: u64) -> Outcome<u64> {
        Ok(badge)
    }

    fn read(&mut self, caller: &Caller, _: u64, target: &mut Target<'_>) -> Outcome<usize> {
        if self.stream(caller.id)? != Stream::Input {
            return Err(Error::PermissionDenied.into());
        }
        if target.is_empty() || (self.input.is_empty() && self.input_ended) {
            return Ok(0);
        }
        if self.input.is_empty() {
            let wanted = target.len().min(GRANT);
            if self.granted < wanted {
                let more = wanted - self.granted;
                self.granted = wanted;
                self.say(ToHost::WantsInput(more as u32));
            }
            return Err(Stop::Later);
        }
        let length = target.len().min(self.input.len());
        let part = self.input.make_contiguous().get(..length).unwrap_or(&[]);
        target.write(0, part)?;
        // Only now: had the reader been gone, the next one would want it.
        self.input.drain(..length);
        Ok(length)
    }

    fn write(&mut self, caller: &Caller, _: u64, source: &mut Source<'_>) -> Outcome<usize> {
        let stream = self.stream(caller.id)?;
        if stream == Stream::Input {
            return Err(Error::PermissionDenied.into());
        }
        if self.uart.waiting() >= FULL {
            return Err(Stop::Later);
        }
        let mut data = alloc::vec![0; source.len().min(PIECE)];
        source.read(0, &mut data)?;
        match stream {
            Stream::Errors => self.say(ToHost::Errors(&data)),
            _ => self.say(ToHost::Output(&data)),
        }
        Ok(data.len())
    }

    fn seek(&mut self, _: &Caller, _: u64, _: Whence, _: i64) -> Outcome<u64> {
        Err(Error::NotSupported.into())
    }

    fn stat(&mut self, caller: &Caller, path: &str) -> Outcome<Stat> {
        if !path.is_empty() {
            return Err(Error::NotDirectory.into());
        }
        let permissions = if self.stream(caller.id)? == Stream::Input { 0o400 } else { 0o200 };
        Ok(Stat { kind: FileKind::Stream, permissions, links: 1, id: caller.id, ..Stat::default() })
    }

    fn event(&mut self, bits: u64) {
        if bits & UART != 0 {
            let mut received = Vec::new();
            if let Err(error) = self.uart.interrupt(&mut received) {
                log::error!("the serial port: {error}");
            }
            self.decoder.push(&received);
            loop {
                match self.decoder.next_frame() {
                    Ok(Some(frame)) => self.take(frame),
                    Ok(None) => break,
                    Err(_) => {
                        log::error!("the host sent no frame");
                        break;
                    }
                }
            }
        }
        if bits & ENDED != 0 && self.running {
            if let Some(status) = self.world.ended() {
                self.finish(status);
            }
        }
    }
}
