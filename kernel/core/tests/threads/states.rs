//! Each state a thread can be in × what others can do to it.

use crate::kit::failed;
use crate::scene::{Scene, PLACE};
use abi::call::Call;
use abi::Error;
use kernel_core::object::ThreadState;
use kernel_core::world::Outcome;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Sending,
    Calling,
    Awaiting,
    Receiving,
    Waiting,
    Sleeping,
    Suspended,
    SuspendedSending,
    SuspendedAwaiting,
    InUpcall,
    Parked,
    ParkedAnswered,
    FaultQueued,
    FaultReceived,
    Ended,
}

const STATES: [State; 16] = [
    State::Ready,
    State::Sending,
    State::Calling,
    State::Awaiting,
    State::Receiving,
    State::Waiting,
    State::Sleeping,
    State::Suspended,
    State::SuspendedSending,
    State::SuspendedAwaiting,
    State::InUpcall,
    State::Parked,
    State::ParkedAnswered,
    State::FaultQueued,
    State::FaultReceived,
    State::Ended,
];

const ACTIONS: [Call; 7] = [
    Call::ThreadSuspend,
    Call::ThreadResume,
    Call::ThreadUpcall,
    Call::ThreadCancel,
    Call::ThreadRegisters,
    Call::ThreadSetRegisters,
    Call::ThreadPriority,
];

/// The client in a state.
fn scene(state: State) -> Scene {
    let mut s = Scene::new();
    let (c, tc) = (s.p.c, s.tc);
    s.handler(c);
    let far = s.p.w.now() + 1_000_000;
    // Words that can be set, where the keeper sets them from.
    let keeper = s.p.keeper;
    s.put(keeper, PLACE, &abi::thread::Registers { rip: crate::scene::STACK, ..Default::default() }.to_words());
    match state {
        State::Ready => {}
        State::Sending => s.p.w.waits(c, Call::Send, &[s.p.session, 1, 0]),
        State::Calling | State::SuspendedSending => s.p.client_calls(1),
        State::Awaiting | State::SuspendedAwaiting | State::Parked | State::ParkedAnswered => {
            s.p.server_waits();
            s.p.client_calls(1);
        }
        State::Receiving | State::Waiting => {
            let quota = s.p.w.quota_handle(s.p.client);
            let (call, args) = if state == State::Waiting {
                (Call::Wait, vec![s.p.w.ok(c, Call::NotificationCreate, &[quota])[0], 0])
            } else {
                let endpoint = s.p.w.ok(c, Call::EndpointCreate, &[quota])[0];
                (Call::Recv, vec![endpoint, 0, 0, s.p.w.ok(c, Call::ReplyCreate, &[quota])[0]])
            };
            s.p.w.waits(c, call, &args);
        }
        State::Sleeping => s.p.w.waits(c, Call::Sleep, &[far]),
        State::Suspended => {}
        State::InUpcall => s.upcall(1),
        State::FaultQueued | State::FaultReceived => {
            let session = s.ok(Call::SessionCreate, &[s.p.k_endpoint, 90, 0])[0];
            s.ok(Call::ThreadFaultHandler, &[tc, session]);
            if state == State::FaultReceived {
                s.p.server_waits();
            }
            s.fault(c);
        }
        State::Ended => s.p.w.kill(s.p.client),
    }
    match state {
        State::Suspended | State::SuspendedSending | State::SuspendedAwaiting => {
            s.ok(Call::ThreadSuspend, &[tc]);
        }
        State::Parked => s.upcall(1),
        State::ParkedAnswered => {
            s.upcall(1);
            s.p.server_replies(2);
        }
        _ => {}
    }
    s
}

/// What the keeper is told.
fn expected(state: State, action: Call) -> Option<Error> {
    use State::*;
    if state == Ended {
        return Some(Error::Closed);
    }
    let suspended = matches!(state, Suspended | SuspendedSending | SuspendedAwaiting);
    let faulting = matches!(state, FaultQueued | FaultReceived);
    let waits = matches!(
        state,
        Sending | Calling | Awaiting | Receiving | Waiting | Sleeping | SuspendedSending | SuspendedAwaiting | Parked
    );
    let allowed = match action {
        Call::ThreadSuspend => !suspended,
        Call::ThreadResume => suspended,
        Call::ThreadCancel => waits,
        Call::ThreadRegisters => suspended || faulting,
        Call::ThreadSetRegisters => state == Suspended || faulting,
        _ => true,
    };
    (!allowed).then_some(Error::WrongState)
}

fn act(s: &mut Scene, action: Call) -> Outcome {
    let second = match action {
        Call::ThreadUpcall => 2,
        Call::ThreadRegisters | Call::ThreadSetRegisters => PLACE,
        Call::ThreadPriority => 12,
        _ => 0,
    };
    let tc = s.tc;
    s.p.w.call(s.p.k, action, &[tc, second])
}

/// Everything that can come to the client comes.
fn drain(s: &mut Scene) {
    let (c, tc) = (s.p.c, s.tc);
    if s.p.w.kernel.threads[c].process.get().is_none() {
        return;
    }
    if s.p.w.kernel.threads[c].suspended.get() {
        s.ok(Call::ThreadResume, &[tc]);
    }
    for _ in 0..4 {
        if s.handles(c) && matches!(s.state(c), ThreadState::Ready | ThreadState::Running) {
            s.returns(c);
        }
        if matches!(s.state(c), ThreadState::AwaitingReply | ThreadState::Sending) {
            if s.state(c) == ThreadState::Sending {
                s.p.server_receives();
            }
            if s.state(c) == ThreadState::AwaitingReply {
                assert!(matches!(s.p.server_replies(0), Outcome::Done(_)));
            }
        }
    }
    let state = s.state(c);
    match state {
        ThreadState::Ready | ThreadState::Running => {}
        ThreadState::Receiving | ThreadState::Waiting | ThreadState::Sleeping => {
            s.ok(Call::ThreadCancel, &[tc]);
        }
        state => panic!("{state:?}"),
    }
    assert!(matches!(s.state(c), ThreadState::Ready | ThreadState::Running));
    assert!(!s.handles(c));
}

#[test]
fn every_state_bears_every_action_and_answers_as_documented() {
    for state in STATES {
        for action in ACTIONS {
            let mut s = scene(state);
            let before = (s.state(s.p.c), s.runs(s.p.c));
            let outcome = act(&mut s, action);
            assert_eq!(failed(outcome), expected(state, action), "{state:?} {action:?}");
            assert!(
                failed(outcome).is_some() || matches!(outcome, Outcome::Done(_)),
                "{state:?} {action:?}: {outcome:?}"
            );
            if failed(outcome).is_some() && state != State::Ended {
                let same = s.state(s.p.c) == before.0 || s.runs(s.p.c) && before.1;
                assert!(same, "{state:?} {action:?}: refused, and something happened");
            }
            drain(&mut s);
            s.p.w.end();
        }
    }
}

#[test]
fn every_state_and_any_two_actions_end_well() {
    for state in STATES {
        for first in ACTIONS {
            for second in ACTIONS {
                let mut s = scene(state);
                act(&mut s, first);
                act(&mut s, second);
                drain(&mut s);
                s.p.w.end();
            }
        }
    }
}

#[test]
fn every_state_after_every_action_can_be_killed() {
    for state in STATES {
        for action in ACTIONS {
            for server_first in [false, true] {
                let mut s = scene(state);
                act(&mut s, action);
                if server_first {
                    s.p.w.kill(s.p.server);
                }
                s.p.w.kill(s.p.client);
                s.p.w.end();
            }
        }
    }
}
