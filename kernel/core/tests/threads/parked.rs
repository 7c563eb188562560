//! Calls in flight while their thread runs an upcall.

use crate::kit::{extras, failed};
use crate::scene::{Scene, ENTRY, PLACE};
use abi::call::Call;
use abi::message::{buffer, LeaseAccess};
use abi::thread::{Frame, Interrupted, Registers};
use abi::{Error, Handle, Rights};
use kernel_core::object::{Reply, ReplyState, ThreadState};
use kernel_core::world::{Outcome, LENT};

const CALL: u64 = Interrupted::Call as u64;

/// The client's call was received, and then it was interrupted.
fn parked() -> Scene {
    let mut s = Scene::new();
    s.handler(s.p.c);
    s.p.server_waits();
    s.p.w.set_words(s.p.c, [1, 2, 3, 4, 5, 6]);
    s.p.client_calls(11);
    s.upcall(1);
    let (_, frame) = s.frame(s.p.c);
    assert_eq!(
        (frame.bits, frame.interrupted, frame.registers.rax, frame.registers.rsi),
        (1, CALL, Call::Call as u64, 11)
    );
    s
}

fn bound(s: &Scene) -> ReplyState {
    s.p.w.kernel.replies[s.p.w.object::<Reply>(s.p.server, s.p.reply)].state.get()
}

#[test]
fn an_answer_after_the_handler_is_delivered_as_ever() {
    let mut s = parked();
    assert_eq!(bound(&s), ReplyState::Bound, "the call is in flight");
    assert_eq!(s.returns(s.p.c), Outcome::Waits);
    assert_eq!(s.state(s.p.c), ThreadState::AwaitingReply);
    s.p.w.set_words(s.p.s, [9, 8, 7, 6, 5, 4]);
    s.p.server_replies(12);
    assert!(matches!(s.p.w.outcome(s.p.c), Outcome::Done([0, 12, 0, _])));
    assert_eq!(s.p.w.words(s.p.c), [9, 8, 7, 6, 5, 4]);
    s.p.w.end();
}

#[test]
fn an_answer_during_the_handler_is_kept_for_its_end() {
    // By `reply`, and by `reply_recv`, whose fast path has to see that nobody waits.
    for receives in [false, true] {
        let mut s = parked();
        s.p.w.set_words(s.p.s, [9, 8, 7, 6, 5, 4]);
        match receives {
            false => assert!(matches!(s.p.server_replies(12), Outcome::Done(_))),
            true => {
                let args = [s.p.endpoint, 12, 0, s.p.reply];
                assert_eq!(s.p.w.call(s.p.s, Call::ReplyRecv, &args), Outcome::Waits);
            }
        }
        assert!(s.handles(s.p.c));
        assert_eq!(s.p.w.words(s.p.c), [1, 2, 3, 4, 5, 6], "the handler's registers are its own");
        assert!(matches!(s.returns(s.p.c), Outcome::Done([0, 12, 0, _])));
        assert_eq!(s.p.w.words(s.p.c), [9, 8, 7, 6, 5, 4]);
        assert!(!s.handles(s.p.c));
        s.p.w.end();
    }
}

#[test]
fn the_handler_makes_calls_of_its_own() {
    for first_answered_first in [true, false] {
        let mut s = parked();
        let c = s.p.c;
        let second = s.p.w.ok(s.p.s, Call::ReplyCreate, &[s.p.quota])[0];
        s.p.w.waits(c, Call::Call, &[s.p.session, 21, 0]);
        assert_eq!(s.p.w.ok(s.p.s, Call::Recv, &[s.p.endpoint, 0, 0, second])[1], 21);
        let (one, two) = ([s.p.reply, 12, 0], [second, 22, 0]);
        for args in if first_answered_first { [one, two] } else { [two, one] } {
            s.p.w.ok(s.p.s, Call::Reply, &args);
        }
        assert!(matches!(s.p.w.outcome(c), Outcome::Done([0, 22, ..])));
        let at = s.p.w.kernel.threads[c].registers.rsp.get();
        assert!(matches!(s.p.w.call(c, Call::UpcallReturn, &[at]), Outcome::Done([0, 12, ..])));
        s.p.w.end();
    }
}

