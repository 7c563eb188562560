//! The life of a service: pure decisions, with time as an argument.
//!
//! Waiting for needs → starting → ready → (ended) → backing off → starting … A service that ends before
//! it was ready, or soon after, waits longer each time; one that ran well starts anew at once.

use crate::manifest::{Manifest, Restart};

/// Nanoseconds a service must have run for its earlier failures to be forgotten.
const GOOD_RUN_NS: u64 = 10_000_000_000;
/// Failures in a row that are answered at once.
const FREE_FAILURES: u32 = 8;
/// The first wait, doubled each time.
const FIRST_WAIT_NS: u64 = 20_000_000;
/// The longest wait.
const LONGEST_WAIT_NS: u64 = 10_000_000_000;
/// Failures in a row, none of which became ready, after which a service is given up.
const GIVE_UP: u32 = 12;

/// Where a service is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its needs are not all ready.
    Waiting,
    /// Started, not yet ready.
    Starting,
    /// Ready.
    Ready,
    /// It ended and will be started at this time.
    BackingOff {
        /// Nanoseconds since boot.
        until_ns: u64,
    },
    /// It ended as it should.
    Finished,
    /// It can't be kept running.
    Failed,
}

impl State {
    /// The word that `services` shows.
    pub const fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Starting => "starting",
            State::Ready => "ready",
            State::BackingOff { .. } => "backing-off",
            State::Finished => "finished",
            State::Failed => "failed",
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By `process_exit`.
    Exited(u32),
    /// By someone with the right to.
    Killed,
    /// By a fault.
    Faulted,
}

/// The life of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Where it is.
    pub state: State,
    /// How often it was started again.
    pub restarts: u32,
    /// Ends in a row without a good run between.
    failures: u32,
    /// Of those, ends before it was ready.
    unready: u32,
    started_ns: u64,
    /// When it was last ready; 0: not yet.
    pub ready_ns: u64,
}

impl Default for Life {
    fn default() -> Self {
        Life { state: State::Waiting, restarts: 0, failures: 0, unready: 0, started_ns: 0, ready_ns: 0 }
    }
}

impl Life {
    /// It was started.
    pub fn started(&mut self, now_ns: u64) {
        self.state = State::Starting;
        self.started_ns = now_ns;
    }

    /// It says it is ready.
    pub fn ready(&mut self, now_ns: u64) {
        if self.state == State::Starting {
            self.state = State::Ready;
            self.ready_ns = now_ns;
            self.unready = 0;
        }
    }

    /// It could not even be started.
    pub fn refused(&mut self) {
        self.state = State::Failed;
    }

    /// It ended: sets what comes next.
    pub fn ended(&mut self, manifest: &Manifest, end: End, now_ns: u64) {
        let was_ready = self.state == State::Ready;
        let again = match manifest.restart {
            Restart::Always => true,
            Restart::OnFailure => end != End::Exited(0),
            Restart::Never => false,
        };
        if !again {
            self.state = if end == End::Exited(0) { State::Finished } else { State::Failed };
            return;
        }
        if now_ns.saturating_sub(self.started_ns) >= GOOD_RUN_NS {
            self.failures = 0;
        }
        if !was_ready {
            self.unready = self.unready.saturating_add(1);
            if self.unready >= GIVE_UP {
                self.state = State::Failed;
                return;
            }
        }
        self.failures = self.failures.saturating_add(1);
        self.restarts = self.restarts.saturating_add(1);
        let doublings = self.failures.saturating_sub(FREE_FAILURES);
        let wait = match doublings {
            0 => 0,
            n => FIRST_WAIT_NS.checked_shl(n.saturating_sub(1)).map_or(LONGEST_WAIT_NS, |w| w.min(LONGEST_WAIT_NS)),
        };
        self.state = State::BackingOff { until_ns: now_ns.saturating_add(wait) };
    }

    /// It was ended to be started with another program: at once, whatever its manifest says of ends.
    pub fn replaced(&mut self, now_ns: u64) {
        self.state = State::BackingOff { until_ns: now_ns };
    }

    /// Whether an upgrade can reach it.
    pub fn goes_on(&self) -> bool {
        matches!(self.state, State::Starting | State::Ready | State::BackingOff { .. })
    }

    /// Whether it is to be started now, and if not, when to ask again.
    pub fn due(&self, now_ns: u64) -> Result<(), Option<u64>> {
        match self.state {
            State::BackingOff { until_ns } if until_ns <= now_ns => Ok(()),
            State::BackingOff { until_ns } => Err(Some(until_ns)),
            _ => Err(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Life, State, GIVE_UP, GOOD_RUN_NS, LONGEST_WAIT_NS};
    use crate::manifest::{Manifest, Restart};

    fn manifest(restart: Restart) -> Manifest {
        let mut m = Manifest::parse("name='a'\nprogram='a'\npriority=1\nmemory-pages=16").unwrap();
        m.restart = restart;
        m
    }

    #[test]
    fn the_first_deaths_are_answered_at_once_and_later_ones_wait_longer() {
        let m = manifest(Restart::Always);
        let mut life = Life::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            life.started(0);
            life.ready(0);
            life.ended(&m, End::Killed, 5);
            match life.state {
                State::BackingOff { until_ns } => waits.push(until_ns - 5),
                other => panic!("{other:?}"),
            }
        }
        assert!(waits[..8].iter().all(|w| *w == 0) && waits[8] > 0);
        assert!(waits.windows(2).all(|w| w[0] <= w[1]));
        assert_eq!(*waits.last().unwrap(), LONGEST_WAIT_NS);
        assert_eq!(life.restarts, 40);
    }

    #[test]
    fn a_good_run_forgets_failures() {
        let m = manifest(Restart::Always);
        let mut life = Life::default();
        for _ in 0..20 {
            life.started(0);
            life.ready(0);
            life.ended(&m, End::Faulted, 1);
        }
        life.started(0);
        life.ready(0);
        life.ended(&m, End::Faulted, GOOD_RUN_NS);
        assert_eq!(life.due(GOOD_RUN_NS), Ok(()));
    }

    #[test]
    fn what_never_gets_ready_is_given_up() {
        let m = manifest(Restart::Always);
        let mut life = Life::default();
        for _ in 0..GIVE_UP {
            life.started(0);
            life.ended(&m, End::Exited(1), 0);
        }
        assert_eq!(life.state, State::Failed);
    }

    #[test]
    fn restart_rules_are_kept() {
        let mut life = Life::default();
        life.started(0);
        life.ended(&manifest(Restart::OnFailure), End::Exited(0), 0);
        assert_eq!(life.state, State::Finished);
        let mut life = Life::default();
        life.started(0);
        life.ended(&manifest(Restart::Never), End::Killed, 0);
        assert_eq!(life.state, State::Failed);
    }

    #[test]
    fn what_is_replaced_is_due_at_once_and_no_failure() {
        let mut life = Life::default();
        assert!(!life.goes_on());
        life.started(3);
        assert!(life.goes_on());
        life.replaced(9);
        assert_eq!((life.due(9), life.restarts, life.goes_on()), (Ok(()), 0, true));
        life.refused();
        assert!(!life.goes_on());
    }

    #[test]
    fn due_tells_when_to_look_again() {
        let mut life = Life::default();
        assert_eq!(life.due(0), Err(None));
        life.state = State::BackingOff { until_ns: 7 };
        assert_eq!((life.due(6), life.due(7)), (Err(Some(7)), Ok(())));
    }
}
