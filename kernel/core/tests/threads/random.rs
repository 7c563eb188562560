//! Random suspending, interrupting and cancelling of clients and servers that talk:
//! no answer and no wake-up is lost, and each answer comes once.

use crate::scene::{Scene, MEMORY_END};
use abi::call::Call;
use abi::memory::{USER_END, USER_START};
use abi::message::{Extras, Received};
use abi::thread::{Frame, Interrupted, FRAME_WORDS};
use abi::Error;
use kernel_core::id::Id;
use kernel_core::object::{Thread, ThreadState};
use kernel_core::world::Outcome;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What a client is doing, as it knows itself.
struct Client {
    thread: Id<Thread>,
    handle: u64,
    session: u64,
    /// The tag of the call it has made and not seen the end of, and of that of its handler.
    calls: [Option<u64>; 2],
    /// The frame of the upcall it is in.
    frame: Option<u64>,
}

struct Talk {
    s: Scene,
    clients: Vec<Client>,
    /// The server's reply objects, and the tag of the call each is bound to.
    replies: Vec<(u64, Option<u64>)>,
    /// The place of the reply object that the server receives with.
    receiving: Option<u64>,
    last_tag: u64,
    answered: BTreeSet<u64>,
    seen: BTreeSet<u64>,
    interrupted: usize,
}

fn runs(s: &Scene, thread: Id<Thread>) -> bool {
    matches!(s.state(thread), ThreadState::Ready | ThreadState::Running)
}

impl Talk {
    fn new() -> Talk {
        let mut s = Scene::new();
        let mut clients = vec![(s.p.c, s.tc, s.p.session)];
        let (_, thread, session) = s.p.another_client(50, 12);
        let handle = s.handle(thread);
        clients.push((thread, handle, session));
        let replies = (0..2).map(|_| (s.p.w.ok(s.p.s, Call::ReplyCreate, &[s.p.quota])[0], None)).collect();
        s.handler(s.p.s);
        let clients = clients
            .into_iter()
            .map(|(thread, handle, session)| {
                s.handler(thread);
                Client { thread, handle, session, calls: [None; 2], frame: None }
            })
            .collect();
        Talk {
            s,
            clients,
            replies,
            receiving: None,
            last_tag: 0,
            answered: BTreeSet::new(),
            seen: BTreeSet::new(),
            interrupted: 0,
        }
    }

    /// A client takes its turn: it finds itself in an upcall, looks at what came of its call, ends an upcall, or (where it
    /// may) makes a call.
    fn client(&mut self, n: usize, choice: u8, calls: bool) {
        let thread = self.clients[n].thread;
        if !runs(&self.s, thread) {
            return;
        }
        let in_handler = self.s.handles(thread);
        if in_handler && self.clients[n].frame.is_none() {
            let (at, frame) = self.s.frame(thread);
            if frame.interrupted == Interrupted::Wait as u64 {
                assert_eq!(frame.registers.rax, u64::from(Error::Interrupted.number()));
            }
            if frame.interrupted == Interrupted::Call as u64 {
                assert_eq!(self.clients[n].calls[0], Some(frame.registers.rsi), "the call it was in");
            }
            self.clients[n].frame = Some(at);
            return;
        }
        let level = usize::from(in_handler);
        if let Some(tag) = self.clients[n].calls[level].take() {
            // It runs, so its call has ended.
            self.ended(thread, tag);
        } else if in_handler && (!choice.is_multiple_of(3) || !calls) {
            let at = self.clients[n].frame.take().expect("it is in its handler");
            self.s.p.w.call(thread, Call::UpcallReturn, &[at]);
        } else if calls {
            self.last_tag += 1;
            let (tag, session) = (self.last_tag, self.clients[n].session);
            self.clients[n].calls[level] = Some(tag);
            self.s.p.w.set_words(thread, [tag; 6]);
            self.s.p.w.call(thread, Call::Call, &[session, tag, 0]);
        }
    }

    fn ended(&mut self, thread: Id<Thread>, tag: u64) {
        match self.s.p.w.outcome(thread) {
            Outcome::Done([_, answer, ..]) => {
                assert_eq!(answer, tag + (1 << 32), "its own answer");
                assert_eq!(self.s.p.w.words(thread), [tag + 7; 6]);
                assert!(self.answered.contains(&tag) && self.seen.insert(tag), "once");
            }
            Outcome::Failed(Error::Interrupted) => {
                assert!(!self.answered.contains(&tag), "an answer was lost");
                self.interrupted += 1;
            }
            Outcome::Failed(Error::Cancelled) => assert!(!self.answered.contains(&tag)),
            other => panic!("{other:?}"),
        }
    }

    /// The server receives, answers, or ends an upcall.
    fn server(&mut self, choice: u8) {
        let thread = self.s.p.s;
        if !runs(&self.s, thread) {
            return;
        }
        self.server_learns();
        if self.s.handles(thread) {
            let at = self.s.p.w.kernel.threads[thread].registers.rsp.get();
            self.s.p.w.call(thread, Call::UpcallReturn, &[at]);
            self.server_learns();
            return;
        }
        let place = usize::from(choice) % self.replies.len();
        let (reply, bound) = self.replies[place];
        match bound {
            Some(tag) => {
                self.s.p.w.set_words(thread, [tag + 7; 6]);
                self.answered.insert(tag);
                self.replies[place].1 = None;
                if choice & 4 != 0 {
                    self.receive(place, Call::ReplyRecv, tag + (1 << 32), reply);
                } else {
                    self.s.p.w.ok(thread, Call::Reply, &[reply, tag + (1 << 32), 0]);
                }
            }
            None => self.receive(place, Call::Recv, 0, reply),
        }
    }

