//! What a command is run with: streams, working directory, options, and its
//! way to complain.

use crate::paths;
use crate::system::{reason, Shared, Streams, System};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use scheme::{Error, Result};

/// Bytes kept before they are written.
const BUFFER: usize = 16 * 1024;
/// Bytes moved at once: whole pages, so that servers map them instead of copying.
pub const CHUNK: usize = 256 * 1024;

/// A stream written through a buffer. The first failure is kept, and what follows it is dropped.
pub struct Output {
    stream: Shared,
    buffer: Vec<u8>,
    failed: Option<Error>,
}

impl Output {
    /// Over a stream.
    pub fn new(stream: Shared) -> Output {
        Output { stream, buffer: Vec::new(), failed: None }
    }

    /// Writes bytes.
    pub fn bytes(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
        if self.buffer.len() >= BUFFER {
            self.flush();
        }
    }

    /// Writes what is kept; whether all was taken so far.
    pub fn flush(&mut self) -> bool {
        if self.failed.is_none() && !self.buffer.is_empty() {
            self.failed = self.stream.write_all(&self.buffer).err();
        }
        self.buffer.clear();
        self.failed.is_none()
    }

    /// The stream; what is kept is written before.
    pub fn stream(&mut self) -> Shared {
        self.flush();
        self.stream.clone()
    }

    /// Why writing failed.
    pub fn failure(&self) -> Option<Error> {
        self.failed
    }

    /// Notes that a write on the stream itself failed.
    pub fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }
}

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

/// A buffer of [`CHUNK`] bytes that begins at a page.
pub struct Chunk {
    bytes: Vec<u8>,
    start: usize,
}

impl Chunk {
    /// A buffer of zeroes.
    pub fn new() -> Chunk {
        const PAGE: usize = 4096;
        let bytes = alloc::vec![0; CHUNK + PAGE];
        let start = (bytes.as_ptr() as usize).wrapping_neg() % PAGE;
        Chunk { bytes, start }
    }

    /// All of it.
    pub fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.start + CHUNK).unwrap_or(&mut [])
    }

    /// The first bytes of it.
    pub fn first(&self, length: usize) -> &[u8] {
        self.bytes.get(self.start..self.start + length.min(CHUNK)).unwrap_or(&[])
    }
}

impl Default for Chunk {
    fn default() -> Chunk {
        Chunk::new()
    }
}

/// Options and operands of a command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options<'a> {
    flags: Vec<(char, Option<&'a str>)>,
    /// What is no option.
    pub operands: Vec<&'a str>,
}

impl<'a> Options<'a> {
    /// All arguments as operands, for a command that reads them itself.
    pub fn raw(arguments: &'a [String]) -> Options<'a> {
        Options { flags: Vec::new(), operands: arguments.iter().map(String::as_str).collect() }
    }

    /// Takes arguments apart (POSIX XBD 12.2). `known` holds the letters, each with a `:` behind it if it takes a value.
    /// Errors: what to tell the user.
    pub fn parse(arguments: &'a [String], known: &str) -> core::result::Result<Options<'a>, String> {
        let mut options = Options::default();
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(argument) = rest.next() {
            if argument == "--" {
                options.operands.extend(rest);
                break;
            }
            let Some(letters) = argument.strip_prefix('-').filter(|l| !l.is_empty()) else {
                options.operands.push(argument);
                continue;
            };
            if letters.starts_with('-') {
                return Err(format!("unrecognized option '{argument}'"));
            }
            for (i, letter) in letters.char_indices() {
                let place = known.find(letter).filter(|_| letter != ':');
                let Some(place) = place else { return Err(format!("invalid option -- '{letter}'")) };
                let takes =
                    known.get(place..).is_some_and(|k| k.get(letter.len_utf8()..).is_some_and(|k| k.starts_with(':')));
                if !takes {
                    options.flags.push((letter, None));
                    continue;
                }
                let inline = letters.get(i + letter.len_utf8()..).filter(|v| !v.is_empty());
                let value = inline.or_else(|| rest.next());
                let value = value.ok_or_else(|| format!("option requires an argument -- '{letter}'"))?;
                options.flags.push((letter, Some(value)));
                break;
            }
        }
        Ok(options)
    }

    /// Whether an option was given.
    pub fn has(&self, letter: char) -> bool {
        self.flags.iter().any(|(l, _)| *l == letter)
    }

    /// An option's last value.
    pub fn value(&self, letter: char) -> Option<&'a str> {
        self.flags.iter().rev().find(|(l, _)| *l == letter).and_then(|(_, value)| *value)
    }
}

/// What a command works with.
pub struct Context<'a> {
    /// The world.
    pub system: &'a mut dyn System,
    /// The working directory.
    pub cwd: &'a str,
    /// The command's name, for messages.
    pub name: &'a str,
    /// Standard input.
    pub input: Shared,
    /// Standard output.
    pub out: Output,
    /// Standard error.
    pub err: Output,
    /// The exit status so far.
    pub status: u8,
}

impl<'a> Context<'a> {
    /// A context with status 0.
    pub fn new(system: &'a mut dyn System, cwd: &'a str, name: &'a str, streams: &Streams) -> Context<'a> {
        let [input, out, err] = streams.clone();
        Context { system, cwd, name, input, out: Output::new(out), err: Output::new(err), status: 0 }
    }

    /// A word of the command line as an absolute path. Errors: as [`paths::absolute`].
    pub fn path(&self, word: &str) -> Result<String> {
        paths::absolute(self.cwd, word)
    }

    /// Complains; the status is 1 from now on.
    pub fn complain(&mut self, what: fmt::Arguments<'_>) {
        // Both may lead to the same place: what came first is to be read first.
        self.out.flush();
        let _ = writeln!(self.err, "{}: {what}", self.name);
        self.err.flush();
        self.status = self.status.max(1);
    }

    /// `name: path: reason`.
    pub fn fail(&mut self, path: &str, error: Error) {
        self.complain(format_args!("{path}: {}", reason(error)));
    }

    /// The value, or a complaint about `path`.
    pub fn check<T>(&mut self, path: &str, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.fail(path, error)).ok()
    }

    /// Writes everything; the final status.
    pub fn finish(mut self) -> u8 {
        self.out.flush();
        if let Some(error) = self.out.failure() {
            self.complain(format_args!("write error: {}", reason(error)));
        }
        self.err.flush();
        self.status
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn options_are_told_from_operands() {
        let args = ["-la", "x", "-n5", "-n", "7", "-", "--", "-z"].map(String::from);
        let options = Options::parse(&args, "lan:").unwrap();
        assert!(options.has('l') && options.has('a') && !options.has('z'));
        assert_eq!((options.value('n'), options.operands.as_slice()), (Some("7"), &["x", "-", "-z"][..]));
        for (bad, word) in [("-q", "invalid option"), ("--long", "unrecognized"), ("-n", "requires"), ("-:", "invalid")]
        {
            assert!(Options::parse(&[bad.into()], "lan:").unwrap_err().contains(word), "{bad}");
        }
    }
}
