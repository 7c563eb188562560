//! The rules of messages, one test a sentence: calls, answers, sends,
//! capabilities, sessions, notifications.

use crate::kit::{extras, failed, Pair, BADGE};
use abi::call::Call;
use abi::message::{buffer, Extras, LeaseAccess, Received};
use abi::{Error, Kind, Rights};
use kernel_core::object::ThreadState;
use kernel_core::world::{Outcome, LENT};

const WORDS: [u64; 6] = [1, 2, 3, 4, 5, 6];

#[test]
fn a_call_to_a_waiting_server_switches_to_it_and_carries_words_badge_tag_and_account() {
    let mut p = Pair::new();
    p.server_waits();
    p.w.set_words(p.c, WORDS);
    p.client_calls(42);
    assert_eq!(p.running(), Some(p.s));
    let account = p.w.kernel.quotas[p.w.kernel.root_quota()].account.get();
    assert_eq!(p.w.outcome(p.s), Outcome::Done([BADGE, 42, 0, account]));
    assert_eq!(p.w.words(p.s), WORDS);
    assert_eq!(p.state(p.c), ThreadState::AwaitingReply);
}

#[test]
fn an_answer_switches_back_to_the_caller_and_carries_words_and_tag() {
    let mut p = Pair::new();
    p.server_waits();
    p.client_calls(1);
    p.w.set_words(p.s, WORDS);
    p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 43, 0, p.reply]);
    assert_eq!(p.running(), Some(p.c));
    let Outcome::Done([badge, tag, rest, _]) = p.w.outcome(p.c) else { panic!("answered") };
    assert_eq!((badge, tag, rest), (0, 43, 0));
    assert_eq!(p.w.words(p.c), WORDS);
    // And again, on the fast path both ways.
    for tag in 0..10 {
        p.client_calls(tag);
        assert_eq!(p.running(), Some(p.s));
        p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, tag, 0, p.reply]);
        assert_eq!(p.running(), Some(p.c));
    }
}

#[test]
fn a_call_waits_for_a_server_that_is_busy_and_is_received_later() {
    let mut p = Pair::new();
    p.w.set_words(p.c, WORDS);
    p.client_calls(9);
    assert_eq!(p.state(p.c), ThreadState::Sending);
    let [badge, tag, what, _] = p.server_receives();
    assert_eq!((badge, tag, Extras(what).kind()), (BADGE, 9, Received::Call));
    assert_eq!(p.w.words(p.s), WORDS);
    assert_eq!(p.server_replies(3), Outcome::Done([p.reply, 3, 0, 0]));
    assert!(matches!(p.w.outcome(p.c), Outcome::Done([0, 3, 0, _])));
    assert_eq!(failed(p.server_replies(3)), Some(Error::WrongState), "only once");
}

#[test]
fn the_most_urgent_caller_is_received_first_and_the_oldest_of_equals() {
    let mut p = Pair::new();
    let mut clients = vec![];
    for (n, priority) in [20, 5, 20, 30].into_iter().enumerate() {
        let (_, thread, session) = p.another_client(100 + n as u64, priority);
        p.w.waits(thread, Call::Call, &[session, 0, 0]);
        clients.push(thread);
    }
    let mut order = vec![];
    for _ in 0..4 {
        order.push(p.server_receives()[0]);
        p.server_replies(0);
    }
    assert_eq!(order, [103, 100, 102, 101]);
}

#[test]
fn a_send_is_answered_when_it_is_received_and_leaves_the_reply_free() {
    let mut p = Pair::new();
    p.w.set_words(p.c, WORDS);
    p.w.waits(p.c, Call::Send, &[p.session, 5, 0]);
    let [badge, tag, what, _] = p.server_receives();
    assert_eq!((badge, tag, Extras(what).kind()), (BADGE, 5, Received::Send));
    assert_eq!(p.w.words(p.s), WORDS);
    assert!(matches!(p.w.outcome(p.c), Outcome::Done(_)));
    assert_eq!(failed(p.server_replies(0)), Some(Error::WrongState));
    p.server_waits();
    p.w.ok(p.c, Call::Send, &[p.session, 6, 0]);
    assert!(matches!(p.w.outcome(p.s), Outcome::Done([BADGE, 6, _, _])));
    p.server_waits();
}

