//! What a channel of the guest has said so far: kept, searched, waited on.
//!
//! A thread of its own drains each channel, so that a guest never stalls because nobody reads.
//! Kept are the first 32 MiB; a guest that says more is cut short in memory, not stopped.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::deadline::Deadline;
use crate::error::{Error, Result};

const LIMIT_BYTES: usize = 32 << 20;

/// A growing record of bytes, shared between the thread that fills it and those who look.
#[derive(Clone, Default)]
pub struct Capture(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    grown: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    dropped: usize,
    ended: bool,
}

impl Capture {
    /// An empty record, still open.
    pub fn new() -> Self {
        Self::default()
    }

    /// Drains `source` in a new thread until it ends; `on_chunk` sees each piece as it comes.
    pub fn drain(mut source: impl Read + Send + 'static, mut on_chunk: impl FnMut(&[u8]) + Send + 'static) -> Self {
        let capture = Self::new();
        let writer = capture.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 16384];
            loop {
                match source.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(count) => {
                        on_chunk(&chunk[..count]);
                        writer.push(&chunk[..count]);
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    // A peer that was killed resets the connection: that is an end too.
                    Err(_) => break,
                }
            }
            writer.end();
        });
        capture
    }

    /// Adds to the record.
    pub fn push(&self, bytes: &[u8]) {
        let mut state = self.state();
        let room = LIMIT_BYTES.saturating_sub(state.bytes.len()).min(bytes.len());
        state.bytes.extend_from_slice(&bytes[..room]);
        state.dropped += bytes.len() - room;
        self.0.grown.notify_all();
    }

    /// Says that nothing more will come.
    pub fn end(&self) {
        self.state().ended = true;
        self.0.grown.notify_all();
    }

    /// Everything so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// Everything so far as text, with what is not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.state().bytes).into_owned()
    }

    /// How many bytes so far: a mark to search from later.
    pub fn len(&self) -> usize {
        self.state().bytes.len()
    }

    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last `count` lines as text, and how much was cut away if anything was.
    pub fn tail(&self, count: usize) -> String {
        let dropped = self.state().dropped;
        let text = self.text();
        let lines: Vec<_> = text.lines().collect();
        let mut tail = lines[lines.len().saturating_sub(count)..].join("\n");
        if dropped > 0 {
            tail.push_str(&format!("\n({dropped} more bytes were not kept)"));
        }
        tail
    }

    /// The first line that starts with `prefix`, without it and the line's end.
    pub fn line_with_prefix(&self, prefix: &str) -> Option<String> {
        self.text().lines().find_map(|line| line.strip_prefix(prefix).map(|rest| rest.trim().to_owned()))
    }

    /// Waits until `find` makes something of the bytes from `from` on.
    ///
    /// # Errors
    /// When the deadline passes or the channel ends first; both name `what`.
    pub fn wait_until<T>(
        &self,
        what: &str,
        from: usize,
        deadline: Deadline,
        mut find: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<T> {
        let mut state = self.state();
        loop {
            if let Some(found) = find(state.bytes.get(from..).unwrap_or_default()) {
                return Ok(found);
            }
            if state.ended {
                return Err(Error::Emulator(format!("the channel ended before {what} came")));
            }
            if deadline.passed() {
                return Err(Error::TimedOut(what.into()));
            }
            state = self.0.grown.wait_timeout(state, deadline.left()).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until `needle` comes at or after `from`; the offset just past it.
    ///
    /// # Errors
    /// As [`Self::wait_until`].
    pub fn wait_for(&self, needle: &str, from: usize, deadline: Deadline) -> Result<usize> {
        self.wait_until(&format!("'{needle}'"), from, deadline, |bytes| {
            find(bytes, needle.as_bytes()).map(|at| from + at + needle.len())
        })
    }

    /// Waits until the channel has ended; whether it did before the deadline.
    pub fn wait_end(&self, deadline: Deadline) -> bool {
        let mut state = self.state();
        while !state.ended && !deadline.passed() {
            state = self.0.grown.wait_timeout(state, deadline.left()).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.ended
    }

    // A thread that panicked while it held the lock has left whole bytes behind: go on.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where `needle` first is in `haystack`.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|window| window == needle)
}

/// Notices a line with a given beginning in bytes that come in pieces.
pub struct LineWatch {
    prefix: &'static [u8],
    /// How much of the current line's beginning has matched; `None` once it did not.
    matched: Option<usize>,
}

impl LineWatch {
    /// Watches for a line that starts with `prefix`.
    pub fn new(prefix: &'static str) -> Self {
        Self { prefix: prefix.as_bytes(), matched: Some(0) }
    }

    /// Looks at the next piece; whether a line's beginning was completed in it.
    pub fn saw(&mut self, chunk: &[u8]) -> bool {
        let mut seen = false;
        for &byte in chunk {
            if byte == b'\n' || byte == b'\r' {
                self.matched = Some(0);
                continue;
            }
            self.matched = match self.matched {
                Some(count) if self.prefix.get(count) == Some(&byte) => Some(count + 1),
                _ => None,
            };
            if self.matched == Some(self.prefix.len()) {
                seen = true;
                self.matched = None;
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn waiting_ends_when_the_text_comes_even_in_pieces() {
        let (mut there, here) = UnixStream::pair().unwrap();
        let capture = Capture::drain(here, |_| {});
        there.write_all(b"first pro").unwrap();
        let writer = std::thread::spawn(move || there.write_all(b"mpt# ").unwrap());
        assert_eq!(capture.wait_for("prompt# ", 0, Deadline::seconds(10)).unwrap(), 14);
        writer.join().unwrap();
        assert!(capture.wait_end(Deadline::seconds(10)));
    }

    #[test]
    fn waiting_tells_a_passed_deadline_from_an_ended_channel() {
        let capture = Capture::new();
        let soon = Deadline::after(std::time::Duration::from_millis(5));
        assert!(matches!(capture.wait_for("x", 0, soon), Err(Error::TimedOut(_))));
        capture.end();
        assert!(matches!(capture.wait_for("x", 0, Deadline::seconds(10)), Err(Error::Emulator(_))));
    }

    #[test]
    fn a_search_from_a_mark_does_not_see_what_was_before() {
        let capture = Capture::new();
        capture.push(b"$ echo $ ");
        let mark = capture.len();
        capture.push(b"again $ ");
        assert_eq!(capture.wait_for("$ ", mark, Deadline::seconds(1)).unwrap(), mark + 8);
    }

    #[test]
    fn the_watch_sees_only_a_lines_beginning_whatever_the_pieces() {
        for piece in 1..8 {
            let mut watch = LineWatch::new("panic:");
            let text = b"not a panic: here\npan\npanic: now\n";
            let hits: usize = text.chunks(piece).filter(|chunk| watch.saw(chunk)).count();
            assert_eq!(hits, 1, "pieces of {piece}");
        }
        assert!(LineWatch::new("panic:").saw(b"panic: at the very start"));
    }

    #[test]
    fn what_is_past_the_limit_is_counted_and_not_kept() {
        let capture = Capture::new();
        capture.push(&vec![b'a'; LIMIT_BYTES - 1]);
        capture.push(b"bcd");
        assert_eq!(capture.len(), LIMIT_BYTES);
        assert!(capture.tail(1).ends_with("(2 more bytes were not kept)"));
    }
}