#[test]
fn one_call_is_parked_at_a_time() {
    let mut s = parked();
    let c = s.p.c;
    let second = s.p.w.ok(s.p.s, Call::ReplyCreate, &[s.p.quota])[0];
    let at = s.frame(c).0;
    // The handler lets upcalls in and makes a call: that is not interrupted once it is received.
    s.p.w.ok(c, Call::UpcallMask, &[0]);
    s.p.w.waits(c, Call::Call, &[s.p.session, 21, 0]);
    s.p.w.ok(s.p.s, Call::Recv, &[s.p.endpoint, 0, 0, second]);
    s.upcall(2);
    assert_eq!(s.state(c), ThreadState::AwaitingReply);
    // The fast path would switch past the upcall.
    assert_eq!(s.p.w.call(s.p.s, Call::ReplyRecv, &[s.p.endpoint, 22, 0, second]), Outcome::Waits);
    let (inner, frame) = s.frame(c);
    assert_eq!((frame.bits, frame.interrupted, frame.registers.rsi), (2, 0, 22), "after the answer");
    assert!(matches!(s.p.w.call(c, Call::UpcallReturn, &[inner]), Outcome::Done([0, 22, ..])));
    assert_eq!(s.p.w.call(c, Call::UpcallReturn, &[at]), Outcome::Waits, "for the first");
    s.p.w.end();
}

#[test]
fn a_call_is_interrupted_again_and_again() {
    let mut s = parked();
    let c = s.p.c;
    s.upcall(2);
    assert_eq!(s.frame(c).1.bits, 1);
    // At the end of the first the second comes, with the call still in flight.
    assert!(matches!(s.returns(c), Outcome::Done(_) | Outcome::Failed(_)));
    let (_, frame) = s.frame(c);
    assert_eq!((frame.bits, frame.interrupted, frame.registers.rsi), (2, CALL, 11));
    assert_eq!(s.returns(c), Outcome::Waits);
    s.upcall(4);
    assert_eq!(s.frame(c).1.bits, 4);
    s.p.server_replies(12);
    assert!(matches!(s.returns(c), Outcome::Done([0, 12, ..])));
    s.p.w.end();
}

#[test]
fn capabilities_of_an_answer_wait_with_it() {
    let mut s = parked();
    let (c, server) = (s.p.c, s.p.s);
    let given = s.p.w.ok(server, Call::NotificationCreate, &[s.p.quota])[0];
    s.p.w.buffer_set(server, buffer::SEND_CAPS, given | u64::from(Rights::all().bits()) << 32);
    s.p.w.buffer_set(c, buffer::RECEIVED_CAPS, 0xdead);
    s.p.w.ok(server, Call::Reply, &[s.p.reply, 12, extras(1, 0, false)]);
    assert_eq!(s.p.w.buffer(c, buffer::RECEIVED_CAPS), 0xdead, "the handler's buffer is its own");
    assert!(matches!(s.returns(c), Outcome::Done([0, 12, 1, _])));
    let handle = s.p.w.buffer(c, buffer::RECEIVED_CAPS) & 0xffff_ffff;
    s.p.w.ok(c, Call::Notify, &[handle, 1]);
    s.p.w.end();
}

#[test]
fn an_answer_given_up_leaves_no_capabilities() {
    let mut s = parked();
    let (c, server) = (s.p.c, s.p.s);
    let given = s.p.w.ok(server, Call::NotificationCreate, &[s.p.quota])[0];
    let count = s.p.w.kernel.processes[s.p.client].cap_count.get();
    s.p.w.buffer_set(server, buffer::SEND_CAPS, given | u64::from(Rights::all().bits()) << 32);
    s.p.w.ok(server, Call::Reply, &[s.p.reply, 12, extras(1, 0, false)]);
    assert_eq!(s.p.w.kernel.processes[s.p.client].cap_count.get(), count + 1);
    s.p.w.ok(c, Call::UpcallReturn, &[0]);
    assert_eq!(s.p.w.kernel.processes[s.p.client].cap_count.get(), count);
    s.p.w.end();
}

