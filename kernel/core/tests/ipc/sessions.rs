//! The rules of sessions: badges, enumeration, and the telling of ends until
//! they are acknowledged.

use crate::kit::{Pair, BADGE};
use abi::call::Call;
use abi::message::{Extras, Received};
use abi::Error;
use kernel_core::world::Outcome;

#[test]
fn a_badge_is_used_once_and_sessions_can_be_enumerated() {
    let mut p = Pair::new();
    assert_eq!(p.w.err(p.s, Call::SessionCreate, &[p.endpoint, BADGE, 0]), Error::Exists);
    assert_eq!(p.w.err(p.s, Call::SessionCreate, &[p.endpoint, BADGE - 1, 0]), Error::Exists);
    assert_eq!(p.w.err(p.s, Call::SessionCreate, &[p.endpoint, 0, 0]), Error::BadArgument);
    assert_eq!(p.w.err(p.s, Call::SessionCreate, &[p.endpoint, 9, 1 << 32]), Error::BadArgument);
    let nine = p.w.ok(p.s, Call::SessionCreate, &[p.endpoint, 9, 0])[0];
    p.w.ok(p.s, Call::SessionCreate, &[p.endpoint, u64::MAX, 0]);
    assert_eq!(p.w.ok(p.s, Call::SessionNext, &[p.endpoint, 0])[..2], [BADGE, 0]);
    assert_eq!(p.w.ok(p.s, Call::SessionNext, &[p.endpoint, BADGE])[..2], [9, 0]);
    p.w.ok(p.s, Call::Close, &[nine]);
    assert_eq!(p.w.ok(p.s, Call::SessionNext, &[p.endpoint, BADGE])[..2], [9, 1]);
    assert_eq!(p.w.ok(p.s, Call::SessionNext, &[p.endpoint, 9])[..2], [u64::MAX, 0]);
    assert_eq!(p.w.err(p.s, Call::SessionNext, &[p.endpoint, u64::MAX]), Error::NotFound);
    p.w.ok(p.s, Call::SessionAcknowledge, &[p.endpoint, 9]);
    assert_eq!(p.w.err(p.s, Call::SessionAcknowledge, &[p.endpoint, 9]), Error::NotFound);
    assert_eq!(p.w.err(p.s, Call::SessionAcknowledge, &[p.endpoint, BADGE]), Error::WrongState);
    assert_eq!(p.w.err(p.s, Call::SessionCreate, &[p.endpoint, 9, 0]), Error::Exists, "never reused");
}

fn told(values: [u64; 4]) -> Option<u64> {
    (Extras(values[2]).kind() == Received::SessionEnded).then_some(values[0])
}

#[test]
fn the_end_of_a_session_is_told_at_once_to_a_server_that_waits() {
    let mut p = Pair::new();
    p.server_waits();
    p.w.ok(p.c, Call::Close, &[p.session]);
    let Outcome::Done(values) = p.w.outcome(p.s) else { panic!("told") };
    assert_eq!(told(values), Some(BADGE));
    p.w.ok(p.s, Call::SessionAcknowledge, &[p.endpoint, BADGE]);
    p.server_waits();
    p.w.end();
}

#[test]
fn unacknowledged_ends_are_told_once_a_round_and_hide_no_calls() {
    let mut p = Pair::new();
    let sessions: Vec<_> = (0..3).map(|n| p.new_session(100 + n, p.client)).collect();
    let other = p.c_other();
    p.client_calls(1);
    for session in sessions {
        p.w.ok(other, Call::Close, &[session]);
    }
    for round in 0..3 {
        let badges: Vec<_> = (0..3).map(|_| told(p.server_receives())).collect();
        assert_eq!(badges, [Some(100), Some(101), Some(102)], "round {round}");
        let [badge, _, what, _] = p.server_receives();
        assert_eq!((badge, Extras(what).kind()), (BADGE, Received::Call), "round {round}");
        p.server_replies(0);
        p.client_calls(1);
    }
    // In the middle of a round: what is acknowledged is not told, what ends now is.
    assert_eq!(told(p.server_receives()), Some(100));
    p.w.ok(p.s, Call::SessionAcknowledge, &[p.endpoint, 101]);
    let late = p.new_session(200, p.client);
    p.w.ok(other, Call::Close, &[late]);
    assert_eq!(told(p.server_receives()), Some(102));
    assert_eq!(told(p.server_receives()), Some(200));
    assert_eq!(told(p.server_receives()), None, "the call");
    p.server_replies(0);
    // A server that has nothing else to do is not told over and over.
    for _ in 0..3 {
        assert!(told(p.server_receives()).is_some());
    }
    p.server_waits();
    p.w.end();
}

#[test]
fn a_queued_call_keeps_its_session_alive_until_it_is_received() {
    let mut p = Pair::new();
    p.client_calls(4);
    let other = p.c_other();
    p.w.ok(other, Call::Close, &[p.session]);
    let values = p.server_receives();
    assert_eq!((values[0], told(values)), (BADGE, None));
    p.server_replies(0);
    assert_eq!(told(p.server_receives()), Some(BADGE));
}

#[test]
fn an_answer_on_the_fast_path_brings_an_end_that_came_in_the_meantime() {
    let mut p = Pair::new();
    let doomed = p.new_session(100, p.client);
    let other = p.c_other();
    p.server_waits();
    p.client_calls(1);
    p.w.ok(other, Call::Close, &[doomed]);
    let values = p.w.ok(p.s, Call::ReplyRecv, &[p.endpoint, 2, 0, p.reply]);
    assert_eq!(told(values), Some(100));
    assert!(matches!(p.w.outcome(p.c), Outcome::Done([0, 2, ..])));
    // It was told in this round: the server waits now, and is told again after the next message.
    p.server_waits();
    p.client_calls(1);
    assert_eq!(told(p.w.ok(p.s, Call::ReplyRecv, &[p.endpoint, 2, 0, p.reply])), Some(100));
}
