//! The interpreter: runs a parsed text with its variables, redirections and
//! statuses (POSIX XCU 2.9).
//!
//! Commands of the table run inside this process with the redirected streams; everything else is a program
//! ([`program`](crate::program)). The world is a [`System`], so that all of this runs on the host too.

use crate::builtin;
use crate::commands;
use crate::context::Context;
use crate::expand::{self, Environment};
use crate::lexer::{Piece, Redirect, SyntaxError, Word};
use crate::parser::{parse, Chain, Command, Join, Redirection};
use crate::paths;
use crate::program;
use crate::quote;
use crate::system::{reason, Null, Shared, Streams, System};
use crate::view;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use scheme::wire::OpenFlags;
use scheme::{Error, Result};

/// The status of a text that can't be understood.
pub const SYNTAX: u8 = 2;

/// A variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variable {
    /// Its value.
    pub value: String,
    /// Whether programs get it.
    pub exported: bool,
}

/// A shell.
pub struct Shell {
    /// The world.
    pub system: Box<dyn System>,
    /// Standard input, output and error.
    pub streams: Streams,
    /// Variables.
    pub variables: BTreeMap<String, Variable>,
    /// `$0`.
    pub name: String,
    /// `$1` and so on.
    pub positional: Vec<String>,
    /// The working directory, absolute.
    pub cwd: String,
    /// `$?`.
    pub status: u8,
    /// `$!`.
    pub last_background: Option<u64>,
    /// Processes in the background that nobody has waited for.
    pub background: Vec<u64>,
    /// Set by `exit`: the shell ends with this status.
    pub exit: Option<u8>,
    /// Called before (`true`) and after (`false`) a command runs: an interactive shell's console modes.
    pub around: Option<fn(&Shell, bool)>,
}

/// Whether `name` can be a variable's.
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Name and value's word if a word is an assignment.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some(Piece::Text { text, quoted: false }) = word.first() else { return None };
    let (name, value) = text.split_once('=').filter(|(name, _)| is_name(name))?;
    let mut rest = word.clone();
    match rest.first_mut() {
        Some(Piece::Text { text, .. }) => *text = value.to_string(),
        _ => return None,
    }
    Some((name.to_string(), rest))
}

impl Environment for Shell {
    fn parameter(&self, name: &str) -> Option<String> {
        match name {
            "?" => Some(self.status.to_string()),
            "#" => Some(self.positional.len().to_string()),
            "$" => self.variables.get("$").map(|v| v.value.clone()),
            "!" => self.last_background.map(|id| id.to_string()),
            "0" => Some(self.name.clone()),
            "PWD" => Some(self.cwd.clone()),
            _ => match name.parse::<usize>() {
                Ok(number) => self.positional.get(number.checked_sub(1)?).cloned(),
                Err(_) => self.variables.get(name).map(|v| v.value.clone()),
            },
        }
    }

    fn positional(&self) -> Vec<String> {
        self.positional.clone()
    }

    fn names(&mut self, directory: &str) -> Vec<String> {
        let entries = paths::absolute(&self.cwd, directory).and_then(|path| view::list(self.system.as_mut(), &path));
        entries.unwrap_or_default().into_iter().map(|entry| entry.name).collect()
    }
}

impl Shell {
    /// A shell in `/` whose variables are those of the environment (`NAME=value`), all exported.
    pub fn new(mut system: Box<dyn System>, streams: Streams, environment: &[String]) -> Shell {
        let mut variables = BTreeMap::new();
        for (name, value) in
            environment.iter().filter_map(|entry| entry.split_once('=')).filter(|(name, _)| is_name(name))
        {
            variables.insert(name.to_string(), Variable { value: value.into(), exported: true });
        }
        let id = Variable { value: system.own_id().to_string(), exported: false };
        variables.insert("$".into(), id);
        let cwd = variables.remove("PWD").map(|v| v.value).unwrap_or_default();
        let cwd = paths::absolute("/", &cwd).unwrap_or_else(|_| "/".into());
        variables.entry("PATH".into()).or_insert(Variable { value: "initfs:bin".into(), exported: true });
        Shell {
            system,
            streams,
            variables,
            name: "sh".into(),
            positional: Vec::new(),
            cwd,
            status: 0,
            last_background: None,
            background: Vec::new(),
            exit: None,
            around: None,
        }
    }