#[test]
fn frame_zero_gives_the_call_up_and_unmasks() {
    let mut s = parked();
    let c = s.p.c;
    s.upcall(2);
    s.p.w.call(c, Call::UpcallReturn, &[0]);
    assert_eq!(bound(&s), ReplyState::Cancelled, "taken until the server answers");
    let (_, frame) = s.frame(c);
    assert_eq!(
        (frame.bits, frame.registers.rip, frame.registers.rax, frame.interrupted),
        (2, ENTRY, 0, 0),
        "unmasked: the next comes"
    );
    s.p.w.ok(c, Call::UpcallReturn, &[0]);
    assert!(matches!(s.p.server_replies(12), Outcome::Done(_)));
    s.p.server_waits();
    s.p.client_calls(13);
    s.p.server_replies(14);
    assert!(matches!(s.p.w.outcome(c), Outcome::Done([0, 14, ..])));
    // With nothing parked it just unmasks.
    s.p.w.ok(c, Call::UpcallMask, &[1]);
    s.p.w.ok(c, Call::UpcallReturn, &[0]);
    assert_eq!(s.p.w.ok(c, Call::UpcallMask, &[0])[0], 0);
    s.p.w.end();
}

#[test]
fn a_handler_stays_while_a_call_is_parked() {
    let mut s = parked();
    assert_eq!(s.p.w.err(s.p.c, Call::UpcallHandler, &[0, 0, 0, 0]), Error::WrongState);
    s.p.w.ok(s.p.c, Call::UpcallHandler, &[ENTRY, 0, 0, 0]);
    s.p.w.end();
}

#[test]
fn a_frame_made_up_ends_what_is_parked_but_once() {
    let mut s = parked();
    let (c, client) = (s.p.c, s.p.client);
    let (_, frame) = s.frame(c);
    s.put_frame(client, PLACE, &Frame { registers: Registers { rip: ENTRY + 2, rsp: 5, ..frame.registers }, ..frame });
    s.p.server_replies(12);
    assert!(matches!(s.p.w.call(c, Call::UpcallReturn, &[PLACE]), Outcome::Done([0, 12, ..])));
    assert_eq!(failed(s.p.w.call(c, Call::UpcallReturn, &[PLACE])), Some(Error::BadArgument));
    s.p.w.end();
}

#[test]
fn a_server_that_dies_is_told_at_the_end_of_the_handler() {
    for dies in [true, false] {
        let mut s = parked();
        if dies {
            s.p.w.kill(s.p.server);
        } else {
            s.p.w.ok(s.p.s, Call::Close, &[s.p.reply]);
        }
        assert!(s.handles(s.p.c));
        let error = if dies { Error::Restarted } else { Error::Closed };
        assert_eq!(s.returns(s.p.c), Outcome::Failed(error));
        s.p.w.end();
    }
}

/// The client's call lends a page until a deadline, and is parked.
fn lent(deadline: u64) -> Scene {
    let mut s = Scene::new();
    let c = s.p.c;
    s.handler(c);
    s.p.server_waits();
    s.p.w.lend(c, 0, LENT, 2 * 4096, LeaseAccess::READ | LeaseAccess::WRITE, 0);
    s.p.w.buffer_set(c, buffer::DEADLINE, deadline);
    s.p.w.waits(c, Call::Call, &[s.p.session, 1, extras(0, 1, true)]);
    s.upcall(1);
    assert_eq!(s.frame(c).1.interrupted, CALL);
    s
}

const LATE: u64 = 1_000_000;

