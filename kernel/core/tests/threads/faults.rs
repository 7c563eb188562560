//! Faults that a session is told of, or the thread itself.

use crate::kit::failed;
use crate::scene::{Scene, ENTRY, NOWHERE, STACK, STACK_LENGTH};
use abi::call::Call;
use abi::thread::{Registers, FAULT_TAG, UPCALL_FAULT, UPCALL_FAULTS};
use abi::{Error, Handle, Rights};
use kernel_core::object::ThreadState;
use kernel_core::world::{Outcome, MEMORY};

/// A scene in which the client's faults go to the server, through a session the keeper holds.
fn told() -> (Scene, u64) {
    let mut s = Scene::new();
    let session = s.ok(Call::SessionCreate, &[s.p.k_endpoint, 90, 0])[0];
    s.ok(Call::ThreadFaultHandler, &[s.tc, session]);
    (s, session)
}

fn fault_words(s: &Scene) -> [u64; 6] {
    let c = &s.p.w.kernel.threads[s.p.c];
    [14, 6, NOWHERE, c.registers.rip.get(), c.registers.rsp.get(), c.header.object_id.get()]
}

#[test]
fn a_fault_is_a_call_and_answer_zero_goes_on_with_registers_untouched() {
    for server_waits in [true, false] {
        let (mut s, _) = told();
        let (c, server) = (s.p.c, s.p.s);
        s.p.w.set_words(c, [1, 2, 3, 4, 5, 6]);
        let before = s.p.w.kernel.threads[c].registers.rsi.get();
        if server_waits {
            s.p.server_waits();
            s.fault(c);
        } else {
            s.fault(c);
            assert_eq!(s.state(c), ThreadState::Sending);
            s.p.server_receives();
        }
        assert_eq!(s.state(c), ThreadState::AwaitingReply);
        assert!(matches!(s.p.w.outcome(server), Outcome::Done([90, FAULT_TAG, 0, _])));
        assert_eq!(s.p.w.words(server), fault_words(&s));
        // Its words and capabilities are nobody's business.
        s.p.w.set_words(server, [9; 6]);
        assert!(matches!(s.p.server_replies(0), Outcome::Done(_)));
        assert_eq!(s.state(c), ThreadState::Ready);
        assert_eq!(s.p.w.words(c), [1, 2, 3, 4, 5, 6]);
        assert_eq!(s.p.w.kernel.threads[c].registers.rsi.get(), before);
        s.p.w.end();
    }
}

#[test]
fn the_fast_path_leaves_a_fault_alone() {
    let (mut s, _) = told();
    s.p.server_waits();
    s.p.w.set_words(s.p.c, [7; 6]);
    s.fault(s.p.c);
    let args = [s.p.endpoint, 0, 0, s.p.reply];
    assert_eq!(s.p.w.call(s.p.s, Call::ReplyRecv, &args), Outcome::Waits);
    assert_eq!(s.p.w.words(s.p.c), [7; 6]);
    assert!(matches!(s.state(s.p.c), ThreadState::Ready | ThreadState::Running));
    s.p.w.end();
}

#[test]
fn the_handler_can_change_registers_meanwhile() {
    let (mut s, _) = told();
    s.fault(s.p.c);
    let tc = s.tc;
    let mut r = s.registers(tc);
    r.rip += 2;
    assert!(matches!(s.set_registers(tc, &r), Outcome::Done(_)), "while it is queued");
    s.p.server_receives();
    r.rax = 55;
    assert!(matches!(s.set_registers(tc, &r), Outcome::Done(_)), "while it is with the server");
    s.p.server_replies(0);
    let c = &s.p.w.kernel.threads[s.p.c].registers;
    assert_eq!((c.rip.get(), c.rax.get()), (r.rip, 55));
    assert_eq!(failed(s.set_registers(tc, &Registers::default())), Some(Error::WrongState), "it goes on");
    s.p.w.end();
}

#[test]
fn any_other_answer_ends_the_process_with_a_report() {
    let (mut s, _) = told();
    s.fault(s.p.c);
    s.p.server_receives();
    s.p.server_replies(1);
    assert_eq!(s.died_of(s.p.client), Some(14));
    let report = s.p.w.kernel.report_oldest().expect("a report");
    assert_eq!((report[2], report[4]), (14, NOWHERE));
    s.p.w.end();
}

