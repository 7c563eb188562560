//! The shell before a person: prompt, line editing, lines that go on.
//!
//! While a line is edited the console is raw; while a command runs it is back in line mode, so that what
//! reads standard input gets whole lines.

use crate::editor::{Editor, Event};
use crate::lexer::SyntaxError;
use crate::parser::parse;
use crate::shell::Shell;
use crate::system::Shared;
use alloc::format;
use alloc::string::String;
use scheme::Result;

/// The console's control command for its mode: argument 1 raw, 0 lines.
const MODE: u64 = 1;
/// The console's control command for its size.
const SIZE: u64 = 2;

const GREETING: &str = "LimitlessOS. Everything is behind a scheme: `ls scheme:` lists them.\n`help` lists commands.\n";

/// Whether a stream is a console.
pub fn is_console(stream: &Shared) -> bool {
    stream.control(SIZE, 0).is_ok()
}

/// The lines asked for so far.
struct Lines {
    editor: Editor,
}

/// How asking for a line ended.
enum Answer {
    Line(String),
    Interrupt,
    End,
}

impl Lines {
    fn ask(&mut self, shell: &Shell, prompt: &str) -> Result<Answer> {
        let [input, out, _] = shell.streams.clone();
        let _ = input.control(MODE, 1);
        let answer = self.edit(&input, &out, prompt);
        let _ = input.control(MODE, 0);
        answer
    }

    fn edit(&mut self, input: &Shared, out: &Shared, prompt: &str) -> Result<Answer> {
        let mut shown = self.editor.begin(prompt);
        loop {
            out.write_all(shown.as_bytes())?;
            shown.clear();
            // One at a time: what was typed behind the line's end is for whoever reads next, which may be a command.
            let mut byte = [0];
            if input.read(&mut byte)? == 0 {
                return Ok(Answer::End);
            }
            let [byte] = byte;
            let answer = match self.editor.byte(byte, &mut shown) {
                Event::Editing => continue,
                Event::Line(line) => Answer::Line(line),
                Event::Interrupt => Answer::Interrupt,
                Event::EndOfInput => Answer::End,
            };
            out.write_all(shown.as_bytes())?;
            return Ok(answer);
        }
    }
}

/// Talks until `exit` or the end of input; the status.
pub fn run(shell: &mut Shell) -> u8 {
    let mut lines = Lines { editor: Editor::new() };
    let [_, out, _] = shell.streams.clone();
    let _ = out.write_all(GREETING.as_bytes());
    // The prompt follows: whoever waits for a usable shell waits for this.
    if let Some(ready) = scheme::rt::start::handle(abi::start::names::READY) {
        let _ = scheme::rt::calls::notify(ready, scheme::server::ready_bits());
    }
    let mut text = String::new();
    loop {
        let prompt = if text.is_empty() { format!("limitless:{}$ ", shell.cwd) } else { "> ".into() };
        match lines.ask(shell, &prompt) {
            Ok(Answer::Line(line)) => {
                text.push_str(&line);
                text.push('\n');
                match parse(&text) {
                    // A quote is open, or the line ended in `&&`: it goes on.
                    Err(SyntaxError::Unfinished(_)) => continue,
                    Err(error) => {
                        shell.syntax_error(&error);
                    }
                    Ok(chains) => {
                        shell.run_chains(&chains);
                    }
                }
                text.clear();
            }
            Ok(Answer::Interrupt) => {
                text.clear();
                shell.status = 130;
            }
            Ok(Answer::End) => return shell.status,
            Err(error) => {
                shell.complain(format_args!("standard input: {error}"));
                return 1;
            }
        }
        if let Some(status) = shell.exit {
            return status;
        }
    }
}

/// Runs the text of standard input, line by line: what a command does not read is the next line. The status.
pub fn run_script(shell: &mut Shell) -> u8 {
    let [input, _, _] = shell.streams.clone();
    let mut text = alloc::vec::Vec::new();
    loop {
        let mut byte = [0];
        let end = match input.read(&mut byte) {
            Ok(0) => true,
            Ok(_) => {
                text.extend_from_slice(&byte);
                if byte != *b"\n" {
                    continue;
                }
                false
            }
            Err(error) => {
                shell.complain(format_args!("standard input: {error}"));
                return 1;
            }
        };
        let line = String::from_utf8_lossy(&text).into_owned();
        match parse(&line) {
            Err(SyntaxError::Unfinished(_)) if !end => continue,
            Err(error) => return shell.syntax_error(&error),
            Ok(chains) => {
                shell.run_chains(&chains);
            }
        }
        if let Some(status) = shell.exit {
            return status;
        }
        if end {
            return shell.status;
        }
        text.clear();
    }
}
