//! The audit record: a ring of everything, and a ring of denials for each
//! subject, so that nobody's noise washes out another's evidence.
//!
//! Keeping a record is a few stores: it takes no memory, waits for nobody and can't fail. What is overwritten is
//! counted by its absence: records are numbered in each ring, and a reader is told how many it missed.

use crate::id::Id;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::object::Process;
use abi::security::{Kind, Record, Verdict, DEFAULT_SUBJECT, NAME, PATH, RECORD_WORDS, RING_ALL, RING_DENIALS};
use abi::{Error, Result, Rights};

/// Frames of the ring of all records: 256 KiB.
pub const RING_FRAMES: u32 = 64;
/// Records in a frame.
const PER_FRAME: u64 = 21;
/// Records that the ring of all keeps.
pub const KEPT: u64 = PER_FRAME * RING_FRAMES as u64;
/// Denials that are kept of each subject.
pub const DENIALS_KEPT: u64 = PER_FRAME;
/// The word, behind the records of a subject's frame, that counts its denials.
const COUNT: usize = 508;

/// What a reader got: the record's words.
pub(crate) type Words = [u64; RECORD_WORDS];

/// Frame and first word of a record, in a ring that begins at frame `first` (of the ring) and keeps `kept`.
fn place(number: u64, kept: u64) -> (u32, usize) {
    let slot = number.checked_rem(kept).unwrap_or(0);
    let (frame, inside) = (slot / PER_FRAME, slot % PER_FRAME);
    (frame as u32, (inside as usize).wrapping_mul(RECORD_WORDS))
}

impl<M: Machine> Kernel<M> {
    /// A record of a process's act, to be filled in.
    pub(super) fn record(&self, kind: Kind, process: Id<Process>) -> Record {
        let p = &self.processes[process];
        Record {
            kind,
            process: p.header.object_id.get(),
            label: p.label.get(),
            name: self.process_name(process).0,
            ..Record::EMPTY
        }
    }

    /// The subject whose share a label's denials go to: one that the policy does not know is the default.
    fn share(&self, label: u32) -> u32 {
        Some(label).filter(|label| *label < self.security.shape().subjects).unwrap_or(DEFAULT_SUBJECT)
    }

    /// Keeps a record; a denial counts to who acted. Nothing happens before a policy is loaded.
    pub(crate) fn audit_keep(&self, record: Record) {
        self.audit_keep_for(record.label, record);
    }

    /// Keeps a record; a denial has its place in the share of a label, and nobody but it can fill that.
    pub(crate) fn audit_keep_for(&self, label: u32, record: Record) {
        if !self.security.is_loaded() {
            return;
        }
        let number = self.security.recorded.get();
        self.security.recorded.set(number.wrapping_add(1));
        let words = Record { number, time_ns: self.machine.now_ns(), ..record }.to_words();
        let (frame, at) = place(number, KEPT);
        self.frame_store(self.security.ring_frame(frame), at, &words);
        if record.verdict == Verdict::Denied {
            let frame = self.security.share_frame(self.share(label));
            let count = self.frame_word(frame, COUNT);
            self.frame_store(frame, place(count, DENIALS_KEPT).1, &words);
            self.frame_store(frame, COUNT, &[count.wrapping_add(1)]);
        }
    }

    /// How many records a ring has ever had. Errors: `BadArgument` (there is no such ring), `WrongState` (no policy).
    pub(crate) fn audit_written(&self, ring: u64) -> Result<u64> {
        Error::WrongState.when(!self.security.is_loaded())?;
        if ring == RING_ALL {
            return Ok(self.security.recorded.get());
        }
        let subject = ring.wrapping_sub(RING_DENIALS);
        Error::BadArgument.when(subject >= u64::from(self.security.shape().subjects))?;
        Ok(self.frame_word(self.security.share_frame(subject as u32), COUNT))
    }

    /// The oldest position that a ring still holds, if it has had `written` records.
    pub(crate) fn audit_oldest(ring: u64, written: u64) -> u64 {
        written.saturating_sub(if ring == RING_ALL { KEPT } else { DENIALS_KEPT })
    }

    /// The record at a position that a ring holds.
    pub(crate) fn audit_at(&self, ring: u64, position: u64) -> Words {
        let (frame, at) = if ring == RING_ALL {
            let (frame, at) = place(position, KEPT);
            (self.security.ring_frame(frame), at)
        } else {
            let subject = ring.wrapping_sub(RING_DENIALS) as u32;
            (self.security.share_frame(subject), place(position, DENIALS_KEPT).1)
        };
        self.frame_load(frame, at)
    }

    /// Keeps the record of a policy that was just loaded.
    pub(crate) fn audit_policy(&self, process: Id<Process>) {
        self.audit_keep(Record { given: Rights::MANAGE, asked: Rights::MANAGE, ..self.record(Kind::Policy, process) });
    }

    /// Keeps a record of a revocation: what stems from a capability of this kind to this object was taken from all who
    /// had it. For the call that revokes.
    pub fn audit_revocation(&self, process: Id<Process>, kind: abi::Kind, object: u64) {
        self.audit_keep(Record { object_kind: kind as u8, object, ..self.record(Kind::Revoke, process) });
    }

    /// Keeps a note: a service's name, and what happened. The text is cut at what a path may have.
    pub(crate) fn audit_note(&self, process: Id<Process>, service: [u8; NAME], text: &[u8]) {
        let mut path = [0; PATH];
        for (place, byte) in path.iter_mut().zip(text) {
            *place = *byte;
        }
        let path_length = text.len().min(PATH) as u8;
        self.audit_keep(Record { scheme: service, path, path_length, ..self.record(Kind::Note, process) });
    }
}