    /// Complains on the shell's own standard error.
    pub fn complain(&self, what: core::fmt::Arguments<'_>) {
        self.complain_to(&self.streams, what);
    }

    /// Complains on a command's standard error.
    pub fn complain_to(&self, streams: &Streams, what: core::fmt::Arguments<'_>) {
        let [_, _, err] = streams;
        // Where even that fails there is nowhere left to say so.
        let _ = err.write_all(format!("{}: {what}\n", self.name).as_bytes());
    }

    /// Runs a whole text; its status.
    pub fn run(&mut self, text: &str) -> u8 {
        match parse(text) {
            Ok(chains) => self.run_chains(&chains),
            Err(error) => self.syntax_error(&error),
        }
    }

    /// Complains about a text.
    pub fn syntax_error(&mut self, error: &SyntaxError) -> u8 {
        self.complain(format_args!("{error}"));
        self.status = SYNTAX;
        SYNTAX
    }

    /// Runs what was parsed; the last status.
    pub fn run_chains(&mut self, chains: &[Chain]) -> u8 {
        for chain in chains {
            if chain.background {
                self.status = self.run_behind(chain);
            } else {
                self.run_chain(chain);
            }
            if let Some(status) = self.exit {
                return status;
            }
        }
        self.status
    }

    fn run_chain(&mut self, chain: &Chain) {
        for (join, command) in &chain.commands {
            let wanted = match join {
                Join::First => true,
                Join::And => self.status == 0,
                Join::Or => self.status != 0,
            };
            if wanted {
                self.status = self.command(command);
            }
            if self.exit.is_some() {
                return;
            }
        }
    }

    /// Variables set before a command, and its arguments.
    fn words(&mut self, command: &Command) -> (Vec<(String, String)>, Vec<String>) {
        let mut assignments = Vec::new();
        let mut words = command.words.as_slice();
        while let Some((first, rest)) = words.split_first() {
            let Some((name, value)) = assignment(first) else { break };
            let value = expand::single(&value, self);
            assignments.push((name, value));
            words = rest;
        }
        let arguments = expand::arguments(words, self);
        (assignments, arguments)
    }

    fn command(&mut self, command: &Command) -> u8 {
        let (assignments, arguments) = self.words(command);
        let mut streams = self.streams.clone();
        for redirection in &command.redirections {
            if let Err(message) = self.redirect(redirection, &mut streams) {
                self.complain(format_args!("{message}"));
                return 1;
            }
        }
        if arguments.is_empty() {
            for (name, value) in assignments {
                self.set(&name, value);
            }
            return 0;
        }
        let kept: Vec<(String, Option<Variable>)> =
            assignments.iter().map(|(name, _)| (name.clone(), self.variables.get(name).cloned())).collect();
        for (name, value) in assignments {
            self.variables.insert(name, Variable { value, exported: true });
        }
        if let Some(around) = self.around {
            around(self, true);
        }
        let status = self.run_words(&arguments, &streams);
        if let Some(around) = self.around {
            around(self, false);
        }
        for (name, old) in kept {
            match old {
                Some(old) => self.variables.insert(name, old),
                None => self.variables.remove(&name),
            };
        }
        status
    }