#[test]
fn a_send_lends_nothing() {
    let mut p = Pair::new();
    p.w.lend(p.c, 0, LENT, 4096, LeaseAccess::READ, 0);
    assert_eq!(p.w.err(p.c, Call::Send, &[p.session, 0, extras(0, 1, false)]), Error::BadArgument);
}

#[test]
fn malformed_extras_are_refused_before_anything_happens() {
    let mut p = Pair::new();
    p.server_waits();
    for bad in [5, 0x50, 1 << 9, 1 << 63, 1 << 3] {
        assert_eq!(p.w.err(p.c, Call::Call, &[p.session, 0, bad]), Error::BadArgument, "{bad:#x}");
    }
    assert_eq!(p.state(p.s), ThreadState::Receiving);
}

#[test]
fn capabilities_travel_with_a_call_and_with_its_answer() {
    let mut p = Pair::new();
    let c_quota = p.w.quota_handle(p.client);
    let sent = p.w.ok(p.c, Call::NotificationCreate, &[c_quota])[0];
    let mask = Rights::SEND | Rights::MANAGE | Rights::TRANSFER;
    p.w.buffer_set(p.c, buffer::SEND_CAPS, sent | u64::from(mask.bits()) << 32);
    p.server_waits();
    p.w.waits(p.c, Call::Call, &[p.session, 0, extras(1, 0, false)]);
    let Outcome::Done([_, _, what, _]) = p.w.outcome(p.s) else { panic!("received") };
    assert_eq!(Extras(what).caps(), 1);
    let word = p.w.buffer(p.s, buffer::RECEIVED_CAPS);
    let (handle, rights, kind) = (word & 0xffff_ffff, word >> 32 & 0xffff, word >> 48);
    assert_eq!(kind, Kind::Notification as u64);
    assert_eq!(rights, u64::from((Rights::SEND | Rights::TRANSFER).bits()), "no right that the sender lacks");
    p.w.ok(p.s, Call::Notify, &[handle, 0b101]);
    assert_eq!(p.w.err(p.s, Call::Wait, &[handle, 0]), Error::NoRight);
    let other = p.c_other();
    assert_eq!(p.w.ok(other, Call::Wait, &[sent, 0])[0], 0b101);
    // Back with the answer.
    p.w.buffer_set(p.s, buffer::SEND_CAPS, handle | 0xffff_u64 << 32);
    assert_eq!(p.w.err(p.s, Call::Reply, &[p.reply, 0, extras(1, 0, false)]), Error::BadArgument, "unknown rights");
    p.w.buffer_set(p.s, buffer::SEND_CAPS, handle | u64::from(Rights::SEND.bits()) << 32);
    p.w.ok(p.s, Call::Reply, &[p.reply, 0, extras(1, 0, false)]);
    let Outcome::Done([_, _, what, _]) = p.w.outcome(p.c) else { panic!("answered") };
    assert_eq!(Extras(what).caps(), 1);
    let back = p.w.buffer(p.c, buffer::RECEIVED_CAPS) & 0xffff_ffff;
    p.w.ok(p.c, Call::Notify, &[back, 1]);
    p.w.end();
}

#[test]
fn a_capability_without_the_right_to_be_transferred_is_refused_to_the_sender() {
    let mut p = Pair::new();
    let c_quota = p.w.quota_handle(p.client);
    let whole = p.w.ok(p.c, Call::NotificationCreate, &[c_quota])[0];
    let kept = p.w.ok(p.c, Call::Derive, &[whole, u64::from(Rights::SEND.bits()), 0, 0])[0];
    p.server_waits();
    for (handle, error) in [(kept, Error::NoRight), (whole + (1 << 16), Error::BadHandle), (0, Error::BadHandle)] {
        p.w.buffer_set(p.c, buffer::SEND_CAPS, handle);
        assert_eq!(p.w.err(p.c, Call::Call, &[p.session, 0, extras(1, 0, false)]), error);
    }
    assert_eq!(p.state(p.s), ThreadState::Receiving);
}