#[test]
fn a_deadline_counts_while_the_thread_waits() {
    // Passed during the handler: it ends the call once the thread waits again.
    let mut s = lent(LATE);
    s.p.w.time(LATE + 5);
    assert!(s.handles(s.p.c));
    s.p.w.ok(s.p.s, Call::LeaseRead, &[s.p.reply, 0, 0, PLACE, 64]);
    assert_eq!(s.returns(s.p.c), Outcome::Waits);
    s.p.w.time(LATE + 6);
    assert_eq!(s.p.w.outcome(s.p.c), Outcome::Failed(Error::TimedOut));
    assert_eq!(bound(&s), ReplyState::Cancelled);
    s.p.w.end();
    // Not yet: it does later.
    let mut s = lent(LATE);
    assert_eq!(s.returns(s.p.c), Outcome::Waits);
    s.p.w.time(LATE - 1);
    assert_eq!(s.p.w.outcome(s.p.c), Outcome::Waits);
    s.p.w.time(LATE);
    assert_eq!(s.p.w.outcome(s.p.c), Outcome::Failed(Error::TimedOut));
    s.p.w.end();
    // Answered first.
    let mut s = lent(LATE);
    s.p.w.time(LATE + 5);
    s.p.server_replies(3);
    assert!(matches!(s.returns(s.p.c), Outcome::Done([0, 3, ..])));
    s.p.w.time(LATE + 6);
    s.p.w.end();
}

#[test]
fn cancelling_reaches_a_parked_call_and_ends_it_with_the_answer() {
    let mut s = lent(LATE);
    let tc = s.tc;
    s.ok(Call::ThreadCancel, &[tc]);
    assert_eq!(s.p.w.err(s.p.s, Call::LeaseRead, &[s.p.reply, 0, 0, PLACE, 64]), Error::Cancelled);
    assert_eq!(bound(&s), ReplyState::Bound);
    assert_eq!(s.returns(s.p.c), Outcome::Waits);
    s.p.server_replies(3);
    assert!(matches!(s.p.w.outcome(s.p.c), Outcome::Done([0, 3, ..])));
    // Answered: nothing is there to cancel.
    let mut s2 = parked();
    s2.p.server_replies(3);
    let tc = s2.tc;
    assert_eq!(s2.err(Call::ThreadCancel, &[tc]), Error::WrongState);
    s2.p.w.end();
    s.p.w.end();
}

#[test]
fn held_leases_outlive_giving_up_until_the_server_answers() {
    for ends in [Call::Reply, Call::ProcessKill] {
        let mut s = lent(LATE);
        let server = s.p.s;
        let at = s.p.w.ok(server, Call::LeaseMap, &[s.p.reply, 0, 0, 4096, 0, 1])[0];
        s.p.w.ok(s.p.c, Call::UpcallReturn, &[0]);
        assert_eq!(bound(&s), ReplyState::Cancelled);
        s.p.w.kernel.user_read(s.p.server, at, &mut [0; 8]).expect("still mapped");
        if ends == Call::Reply {
            s.p.w.ok(server, Call::Reply, &[s.p.reply, 0, 0]);
            s.p.w.kernel.user_read(s.p.server, at, &mut [0; 8]).expect_err("not any more");
        } else {
            s.p.w.kill(s.p.server);
        }
        s.p.w.end();
    }
}

#[test]
fn a_thread_that_ends_with_a_call_parked_leaves_nothing() {
    for answered in [false, true] {
        let mut s = lent(LATE);
        if answered {
            s.p.server_replies(1);
        }
        s.p.w.kill(s.p.client);
        if !answered {
            assert_eq!(bound(&s), ReplyState::Cancelled);
            assert!(matches!(s.p.server_replies(1), Outcome::Done(_)));
        }
        s.p.w.end();
    }
    // The thread alone, its process living on.
    let mut s = parked();
    s.p.c_other();
    s.p.w.call(s.p.c, Call::ThreadExit, &[]);
    assert_eq!(bound(&s), ReplyState::Cancelled);
    s.p.w.end();
}

