//! Calls that must be done once: what is remembered of each thread's last one.
//!
//! A sequence number is the low half of the caller's thread id, then a counter. A thread has one call
//! outstanding at most, so of each (session, thread) only the last needs remembering; a session remembers
//! [`REMEMBERED`] threads, the longest silent one giving way.

/// Threads remembered for each session.
pub const REMEMBERED: usize = 4;

/// How far a numbered call got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Progress {
    /// Nothing is known of it.
    #[default]
    None,
    /// It was begun: its effect may be there, in whole or in part.
    Begun,
    /// It was done, with this status and these words.
    Done,
}

/// One thread's last numbered call on one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Record {
    /// Grows with every record of the server: which is newer.
    pub stamp: u64,
    /// The sequence number.
    pub sequence: u64,
    /// How far it got.
    pub progress: Progress,
    /// The status it was answered with.
    pub status: u16,
    /// The operation's number.
    pub operation: u16,
    /// The offset it was begun at.
    pub start: u64,
    /// Words 0 and 1 of the answer.
    pub words: [u64; 2],
    /// The session's position after it.
    pub position: u64,
}

/// The last calls on one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Records(pub [Record; REMEMBERED]);

impl Records {
    /// The record of exactly this call.
    pub fn find(&self, sequence: u64) -> Option<&Record> {
        self.0.iter().find(|record| record.sequence == sequence && record.progress != Progress::None)
    }

    /// Where the record of this call goes: the place of the same thread's last one, a free one, or the oldest.
    pub fn place(&self, sequence: u64) -> usize {
        let thread = sequence >> 32;
        let of = |test: &dyn Fn(&Record) -> bool| self.0.iter().position(test);
        of(&|record| record.stamp != 0 && record.sequence >> 32 == thread)
            .or_else(|| of(&|record| record.stamp == 0))
            .or_else(|| self.0.iter().enumerate().min_by_key(|(_, record)| record.stamp).map(|(at, _)| at))
            .unwrap_or(0)
    }

    /// The session's position: that of the newest record.
    pub fn position(&self) -> u64 {
        self.0.iter().max_by_key(|record| record.stamp).map_or(0, |record| record.position)
    }

    /// The greatest stamp.
    pub fn stamp(&self) -> u64 {
        self.0.iter().map(|record| record.stamp).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Progress, Record, Records};

    fn put(records: &mut Records, stamp: u64, sequence: u64) -> usize {
        let at = records.place(sequence);
        records.0[at] = Record { stamp, sequence, progress: Progress::Done, position: stamp, ..Record::default() };
        at
    }

    #[test]
    fn a_thread_takes_its_own_place_and_the_longest_silent_gives_way() {
        let mut records = Records::default();
        for thread in 1..=4u64 {
            put(&mut records, thread, thread << 32 | 1);
        }
        assert_eq!(put(&mut records, 5, 1 << 32 | 2), 0);
        assert!(records.find(1 << 32 | 1).is_none() && records.find(1 << 32 | 2).is_some());
        assert_eq!(put(&mut records, 6, 9 << 32 | 1), 1, "thread 2 was silent longest");
        assert_eq!((records.position(), records.stamp()), (6, 6));
    }
}
