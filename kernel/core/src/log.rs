//! The kernel's log and its reports on faults: two rings in frames of their
//! own.
//!
//! The log is a ring of lines' bytes; its positions count bytes since boot, so a reader that fell behind knows how
//! much it missed. Reports are a ring of [`FaultReport`]s; when it is full the oldest is lost and counted.

use crate::mm::frames::Frames;
use crate::{Field, FrameNumber, Kernel, Machine};
use abi::fault::{FaultReport, REPORT_WORDS};
use abi::{Error, Result};

/// Frames of the log's ring: 128 KiB.
const LOG_FRAMES: usize = 32;
const FRAME: u64 = 4096;
/// Bytes the log keeps.
pub const CAPACITY: u64 = LOG_FRAMES as u64 * FRAME;
/// The longest line of a program's; what is longer is cut.
pub const LINE: usize = 512;
/// Frames of the ring of reports, and reports in a frame.
const REPORT_FRAMES: usize = 2;
const REPORTS_A_FRAME: u64 = FRAME / (REPORT_WORDS as u64 * 8);
/// Reports kept.
pub const REPORTS: u64 = REPORTS_A_FRAME * REPORT_FRAMES as u64;

/// The rings.
pub struct Log {
    frames: [FrameNumber; LOG_FRAMES],
    reports: [FrameNumber; REPORT_FRAMES],
    /// Bytes ever written.
    pub written: Field<u64>,
    /// Reports ever made.
    pub reported: Field<u64>,
    /// Reports ever read.
    pub read: Field<u64>,
    /// Who is told of reports (a reference), and the bits.
    pub watch: Field<crate::id::Link<crate::object::Notification>>,
    /// See `watch`.
    pub watch_bits: Field<u64>,
}

impl Log {
    /// Empty rings in frames of the kernel's own. Errors: `OutOfMemory`.
    pub fn new<M: Machine>(machine: &M, frames: &Frames) -> Result<Log> {
        let mut log = Log {
            frames: [FrameNumber(0); LOG_FRAMES],
            reports: [FrameNumber(0); REPORT_FRAMES],
            written: Field::new(0),
            reported: Field::new(0),
            read: Field::new(0),
            watch: Field::new(None),
            watch_bits: Field::new(0),
        };
        for frame in log.frames.iter_mut().chain(&mut log.reports) {
            *frame = frames.take().ok_or(Error::OutOfMemory)?;
            machine.zero_frame(*frame);
        }
        Ok(log)
    }

    /// The frame and the offset in it of a position, and how many bytes follow there in a row.
    fn place(&self, position: u64) -> (FrameNumber, usize, usize) {
        let offset = position % CAPACITY;
        let frame = self.frames.get((offset / FRAME) as usize).expect("invariant: the offset is inside the ring");
        let inside = (offset % FRAME) as usize;
        (*frame, inside, (FRAME as usize).saturating_sub(inside))
    }
}

/// A line being put together: at most `LINE` bytes and the prefix.
struct Line {
    bytes: [u8; LINE + 96],
    length: usize,
}

impl Line {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length = self.length.saturating_add(1);
        }
    }
    /// Control characters would let a program forge other lines, or drive the terminal: they become `?`. What is
    /// not ASCII stays as it is (UTF-8), but for the C1 controls that UTF-8 writes as c2 80 to c2 9f.
    fn push_text(&mut self, text: &[u8]) {
        let mut before = 0;
        for &byte in text {
            let control = byte < 0x20 || byte == 0x7f || (before == 0xc2 && (0x80..0xa0).contains(&byte));
            self.push(if control { b'?' } else { byte });
            before = byte;
        }
    }
}

impl core::fmt::Write for Line {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        self.push_text(s.as_bytes());
        Ok(())
    }
}

impl<M: Machine> Kernel<M> {
    /// Puts a line into the log and on the early console: `[seconds.micros] name: text`. Text after the first
    /// newline, and past [`LINE`] bytes, is dropped; other control characters become `?`.
    pub fn log_line(&self, name: &[u8], text: &[u8]) {
        let micros = self.machine.now_ns() / 1000;
        let mut line = Line { bytes: [0; LINE + 96], length: 0 };
        // Writing to a `Line` never fails.
        let _ = core::fmt::write(&mut line, format_args!("[{:>5}.{:06}] ", micros / 1_000_000, micros % 1_000_000));
        line.push_text(name);
        line.push_text(b": ");
        let end = text.iter().position(|&b| b == b'\n').unwrap_or(text.len()).min(LINE);
        line.push_text(text.get(..end).unwrap_or(text));
        line.push(b'\n');
        let bytes = line.bytes.get(..line.length).unwrap_or(&line.bytes);
        self.log_bytes(bytes);
        self.machine.console_write(bytes);
    }

    /// Puts bytes into the ring alone: whole lines that were shown already.
    pub fn log_bytes(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (frame, offset, room) = self.log.place(self.log.written.get());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.machine.write_frame(frame, offset, now);
            self.log.written.update(|w| w.wrapping_add(now.len() as u64));
            bytes = later;
        }
    }

    /// Copies log bytes from a position on; answers how many, and the position after them. A position that is no longer
    /// kept is taken for the oldest byte that is.
    pub fn log_copy(&self, position: u64, out: &mut [u8]) -> (usize, u64) {
        let written = self.log.written.get();
        let mut at = position.clamp(written.saturating_sub(CAPACITY), written);
        let mut done = 0usize;
        while done < out.len() && at < written {
            let (frame, offset, room) = self.log.place(at);
            let left = usize::try_from(written.wrapping_sub(at)).unwrap_or(usize::MAX);
            let length = room.min(left).min(out.len().saturating_sub(done));
            let Some(part) = out.get_mut(done..done.saturating_add(length)) else { break };
            self.machine.read_frame(frame, offset, part);
            done = done.saturating_add(length);
            at = at.wrapping_add(length as u64);
        }
        (done, at)
    }

    /// Keeps a report and tells whoever watches.
    pub fn report_fault(&self, report: &FaultReport) {
        let number = self.log.reported.get();
        if let Some((frame, base)) = self.report_place(number) {
            self.frame_store(frame, base, &report.to_words());
        }
        self.log.reported.set(number.wrapping_add(1));
        if let Some(notification) = self.log.watch.get() {
            self.notification_signal(notification, self.log.watch_bits.get());
        }
    }

    /// The oldest report that was not taken yet. Errors: `NotFound` (there is none).
    pub fn report_oldest(&self) -> Result<[u64; REPORT_WORDS]> {
        let number = self.report_number().ok_or(Error::NotFound)?;
        let (frame, base) = self.report_place(number).ok_or(Error::NotFound)?;
        Ok(self.frame_load(frame, base))
    }

    /// That report was read: the next one is the oldest.
    pub fn report_taken(&self) {
        if let Some(number) = self.report_number() {
            self.log.read.set(number.wrapping_add(1));
        }
    }

    fn report_number(&self) -> Option<u64> {
        let reported = self.log.reported.get();
        let number = self.log.read.get().max(reported.saturating_sub(REPORTS));
        (number < reported).then_some(number)
    }

    fn report_place(&self, number: u64) -> Option<(FrameNumber, usize)> {
        let slot = number % REPORTS;
        let frame = self.log.reports.get((slot / REPORTS_A_FRAME) as usize)?;
        Some((*frame, ((slot % REPORTS_A_FRAME) as usize).wrapping_mul(REPORT_WORDS)))
    }
}
