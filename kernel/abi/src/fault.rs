//! The report on a thread that died of a fault.
//!
//! Made by the kernel when a fault ends a process; read by the holder of `System` (init), which
//! symbolises it and puts it in the log.

/// The most return addresses in a report.
pub const FRAMES: usize = 24;
/// Words in the report as [`FaultReport::to_words`] lays it out.
pub const REPORT_WORDS: usize = 32 + FRAMES;

/// Registers and stack of a faulting thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultReport {
    /// The process's id.
    pub process: u64,
    /// The thread's id.
    pub thread: u64,
    /// The CPU's exception vector (SDM 3A, table 6-1), or 0x100 for a call number without a handler.
    pub vector: u64,
    /// The error code the CPU pushed, or the call's number.
    pub code: u64,
    /// CR2 for a page fault, else 0.
    pub address: u64,
    /// rip, rsp, rflags.
    pub state: [u64; 3],
    /// rax rbx rcx rdx rsi rdi rbp r8 to r15.
    pub registers: [u64; 15],
    /// Return addresses, innermost first; 0 ends them.
    pub frames: [u64; FRAMES],
    /// The process's name, zero-padded.
    pub name: [u8; 32],
}

impl FaultReport {
    /// The report as words, for the copy to user memory.
    pub fn to_words(&self) -> [u64; REPORT_WORDS] {
        let head = [self.process, self.thread, self.vector, self.code, self.address];
        let name = self.name.chunks_exact(8).map(|b| b.iter().rev().fold(0u64, |w, &x| (w << 8) | u64::from(x)));
        let mut words = [0; REPORT_WORDS];
        let all = head.into_iter().chain(self.state).chain(self.registers).chain(name);
        for (word, value) in words.iter_mut().zip(all) {
            *word = value;
        }
        for (word, value) in words.iter_mut().skip(32).zip(self.frames) {
            *word = value;
        }
        words
    }

    /// The report from words; the inverse of [`FaultReport::to_words`].
    pub fn from_words(words: &[u64; REPORT_WORDS]) -> FaultReport {
        let at = |i: usize| words.get(i).copied().unwrap_or(0);
        let mut name = [0; 32];
        for (i, chunk) in name.chunks_exact_mut(8).enumerate() {
            chunk.copy_from_slice(&at(23 + i).to_le_bytes());
        }
        FaultReport {
            process: at(0),
            thread: at(1),
            vector: at(2),
            code: at(3),
            address: at(4),
            state: core::array::from_fn(|i| at(5 + i)),
            registers: core::array::from_fn(|i| at(8 + i)),
            frames: core::array::from_fn(|i| at(32 + i)),
            name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FaultReport, FRAMES};

    #[test]
    fn a_report_survives_the_trip_through_words() {
        let report = FaultReport {
            process: 1,
            thread: 2,
            vector: 14,
            code: 6,
            address: 0xdead,
            state: [4, 5, 6],
            registers: core::array::from_fn(|i| i as u64 * 7),
            frames: [9; FRAMES],
            name: *b"a name of exactly 32 characters!",
        };
        assert_eq!(FaultReport::from_words(&report.to_words()), report);
    }
}