/// Found by fuzzing: it had just blocked and was still the processor's thread when it was taken apart.
#[test]
fn who_answers_so_that_its_own_process_ends_and_waits_for_more_is_gone() {
    let mut s = Scene::new();
    let session = s.ok(Call::SessionCreate, &[s.p.k_endpoint, 90, 0])[0];
    let (server, other) = (s.p.server, s.p.w.thread(s.p.server, 10));
    let handle = s.handle(other);
    s.ok(Call::ThreadFaultHandler, &[handle, session]);
    s.fault(other);
    s.p.server_receives();
    // Nobody holds its thread, so that its place is free at once.
    let held = s.ts;
    s.ok(Call::Close, &[held]);
    let args = [s.p.endpoint, 1, 0, s.p.reply];
    assert_eq!(s.p.w.call(s.p.s, Call::ReplyRecv, &args), Outcome::Gone);
    assert!(!s.p.w.kernel.processes.is_used(server));
    s.p.w.end();
}

#[test]
fn a_server_that_dies_is_told_again_when_it_is_back() {
    let (mut s, _) = told();
    s.fault(s.p.c);
    s.p.server_receives();
    s.p.w.kill(s.p.server);
    assert_eq!(s.state(s.p.c), ThreadState::Sending, "told again");
    let server = s.p.w.process();
    let thread = s.p.w.thread(server, 10);
    let quota = s.p.w.quota_handle(server);
    let endpoint = s.p.w.give(s.p.keeper, s.p.k_endpoint, server);
    let reply = s.p.w.ok(thread, Call::ReplyCreate, &[quota])[0];
    let got = s.p.w.ok(thread, Call::Recv, &[endpoint, 0, 0, reply]);
    assert_eq!(got[1], FAULT_TAG);
    assert_eq!(s.p.w.words(thread), fault_words(&s));
    s.p.w.ok(thread, Call::Reply, &[reply, 0, 0]);
    assert_eq!(s.state(s.p.c), ThreadState::Ready);
    s.p.w.end();
}

#[test]
fn a_closed_endpoint_or_a_dropped_reply_ends_the_process() {
    // Queued when it closes.
    let (mut s, _) = told();
    s.fault(s.p.c);
    let (k_endpoint, endpoint) = (s.p.k_endpoint, s.p.endpoint);
    s.ok(Call::Close, &[k_endpoint]);
    s.p.w.ok(s.p.s, Call::Close, &[endpoint]);
    assert_eq!(s.died_of(s.p.client), Some(14));
    s.p.w.end();
    // Closed before.
    let (mut s, _) = told();
    let (k_endpoint, endpoint) = (s.p.k_endpoint, s.p.endpoint);
    s.ok(Call::Close, &[k_endpoint]);
    s.p.w.ok(s.p.s, Call::Close, &[endpoint]);
    s.fault(s.p.c);
    assert_eq!(s.died_of(s.p.client), Some(14));
    s.p.w.end();
    // Received, and the reply object dropped.
    let (mut s, _) = told();
    s.fault(s.p.c);
    s.p.server_receives();
    s.p.w.ok(s.p.s, Call::Close, &[s.p.reply]);
    assert_eq!(s.died_of(s.p.client), Some(14));
    s.p.w.end();
}

#[test]
fn a_fault_with_its_handler_is_not_cancelled_nor_interrupted() {
    let (mut s, _) = told();
    let c = s.p.c;
    s.handler(c);
    s.fault(c);
    let tc = s.tc;
    assert_eq!(s.err(Call::ThreadCancel, &[tc]), Error::WrongState);
    s.upcall(1);
    assert_eq!(s.state(c), ThreadState::Sending);
    s.p.server_receives();
    assert_eq!(s.err(Call::ThreadCancel, &[tc]), Error::WrongState);
    s.upcall(2);
    assert_eq!(s.state(c), ThreadState::AwaitingReply);
    s.p.server_replies(0);
    // Now it goes on, with the upcall first.
    let (_, frame) = s.frame(c);
    assert_eq!((frame.bits, frame.interrupted), (3, 0));
    s.returns(c);
    assert!(!s.handles(c));
    s.p.w.end();
}

