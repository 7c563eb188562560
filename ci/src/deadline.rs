//! A point in time by which something has to have happened.
//!
//! Everything in this crate that waits takes one, so that nothing waits for ever and a whole
//! test has one limit, however many steps it takes.

use std::time::{Duration, Instant};

/// When to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// `time` from now.
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// `seconds` from now.
    pub fn seconds(seconds: u64) -> Self {
        Self::after(Duration::from_secs(seconds))
    }

    /// What is left of it; nothing once it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn passed(self) -> bool {
        self.left().is_zero()
    }

    /// The earlier of this and `time` from now: a step's own limit within a whole's.
    pub fn at_most(self, time: Duration) -> Self {
        self.min(Self::after(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steps_limit_never_outlasts_the_whole() {
        let whole = Deadline::after(Duration::from_millis(5));
        assert_eq!(whole.at_most(Duration::from_secs(9)), whole);
        assert!(whole.at_most(Duration::ZERO) <= whole);
        std::thread::sleep(Duration::from_millis(6));
        assert!(whole.passed());
        assert_eq!(whole.left(), Duration::ZERO);
    }
}
