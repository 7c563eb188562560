//! The emulator's controls: QMP, JSON lines over a socket.
//!
//! The protocol is QEMU's `docs/interop/qmp-spec`. One client, one command at a time. Events that come between answers are kept: among them is
//! why the machine stopped.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{json, Value};

use crate::deadline::Deadline;
use crate::error::{Error, Result};

/// How long QEMU may take over one command: it answers in milliseconds, unless the host is busy.
const COMMAND: Duration = Duration::from_secs(30);

/// A connection to the controls of one machine.
pub struct Qmp {
    stream: UnixStream,
    pending: Vec<u8>,
    events: Vec<Value>,
}

/// A key on the keyboard, up or down, or the pointer: one event of `input-send-event`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key by QEMU's name for it (`a`, `ret`, `shift`).
    Key(String, bool),
    /// A pointer button (`left`, `right`, `middle`).
    Button(String, bool),
    /// Where an absolute pointer goes, 0 to 32767 on each axis.
    To(u16, u16),
}

impl Qmp {
    /// Takes the greeting on a fresh connection and ends the negotiation.
    ///
    /// # Errors
    /// When the peer is no QMP server or says nothing by the deadline.
    pub fn connect(stream: UnixStream, deadline: Deadline) -> Result<Self> {
        let mut qmp = Self { stream, pending: Vec::new(), events: Vec::new() };
        let greeting = qmp.read_line(deadline)?;
        if greeting.get("QMP").is_none() {
            return Err(Error::Protocol(format!("not a QMP greeting: {greeting}")));
        }
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Runs a command; what it returns.
    ///
    /// # Errors
    /// With QEMU's own words when it refuses; when the connection ends or no answer comes.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let mut line = json!({"execute": command, "arguments": arguments}).to_string();
        line.push('\n');
        self.stream.write_all(line.as_bytes()).map_err(Error::host(format!("sending {command}")))?;
        let deadline = Deadline::after(COMMAND);
        loop {
            let answer = self.read_line(deadline)?;
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = answer.get("error") {
                let words = error.get("desc").and_then(Value::as_str).unwrap_or("refused");
                return Err(Error::Emulator(format!("{command}: {words}")));
            }
            self.keep(answer)?;
        }
    }

    /// The machine's state in QEMU's words: `running`, `paused`, `shutdown`, …
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub fn status(&mut self) -> Result<String> {
        let answer = self.execute("query-status", json!({}))?;
        Ok(answer.get("status").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Writes what the screen shows to `file`, as PNG.
    ///
    /// # Errors
    /// As [`Self::execute`]; also when there is no screen.
    pub fn screendump(&mut self, file: &Path) -> Result<()> {
        let arguments = json!({"filename": file.display().to_string(), "format": "png"});
        self.execute("screendump", arguments).map(drop)
    }

    /// Sends input events, all at one time.
    ///
    /// # Errors
    /// As [`Self::execute`]; also when a key's name is not known.
    pub fn input(&mut self, events: &[Input]) -> Result<()> {
        let events: Vec<_> = events.iter().flat_map(Input::to_json).collect();
        self.execute("input-send-event", json!({"events": events})).map(drop)
    }

    /// Types ASCII text on the keyboard, US layout, one key at a time.
    ///
    /// # Errors
    /// As [`Self::execute`]; also for a character that has no key.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        for character in text.chars() {
            let (name, shift) =
                key_of(character).ok_or_else(|| Error::Protocol(format!("no key types {character:?}")))?;
            let press = |name: &str, down| Input::Key(name.to_owned(), down);
            if shift {
                self.input(&[press("shift", true)])?;
            }
            self.input(&[press(name, true)])?;
            self.input(&[press(name, false)])?;
            if shift {
                self.input(&[press("shift", false)])?;
            }
        }
        Ok(())
    }

    /// Asks QEMU to end. No answer is waited for: the connection may close before it.
    pub fn quit(&mut self) {
        // When this fails QEMU has ended already.
        let _ = self.stream.write_all(b"{\"execute\":\"quit\"}\n");
    }

    /// Why the machine stopped, in QEMU's words (`guest-shutdown`, `guest-reset`, `host-qmp-quit`),
    /// if it has; to be asked when QEMU has ended or is about to.
    pub fn shutdown_reason(&mut self) -> Option<String> {
        // What is left on the socket after QEMU's end can be read without waiting.
        while let Ok(line) = self.read_line(Deadline::after(Duration::from_millis(500))) {
            if self.keep(line).is_err() {
                break;
            }
        }
        self.events.iter().rev().find_map(|event| {
            (event.get("event")?.as_str()? == "SHUTDOWN")
                .then(|| event.pointer("/data/reason")?.as_str().map(str::to_owned))?
        })
    }

    fn keep(&mut self, line: Value) -> Result<()> {
        if line.get("event").is_none() {
            return Err(Error::Protocol(format!("neither answer nor event: {line}")));
        }
        self.events.push(line);
        Ok(())
    }

