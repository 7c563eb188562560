//! A line editor: from key bytes to edited lines and what to show of them.
//!
//! Pure: bytes go in, text to print comes out. Understands UTF-8, the usual ANSI key sequences (arrows,
//! Home, End, Delete, Ctrl-arrows) and the Emacs keys of most shells, with a history.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Lines kept in the history.
const HISTORY: usize = 500;
/// The longest line.
const LINE: usize = 4096;

/// What a key did.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing that ends the line.
    Editing,
    /// Enter: the line is complete.
    Line(String),
    /// Ctrl-C: the line is dropped.
    Interrupt,
    /// Ctrl-D on an empty line.
    EndOfInput,
}

/// The state of a line and of the keys typed so far.
#[derive(Default)]
pub struct Editor {
    line: Vec<char>,
    cursor: usize,
    history: VecDeque<String>,
    /// Position in the history from its newest end; 0 is the line being typed.
    recall: usize,
    typed: Vec<char>,
    cut: Vec<char>,
    pending: Vec<u8>,
    prompt: String,
}

impl Editor {
    /// An editor with an empty history.
    pub fn new() -> Editor {
        Editor::default()
    }

    /// Starts a line: the text to print.
    pub fn begin(&mut self, prompt: &str) -> String {
        self.prompt = prompt.to_string();
        self.line.clear();
        self.cursor = 0;
        self.recall = 0;
        prompt.to_string()
    }

    /// Takes one byte; what to print is appended to `out`.
    pub fn byte(&mut self, byte: u8, out: &mut String) -> Event {
        self.pending.push(byte);
        if self.pending.first() == Some(&0x1b) {
            return self.escape(out);
        }
        if byte < 0x20 || byte == 0x7f {
            self.pending.clear();
            return self.control(byte, out);
        }
        match core::str::from_utf8(&self.pending) {
            Ok(text) => {
                if let Some(c) = text.chars().next() {
                    self.insert(c, out);
                }
                self.pending.clear();
            }
            // Not UTF-8 and more bytes won't help: dropped.
            Err(error) if error.error_len().is_some() || self.pending.len() > 3 => self.pending.clear(),
            Err(_) => {}
        }
        Event::Editing
    }

    fn escape(&mut self, out: &mut String) -> Event {
        let known = match self.pending.as_slice() {
            [_] | [_, b'[' | b'O'] => return Event::Editing,
            [_, b'[', rest @ ..] if rest.last().is_some_and(|b| b.is_ascii_digit() || *b == b';') => {
                // Too long to be a key: swallowed up to its last byte.
                self.pending.truncate(10);
                return Event::Editing;
            }
            [_, b'[', rest @ ..] | [_, b'O', rest @ ..] => match rest {
                b"A" => 0x10,
                b"B" => 0x0e,
                b"C" => 0x06,
                b"D" => 0x02,
                b"H" | b"1~" | b"7~" => 0x01,
                b"F" | b"4~" | b"8~" => 0x05,
                b"3~" => 0x80,
                b"1;5C" => 0x81,
                b"1;5D" => 0x82,
                _ => 0,
            },
            [_, b'f'] => 0x81,
            [_, b'b'] => 0x82,
            _ => 0,
        };
        self.pending.clear();
        match known {
            0 => {}
            0x80 => self.delete(out),
            0x81 => self.move_to(self.word_right(), out),
            0x82 => self.move_to(self.word_left(), out),
            key => return self.control(key, out),
        }
        Event::Editing
    }

    fn control(&mut self, key: u8, out: &mut String) -> Event {
        match key {
            b'\r' | b'\n' => {
                self.move_to(self.line.len(), out);
                out.push('\n');
                let line: String = self.line.iter().collect();
                if !line.trim().is_empty() && self.history.front() != Some(&line) {
                    self.history.push_front(line.clone());
                    self.history.truncate(HISTORY);
                }
                return Event::Line(line);
            }
            0x03 => {
                out.push_str("^C\n");
                return Event::Interrupt;
            }
            0x04 if self.line.is_empty() => {
                out.push('\n');
                return Event::EndOfInput;
            }
            0x04 => self.delete(out),
            0x01 => self.move_to(0, out),
            0x05 => self.move_to(self.line.len(), out),
            0x02 => self.move_to(self.cursor.saturating_sub(1), out),
            0x06 => self.move_to(self.cursor.saturating_add(1).min(self.line.len()), out),
            0x08 | 0x7f if self.cursor > 0 => {
                self.move_to(self.cursor.saturating_sub(1), out);
                self.delete(out);
            }
            0x0b => self.cut_range(self.cursor, self.line.len(), out),
            0x15 => self.cut_range(0, self.cursor, out),
            0x17 => self.cut_range(self.word_left(), self.cursor, out),
            0x19 => {
                for c in self.cut.clone() {
                    self.insert(c, out);
                }
            }
            0x0c => {
                out.push_str("\x1b[H\x1b[2J");
                self.redraw(out);
            }
            0x10 => self.recall(self.recall.saturating_add(1), out),
            0x0e => self.recall(self.recall.saturating_sub(1), out),
            _ => {}
        }
        Event::Editing
    }

