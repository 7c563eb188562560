//! The rules of notifications: bits gathered, given to one waiter, and told by
//! receives.

use crate::kit::{Pair, BADGE};
use abi::call::Call;
use abi::message::{Extras, Received};
use abi::Error;
use kernel_core::object::ThreadState;
use kernel_core::world::Outcome;

#[test]
fn the_bits_of_a_bound_notification_come_with_receives() {
    let mut p = Pair::new();
    let bell = p.w.ok(p.s, Call::NotificationCreate, &[p.quota])[0];
    assert_eq!(p.w.err(p.s, Call::NotificationBind, &[bell, p.reply]), Error::WrongKind);
    p.w.ok(p.s, Call::NotificationBind, &[bell, p.endpoint]);
    p.w.ok(p.s, Call::Notify, &[bell, 1]);
    p.w.ok(p.s, Call::Notify, &[bell, 4]);
    p.client_calls(2);
    let values = p.server_receives();
    assert_eq!((Extras(values[2]).kind(), p.w.words(p.s)[0]), (Received::Notification, 5));
    assert_eq!(p.server_receives()[0], BADGE);
    p.w.ok(p.s, Call::Notify, &[bell, 8]);
    // With an answer on the way: bits make the fast path give up.
    assert!(matches!(p.w.call(p.s, Call::ReplyRecv, &[p.endpoint, 0, 0, p.reply]), Outcome::Done(_)));
    assert_eq!(p.w.words(p.s)[0], 8);
    assert!(matches!(p.w.outcome(p.c), Outcome::Done(_)));
    let second = p.w.thread(p.server, 10);
    p.server_waits();
    p.w.ok(second, Call::Notify, &[bell, 16]);
    assert!(matches!(p.w.outcome(p.s), Outcome::Done([0, ..])));
    assert_eq!(p.w.words(p.s)[0], 16);
    // One that waits for the notification itself comes first.
    let third = p.w.thread(p.server, 10);
    p.w.waits(third, Call::Wait, &[bell, 0]);
    p.server_waits();
    p.w.ok(second, Call::Notify, &[bell, 32]);
    assert_eq!((p.w.outcome(third), p.state(p.s)), (Outcome::Done([32, 0, 0, 0]), ThreadState::Receiving));
    // A restarted server binds its own; the old one is let go.
    let newer = p.w.ok(second, Call::NotificationCreate, &[p.quota])[0];
    p.w.ok(second, Call::NotificationBind, &[newer, p.endpoint]);
    p.w.ok(second, Call::Notify, &[bell, 64]);
    assert_eq!(p.state(p.s), ThreadState::Receiving);
    p.w.ok(second, Call::Notify, &[newer, 128]);
    assert_eq!(p.w.words(p.s)[0], 128);
    p.w.end();
}

#[test]
fn a_notification_gathers_bits_and_gives_them_to_one_waiter() {
    let mut p = Pair::new();
    let bell = p.w.ok(p.s, Call::NotificationCreate, &[p.quota])[0];
    let second = p.w.thread(p.server, 10);
    p.w.waits(p.s, Call::Wait, &[bell, 0]);
    p.w.waits(second, Call::Wait, &[bell, 0]);
    let third = p.w.thread(p.server, 10);
    p.w.ok(third, Call::Notify, &[bell, 0]);
    assert_eq!(p.state(p.s), ThreadState::Waiting, "no bits are no signal");
    p.w.ok(third, Call::Notify, &[bell, 6]);
    assert_eq!((p.w.outcome(p.s), p.state(second)), (Outcome::Done([6, 0, 0, 0]), ThreadState::Waiting));
    p.w.ok(third, Call::Notify, &[bell, 1]);
    assert_eq!(p.w.outcome(second), Outcome::Done([1, 0, 0, 0]));
    p.w.ok(third, Call::Notify, &[bell, 1]);
    p.w.ok(third, Call::Notify, &[bell, 2]);
    assert_eq!(p.w.ok(third, Call::Wait, &[bell, 0])[0], 3);
    let past = p.w.now();
    assert_eq!(p.w.err(third, Call::Wait, &[bell, past]), Error::TimedOut);
}