#[test]
fn a_suspended_thread_stays_so_when_its_fault_is_answered() {
    let (mut s, _) = told();
    s.fault(s.p.c);
    let tc = s.tc;
    s.ok(Call::ThreadSuspend, &[tc]);
    s.p.server_receives();
    s.p.server_replies(0);
    assert_eq!(s.state(s.p.c), ThreadState::Suspended);
    s.ok(Call::ThreadResume, &[tc]);
    assert_eq!(s.state(s.p.c), ThreadState::Ready);
    s.p.w.end();
}

#[test]
fn who_may_set_a_fault_handler() {
    let (mut s, session) = told();
    let tc = s.tc;
    let mute = s.ok(Call::Derive, &[session, u64::from(Rights::INSPECT.bits()), 0, 0])[0];
    assert_eq!(s.err(Call::ThreadFaultHandler, &[tc, mute]), Error::NoRight);
    let k_quota = s.p.k_quota;
    assert_eq!(s.err(Call::ThreadFaultHandler, &[tc, k_quota]), Error::WrongKind);
    assert_eq!(s.err(Call::ThreadFaultHandler, &[tc, 0xffff]), Error::BadHandle);
    // Replaced by none: it ends with a report, as ever.
    s.ok(Call::ThreadFaultHandler, &[tc, Handle::NONE.word()]);
    s.fault(s.p.c);
    assert_eq!(s.died_of(s.p.client), Some(14));
    assert_eq!(s.err(Call::ThreadFaultHandler, &[tc, session]), Error::Closed);
    s.p.w.end();
}

#[test]
fn the_session_of_a_fault_handler_lives_as_long_as_it_is_set() {
    let (mut s, session) = told();
    let tc = s.tc;
    s.ok(Call::Close, &[session]);
    s.fault(s.p.c);
    assert!(matches!(s.p.server_receives(), [90, FAULT_TAG, ..]));
    s.p.server_replies(0);
    s.ok(Call::ThreadFaultHandler, &[tc, 0]);
    // Its end is told like any other's.
    let got = s.p.server_receives();
    assert_eq!((got[0], got[2] >> 16), (90, abi::message::Received::SessionEnded as u64));
    s.p.w.end();
}

#[test]
fn a_fault_can_be_an_upcall_unless_it_is_masked() {
    let mut s = Scene::new();
    let c = s.p.c;
    s.p.w.ok(c, Call::UpcallHandler, &[ENTRY, STACK, STACK_LENGTH, UPCALL_FAULTS]);
    s.fault(c);
    let (_, frame) = s.frame(c);
    assert_eq!((frame.bits, frame.interrupted), (UPCALL_FAULT, 0));
    assert_eq!((frame.vector, frame.code, frame.address, frame.registers.rip), (14, 6, NOWHERE, MEMORY));
    // A fault in the handler finds it masked.
    s.fault(c);
    assert_eq!(s.died_of(s.p.client), Some(14));
    s.p.w.end();
}

#[test]
fn faults_are_upcalls_only_where_that_was_asked_for_and_a_session_comes_first() {
    let mut s = Scene::new();
    let c = s.p.c;
    s.handler(c);
    s.fault(c);
    assert_eq!(s.died_of(s.p.client), Some(14));
    s.p.w.end();
    let (mut s, _) = told();
    let c = s.p.c;
    s.p.w.ok(c, Call::UpcallHandler, &[ENTRY, STACK, STACK_LENGTH, UPCALL_FAULTS]);
    s.fault(c);
    assert!(!s.handles(c));
    assert_eq!(s.state(c), ThreadState::Sending);
    s.p.w.end();
}

