//! Accounts: limits, and what they are used for.

use super::syscall;
use abi::quota::{Limit, Word, OBJECTS, WORDS};
use abi::{Error, Handle, Result};
use alloc::vec::Vec;

/// What an account is used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaUsage {
    /// Its id: what servers are told with each message.
    pub account: u64,
    /// The account it was split from; 0 for the root.
    pub parent: u64,
    /// Pages used, and how many may be.
    pub pages: (u64, u64),
    /// Threads, of accounts below too, and how many there may be (0: no limit of its own).
    pub threads: (u64, u64),
    /// Processes, likewise.
    pub processes: (u64, u64),
    /// Objects by kind, zeros included.
    pub objects: Vec<(&'static str, u64)>,
}

/// What an account is used for.
pub fn usage(quota: Handle) -> Result<QuotaUsage> {
    let mut words = [0u64; WORDS];
    // SAFETY: the kernel writes at most these words.
    let length = unsafe { syscall::quota_usage(quota, words.as_mut_ptr() as u64, WORDS as u64 * 8) }?;
    if length < WORDS as u64 * 8 {
        return Err(Error::Corrupt);
    }
    let at = |word: Word| words.get(word as usize).copied().unwrap_or(0);
    let counts = words.iter().skip(Word::Objects as usize).copied();
    Ok(QuotaUsage {
        account: at(Word::Account),
        parent: at(Word::Parent),
        pages: (at(Word::UsedPages), at(Word::LimitPages)),
        threads: (at(Word::Threads), at(Word::ThreadLimit)),
        processes: (at(Word::Processes), at(Word::ProcessLimit)),
        objects: OBJECTS.into_iter().zip(counts).collect(),
    })
}

/// Sets a limit of an account that was split from `parent`.
pub fn set_limit(parent: Handle, child: Handle, what: Limit, value: u64) -> Result<()> {
    // SAFETY: no address.
    unsafe { syscall::quota_limit(parent, child, what as u64, value) }
}
