//! A server is told, once, of calls it has received that are not wanted any
//! more.

use crate::kit::{extras, failed, Pair, BADGE};
use abi::call::Call;
use abi::message::{buffer, Extras, LeaseAccess, Received};
use abi::{Error, Kind, Rights};
use kernel_core::id::Id;
use kernel_core::object::{Reply, Thread, ThreadState};
use kernel_core::world::{Outcome, LENT};

/// The pair with a call received, a second thread of the server, and a second reply object.
struct Scene {
    p: Pair,
    s2: Id<Thread>,
    spare: u64,
    number: u64,
    cancel: u64,
}

impl Scene {
    fn new(lends: bool) -> Scene {
        let mut p = Pair::new();
        let s2 = p.w.thread(p.server, 10);
        let spare = p.w.ok(p.s, Call::ReplyCreate, &[p.quota])[0];
        let cancel = p.w.kernel.cap_insert(p.keeper, Kind::Thread, p.c.raw(), Rights::all(), None).unwrap().word();
        p.w.buffer_set(p.c, buffer::DEADLINE, 5_000_000);
        p.w.lend(p.c, 0, LENT, 4096, LeaseAccess::READ, 0);
        p.w.waits(p.c, Call::Call, &[p.session, 1, extras(0, usize::from(lends), true)]);
        p.server_receives();
        let reply: Id<Reply> = p.w.object(p.server, p.reply);
        let number = p.w.kernel.replies[reply].header.object_id.get();
        Scene { p, s2, spare, number, cancel }
    }

    fn waits(&mut self) {
        self.p.w.waits(self.s2, Call::Recv, &[self.p.endpoint, 0, 0, self.spare]);
    }

    /// The server's second thread was told of the call, for this reason.
    #[track_caller]
    fn told(&self, reason: Error) {
        let Outcome::Done([badge, tag, what, account]) = self.p.w.outcome(self.s2) else {
            panic!("{:?}", self.p.w.outcome(self.s2))
        };
        assert_eq!((badge, tag, account), (0, 0, 0));
        assert_eq!(Extras(what).kind(), Received::CallCancelled);
        assert_eq!(self.p.w.words(self.s2), [self.number, u64::from(reason.number()), 0, 0, 0, 0]);
    }
}

#[test]
fn whoever_receives_is_told_why_a_call_is_not_wanted_any_more() {
    type Way = (Error, fn(&mut Scene));
    let ways: [Way; 4] = [
        (Error::Cancelled, |s| {
            s.p.w.ok(s.p.k, Call::ThreadCancel, &[s.cancel]);
        }),
        (Error::TimedOut, |s| {
            s.p.w.time(5_000_000);
        }),
        (Error::Closed, |s| s.p.w.kill(s.p.client)),
        (Error::Revoked, |s| {
            // What the keeper gave has no parent left: the server's own session stands in for it.
            let made = s.p.w.ok(s.p.k, Call::SessionCreate, &[s.p.k_endpoint, BADGE + 1, 0])[0];
            let given = s.p.w.give(s.p.keeper, made, s.p.client);
            let thread = s.p.c_other();
            s.p.w.waits(thread, Call::Call, &[given, 2, 0]);
            assert_eq!(
                s.p.w.outcome(s.s2),
                Outcome::Done([BADGE + 1, 2, 0, s.p.w.kernel.threads[thread].account.get()])
            );
            let reply: Id<Reply> = s.p.w.object(s.p.server, s.spare);
            s.number = s.p.w.kernel.replies[reply].header.object_id.get();
            let third = s.p.w.ok(s.p.s, Call::ReplyCreate, &[s.p.quota])[0];
            s.p.w.waits(s.s2, Call::Recv, &[s.p.endpoint, 0, 0, third]);
            s.p.w.ok(s.p.k, Call::Revoke, &[made]);
            assert_eq!(failed(s.p.w.outcome(thread)), Some(Error::Revoked));
        }),
    ];
    for (reason, cancel) in ways {
        // A receiver that waits is told at once; one that comes later, then.
        let mut scene = Scene::new(false);
        scene.waits();
        cancel(&mut scene);
        scene.told(reason);
        scene.p.w.end();
        if reason != Error::Revoked {
            let mut scene = Scene::new(false);
            cancel(&mut scene);
            let reply = scene.spare;
            scene.p.w.ok(scene.s2, Call::Recv, &[scene.p.endpoint, 0, 0, reply]);
            scene.told(reason);
            // Once is enough. (The session of a client that is gone ends, which is another piece of news.)
            let next = scene.p.w.call(scene.s2, Call::Recv, &[scene.p.endpoint, 0, 0, reply]);
            match next {
                Outcome::Done([_, _, what, _]) => assert_eq!(Extras(what).kind(), Received::SessionEnded),
                other => assert_eq!(other, Outcome::Waits),
            }
            scene.p.w.end();
        }
    }
}