#[test]
fn a_foreign_number_without_a_handler_is_a_fault_like_others() {
    let mut s = Scene::new();
    let c = s.p.c;
    s.p.w.ok(c, Call::UpcallHandler, &[ENTRY, STACK, STACK_LENGTH, UPCALL_FAULTS]);
    s.p.w.force(c);
    s.p.w.kernel.threads[c].registers.rax.set(39);
    s.p.w.syscall();
    let (_, frame) = s.frame(c);
    assert_eq!((frame.vector, frame.code), (0x100, 39));
    s.p.w.end();
}

#[test]
fn a_thread_that_ends_while_its_fault_is_told_leaves_nothing() {
    for received in [false, true] {
        let (mut s, _) = told();
        s.fault(s.p.c);
        if received {
            s.p.server_receives();
        }
        s.p.w.kill(s.p.client);
        if received {
            s.p.server_replies(0);
        }
        s.p.w.end();
    }
}

/// The client's faults go to the server through a child of the keeper's session.
fn told_through_a_child() -> (Scene, u64, u64) {
    let mut s = Scene::new();
    let session = s.ok(Call::SessionCreate, &[s.p.k_endpoint, 90, 0])[0];
    let child = s.ok(Call::Derive, &[session, u64::from(Rights::all().bits()), 0, 0])[0];
    s.ok(Call::ThreadFaultHandler, &[s.tc, child]);
    (s, session, child)
}

#[test]
fn a_handler_whose_capability_is_revoked_is_none_any_more() {
    // Before there is a fault, while it is queued, and while the server has it.
    for stage in 0..3 {
        let (mut s, session, _) = told_through_a_child();
        if stage > 0 {
            s.fault(s.p.c);
        }
        if stage > 1 {
            s.p.server_receives();
        }
        s.ok(Call::Revoke, &[session]);
        if stage == 0 {
            s.fault(s.p.c);
        }
        assert_eq!(s.died_of(s.p.client), Some(14), "stage {stage}");
        s.p.w.end();
    }
}

#[test]
fn a_handler_whose_capability_is_closed_stems_from_its_parent() {
    let (mut s, session, child) = told_through_a_child();
    s.ok(Call::Close, &[child]);
    s.fault(s.p.c);
    s.p.server_receives();
    assert!(matches!(s.p.server_replies(0), Outcome::Done(_)));
    assert_eq!(s.state(s.p.c), ThreadState::Ready, "it was told of the fault");
    // It is the parent's by inheritance: a revocation of that ends it, and one that was set with the parent itself stays.
    s.ok(Call::Revoke, &[session]);
    let c = s.p.c;
    assert_eq!(s.p.w.kernel.threads[c].fault_session.get(), None);
    s.ok(Call::ThreadFaultHandler, &[s.tc, session]);
    s.ok(Call::Revoke, &[session]);
    assert!(s.p.w.kernel.threads[c].fault_session.get().is_some());
    // With the last capability gone nobody can take it away, and it goes on.
    s.ok(Call::Close, &[session]);
    s.fault(s.p.c);
    s.p.server_receives();
    assert!(matches!(s.p.server_replies(0), Outcome::Done(_)));
    s.p.w.end();
}

#[test]
fn a_session_is_told_of_the_faults_of_so_many_threads_and_no_more() {
    use kernel_core::address::VirtAddr;
    use kernel_core::cap::faulters::FAULTERS;
    use kernel_core::cap::thread::Start;
    let mut s = Scene::new();
    let session = s.ok(Call::SessionCreate, &[s.p.k_endpoint, 90, 0])[0];
    let at = VirtAddr(MEMORY);
    let start = Start { entry: at, stack: at, argument: 0, buffer: at, priority: 1 };
    let mut last = 0;
    for _ in 0..FAULTERS {
        let thread = s.p.w.kernel.thread_make(s.p.client, start).unwrap();
        last = s.handle(thread);
        s.ok(Call::ThreadFaultHandler, &[last, session]);
    }
    assert_eq!(s.err(Call::ThreadFaultHandler, &[s.tc, session]), Error::Busy);
    // The same again is none more; one that is taken out makes room.
    s.ok(Call::ThreadFaultHandler, &[last, session]);
    s.ok(Call::ThreadFaultHandler, &[last, 0]);
    s.ok(Call::ThreadFaultHandler, &[s.tc, session]);
    s.p.w.end();
}
