//! Suspending stops a thread in user mode; what it waits for goes on.

use crate::scene::Scene;
use abi::call::Call;
use abi::{Error, Handle};
use kernel_core::object::{ReplyState, ThreadState};
use kernel_core::world::Outcome;

#[test]
fn a_ready_thread_stops_and_goes_on() {
    let mut s = Scene::new();
    let (c, tc) = (s.p.c, s.tc);
    s.ok(Call::ThreadSuspend, &[tc]);
    assert_eq!(s.state(c), ThreadState::Suspended);
    assert_eq!(s.err(Call::ThreadSuspend, &[tc]), Error::WrongState);
    s.ok(Call::ThreadResume, &[tc]);
    assert_eq!(s.state(c), ThreadState::Ready);
    assert_eq!(s.err(Call::ThreadResume, &[tc]), Error::WrongState);
    s.p.w.end();
}

#[test]
fn a_thread_that_suspends_itself_finds_the_call_answered() {
    let mut s = Scene::new();
    let (c, tc) = (s.p.c, s.tc);
    assert_eq!(s.p.w.call(c, Call::ThreadSuspend, &[Handle::SELF_THREAD.word()]), Outcome::Waits);
    assert_eq!(s.state(c), ThreadState::Suspended);
    assert_eq!(s.registers(tc).rax, 0);
    s.ok(Call::ThreadResume, &[tc]);
    assert!(matches!(s.p.w.outcome(c), Outcome::Done(_)));
    s.p.w.end();
}

#[test]
fn a_suspended_receiver_gets_its_call_and_takes_it_when_resumed() {
    let mut s = Scene::new();
    let (server, ts) = (s.p.s, s.ts);
    s.p.server_waits();
    s.ok(Call::ThreadSuspend, &[ts]);
    assert_eq!(s.state(server), ThreadState::Receiving);
    s.p.client_calls(5);
    assert_eq!(s.state(server), ThreadState::Suspended);
    assert_ne!(s.p.running(), Some(server));
    s.ok(Call::ThreadResume, &[ts]);
    assert!(matches!(s.p.w.outcome(server), Outcome::Done([crate::kit::BADGE, 5, ..])));
    assert!(matches!(s.p.server_replies(6), Outcome::Done(_)));
    assert!(matches!(s.p.w.outcome(s.p.c), Outcome::Done([0, 6, ..])));
    s.p.w.end();
}

#[test]
fn a_suspended_caller_is_answered_and_sees_it_when_resumed() {
    for slow_from_the_start in [false, true] {
        let mut s = Scene::new();
        let (c, tc) = (s.p.c, s.tc);
        if slow_from_the_start {
            // Suspended while it waits in the queue: the call is received later.
            s.p.client_calls(1);
            s.ok(Call::ThreadSuspend, &[tc]);
            s.p.server_receives();
        } else {
            s.p.server_waits();
            s.p.client_calls(1);
            s.ok(Call::ThreadSuspend, &[tc]);
        }
        assert_eq!(s.state(c), ThreadState::AwaitingReply);
        let args = [s.p.endpoint, 2, 0, s.p.reply];
        assert_eq!(s.p.w.call(s.p.s, Call::ReplyRecv, &args), Outcome::Waits);
        assert_eq!(s.state(c), ThreadState::Suspended);
        assert_ne!(s.p.running(), Some(c));
        let reply = s.p.w.object::<kernel_core::object::Reply>(s.p.server, s.p.reply);
        assert_eq!(s.p.w.kernel.replies[reply].state.get(), ReplyState::Receiving);
        s.ok(Call::ThreadResume, &[tc]);
        assert!(matches!(s.p.w.outcome(c), Outcome::Done([0, 2, ..])));
        // What follows is as fast as ever, once what the resume left to be seen to is seen to.
        s.p.client_calls(3);
        assert_eq!(s.p.w.call(s.p.s, Call::ReplyRecv, &args), Outcome::Waits);
        s.p.client_calls(4);
        assert!(s.p.w.kernel.replies[reply].short.get().is_some());
        s.p.w.end();
    }
}

#[test]
fn deadlines_and_signals_end_the_waits_of_suspended_threads() {
    let mut s = Scene::new();
    let (c, tc) = (s.p.c, s.tc);
    let at = s.p.w.now() + 1_000;
    s.p.w.waits(c, Call::Sleep, &[at]);
    s.ok(Call::ThreadSuspend, &[tc]);
    assert_eq!(s.state(c), ThreadState::Sleeping);
    s.p.w.time(at);
    assert_eq!(s.state(c), ThreadState::Suspended);
    s.ok(Call::ThreadResume, &[tc]);
    assert!(matches!(s.p.w.outcome(c), Outcome::Done(_)));
    s.p.w.end();
}

#[test]
fn resuming_in_a_wait_changes_nothing_but_that() {
    let mut s = Scene::new();
    let (c, tc) = (s.p.c, s.tc);
    s.p.client_calls(1);
    s.ok(Call::ThreadSuspend, &[tc]);
    s.ok(Call::ThreadResume, &[tc]);
    assert_eq!(s.state(c), ThreadState::Sending);
    s.p.server_receives();
    s.ok(Call::ThreadSuspend, &[tc]);
    s.ok(Call::ThreadResume, &[tc]);
    assert_eq!(s.state(c), ThreadState::AwaitingReply);
    s.p.server_replies(2);
    assert_eq!(s.state(c), ThreadState::Ready);
    s.p.w.end();
}