#[test]
fn a_capability_closed_before_it_was_received_arrives_as_no_handle_and_the_rest_arrives() {
    let mut p = Pair::new();
    let c_quota = p.w.quota_handle(p.client);
    let first = p.w.ok(p.c, Call::NotificationCreate, &[c_quota])[0];
    let second = p.w.ok(p.c, Call::NotificationCreate, &[c_quota])[0];
    for (i, handle) in [first, second].into_iter().enumerate() {
        p.w.buffer_set(p.c, buffer::SEND_CAPS + 2 * i, handle | u64::from(Rights::SEND.bits()) << 32);
    }
    p.w.waits(p.c, Call::Call, &[p.session, 0, extras(2, 0, false)]);
    let other = p.c_other();
    p.w.ok(other, Call::Close, &[first]);
    assert_eq!(Extras(p.server_receives()[2]).caps(), 2);
    assert_eq!(p.w.buffer(p.s, buffer::RECEIVED_CAPS), 0);
    let handle = p.w.buffer(p.s, buffer::RECEIVED_CAPS + 1) & 0xffff_ffff;
    p.w.ok(p.s, Call::Notify, &[handle, 1]);
}

#[test]
fn a_buffer_changed_after_the_call_changes_nothing() {
    let mut p = Pair::new();
    p.w.lend(p.c, 0, LENT, 10, LeaseAccess::READ, 0);
    p.w.waits(p.c, Call::Call, &[p.session, 0, extras(0, 1, false)]);
    p.w.lend(p.c, 0, LENT, 100, LeaseAccess::READ | LeaseAccess::WRITE, 0);
    assert_eq!(Extras(p.server_receives()[2]).leases(), 1);
    assert_eq!(p.w.buffer(p.s, buffer::RECEIVED_LEASES), 10);
    assert_eq!(p.w.buffer(p.s, buffer::RECEIVED_LEASES + 1), u64::from(LeaseAccess::READ.bits()));
}

#[test]
fn leases_are_checked_at_the_call() {
    let mut p = Pair::new();
    let read = LeaseAccess::READ;
    let cases = [
        (LENT, 1, LeaseAccess::empty(), Error::BadArgument),
        (LENT, u64::MAX, read, Error::BadAddress),
        (0, 4096, read, Error::BadAddress),
        (abi::memory::USER_END - 1, 2, read, Error::BadAddress),
        (0xffff_8000_0000_0000, 1, read, Error::BadAddress),
        (0, 1, read | LeaseAccess::PASS_ON, Error::BadHandle),
    ];
    for (address, length, access, error) in cases {
        // A good one before it, which must not be left over.
        p.w.lend(p.c, 0, LENT, 1, read, 0);
        p.w.lend(p.c, 1, address, length, access, 0);
        assert_eq!(p.w.err(p.c, Call::Call, &[p.session, 0, extras(0, 2, false)]), error, "{address:#x}");
    }
    p.w.buffer_set(p.c, buffer::SEND_LEASES + 6, 8);
    assert_eq!(p.w.err(p.c, Call::Call, &[p.session, 0, extras(0, 2, false)]), Error::BadArgument);
    p.w.end();
}

#[test]
fn recv_asks_for_a_free_reply_object_of_the_callers() {
    let mut p = Pair::new();
    assert_eq!(p.w.err(p.s, Call::Recv, &[p.endpoint, 0, 0, 0]), Error::BadHandle);
    assert_eq!(p.w.err(p.s, Call::Recv, &[p.endpoint, 0, 0, p.endpoint]), Error::WrongKind);
    p.client_calls(0);
    p.server_receives();
    assert_eq!(p.w.err(p.s, Call::Recv, &[p.endpoint, 0, 0, p.reply]), Error::WrongState);
    p.server_replies(0);
    p.server_waits();
    let second = p.w.thread(p.server, 10);
    assert_eq!(p.w.err(second, Call::Recv, &[p.endpoint, 0, 0, p.reply]), Error::WrongState);
    assert_eq!(p.w.err(second, Call::ReplyRecv, &[p.endpoint, 0, 0, p.reply]), Error::WrongState);
}

#[test]
fn reply_recv_with_bad_arguments_answers_nothing() {
    let mut p = Pair::new();
    p.server_waits();
    p.client_calls(0);
    p.w.buffer_set(p.s, buffer::SEND_CAPS, 0x7777_7777);
    assert_eq!(p.w.err(p.s, Call::ReplyRecv, &[p.endpoint, 0, extras(1, 0, false), p.reply]), Error::BadHandle);
    assert_eq!(p.w.err(p.s, Call::ReplyRecv, &[p.endpoint, 0, extras(0, 1, false), p.reply]), Error::BadArgument);
    assert_eq!(p.w.err(p.s, Call::ReplyRecv, &[p.reply, 0, 0, p.reply]), Error::WrongKind);
    assert_eq!(p.state(p.c), ThreadState::AwaitingReply);
    p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 0, 0, p.reply]);
    assert!(matches!(p.w.outcome(p.c), Outcome::Done(_)));
}

