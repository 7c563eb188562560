//! Notifications, timers, deadlines.

use crate::part::deadline;
use crate::tap::{check, refused, same, works, Check, Test};
use abi::{Error, Handle, Rights};
use scheme::message::Outgoing;
use scheme::notification::Notification;
use scheme::rt::{calls, message, thread};
use scheme::time::{after_ns, now_ns, MILLISECOND};

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "bits-add-up-until-they-are-taken", run: bits },
    Test { name: "timers-fire-once-and-can-be-changed", run: timers },
    Test { name: "a-timer-with-slack-fires-no-later-than-that", run: slack },
    Test { name: "a-timer-with-slack-fires-with-another-in-its-window", run: together },
    Test { name: "deadlines-end-every-wait", run: deadlines },
    Test { name: "a-waiting-thread-is-woken", run: woken },
];

fn bits() -> Check {
    let notification = works("a notification", Notification::new())?;
    for bit in [1, 4, 4, 1 << 63] {
        works("signalling", notification.signal(bit))?;
    }
    same("the bits", works("waiting", notification.wait())?, 5 | 1 << 63)?;
    refused("nothing more", notification.wait_until(after_ns(MILLISECOND)), Error::TimedOut)
}

fn timers() -> Check {
    let notification = works("a notification", Notification::new())?;
    let start = now_ns();
    works("a timer", notification.timer(2, start + 20 * MILLISECOND))?;
    same("its bit", works("waiting", notification.wait_until(deadline()))?, 2)?;
    check(now_ns() >= start + 20 * MILLISECOND, "a timer came early")?;
    refused("once only", notification.wait_until(after_ns(5 * MILLISECOND)), Error::TimedOut)?;
    // A new one replaces it, 0 takes it back, one in the past comes at once.
    works("a far timer", notification.timer(1, after_ns(1000 * MILLISECOND)))?;
    works("a near one", notification.timer(8, after_ns(5 * MILLISECOND)))?;
    same("the near one's", works("waiting", notification.wait_until(deadline()))?, 8)?;
    works("another", notification.timer(1, after_ns(10 * MILLISECOND)))?;
    works("taking it back", notification.timer(1, 0))?;
    refused("nothing comes", notification.wait_until(after_ns(30 * MILLISECOND)), Error::TimedOut)?;
    works("one in the past", notification.timer(16, 1))?;
    same("comes at once", works("waiting", notification.wait_until(deadline()))?, 16)
}

/// Two notifications with a timer each: `from` and `slack` of the first, `at` of the second, which has no slack. Waits for the
/// second, and tells what the first holds then.
fn beside(from: u64, slack: u64, at: u64) -> Check<u64> {
    let (lax, strict) = (works("a notification", Notification::new())?, works("another", Notification::new())?);
    works("a timer with slack", calls::timer_set(lax.handle(), 2, from, slack))?;
    works("one without", calls::timer_set(strict.handle(), 4, at, 0))?;
    same("its bit", works("waiting", strict.wait_until(deadline()))?, 4)?;
    check(now_ns() >= at, "a timer came early")?;
    match lax.wait_until(1) {
        Err(Error::TimedOut) => Ok(0),
        other => works("looking at the first", other),
    }
}

fn slack() -> Check {
    let notification = works("a notification", Notification::new())?;
    let from = after_ns(20 * MILLISECOND);
    works("a timer", calls::timer_set(notification.handle(), 2, from, 20 * MILLISECOND))?;
    same("its bit", works("waiting", notification.wait_until(deadline()))?, 2)?;
    check(now_ns() >= from, "it came early")?;
    refused("once only", notification.wait_until(1), Error::TimedOut)?;
    // Whatever is due at its latest time comes no sooner than it.
    let from = after_ns(20 * MILLISECOND);
    same("when its window is over", beside(from, 20 * MILLISECOND, from + 20 * MILLISECOND)?, 2)?;
    let listener = works("a right less", calls::derive(notification.handle(), Rights::RECEIVE))?;
    refused("without SEND", calls::timer_set(listener, 2, from, 0), Error::NoRight)?;
    calls::close(listener);
    Ok(())
}

fn together() -> Check {
    let soon = after_ns(20 * MILLISECOND);
    // By itself it could come ten seconds later.
    same("inside the window", beside(soon, 10_000 * MILLISECOND, soon + 20 * MILLISECOND)?, 2)?;
    let soon = after_ns(20 * MILLISECOND);
    same("before it", beside(soon + 10_000 * MILLISECOND, 10_000 * MILLISECOND, soon)?, 0)
}

fn deadlines() -> Check {
    let endpoint = works("an endpoint", calls::endpoint_create(Handle::SELF_QUOTA))?;
    let session = works("a session", calls::session_create(endpoint, 1, 0))?;
    let reply = works("a reply", calls::reply_create(Handle::SELF_QUOTA))?;
    let until = after_ns(10 * MILLISECOND);
    let mut request = Outgoing { deadline_ns: until, ..Outgoing::default() };
    refused("a call that nobody takes", message::call(session, &mut request), Error::TimedOut)?;
    check(now_ns() >= until, "the call ended early")?;
    let mut request = Outgoing { deadline_ns: after_ns(10 * MILLISECOND), ..Outgoing::default() };
    refused("a message that nobody takes", message::send(session, &mut request), Error::TimedOut)?;
    refused("a receive", message::recv(endpoint, reply, after_ns(10 * MILLISECOND)), Error::TimedOut)?;
    let until = after_ns(15 * MILLISECOND);
    works("sleeping", calls::sleep(until))?;
    check(now_ns() >= until, "sleep ended early")?;
    let mut late = Outgoing { deadline_ns: 1, ..Outgoing::default() };
    refused("a deadline in the past", message::call(session, &mut late), Error::TimedOut)?;
    [endpoint, session, reply].into_iter().for_each(calls::close);
    Ok(())
}

fn woken() -> Check {
    let notification = works("a notification", Notification::new())?;
    let handle = notification.handle();
    let waiter = works("a thread", thread::spawn(128, move || calls::wait(handle, deadline())))?;
    // It waits now, or will: either way the bit reaches it.
    works("yielding", calls::thread_yield())?;
    works("signalling", notification.signal(32))?;
    let got = works("its end", waiter.join(deadline()))?;
    same("what it saw", works("its wait", got)?, 32)
}