    /// Runs a command by its words.
    pub fn run_words(&mut self, words: &[String], streams: &Streams) -> u8 {
        let Some((name, arguments)) = words.split_first() else { return 0 };
        if let Some(run) = builtin::find(name) {
            return run(self, arguments, streams);
        }
        if let Some(command) = commands::find(name) {
            let context = Context::new(self.system.as_mut(), &self.cwd, name, streams);
            return commands::run(command, context, arguments);
        }
        match program::start(self, words, streams) {
            Ok(process) => program::finish(self, name, process, streams),
            Err(status) => status,
        }
    }

    /// Gives a variable a value; exported ones stay so.
    pub fn set(&mut self, name: &str, value: String) {
        self.variables.entry(name.to_string()).or_default().value = value;
    }

    fn redirect(&mut self, redirection: &Redirection, streams: &mut Streams) -> core::result::Result<(), String> {
        let target = expand::single(&redirection.target, self);
        let stream = match redirection.how {
            Redirect::Duplicate => {
                let from = target.parse::<usize>().ok().and_then(|from| streams.get(from)).cloned();
                from.ok_or_else(|| format!("{target}: Bad file descriptor"))?
            }
            how => self.open(how, &target).map_err(|error| format!("{target}: {}", reason(error)))?,
        };
        let descriptor = redirection.descriptor;
        let slot =
            streams.get_mut(usize::from(descriptor)).ok_or_else(|| format!("{descriptor}: Bad file descriptor"))?;
        *slot = stream;
        Ok(())
    }

    fn open(&mut self, how: Redirect, target: &str) -> Result<Shared> {
        let path = paths::absolute(&self.cwd, target)?;
        // The one name of /dev that every script knows.
        if path == "/dev/null" {
            return Ok(Rc::new(Null));
        }
        let flags = match how {
            Redirect::Write => OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE,
            Redirect::Append => OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::APPEND,
            Redirect::Read | Redirect::Duplicate => OpenFlags::READ,
        };
        if view::is_directory(self.system.as_mut(), &path) {
            return Err(Error::IsDirectory);
        }
        self.system.open(&path, flags)
    }

    /// Runs a chain behind the shell's back: a lone program directly, all else in a child shell.
    fn run_behind(&mut self, chain: &Chain) -> u8 {
        let [_, out, err] = self.streams.clone();
        let mut streams: Streams = [Rc::new(Null), out, err];
        let mut words = Vec::new();
        if let [(_, command)] = chain.commands.as_slice() {
            let (assignments, arguments) = self.words(command);
            let inside = |name: &String| builtin::find(name).is_some() || commands::find(name).is_some();
            if assignments.is_empty() && arguments.first().is_some_and(|name| !inside(name)) {
                for redirection in &command.redirections {
                    if let Err(message) = self.redirect(redirection, &mut streams) {
                        self.complain(format_args!("{message}"));
                        return 1;
                    }
                }
                words = arguments;
            }
        }
        if words.is_empty() {
            words = self.child(chain);
        }
        match program::start(self, &words, &streams) {
            Ok(process) => {
                self.last_background = Some(process);
                self.background.push(process);
                0
            }
            Err(status) => status,
        }
    }

    /// The command line of a shell that knows what this one knows and runs the chain.
    fn child(&self, chain: &Chain) -> Vec<String> {
        let mut text = String::new();
        for (name, variable) in self.variables.iter().filter(|(name, v)| !v.exported && is_name(name)) {
            text.push_str(&format!("{name}={};", quote::quoted(&variable.value)));
        }
        text.push_str(&quote::chain(chain));
        let mut words: Vec<String> = ["initfs:bin/sh", "-c", &text, &self.name].map(String::from).into();
        words.extend(self.positional.iter().cloned());
        words
    }

    /// The environment of a program.
    pub fn environment(&self) -> Vec<String> {
        let exported = self.variables.iter().filter(|(_, v)| v.exported);
        let mut all: Vec<String> = exported.map(|(name, v)| [name, "=", &v.value].concat()).collect();
        all.push(["PWD=", &self.cwd].concat());
        all
    }
}