#[test]
fn a_parked_call_lends_its_priority_and_the_new_one_once_it_waits_again() {
    let mut s = Scene::of(crate::kit::Pair::with(kernel_core::world::World::new(), [10, 10, 20]));
    let (c, server, tc) = (s.p.c, s.p.s, s.tc);
    s.handler(c);
    s.p.server_waits();
    s.p.client_calls(1);
    assert_eq!(s.p.priority(server), 20);
    s.upcall(1);
    assert_eq!(s.p.priority(server), 20);
    s.ok(Call::ThreadPriority, &[tc, 30]);
    s.returns(c);
    assert_eq!((s.state(c), s.p.priority(server)), (ThreadState::AwaitingReply, 30));
    s.ok(Call::ThreadPriority, &[tc, 15]);
    assert_eq!(s.p.priority(server), 15);
    s.p.server_replies(1);
    assert_eq!(s.p.priority(server), 10);
    s.p.w.end();
}

#[test]
fn suspended_in_a_call_and_interrupted_both_happen() {
    let mut s = Scene::new();
    let (c, tc) = (s.p.c, s.tc);
    s.handler(c);
    s.p.server_waits();
    s.p.client_calls(1);
    s.ok(Call::ThreadSuspend, &[tc]);
    s.upcall(1);
    assert_eq!(s.state(c), ThreadState::Suspended);
    s.p.server_replies(2);
    assert_eq!(s.state(c), ThreadState::Suspended);
    s.ok(Call::ThreadResume, &[tc]);
    assert_eq!(s.frame(c).1.interrupted, CALL);
    assert!(matches!(s.returns(c), Outcome::Done([0, 2, ..])));
    // Suspended in the handler, answered, resumed.
    s.p.server_waits();
    s.p.client_calls(3);
    s.upcall(1);
    s.ok(Call::ThreadSuspend, &[tc]);
    s.p.server_replies(4);
    s.ok(Call::ThreadResume, &[tc]);
    assert!(matches!(s.returns(c), Outcome::Done([0, 4, ..])));
    let _ = Handle::NONE;
    s.p.w.end();
}

/// The client's call through a session that the keeper can take back is parked; answers the keeper's capability too.
fn parked_through_a_loan(s: &mut Scene) -> (u64, u64) {
    let made = s.p.w.ok(s.p.k, Call::SessionCreate, &[s.p.k_endpoint, 99, 0])[0];
    let given = s.p.w.give(s.p.keeper, made, s.p.client);
    s.handler(s.p.c);
    s.p.server_waits();
    s.p.w.waits(s.p.c, Call::Call, &[given, 1, 0]);
    s.upcall(1);
    assert!(s.handles(s.p.c));
    (made, given)
}

#[test]
fn a_parked_call_ends_with_what_it_was_made_through() {
    let mut s = Scene::new();
    let (made, _) = parked_through_a_loan(&mut s);
    s.p.w.ok(s.p.k, Call::Revoke, &[made]);
    assert_eq!(bound(&s), ReplyState::Cancelled);
    assert!(s.handles(s.p.c), "the handler goes on");
    assert_eq!(failed(s.returns(s.p.c)), Some(Error::Revoked));
    s.p.w.end();
}

#[test]
fn a_parked_call_outlives_its_handle_and_stems_from_the_parent_then() {
    for revoked in [false, true] {
        let mut s = Scene::new();
        let (made, given) = parked_through_a_loan(&mut s);
        let other = s.p.c_other();
        s.p.w.ok(other, Call::Close, &[given]);
        assert_eq!(bound(&s), ReplyState::Bound);
        if revoked {
            s.p.w.ok(s.p.k, Call::Revoke, &[made]);
            assert_eq!(failed(s.returns(s.p.c)), Some(Error::Revoked));
        } else {
            assert_eq!(s.returns(s.p.c), Outcome::Waits);
            s.p.w.waits(s.p.s, Call::ReplyRecv, &[s.p.endpoint, 12, 0, s.p.reply]);
            assert!(matches!(s.p.w.outcome(s.p.c), Outcome::Done([0, 12, 0, _])));
        }
        s.p.w.end();
    }
}
