//! The rules of timers with slack.

use crate::random::Random;
use abi::call::Call;
use abi::{Error, Handle};
use kernel_core::world::{Outcome, World};

/// When a test begins; times below are after it.
const START: u64 = 10_000_000;
const QUOTA: u64 = Handle::SELF_QUOTA.0 as u64;

/// Lets the machine's timer interrupt come whenever it is armed, until nothing is due any more before `until`; how often.
fn run(w: &mut World, until: u64, mut look: impl FnMut(&mut World)) -> usize {
    let mut interrupts = 0;
    loop {
        let armed = w.kernel.here().armed_ns.get();
        if armed > until {
            return interrupts;
        }
        let now = w.now().max(armed);
        w.time(now);
        interrupts += 1;
        look(w);
    }
}

#[test]
fn overlapping_timers_share_interrupts_and_none_is_early_or_late() {
    for seed in 0..20 {
        let mut w = World::new();
        w.kernel.machine.set_now(START);
        let p = w.process();
        let t = w.thread(p, 10);
        let mut random = Random::new(seed);
        let mut timers = Vec::new();
        for n in 0..100 {
            let bell = w.ok(t, Call::NotificationCreate, &[QUOTA])[0];
            // Every pair overlaps: from at most 10,000 to at least 11,000.
            let from = START + 1_000 + random.below(9_000) as u64;
            let slack = START + 11_000 - from + random.below(5_000) as u64;
            w.ok(t, Call::TimerSet, &[bell, 1 << (n % 64), from, slack]);
            timers.push((w.object::<kernel_core::object::Notification>(p, bell), from, from + slack, None));
        }
        let interrupts = run(&mut w, START + 1_000_000, |w| {
            let now = w.now();
            for (id, _, _, fired) in timers.iter_mut().filter(|t| t.3.is_none()) {
                if w.kernel.notifications[*id].bits.get() != 0 {
                    *fired = Some(now);
                }
            }
        });
        for (_, from, latest, fired) in &timers {
            let fired = fired.expect("it fired");
            // Equal times get neighbouring places, a nanosecond apart.
            assert!(*from <= fired && fired <= latest + 100, "{from} {fired} {latest}");
        }
        assert!(interrupts <= 8, "{interrupts} interrupts");
        w.end();
    }
}

#[test]
fn without_slack_a_timer_fires_at_its_time() {
    let mut w = World::new();
    w.kernel.machine.set_now(START);
    let p = w.process();
    let t = w.thread(p, 10);
    let bell = w.ok(t, Call::NotificationCreate, &[QUOTA])[0];
    let loose = w.ok(t, Call::NotificationCreate, &[QUOTA])[0];
    w.ok(t, Call::TimerSet, &[bell, 1, START + 1_000, 0]);
    w.ok(t, Call::TimerSet, &[loose, 2, START + 1_001, u64::MAX]);
    assert_eq!(w.kernel.here().armed_ns.get(), START + 1_000);
    w.time(START + 999);
    assert_eq!(w.call(t, Call::Wait, &[bell, 1]), Outcome::Failed(Error::TimedOut));
    w.time(START + 1_000);
    assert_eq!(w.ok(t, Call::Wait, &[bell, 1])[0], 1);
    assert_eq!(w.call(t, Call::Wait, &[loose, 1]), Outcome::Failed(Error::TimedOut), "never early");
    w.ok(t, Call::TimerSet, &[bell, 4, START + 2_000, 0]);
    w.time(START + 2_000);
    assert_eq!(w.ok(t, Call::Wait, &[loose, 1])[0], 2, "it fires with another");
    assert_eq!(w.ok(t, Call::Wait, &[bell, 1])[0], 4);
    // Taken back, and in the past.
    w.ok(t, Call::TimerSet, &[bell, 4, START + 3_000, 50]);
    w.ok(t, Call::TimerSet, &[bell, 4, 0, 50]);
    // (The machine's timer may stay armed for nothing.)
    assert!(run(&mut w, 1 << 40, |_| {}) <= 1);
    assert_eq!(w.call(t, Call::Wait, &[bell, 1]), Outcome::Failed(Error::TimedOut));
    w.ok(t, Call::TimerSet, &[bell, 8, 5, 1_000_000]);
    assert_eq!(w.ok(t, Call::Wait, &[bell, 1])[0], 8);
    w.end();
}

#[test]
fn those_that_are_due_come_before_those_that_could_wait() {
    let mut w = World::new();
    w.kernel.machine.set_now(START);
    let p = w.process();
    let t = w.thread(p, 10);
    let due: Vec<u64> = (0..40)
        .map(|n| {
            let loose = w.ok(t, Call::NotificationCreate, &[QUOTA])[0];
            w.ok(t, Call::TimerSet, &[loose, 1, START + 500, 100_000 + n]);
            let bell = w.ok(t, Call::NotificationCreate, &[QUOTA])[0];
            w.ok(t, Call::TimerSet, &[bell, 1, START + 1_000, n]);
            bell
        })
        .collect();
    // A bounded number with each interrupt, and the next comes at once while some are due.
    let interrupts = run(&mut w, START + 1_100, |_| {});
    assert!((3..10).contains(&interrupts), "{interrupts}");
    for bell in due {
        assert_eq!(w.ok(t, Call::Wait, &[bell, 1])[0], 1);
    }
    w.end();
}
