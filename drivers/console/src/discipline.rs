//! What becomes of input before a program reads it.
//!
//! *Raw*: bytes are read as they come. *Line*: they are gathered and echoed until Enter, can be erased,
//! and Ctrl-D ends the input (POSIX XBD 11.1.6, canonical mode). Bounded: what does not fit is
//! dropped with a bell.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// The most bytes that wait to be read, and the longest line.
const LIMIT: usize = 4096;

/// How input is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Line by line, with echo.
    Line,
    /// Byte by byte, without.
    Raw,
}

/// The input side of a terminal.
pub struct Discipline {
    mode: Mode,
    line: Vec<u8>,
    ready: VecDeque<u8>,
    /// Ends of input among `ready`: each is told once, when what stood before it has been read.
    ends: VecDeque<usize>,
    interrupts: u64,
}

impl Default for Discipline {
    fn default() -> Self {
        Discipline { mode: Mode::Line, line: Vec::new(), ready: VecDeque::new(), ends: VecDeque::new(), interrupts: 0 }
    }
}

impl Discipline {
    /// How input is treated now.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Changes it; what was typed so far can then be read.
    pub fn set_mode(&mut self, mode: Mode) {
        if mode == Mode::Raw {
            self.ready.extend(self.line.drain(..));
        }
        self.mode = mode;
    }

    /// How often Ctrl-C was typed in line mode.
    pub fn interrupts(&self) -> u64 {
        self.interrupts
    }

    /// Takes a byte that was typed; what to echo is appended to `echo`.
    pub fn input(&mut self, byte: u8, echo: &mut Vec<u8>) {
        if self.ready.len().saturating_add(self.line.len()) >= LIMIT && !matches!(byte, b'\r' | b'\n' | 0x7f | 0x08) {
            echo.push(0x07);
            return;
        }
        if self.mode == Mode::Raw {
            self.ready.push_back(byte);
            return;
        }
        match byte {
            b'\r' | b'\n' => {
                self.line.push(b'\n');
                self.ready.extend(self.line.drain(..));
                echo.extend(b"\r\n");
            }
            0x04 => {
                self.ready.extend(self.line.drain(..));
                self.ends.push_back(self.ready.len());
            }
            0x03 => {
                self.line.clear();
                self.interrupts = self.interrupts.saturating_add(1);
                echo.extend(b"^C\r\n");
            }
            0x08 | 0x7f => {
                // One character: up to and with the last byte that does not continue another.
                while let Some(last) = self.line.pop() {
                    if last & 0xc0 != 0x80 {
                        echo.extend(b"\x08 \x08");
                        break;
                    }
                }
            }
            0x15 => {
                for _ in self.line.drain(..).filter(|b| b & 0xc0 != 0x80) {
                    echo.extend(b"\x08 \x08");
                }
            }
            _ => {
                self.line.push(byte);
                echo.push(byte);
            }
        }
    }

    /// Reads what is ready; `None`: nothing yet. An empty answer is the end of input.
    pub fn read(&mut self, limit: usize) -> Option<Vec<u8>> {
        let until = match self.ends.front().copied() {
            Some(0) => {
                self.ends.pop_front();
                return Some(Vec::new());
            }
            Some(end) => end,
            None => self.ready.len(),
        };
        if until == 0 {
            return None;
        }
        let mut count = until.min(limit);
        if self.mode == Mode::Line {
            // One line a read, as a terminal gives it.
            if let Some(end) = self.ready.iter().take(count).position(|b| *b == b'\n') {
                count = end.saturating_add(1);
            }
        }
        for end in &mut self.ends {
            *end = end.saturating_sub(count);
        }
        let out: Vec<u8> = self.ready.drain(..count).collect();
        // A mark in the middle of a line only hands the line over; at its beginning it is the end (POSIX XBD 11.1.9).
        if out.last().is_some_and(|last| *last != b'\n') && self.ends.front() == Some(&0) {
            self.ends.pop_front();
        }
        Some(out)
    }

    /// Whether a read would not wait.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty() || !self.ends.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Discipline, Mode};

    fn typed(d: &mut Discipline, bytes: &[u8]) -> Vec<u8> {
        let mut echo = Vec::new();
        bytes.iter().for_each(|b| d.input(*b, &mut echo));
        echo
    }

    #[test]
    fn lines_are_read_whole_one_at_a_time_and_echoed() {
        let mut d = Discipline::default();
        assert_eq!(typed(&mut d, b"ab"), b"ab");
        assert_eq!(d.read(100), None);
        typed(&mut d, b"c\rnext\r");
        assert_eq!(d.read(100).unwrap(), b"abc\n");
        assert_eq!(d.read(2).unwrap(), b"ne");
        assert_eq!(d.read(100).unwrap(), b"xt\n");
        assert!(!d.is_ready());
    }

    #[test]
    fn erasing_takes_whole_characters() {
        let mut d = Discipline::default();
        typed(&mut d, "aé\x7f\x7fxy\x15z\r".as_bytes());
        assert_eq!(d.read(100).unwrap(), b"z\n");
    }

    #[test]
    fn ctrl_d_ends_the_input_once() {
        let mut d = Discipline::default();
        typed(&mut d, b"\x04");
        assert_eq!(d.read(10).unwrap(), b"");
        assert_eq!(d.read(10), None);
        typed(&mut d, b"ab\x04");
        assert_eq!(d.read(10).unwrap(), b"ab");
        assert_eq!(d.read(10), None);
        typed(&mut d, b"ab\r\x04");
        assert_eq!(d.read(10).unwrap(), b"ab\n");
        assert_eq!(d.read(10).unwrap(), b"", "typed ahead after a whole line");
        assert_eq!(d.read(10), None);
    }

    #[test]
    fn raw_input_comes_as_it_is() {
        let mut d = Discipline::default();
        d.set_mode(Mode::Raw);
        assert_eq!(typed(&mut d, b"\x03\x04a\r"), b"");
        assert_eq!(d.read(100).unwrap(), b"\x03\x04a\r");
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut d = Discipline::default();
        for _ in 0..100_000 {
            typed(&mut d, b"x");
        }
        typed(&mut d, b"\r");
        assert!(d.read(1 << 20).unwrap().len() <= 4097);
    }
}
