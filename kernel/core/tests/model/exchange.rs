//! The reference's messages: what is handed over, what is answered, who is
//! woken with what.

use crate::reference::{Arrival, Expect, Message, Model, ReplyState, Wait, What, O, P};
use abi::message::{Extras, Received};
use abi::{Error, Rights};

impl Model {
    /// A thread runs again.
    pub fn wake(&mut self, p: P, expect: Expect) {
        self.processes[p].wait = Wait::Ready;
        self.processes[p].expect = Some(expect);
    }

    pub fn receiver_remove(&mut self, p: P) {
        let Wait::Receiving { endpoint, reply, .. } = self.processes[p].wait else { panic!("it receives") };
        self.endpoint(endpoint).receivers.retain(|x| *x != p);
        self.reply_freed(reply);
    }

    pub fn reply_freed(&mut self, o: O) {
        let reply = self.reply(o);
        reply.state = ReplyState::Free;
        (reply.receiver, reply.caller, reply.end_error) = (None, None, None);
        self.cancel_forget(o);
    }

    /// A call that was received is not wanted any more: whoever receives is told once.
    pub fn cancel_note(&mut self, o: O, reason: Error) {
        let reply = self.reply(o);
        if reply.reason.is_some() {
            return;
        }
        let Some(endpoint) = reply.endpoint else { return };
        if self.endpoint(endpoint).closed {
            return;
        }
        self.reply(o).reason = Some(reason);
        self.endpoint(endpoint).cancelled.push_back(o);
        self.events(endpoint);
    }

    pub fn cancel_forget(&mut self, o: O) {
        let reply = self.reply(o);
        reply.reason = None;
        if let Some(endpoint) = reply.endpoint.take() {
            self.endpoint(endpoint).cancelled.retain(|x| *x != o);
        }
    }

    /// Bits, or an end of a session, for a receiver, if there are any.
    pub fn event_take(&mut self, endpoint: O, to: P) -> bool {
        let e = self.endpoint(endpoint);
        let (told, notification, first) = (e.told, e.notification, e.ended.first().copied());
        if let Some(n) = notification {
            let What::Notification { bits, .. } = &mut self.objects[n].what else { panic!("a notification") };
            let bits = std::mem::take(bits);
            if bits != 0 {
                self.endpoint(endpoint).told = first;
                self.event_wake(to, 0, Received::Notification, [bits, 0]);
                return true;
            }
        }
        if let Some(o) = self.endpoint(endpoint).cancelled.pop_front() {
            let reason = self.reply(o).reason.expect("it was cancelled for some reason");
            self.told_of += 1;
            let words = [self.objects[o].number, u64::from(reason.number())];
            self.event_wake(to, 0, Received::CallCancelled, words);
            return true;
        }
        let Some(badge) = told else { return false };
        let e = self.endpoint(endpoint);
        let at = e.ended.iter().position(|b| *b == badge).expect("what is told has ended");
        e.told = e.ended.get(at + 1).copied();
        self.event_wake(to, badge, Received::SessionEnded, [0, 0]);
        true
    }

    pub fn event_wake(&mut self, to: P, badge: u64, what: Received, [first, second]: [u64; 2]) {
        let values = [Some(badge), Some(0), Some(Extras::received(0, 0, what).0), Some(0)];
        self.wake(to, Expect { status: Ok(()), values, words: Some([first, second, 0, 0, 0, 0]), lease: None });
    }

    pub fn events(&mut self, endpoint: O) {
        let Some(to) = self.endpoint(endpoint).receivers.front().copied() else { return };
        let Wait::Receiving { reply, .. } = self.processes[to].wait else { panic!("it receives") };
        if self.event_take(endpoint, to) {
            self.endpoint(endpoint).receivers.pop_front();
            self.reply_freed(reply);
        }
    }

