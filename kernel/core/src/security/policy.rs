//! The rules: one run of frames that is filled once and never changed.
//!
//! The run holds the policy as it came ([`abi::security`]), then the ring of all records, then a frame of denials
//! for each subject. It is one allocation, charged to the root account, so that loading happens whole or not at all.

use crate::object::Process;
use crate::security::audit::RING_FRAMES;
use crate::{Field, FrameNumber, Id, Kernel, Machine};
use abi::security::{Shape, DEFAULT_SUBJECT, DEFAULT_TYPE, HEADER, MAX_LENGTH, RIGHTS, RIGHT_LENGTH};
use abi::{Error, Result, Rights};

const FRAME: usize = 4096;
/// Words in a frame.
const FRAME_WORDS: usize = FRAME / 8;
/// Bytes copied in one go.
const PIECE: usize = 512;

/// The policy and the rings.
#[derive(Default)]
pub struct Security {
    /// The first frame of the run; 0: nothing was loaded.
    first: Field<FrameNumber>,
    subjects: Field<u32>,
    types: Field<u32>,
    /// Records ever made.
    pub(super) recorded: Field<u64>,
    /// The last object id given when the policy was loaded: what is newer was made under it.
    pub since: Field<u64>,
}

impl Security {
    /// Nothing loaded.
    pub fn new() -> Security {
        Security::default()
    }

    /// Whether there is a policy.
    #[inline(always)]
    pub fn is_loaded(&self) -> bool {
        self.first.get().0 != 0
    }

    /// How many subjects and types it knows.
    pub fn shape(&self) -> Shape {
        Shape { subjects: self.subjects.get(), types: self.types.get() }
    }

    /// Frames that are taken; 0 before a policy is loaded.
    pub fn frames(&self) -> u32 {
        u32::from(self.is_loaded()).wrapping_mul(total_frames(&self.shape()))
    }

    fn frame(&self, index: u32) -> FrameNumber {
        FrameNumber(self.first.get().0.wrapping_add(index))
    }

    /// A frame of the ring of all records.
    pub(super) fn ring_frame(&self, index: u32) -> FrameNumber {
        self.frame(frames_of(&self.shape()).wrapping_add(index))
    }

    /// The frame of a subject's denials.
    pub(super) fn share_frame(&self, subject: u32) -> FrameNumber {
        self.ring_frame(RING_FRAMES.wrapping_add(subject))
    }
}

fn frames_of(shape: &Shape) -> u32 {
    shape.length().div_ceil(FRAME) as u32
}

fn total_frames(shape: &Shape) -> u32 {
    frames_of(shape).wrapping_add(RING_FRAMES).wrapping_add(shape.subjects)
}

impl<M: Machine> Kernel<M> {
    /// The word of a policy in frames from `first` on that holds a byte.
    fn policy_word(&self, first: FrameNumber, byte: usize) -> u64 {
        let frame = FrameNumber(first.0.wrapping_add((byte / FRAME) as u32));
        self.frame_word(frame, byte / 8 % FRAME_WORDS)
    }

    /// A word of one of the kernel's own frames.
    pub(super) fn frame_word(&self, frame: FrameNumber, index: usize) -> u64 {
        let [word] = self.frame_load(frame, index);
        word
    }

    fn right_at(&self, first: FrameNumber, byte: usize) -> u16 {
        let shift = (byte % 8).wrapping_mul(8) as u32;
        self.policy_word(first, byte).wrapping_shr(shift) as u16
    }

    /// What a subject may have of a type. Numbers that the policy does not know may have and give nothing.
    pub fn policy_rights(&self, subject: u32, object_type: u32) -> Rights {
        let shape = self.security.shape();
        if subject >= shape.subjects || object_type >= shape.types {
            return Rights::empty();
        }
        let bits = self.right_at(self.security.first.get(), shape.right(subject, object_type));
        Rights::from_bits_truncate(bits)
    }