    fn receive(&mut self, place: usize, call: Call, tag: u64, reply: u64) {
        let endpoint = self.s.p.endpoint;
        self.replies[place].1 = None;
        self.receiving = Some(place as u64);
        self.s.p.w.call(self.s.p.s, call, &[endpoint, tag, 0, reply]);
        if runs(&self.s, self.s.p.s) {
            self.server_learns();
        }
    }

    /// A receive of the server's has ended: what did it bring?
    fn server_learns(&mut self) {
        let thread = self.s.p.s;
        let Some(place) = self.receiving else { return };
        let (status, tag, extras) = if self.s.handles(thread) {
            let frame = self.s.frame(thread).1;
            (frame.registers.rax, frame.registers.rsi, frame.registers.rdx)
        } else {
            let r = &self.s.p.w.kernel.threads[thread].registers;
            (r.rax.get(), r.rsi.get(), r.rdx.get())
        };
        self.receiving = None;
        // It may have been told of a call that is not wanted any more: the reply object it brought is free then.
        if status == 0 && Extras(extras).kind() == Received::Call {
            self.replies[place as usize].1 = Some(tag);
        } else if status != 0 {
            let known = [Error::Interrupted, Error::Cancelled].map(|error| u64::from(error.number()));
            assert!(known.contains(&status), "{status}");
        }
    }

    fn disturb(&mut self, who: usize, what: u8) {
        let handles = [self.clients[0].handle, self.clients[1].handle, self.s.ts];
        let handle = handles[who % 3];
        let call = match what % 8 {
            0 | 1 => Call::ThreadSuspend,
            2 | 3 => Call::ThreadResume,
            4 => Call::ThreadCancel,
            _ => Call::ThreadUpcall,
        };
        let _ = self.s.p.w.call(self.s.p.k, call, &[handle, 1]);
    }

    fn step(&mut self, (who, what): (u8, u8)) {
        match who % 8 {
            0 | 1 => self.client(usize::from(who % 2), what, true),
            2..=4 => self.server(what),
            n => self.disturb(usize::from(n - 5), what),
        }
    }

    /// Lets everything come to its end.
    fn finish(&mut self) {
        for handle in [self.clients[0].handle, self.clients[1].handle, self.s.ts] {
            let _ = self.s.p.w.call(self.s.p.k, Call::ThreadResume, &[handle]);
        }
        for _ in 0..200 {
            for n in 0..2 {
                self.client(n, 0, false);
            }
            if runs(&self.s, self.s.p.s) {
                self.server_learns();
            }
            let bound = self.replies.iter().position(|(_, tag)| tag.is_some());
            if bound.is_some() && self.s.state(self.s.p.s) == ThreadState::Receiving {
                // It owes an answer and waits for another call: an upcall gets it out of that.
                self.s.ok(Call::ThreadUpcall, &[self.s.ts, 1]);
            }
            self.server(bound.unwrap_or(0) as u8);
        }
        for client in &self.clients {
            assert_eq!(client.calls, [None; 2], "a call that never ended");
            assert!(client.frame.is_none() && runs(&self.s, client.thread));
        }
        assert_eq!(self.answered, self.seen, "an answer was lost");
        self.s.p.w.end();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn no_answer_and_no_wake_up_is_lost(steps in proptest::collection::vec(any::<(u8, u8)>(), 1..400)) {
        let mut talk = Talk::new();
        for step in steps {
            talk.step(step);
        }
        talk.finish();
    }

    #[test]
    fn any_frame_and_any_registers_are_refused_or_harmless(
        words in proptest::collection::vec(word(), FRAME_WORDS), parks in any::<bool>(), sets in any::<bool>(), at in 0u64..8192,
    ) {
        let mut words = words;
        if words[2] & 1 == 0 {
            // Good enough not to be refused for this.
            words[1] %= 3;
        }
        let mut s = Scene::new();
        let c = s.p.c;
        s.handler(c);
        if parks {
            s.p.server_waits();
            s.p.client_calls(1);
        }
        s.upcall(1);
        let (place, before) = (MEMORY_END - 3 * 4096 + at, s.frame(c).1);
        let outcome = if sets {
            s.ok(Call::ThreadSuspend, &[s.tc]);
            s.put(s.p.keeper, place, &words);
            s.p.w.call(s.p.k, Call::ThreadSetRegisters, &[s.tc, place])
        } else {
            s.put(s.p.client, place, &words);
            s.p.w.call(c, Call::UpcallReturn, &[place])
        };
        let r = &s.p.w.kernel.threads[c].registers;
        let (rip, flags) = (r.rip.get(), r.rflags.get());
        prop_assert!((USER_START..USER_END).contains(&rip) && r.fs_base.get() < USER_END);
        prop_assert_eq!(flags, abi::thread::harmless(flags));
        let refused = outcome == Outcome::Failed(Error::BadAddress) || outcome == Outcome::Failed(Error::BadArgument);
        if refused && s.handles(c) && !sets {
            // Nothing of it was taken: the true frame still leads back.
            let back = s.p.w.kernel.threads[c].registers.rsp.get();
            prop_assert_eq!(Frame::from_words(s.words(s.p.client, back)), before);
            s.p.w.call(c, Call::UpcallReturn, &[back]);
            prop_assert!(!s.handles(c));
        }
        s.p.w.end();
    }
}

/// A word that is likely to be where something goes wrong.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0u64..4,
        (0u32..64).prop_map(|bit| 1 << bit),
        (0u64..0x3000).prop_map(|offset| USER_END - 0x1000 + offset),
        (0u64..0x2000).prop_map(|offset| USER_START - 0x1000 + offset),
        Just(crate::scene::ENTRY + 1),
    ]
}
