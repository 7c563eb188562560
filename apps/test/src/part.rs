//! Parts: this program again, as another process with the capabilities it is
//! given and nothing else.

use crate::tap::{fail, works, Check};
use crate::{
    chaos, debug, die, event, fill, futex, leases, mapped, names, objects, process, restart, revoke, ring, security,
    smp, upcall,
};
use abi::{Handle, Rights};
use alloc::format;
use alloc::vec::Vec;
use scheme::client::File;
use scheme::process::{Account, Command, Names, Process, Status};
use scheme::rt::start;
use scheme::time;

/// The program's file.
const PROGRAM: &str = "initfs:bin/app-test";
const LARGEST: usize = 16 << 20;
/// How long anything may take before it counts as hanging.
pub const PATIENCE_NS: u64 = 60 * time::SECOND;

/// A deadline for whatever is waited for.
pub fn deadline() -> u64 {
    time::after_ns(PATIENCE_NS)
}

/// A part in the making.
pub struct Part {
    command: Command,
}

impl Part {
    /// The part `name` with these words.
    pub fn new(name: &str, words: &[&str]) -> Part {
        let mut command = Command::new("app-test");
        command.argument("part").argument(name);
        for word in words {
            command.argument(word);
        }
        if let Some(log) = start::handle(abi::start::names::LOG) {
            command.grant(abi::start::names::LOG, log, Rights::WRITE);
        }
        Part { command }
    }

    /// Gives it a capability.
    pub fn with(mut self, name: &str, handle: Handle, rights: Rights) -> Part {
        self.command.grant(name, handle, rights);
        self
    }

    /// Gives it our namespace.
    pub fn with_names(mut self) -> Part {
        self.command.names(Names::Given(Handle::SELF_NAMESPACE));
        self
    }

    /// Gives it these names.
    pub fn with_namespace(mut self, names: Handle) -> Part {
        self.command.names(Names::Given(names));
        self
    }

    /// Gives it another subject label.
    pub fn labelled(mut self, label: u32) -> Part {
        self.command.label(label);
        self
    }

    /// Charges it to an account of its own.
    pub fn of_pages(mut self, pages: u64) -> Part {
        self.command.account(Account::Split { parent: Handle::SELF_QUOTA, pages });
        self
    }

    /// Starts it.
    pub fn start(self) -> Check<Process> {
        let file = works("reading the test program", File::read_all_of(PROGRAM, LARGEST))?;
        works("starting a part", self.command.spawn(&file))
    }

    /// Starts it and waits for its end.
    pub fn run(self) -> Check<Status> {
        let process = self.start()?;
        end_of(&process)
    }
}

/// Waits for a part's end; one that hangs is killed.
pub fn end_of(process: &Process) -> Check<Status> {
    let end = process.wait(deadline());
    if end.is_err() {
        let _ = process.kill(0);
    }
    works("waiting for a part", end)
}

/// What a part that is content says at its end.
pub fn content(status: Status) -> Check {
    match status {
        Status::Exited(0) => Ok(()),
        Status::Exited(101) => fail("a part panicked: see the log"),
        other => fail(format!("a part ended with {other:?}")),
    }
}

/// A part's handle by name; without it there is nothing to play.
pub fn given(name: &str) -> Handle {
    start::handle(name).unwrap_or(Handle::NONE)
}

/// A part's name, and what it does with its words.
pub type Role = (&'static str, fn(&[&str]) -> u64);

/// Plays a part; the exit status.
pub fn play(name: &str, words: &[&str]) -> u64 {
    let parts: [&[Role]; 17] = [
        die::PARTS,
        names::PARTS,
        process::PARTS,
        fill::PARTS,
        leases::PARTS,
        mapped::PARTS,
        revoke::PARTS,
        security::PARTS,
        upcall::PARTS,
        debug::PARTS,
        event::PARTS,
        ring::PARTS,
        futex::PARTS,
        chaos::PARTS,
        objects::PARTS,
        restart::PARTS,
        smp::PARTS,
    ];
    let all: Vec<&Role> = parts.into_iter().flatten().collect();
    match all.into_iter().find(|(known, _)| *known == name) {
        Some((_, play)) => play(words),
        None => 90,
    }
}

/// What a part does, as an exit status: what went wrong goes to the log.
pub fn status(check: Check) -> u64 {
    match check {
        Ok(()) => 0,
        Err(not) => {
            log::error!("{not:?}");
            1
        }
    }
}
