//! `mk/run`: one command inside a freshly booted system, as if it had run here.
//!
//! The shell script `mk/run` builds what is needed and starts this. Options are parsed in
//! `ci::options`; the work is `ci::guest`'s. Here is the contract with the caller: standard
//! output is the command's and nothing else, and the exit status says what happened.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use ci::deadline::Deadline;
use ci::emulator::LogSink;
use ci::guest::{handouts, End, Guest, Sink};
use ci::input::Input;
use ci::options::{parse, Options, Request, HELP};

const TIMED_OUT: u8 = 124;
const NO_RUN: u8 = 125;
const SERVICE_DOWN: u8 = 126;
/// What a shell reports for a program that died of writing to a closed pipe.
const CLOSED_PIPE: u8 = 128 + 13;

/// How long a guest may take to write back and switch off once its command has ended.
const POWER_OFF: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(Request::Help) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Request::Run(options)) => ExitCode::from(run(*options)),
        Err(words) => {
            eprintln!("mk/run: {words}");
            ExitCode::from(NO_RUN)
        }
    }
}

fn run(mut options: Options) -> u8 {
    let deadline = Deadline::after(options.timeout);
    match handouts(&options.command, &options.adds) {
        Ok(handouts) => options.machine.handouts = handouts,
        Err(error) => {
            eprintln!("mk/run: {error}");
            return NO_RUN;
        }
    }
    let log: LogSink = if options.verbose { Box::new(to_standard_error) } else { Box::new(|_| {}) };
    let mut guest = match Guest::boot(&options.machine, deadline, log) {
        Ok(guest) => guest,
        Err(ci::error::Error::TimedOut(_)) => {
            eprintln!("mk/run: timeout");
            return TIMED_OUT;
        }
        Err(error) => {
            eprintln!("mk/run: panic\nmk/run: {error}");
            return NO_RUN;
        }
    };
    let ended = guest.follow(Input::Stream(Box::new(io::stdin())), &mut Streams, deadline);
    if let Some(file) = &options.screenshot {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        if let Err(error) = guest.emulator().qmp().screendump(&file) {
            eprintln!("mk/run: no screenshot: {error}");
        }
    }
    let ended = ended.and_then(|status| power_off(&mut guest, options.verbose).map(|()| status));
    match ended {
        // Only the low byte fits, as for any process.
        Ok(status) => status.to_le_bytes()[0],
        Err(end) => report(&mut guest, end, options.verbose),
    }
}

/// Has the guest write back what the command wrote. A guest that only fails to switch off has
/// still run its command; one that panics meanwhile has not kept its promise.
fn power_off(guest: &mut Guest, verbose: bool) -> Result<(), End> {
    match guest.power_off(Deadline::after(POWER_OFF)) {
        Err(end @ End::Panic(_)) => Err(end),
        Err(end) => {
            if verbose {
                eprintln!("mk/run: switching off: {end}");
            }
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn report(guest: &mut Guest, end: End, verbose: bool) -> u8 {
    // With -v all of the log has been shown already.
    let tail = |guest: &mut Guest| {
        if !verbose {
            let log = guest.emulator().log().tail(40);
            eprintln!("{log}");
        }
    };
    match end {
        End::TimedOut => {
            if !guest.is_ready() {
                tail(guest);
            }
            eprintln!("mk/run: timeout");
            TIMED_OUT
        }
        End::Panic(_) => {
            tail(guest);
            eprintln!("mk/run: panic");
            NO_RUN
        }
        End::Gone(how) => {
            tail(guest);
            eprintln!("mk/run: panic\nmk/run: {how}");
            NO_RUN
        }
        End::Service(name) => {
            eprintln!("mk/run: service {name}");
            SERVICE_DOWN
        }
        End::PoweredOff => 0,
        End::OutputClosed(error) if error.kind() == io::ErrorKind::BrokenPipe => CLOSED_PIPE,
        End::OutputClosed(error) => {
            eprintln!("mk/run: writing the command's output: {error}");
            NO_RUN
        }
    }
}

fn to_standard_error(bytes: &[u8]) {
    // A log that nobody can read any more is no reason to end the command.
    let _ = io::stderr().write_all(bytes);
}

/// Our own standard streams.
struct Streams;

impl Sink for Streams {
    fn output(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut stream = io::stdout().lock();
        stream.write_all(bytes)?;
        stream.flush()
    }

    fn errors(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::stderr().write_all(bytes)
    }
}