#[test]
fn a_server_can_owe_several_answers_and_give_them_in_any_order() {
    let mut p = Pair::new();
    let replies: Vec<_> = (0..3).map(|_| p.w.ok(p.s, Call::ReplyCreate, &[p.quota])[0]).collect();
    let clients: Vec<_> = (0..3).map(|n| p.another_client(100 + n, 10 + n as u8)).collect();
    for reply in &replies {
        p.w.waits(p.s, Call::Recv, &[p.endpoint, 0, 0, *reply]);
        let n = replies.iter().position(|r| r == reply).expect("it is there");
        p.w.waits(clients[n].1, Call::Call, &[clients[n].2, n as u64, 0]);
        assert!(matches!(p.w.outcome(p.s), Outcome::Done([_, tag, ..]) if tag == n as u64));
    }
    for n in [1, 2, 0] {
        p.w.ok(p.s, Call::Reply, &[replies[n], 50 + n as u64, 0]);
        assert!(matches!(p.w.outcome(clients[n].1), Outcome::Done([_, tag, ..]) if tag == 50 + n as u64));
    }
    p.w.end();
}

#[test]
fn open_calls_the_root_session_of_a_name_and_nothing_else() {
    let mut p = Pair::new();
    let (namespace, k_session) = p.bind_root(b"file", 99);
    p.server_waits();
    p.w.kernel.user_write(p.client, LENT, b"fileblob").expect("mapped");
    p.w.waits(p.c, Call::Open, &[LENT, 8, 0, 4]);
    assert!(matches!(p.w.outcome(p.s), Outcome::Done([99, 8, ..])));
    p.server_replies(0);
    assert_eq!(p.w.err(p.c, Call::Open, &[LENT + 4, 0, 0, 4]), Error::NotFound);
    assert_eq!(p.w.err(p.c, Call::Open, &[1, 0, 0, 4]), Error::BadAddress);
    assert_eq!(p.w.err(p.c, Call::Open, &[LENT, 0, 0, 33]), Error::NameTooLong);
    // A name bound without the right to call.
    let deaf = p.w.ok(p.k, Call::Derive, &[k_session, u64::from(Rights::TRANSFER.bits()), 0, 0])[0];
    p.w.kernel.user_write(p.keeper, LENT, b"deaf").expect("mapped");
    p.w.ok(p.k, Call::NamespaceBind, &[namespace, LENT, 4, deaf]);
    p.w.kernel.user_write(p.client, LENT, b"deaf").expect("mapped");
    assert_eq!(p.w.err(p.c, Call::Open, &[LENT, 0, 0, 4]), Error::NoRight);
    p.w.end();
}

#[test]
fn an_endpoint_without_capabilities_tells_everyone_who_waits_or_calls_later() {
    let mut p = Pair::new();
    let (_, other, session) = p.another_client(100, 10);
    p.w.waits(other, Call::Send, &[session, 0, 0]);
    p.client_calls(0);
    let own = p.endpoint;
    p.w.ok(p.s, Call::Close, &[own]);
    assert_eq!(p.state(p.c), ThreadState::Sending, "the keeper still has one");
    p.w.ok(p.k, Call::Close, &[p.k_endpoint]);
    assert_eq!(failed(p.w.outcome(p.c)), Some(Error::Closed));
    assert_eq!(failed(p.w.outcome(other)), Some(Error::Closed));
    assert_eq!(p.w.err(p.c, Call::Call, &[p.session, 0, 0]), Error::Closed);
    assert_eq!(p.w.err(p.c, Call::Send, &[p.session, 0, 0]), Error::Closed);
    assert_eq!(p.w.kernel.endpoints.iter_used().count(), 1, "sessions lead to it");
    p.w.ok(p.c, Call::Close, &[p.session]);
    p.w.ok(other, Call::Close, &[session]);
    assert_eq!(p.w.kernel.endpoints.iter_used().count(), 0);
    p.w.end();
}