    pub fn signal(&mut self, o: O, more: u64) {
        let What::Notification { bits, waiters, bound } = &mut self.objects[o].what else { panic!("a notification") };
        *bits |= more;
        if *bits == 0 {
            return;
        }
        if let Some(p) = waiters.pop_front() {
            let values = [Some(std::mem::take(bits)), None, None, None];
            self.wake(p, Expect { values, ..Expect::status(Ok(())) });
        } else if let Some(endpoint) = *bound {
            self.events(endpoint);
        }
    }

    pub fn bind_notification(&mut self, n: O, endpoint: O) {
        if self.endpoint(endpoint).notification == Some(n) {
            return;
        }
        let What::Notification { bound, .. } = &mut self.objects[n].what else { panic!("a notification") };
        if let Some(elsewhere) = bound.replace(endpoint) {
            self.endpoint(elsewhere).notification = None;
        }
        if let Some(before) = self.endpoint(endpoint).notification.replace(n) {
            if let What::Notification { bound, .. } = &mut self.objects[before].what {
                *bound = None;
            }
            self.notification_release(before);
        }
        self.signal(n, 0);
    }

    /// What the capabilities of a message turn into when it is handed over.
    pub fn carry(&mut self, from: P, caps: &[(u32, Rights)], to: P) -> usize {
        for (index, (handle, mask)) in caps.iter().enumerate() {
            let found = self.look_any(from, u64::from(*handle)).ok();
            let found = found.filter(|c| self.cap(*c).rights.contains(Rights::TRANSFER));
            let from = found.map(|c| (c, self.cap(c).rights & *mask));
            self.arrivals.push(Arrival { to, index, from });
        }
        caps.len()
    }

    pub fn deliver(&mut self, from: P, message: Message, to: P, reply: Option<O>) {
        self.delivered += 1;
        let (endpoint, badge) = self.session(message.session);
        let caps = self.carry(from, &message.caps, to);
        let what = if reply.is_some() { Received::Call } else { Received::Send };
        let lease = message.lease.as_ref().map(|l| (l.length, u64::from(l.access)));
        let extras = Extras::received(caps, usize::from(lease.is_some()), what).0;
        let values = [Some(badge), Some(message.tag), Some(extras), Some(self.processes[from].account)];
        self.wake(to, Expect { status: Ok(()), values, words: Some(message.words), lease });
        if let Some(o) = reply {
            let reply = self.reply(o);
            reply.state = ReplyState::Bound;
            reply.endpoint = Some(endpoint);
            (reply.caller, reply.receiver, reply.lease) = (Some(from), Some(to), message.lease);
            self.processes[from].wait = Wait::Awaiting { reply: o, deadline: message.deadline };
        }
        let e = self.endpoint(endpoint);
        e.told = e.ended.first().copied();
    }

    /// `call` and `send`, after all checks.
    pub fn send(&mut self, p: P, message: Message) {
        let (endpoint, _) = self.session(message.session);
        let Some(to) = self.endpoint(endpoint).receivers.pop_front() else {
            if let What::Session { senders, .. } = &mut self.objects[message.session].what {
                *senders += 1;
            }
            self.endpoint(endpoint).senders.push_back(p);
            self.processes[p].wait = Wait::Sending(message);
            return;
        };
        let Wait::Receiving { reply, .. } = self.processes[to].wait else { panic!("it receives") };
        if message.wants_reply {
            self.deliver(p, message, to, Some(reply));
        } else {
            self.deliver(p, message, to, None);
            self.reply_freed(reply);
            self.wake(p, Expect::status(Ok(())));
        }
    }