    fn read_line(&mut self, deadline: Deadline) -> Result<Value> {
        loop {
            if let Some(end) = self.pending.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                return serde_json::from_slice(&line)
                    .map_err(|error| Error::Protocol(format!("QMP sent no JSON: {error}")));
            }
            if deadline.passed() {
                return Err(Error::TimedOut("an answer over QMP".into()));
            }
            // Zero would mean "no limit".
            let limit = deadline.left().max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(limit)).map_err(Error::host("the QMP socket"))?;
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Error::Emulator("QMP ended".into())),
                Ok(count) => self.pending.extend_from_slice(&chunk[..count]),
                Err(error)
                    if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(Error::host("reading QMP")(error)),
            }
        }
    }
}

impl Input {
    fn to_json(&self) -> Vec<Value> {
        match self {
            Self::Key(name, down) => {
                vec![json!({"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": name}}})]
            }
            Self::Button(name, down) => {
                vec![json!({"type": "btn", "data": {"down": down, "button": name}})]
            }
            Self::To(x, y) => [("x", x), ("y", y)]
                .map(|(axis, value)| json!({"type": "abs", "data": {"axis": axis, "value": value}}))
                .to_vec(),
        }
    }
}

/// The key that types a character on a US keyboard, and whether shift is held.
fn key_of(character: char) -> Option<(&'static str, bool)> {
    const LETTERS: [&str; 26] = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v",
        "w", "x", "y", "z",
    ];
    const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    const SHIFTED_DIGITS: &str = ")!@#$%^&*(";
    const OTHERS: [(&str, char, char); 11] = [
        ("minus", '-', '_'),
        ("equal", '=', '+'),
        ("bracket_left", '[', '{'),
        ("bracket_right", ']', '}'),
        ("semicolon", ';', ':'),
        ("apostrophe", '\'', '"'),
        ("grave_accent", '`', '~'),
        ("backslash", '\\', '|'),
        ("comma", ',', '<'),
        ("dot", '.', '>'),
        ("slash", '/', '?'),
    ];
    match character {
        'a'..='z' => Some((LETTERS.get(usize::from(character as u8 - b'a'))?, false)),
        'A'..='Z' => Some((LETTERS.get(usize::from(character as u8 - b'A'))?, true)),
        '0'..='9' => Some((DIGITS.get(usize::from(character as u8 - b'0'))?, false)),
        ' ' => Some(("spc", false)),
        '\n' | '\r' => Some(("ret", false)),
        '\t' => Some(("tab", false)),
        '\u{8}' => Some(("backspace", false)),
        _ => SHIFTED_DIGITS.find(character).map(|at| (DIGITS[at], true)).or_else(|| {
            OTHERS.iter().find_map(|&(name, plain, shifted)| match character {
                c if c == plain => Some((name, false)),
                c if c == shifted => Some((name, true)),
                _ => None,
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    /// A server that says `lines` in turn, one after each command it gets.
    fn server(lines: &'static [&'static str]) -> UnixStream {
        let (here, mut there) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            let mut commands = BufReader::new(there.try_clone().unwrap()).lines();
            writeln!(there, r#"{{"QMP": {{}}}}"#).unwrap();
            commands.next();
            writeln!(there, r#"{{"return": {{}}}}"#).unwrap();
            for line in lines {
                commands.next();
                writeln!(there, "{line}").unwrap();
            }
        });
        here
    }

    #[test]
    fn events_before_an_answer_are_kept_and_the_answer_is_found() {
        let lines =
            &["{\"event\":\"SHUTDOWN\",\"data\":{\"reason\":\"guest-reset\"}}\n{\"return\":{\"status\":\"running\"}}"];
        let mut qmp = Qmp::connect(server(lines), Deadline::seconds(20)).unwrap();
        assert_eq!(qmp.status().unwrap(), "running");
        assert_eq!(qmp.shutdown_reason().as_deref(), Some("guest-reset"));
    }

    #[test]
    fn a_refusal_carries_the_servers_words() {
        let lines = &[r#"{"error":{"class":"GenericError","desc":"no such device"}}"#];
        let mut qmp = Qmp::connect(server(lines), Deadline::seconds(20)).unwrap();
        let error = qmp.screendump(Path::new("x.png")).unwrap_err().to_string();
        assert!(error.contains("no such device"), "{error}");
    }

    #[test]
    fn every_printable_character_has_its_key() {
        for byte in b' '..=b'~' {
            assert!(key_of(byte as char).is_some(), "{}", byte as char);
        }
        assert_eq!(key_of('$'), Some(("4", true)));
        assert_eq!(key_of('é'), None);
    }

    #[test]
    fn a_server_that_is_none_is_refused() {
        let (here, mut there) = UnixStream::pair().unwrap();
        there.write_all(b"hello\n").unwrap();
        assert!(matches!(Qmp::connect(here, Deadline::seconds(20)), Err(Error::Protocol(_))));
    }
}