#[test]
fn closing_what_a_thread_waits_at_wakes_it() {
    let mut p = Pair::new();
    let second = p.w.thread(p.server, 10);
    p.server_waits();
    p.w.ok(second, Call::Close, &[p.reply]);
    assert_eq!(failed(p.w.outcome(p.s)), Some(Error::Closed), "the reply object");
    p.reply = p.w.ok(p.s, Call::ReplyCreate, &[p.quota])[0];
    p.server_waits();
    p.w.ok(p.k, Call::Close, &[p.k_endpoint]);
    p.w.ok(second, Call::Close, &[p.endpoint]);
    assert_eq!(failed(p.w.outcome(p.s)), Some(Error::Closed), "the endpoint");
    let bell = p.w.ok(p.s, Call::NotificationCreate, &[p.quota])[0];
    p.w.waits(p.s, Call::Wait, &[bell, 0]);
    p.w.ok(second, Call::Close, &[bell]);
    assert_eq!(failed(p.w.outcome(p.s)), Some(Error::Closed), "the notification");
    p.w.end();
}

#[test]
fn every_wait_can_be_cancelled_but_a_received_call_ends_with_its_answer() {
    let mut p = Pair::new();
    let c_quota = p.w.quota_handle(p.client);
    let bell = p.w.ok(p.c, Call::NotificationCreate, &[c_quota])[0];
    let cap = p.w.kernel.cap_insert(p.keeper, Kind::Thread, p.c.raw(), Rights::all(), None).expect("room").word();
    assert_eq!(p.w.err(p.k, Call::ThreadCancel, &[cap]), Error::WrongState);
    let far = p.w.now() + 1_000_000;
    let waits: [(Call, &[u64]); 4] = [
        (Call::Call, &[p.session, 0, 0]),
        (Call::Send, &[p.session, 0, 0]),
        (Call::Wait, &[bell, 0]),
        (Call::Sleep, &[far]),
    ];
    for (call, args) in waits {
        p.w.waits(p.c, call, args);
        p.w.ok(p.k, Call::ThreadCancel, &[cap]);
        assert_eq!(failed(p.w.outcome(p.c)), Some(Error::Cancelled), "{}", call.name());
    }
    p.client_calls(0);
    p.server_receives();
    p.w.ok(p.k, Call::ThreadCancel, &[cap]);
    assert_eq!(p.state(p.c), ThreadState::AwaitingReply);
    p.server_replies(77);
    assert!(matches!(p.w.outcome(p.c), Outcome::Done([0, 77, ..])));
    p.w.end();
}

#[test]
fn the_words_of_a_refused_call_are_left_alone() {
    let mut p = Pair::new();
    p.w.set_words(p.c, WORDS);
    assert_eq!(p.w.err(p.c, Call::Call, &[p.session + 1, 0, 0]), Error::BadHandle);
    assert_eq!(p.w.words(p.c), WORDS);
    assert_eq!(p.w.err(p.s, Call::Call, &[p.endpoint, 0, 0]), Error::WrongKind);
    assert_eq!(p.w.err(p.c, Call::Recv, &[p.session, 0, 0, 0]), Error::WrongKind);
}

#[test]
fn two_threads_of_a_server_take_turns_and_neither_is_forgotten() {
    let mut p = Pair::new();
    let s2 = p.w.thread(p.server, 10);
    let reply2 = p.w.ok(s2, Call::ReplyCreate, &[p.quota])[0];
    p.server_waits();
    p.w.waits(s2, Call::Recv, &[p.endpoint, 0, 0, reply2]);
    p.client_calls(1);
    assert_eq!((p.state(p.s), p.state(s2)), (ThreadState::Running, ThreadState::Receiving));
    // The other one waits while this one answers and waits too.
    p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 0, 0, p.reply]);
    let (_, c2, session2) = p.another_client(100, 10);
    p.client_calls(2);
    assert!(matches!(p.w.outcome(s2), Outcome::Done([BADGE, 2, ..])), "first come, first served");
    p.w.waits(c2, Call::Call, &[session2, 3, 0]);
    assert!(matches!(p.w.outcome(p.s), Outcome::Done([100, 3, ..])));
    p.w.waits(s2, Call::ReplyRecv, &[p.endpoint, 22, 0, reply2]);
    p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 33, 0, p.reply]);
    assert!(matches!(p.w.outcome(p.c), Outcome::Done([0, 22, ..])));
    assert!(matches!(p.w.outcome(c2), Outcome::Done([0, 33, ..])));
    p.w.end();
}
