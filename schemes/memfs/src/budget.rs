//! How much memory the files may take: a limit, and what is used of it.

use abi::{Error, Result};

/// An account in bytes. Everything that grows asks it first.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: u64,
}

impl Budget {
    /// Nothing used of `limit` bytes.
    pub fn new(limit: u64) -> Budget {
        Budget { limit, used: 0 }
    }
    /// The limit.
    pub fn limit(&self) -> u64 {
        self.limit
    }
    /// What is used.
    pub fn used(&self) -> u64 {
        self.used
    }
    /// What is left.
    pub fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
    /// Takes `bytes`. Errors: `NoSpace`, and nothing is taken.
    pub fn take(&mut self, bytes: u64) -> Result<()> {
        if bytes > self.free() {
            return Err(Error::NoSpace);
        }
        self.used = self.used.saturating_add(bytes);
        Ok(())
    }
    /// Gives `bytes` back.
    pub fn give(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }
}