    /// `recv`, after all checks.
    pub fn receive(&mut self, p: P, endpoint: O, reply: O, deadline: u64) {
        self.reply(reply).owner = Some(p);
        if self.event_take(endpoint, p) {
            return;
        }
        let Some(from) = self.endpoint(endpoint).senders.pop_front() else {
            let r = self.reply(reply);
            (r.state, r.receiver) = (ReplyState::Receiving, Some(p));
            self.endpoint(endpoint).receivers.push_back(p);
            self.processes[p].wait = Wait::Receiving { endpoint, reply, deadline };
            return;
        };
        let wait = std::mem::replace(&mut self.processes[from].wait, Wait::Ready);
        let Wait::Sending(message) = wait else { panic!("it sends") };
        let session = message.session;
        let wants_reply = message.wants_reply;
        self.deliver(from, message, p, wants_reply.then_some(reply));
        if !wants_reply {
            self.wake(from, Expect::status(Ok(())));
        }
        self.sender_release(session);
    }

    pub fn lease_over(&mut self, o: O) {
        if let Some(lease) = self.reply(o).lease.take() {
            self.unmapped.extend(lease.maps.iter().map(|m| (m.0, m.1)));
        }
    }

    /// `reply`, after all checks, if a call is bound.
    pub fn answer(&mut self, p: P, o: O, tag: u64, words: [u64; 6], caps: &[(u32, Rights)]) {
        if self.reply(o).state == ReplyState::Free {
            return;
        }
        self.lease_over(o);
        if let Some(caller) = self.reply(o).caller {
            self.answered += 1;
            let caps = self.carry(p, caps, caller);
            let values = [Some(0), Some(tag), Some(Extras::received(caps, 0, Received::Call).0), None];
            self.wake(caller, Expect { status: Ok(()), values, words: Some(words), lease: None });
        }
        self.reply_freed(o);
    }

    /// Nobody will answer a call any more.
    pub fn abandon(&mut self, o: O, error: Error) {
        let reply = self.reply(o);
        if !matches!(reply.state, ReplyState::Bound | ReplyState::Cancelled) {
            return;
        }
        let (caller, error) = (reply.caller, reply.end_error.unwrap_or(error));
        self.lease_over(o);
        self.reply_freed(o);
        if let Some(caller) = caller {
            self.wake(caller, Expect::status(Err(error)));
        }
    }

    /// The caller will not hear the answer: what it lent for copying is taken back.
    pub fn withdraw(&mut self, o: O) {
        if let Some(lease) = &mut self.reply(o).lease {
            lease.withdrawn = true;
        }
    }

    /// Time passes.
    pub fn time(&mut self, now: u64) {
        let mut due: Vec<(u64, P)> = Vec::new();
        for (p, process) in self.processes.iter().enumerate() {
            let deadline = match &process.wait {
                Wait::Sending(message) => message.deadline,
                Wait::Awaiting { deadline, .. }
                | Wait::Receiving { deadline, .. }
                | Wait::Waiting { deadline, .. }
                | Wait::Sleeping { deadline } => *deadline,
                Wait::Ready | Wait::None => 0,
            };
            if deadline != 0 && deadline <= now {
                due.push((deadline, p));
            }
        }
        due.sort();
        for (_, p) in due {
            self.expire(p);
        }
    }

    fn expire(&mut self, p: P) {
        match &mut self.processes[p].wait {
            Wait::Sleeping { .. } => return self.wake(p, Expect::status(Ok(()))),
            Wait::Awaiting { reply, deadline } => {
                *deadline = 0;
                let o = *reply;
                self.withdraw(o);
                let reply = self.reply(o);
                if reply.lease.as_ref().is_some_and(|l| !l.maps.is_empty()) {
                    // It holds frames: the call goes on until its server answers or ends.
                    reply.end_error.get_or_insert(Error::TimedOut);
                    return self.cancel_note(o, Error::TimedOut);
                }
                (reply.state, reply.caller) = (ReplyState::Cancelled, None);
                self.wake(p, Expect::status(Err(Error::TimedOut)));
                return self.cancel_note(o, Error::TimedOut);
            }
            // A thread that is woken by an earlier one's end waits no more.
            Wait::Ready | Wait::None => return,
            _ => self.stop(p),
        }
        self.wake(p, Expect::status(Err(Error::TimedOut)));
    }
}