    fn insert(&mut self, c: char, out: &mut String) {
        if self.line.len() >= LINE {
            out.push('\x07');
            return;
        }
        self.line.insert(self.cursor, c);
        self.cursor = self.cursor.saturating_add(1);
        out.push(c);
        self.tail(out);
    }

    /// Prints what stands right of the cursor and goes back to it.
    fn tail(&self, out: &mut String) {
        let rest = self.line.get(self.cursor..).unwrap_or(&[]);
        if !rest.is_empty() {
            out.extend(rest);
            left(rest.len(), out);
        }
    }

    fn delete(&mut self, out: &mut String) {
        if self.cursor < self.line.len() {
            self.line.remove(self.cursor);
            out.push_str("\x1b[K");
            self.tail(out);
        }
    }

    fn cut_range(&mut self, from: usize, to: usize, out: &mut String) {
        self.move_to(from, out);
        self.cut = self.line.drain(from..to).collect();
        out.push_str("\x1b[K");
        self.tail(out);
    }

    fn move_to(&mut self, to: usize, out: &mut String) {
        if to < self.cursor {
            left(self.cursor.saturating_sub(to), out);
        } else {
            out.extend(self.line.get(self.cursor..to).unwrap_or(&[]));
        }
        self.cursor = to;
    }

    fn word_left(&self) -> usize {
        let before = self.line.get(..self.cursor).unwrap_or(&[]);
        let blanks = before.iter().rev().take_while(|c| c.is_whitespace()).count();
        let word = before.iter().rev().skip(blanks).take_while(|c| !c.is_whitespace()).count();
        self.cursor.saturating_sub(blanks).saturating_sub(word)
    }

    fn word_right(&self) -> usize {
        let after = self.line.get(self.cursor..).unwrap_or(&[]);
        let blanks = after.iter().take_while(|c| c.is_whitespace()).count();
        let word = after.iter().skip(blanks).take_while(|c| !c.is_whitespace()).count();
        self.cursor.saturating_add(blanks).saturating_add(word)
    }

    fn recall(&mut self, to: usize, out: &mut String) {
        if to > self.history.len() || to == self.recall {
            return;
        }
        if self.recall == 0 {
            self.typed = self.line.clone();
        }
        self.recall = to;
        self.line = match to.checked_sub(1).and_then(|i| self.history.get(i)) {
            Some(line) => line.chars().collect(),
            None => core::mem::take(&mut self.typed),
        };
        self.cursor = self.line.len();
        self.redraw(out);
    }

    fn redraw(&self, out: &mut String) {
        out.push_str("\r\x1b[K");
        out.push_str(&self.prompt);
        out.extend(&self.line);
        left(self.line.len().saturating_sub(self.cursor), out);
    }
}

fn left(columns: usize, out: &mut String) {
    if columns > 0 {
        out.push_str("\x1b[");
        out.push_str(&columns.to_string());
        out.push('D');
    }
}

#[cfg(test)]
mod tests {
    use super::{Editor, Event};

    fn line(editor: &mut Editor, keys: &[u8]) -> (Event, String) {
        let mut out = editor.begin("$ ");
        let mut last = Event::Editing;
        for &key in keys {
            last = editor.byte(key, &mut out);
        }
        (last, out)
    }

    fn text(keys: &[u8]) -> String {
        match line(&mut Editor::new(), keys).0 {
            Event::Line(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys_edit_where_the_cursor_is() {
        assert_eq!(text(b"ac\x1b[Db\r"), "abc");
        assert_eq!(text(b"abc\x7f\x7fx\r"), "ax");
        assert_eq!(text(b"one two\x17three\r"), "one three");
        assert_eq!(text(b"abc\x01\x1b[3~\x05d\r"), "bcd");
        assert_eq!(text(b"abc\x15x\x19\r"), "xabc");
        assert_eq!(text("gr\u{fc}n\x7f\x7fo\r".as_bytes()), "gro");
        assert_eq!(text(b"a b\x1b[1;5D\x1b[1;5DX\r"), "Xa b");
    }

    #[test]
    fn history_recalls_and_comes_back_to_what_was_typed() {
        let mut editor = Editor::new();
        line(&mut editor, b"first\r");
        line(&mut editor, b"second\r");
        assert_eq!(line(&mut editor, b"\x1b[A\x1b[A\r").0, Event::Line("first".into()));
        assert_eq!(line(&mut editor, b"new\x1b[A\x1b[B!\r").0, Event::Line("new!".into()));
    }

    #[test]
    fn control_keys_end_lines() {
        assert_eq!(line(&mut Editor::new(), b"abc\x03").0, Event::Interrupt);
        assert_eq!(line(&mut Editor::new(), b"\x04").0, Event::EndOfInput);
        assert_eq!(line(&mut Editor::new(), b"a\x04").0, Event::Editing);
    }

    #[test]
    fn garbage_is_dropped_and_does_not_stick() {
        assert_eq!(text(b"\xff\xfea\x1b[99;99;99;99;99xb\r"), "ab");
    }

    #[test]
    fn what_is_printed_shows_the_line() {
        let (_, out) = line(&mut Editor::new(), b"ac\x1b[Db");
        assert_eq!(out, "$ ac\x1b[1Dbc\x1b[1D");
    }
}