    /// Whether a process of one subject may give a new process another label.
    pub fn policy_transition(&self, subject: u32, label: u32) -> bool {
        let shape = self.security.shape();
        if subject >= shape.subjects || label >= shape.subjects {
            return false;
        }
        let word = self.policy_word(self.security.first.get(), shape.transition(subject, label));
        word.wrapping_shr(label % 64) & 1 != 0
    }

    /// Loads a policy out of a process's memory: whole, or not at all. Once after boot, so it is done in one go: what is
    /// copied and looked at is no more than any call may copy. Errors: `WrongState` (there is one), `BadArgument`
    /// (it is malformed, or gives the default subject or type anything), `BadAddress`, `OutOfQuota`, `OutOfMemory`.
    pub(crate) fn policy_take(&self, process: Id<Process>, address: u64, length: u64) -> Result<Shape> {
        Error::WrongState.when(self.security.is_loaded())?;
        let length = usize::try_from(length).ok().filter(|l| *l <= MAX_LENGTH && *l >= HEADER);
        let length = length.ok_or(Error::BadArgument)?;
        let mut words = [0; HEADER / 8];
        self.user_read_words(process, address, &mut words)?;
        let shape = Shape::of_header(words).filter(|s| s.length() == length).ok_or(Error::BadArgument)?;
        let total = total_frames(&shape);
        let first = self.frame_run(self.root_quota(), total, false)?;
        let copied = self.policy_copy(first, process, address, length);
        // What is checked is the kernel's copy: the process's own may change meanwhile.
        copied.and_then(|()| self.policy_check(first, &shape)).inspect_err(|_| {
            (0..total).for_each(|index| self.frame_release(FrameNumber(first.0.wrapping_add(index))));
        })?;
        self.security.subjects.set(shape.subjects);
        self.security.types.set(shape.types);
        self.security.since.set(self.last_object_id.get());
        self.security.first.set(first);
        Ok(shape)
    }

    fn policy_copy(&self, first: FrameNumber, process: Id<Process>, address: u64, length: usize) -> Result<()> {
        let mut piece = [0; PIECE];
        let mut done = 0usize;
        while done < length {
            let part = length.wrapping_sub(done).min(PIECE);
            let part = piece.get_mut(..part).unwrap_or(&mut []);
            let from = address.checked_add(done as u64).ok_or(Error::BadAddress)?;
            self.user_read(process, from, part)?;
            let frame = FrameNumber(first.0.wrapping_add((done / FRAME) as u32));
            self.machine.write_frame(frame, done % FRAME, part);
            done = done.wrapping_add(part.len());
        }
        Ok(())
    }

    /// Errors: `BadArgument`.
    fn policy_check(&self, first: FrameNumber, shape: &Shape) -> Result<()> {
        let header: [u64; HEADER / 8] = core::array::from_fn(|i| self.policy_word(first, i.wrapping_mul(8)));
        let mut sound = Shape::of_header(header) == Some(*shape);
        for subject in 0..shape.subjects {
            for object_type in 0..shape.types {
                let bits = self.right_at(first, shape.right(subject, object_type));
                let known = bits & !RIGHTS.bits() == 0;
                let default = subject == DEFAULT_SUBJECT || object_type == DEFAULT_TYPE;
                sound &= known && (bits == 0 || !default);
            }
            for word in (0..shape.subjects).step_by(64) {
                let set = self.policy_word(first, shape.transition(subject, word));
                let labels = shape.subjects.wrapping_sub(word);
                let unknown = if labels >= 64 { 0 } else { u64::MAX.wrapping_shl(labels) };
                sound &= set & unknown == 0 && (set == 0 || subject != DEFAULT_SUBJECT);
            }
        }
        let end = shape.right(shape.subjects, 0);
        for padding in (end..end.next_multiple_of(8)).step_by(RIGHT_LENGTH) {
            sound &= self.right_at(first, padding) == 0;
        }
        sound.then_some(()).ok_or(Error::BadArgument)
    }
}