#[test]
fn a_call_that_was_answered_is_not_told_of() {
    let mut scene = Scene::new(false);
    let cancel = scene.cancel;
    scene.p.w.ok(scene.p.k, Call::ThreadCancel, &[cancel]);
    assert!(matches!(scene.p.server_replies(7), Outcome::Done(_)));
    assert!(matches!(scene.p.w.outcome(scene.p.c), Outcome::Done([_, 7, ..])), "the answer counts, late or not");
    scene.waits();
    assert_eq!(scene.p.state(scene.s2), ThreadState::Receiving);
    scene.p.w.end();
}

#[test]
fn a_server_that_holds_what_was_lent_is_told_and_answers_in_its_own_time() {
    let mut scene = Scene::new(true);
    let at = scene.p.w.ok(scene.p.s, Call::LeaseMap, &[scene.p.reply, 0, 0, 4096, 0, 1])[0];
    scene.waits();
    scene.p.w.time(5_000_000);
    scene.told(Error::TimedOut);
    assert_eq!(scene.p.state(scene.p.c), ThreadState::AwaitingReply, "its memory is still in use");
    scene.p.w.kernel.user_read(scene.p.server, at, &mut [0]).unwrap();
    assert!(matches!(scene.p.server_replies(7), Outcome::Done(_)));
    assert!(matches!(scene.p.w.outcome(scene.p.c), Outcome::Done(_)));
    scene.p.w.end();
}

#[test]
fn an_endpoint_that_closes_forgets_what_it_was_to_tell() {
    let mut scene = Scene::new(false);
    scene.p.w.kill(scene.p.client);
    let (endpoint, k_endpoint) = (scene.p.endpoint, scene.p.k_endpoint);
    scene.p.w.ok(scene.p.k, Call::Close, &[k_endpoint]);
    scene.p.w.ok(scene.p.s, Call::Close, &[endpoint]);
    assert!(matches!(scene.p.server_replies(7), Outcome::Done(_)));
    scene.p.w.end();
    // And one that is gone altogether is not mistaken for another in its place.
    let mut scene = Scene::new(false);
    let (endpoint, k_endpoint, session) = (scene.p.endpoint, scene.p.k_endpoint, scene.p.session);
    scene.p.w.ok(scene.p.k, Call::Close, &[k_endpoint]);
    scene.p.w.ok(scene.p.s, Call::Close, &[endpoint]);
    let other = scene.p.c_other();
    scene.p.w.ok(other, Call::Close, &[session]);
    let again = scene.p.w.ok(scene.p.s, Call::EndpointCreate, &[scene.p.quota])[0];
    scene.p.w.waits(scene.s2, Call::Recv, &[again, 0, 0, scene.spare]);
    scene.p.w.kill(scene.p.client);
    assert_eq!(scene.p.state(scene.s2), ThreadState::Receiving, "the new endpoint has nothing to do with it");
    assert!(matches!(scene.p.server_replies(7), Outcome::Done(_)));
    scene.p.w.end();
}
