//! Operations that send, receive, answer, signal and wait.

use crate::reference::{Lease, Message, ReplyState, Wait, What, O, P};
use crate::run::{Run, DATA, LENGTH};
use abi::call::Call;
use abi::memory::PAGE_SIZE;
use abi::message::{buffer, Extras, LeaseAccess};
use abi::{Error, Kind, Rights};

impl<const FAULT: u8> Run<FAULT> {
    pub fn notify(&mut self, p: P) {
        let handle = self.handle(p, Kind::Notification, Rights::SEND);
        let plan = self.m.look(p, handle, Kind::Notification, Rights::SEND);
        let bits = self.random.below(256);
        let outcome = self.call(p, Call::Notify, &[handle, bits]);
        if let Some((c, _)) = self.agree(p, plan, outcome) {
            let object = self.named(c);
            self.m.signal(object, bits);
        }
    }

    pub fn wait(&mut self, p: P) {
        let handle = self.handle(p, Kind::Notification, Rights::RECEIVE);
        let plan = self.m.look(p, handle, Kind::Notification, Rights::RECEIVE);
        let deadline = self.deadline();
        let outcome = self.call(p, Call::Wait, &[handle, deadline]);
        if let Some((c, [got, ..])) = self.agree(p, plan, outcome) {
            let on = self.named(c);
            let What::Notification { bits, waiters, .. } = &mut self.m.objects[on].what else { panic!() };
            if *bits != 0 {
                assert_eq!(got, std::mem::take(bits), "the bits that were set");
            } else {
                waiters.push_back(p);
                self.m.processes[p].via = Some(c);
                self.m.processes[p].wait = Wait::Waiting { on, deadline };
            }
        }
    }

    pub fn bind(&mut self, p: P) {
        let handle = self.handle(p, Kind::Notification, Rights::RECEIVE);
        let to = self.handle(p, Kind::Endpoint, Rights::RECEIVE);
        let plan = self.m.look(p, handle, Kind::Notification, Rights::RECEIVE);
        let plan = plan.and_then(|n| Ok((n, self.m.look(p, to, Kind::Endpoint, Rights::RECEIVE)?)));
        let outcome = self.call(p, Call::NotificationBind, &[handle, to]);
        if let Some(((n, e), _)) = self.agree(p, plan, outcome) {
            let (n, e) = (self.named(n), self.named(e));
            self.m.bind_notification(n, e);
        }
    }

    pub fn sleep(&mut self, p: P) {
        let deadline = self.deadline();
        let outcome = self.call(p, Call::Sleep, &[deadline]);
        if self.agree(p, Ok(()), outcome).is_some() && deadline != 0 {
            self.m.processes[p].wait = Wait::Sleeping { deadline };
        }
    }

    /// The process writes its own memory.
    pub fn poke(&mut self, p: P) {
        let (offset, byte) = (self.random.below(LENGTH), self.random.next() as u8);
        self.w.kernel.user_write(self.pids[p], DATA + offset, &[byte]).expect("it is there");
        self.m.processes[p].data[offset as usize] = byte;
    }

    pub fn words(&mut self) -> [u64; 6] {
        std::array::from_fn(|_| self.random.next())
    }

    /// Puts capabilities to send into the IPC buffer.
    pub fn put_caps(&mut self, p: P) -> Vec<(u32, Rights)> {
        let count = if self.random.chance(25) { 1 + self.random.below(2) } else { 0 };
        let thread = self.tids[p].expect("it runs");
        (0..count as usize)
            .map(|i| {
                let handle = self
                    .handle_where(p, Kind::Session, Rights::TRANSFER, |_, what| !matches!(what, What::Plain))
                    as u32;
                let mask = Rights::from_bits_truncate(self.random.next() as u16 | 1);
                let at = buffer::SEND_CAPS + i * buffer::SEND_CAP_WORDS;
                self.w.buffer_set(thread, at, u64::from(handle) | u64::from(mask.bits()) << 32);
                (handle, mask)
            })
            .collect()
    }

    pub fn caps_plan(&self, p: P, caps: &[(u32, Rights)]) -> Result<(), Error> {
        for (handle, _) in caps {
            let c = self.m.look_any(p, u64::from(*handle))?;
            if !self.m.cap(c).rights.contains(Rights::TRANSFER) {
                return Err(Error::NoRight);
            }
        }
        Ok(())
    }

    /// Puts a range to lend into the IPC buffer.
    pub fn put_lease(&mut self, p: P) -> Option<Lease> {
        if !self.random.chance(65) {
            return None;
        }
        let (mut offset, mut length) = (self.random.below(LENGTH), self.random.below(3 * PAGE_SIZE));
        if self.random.chance(50) {
            (offset, length) = (offset & !(PAGE_SIZE - 1), (length & !(PAGE_SIZE - 1)) + PAGE_SIZE);
        }
        let length = length.min(LENGTH - offset);
        let access = 1 + self.random.below(3) as u32;
        let thread = self.tids[p].expect("it runs");
        self.w.lend(thread, 0, DATA + offset, length, LeaseAccess::from_bits_truncate(access), 0);
        Some(Lease { lender: p, offset, length, access, withdrawn: false, maps: Vec::new() })
    }

    pub fn put_deadline(&mut self, p: P) -> u64 {
        let deadline = self.deadline();
        self.w.buffer_set(self.tids[p].expect("it runs"), buffer::DEADLINE, deadline);
        deadline
    }

    /// A handle of a process for an object that this is true of; or, now and then, some other.
    pub fn handle_where(&mut self, p: P, kind: Kind, rights: Rights, is: impl Fn(&Self, &What) -> bool) -> u64 {
        let fits: Vec<u64> = self.m.processes[p]
            .table
            .values()
            .map(|c| self.m.cap(*c))
            .filter(|c| c.rights.contains(rights) && is(self, &self.m.objects[c.object].what))
            .map(|c| u64::from(c.handle))
            .collect();
        match self.random.pick(&fits) {
            Some(handle) if self.random.chance(80) => handle,
            _ => self.handle(p, kind, rights),
        }
    }

    pub fn send(&mut self, p: P, call: Call) {
        let want_receiver = self.random.chance(60);
        let handle = self.handle_where(p, Kind::Session, Rights::SEND, |run, what| match what {
            What::Session { endpoint, .. } => match &run.m.objects[*endpoint].what {
                What::Endpoint(e) => !e.closed && (want_receiver != e.receivers.is_empty()),
                _ => false,
            },
            _ => false,
        });
        let named = self.m.look(p, handle, Kind::Session, Rights::SEND);
        let (caps, deadline, tag, words) = (self.put_caps(p), self.put_deadline(p), self.random.next(), self.words());
        let lease = if call == Call::Call { self.put_lease(p) } else { None };
        let plan = named.and_then(|c| {
            let session = self.named(c);
            let What::Session { endpoint, .. } = self.m.objects[session].what else { panic!("a session") };
            if self.m.endpoint(endpoint).closed {
                return Err(Error::Closed);
            }
            self.caps_plan(p, &caps)?;
            Ok(session)
        });
        let extras = Extras::new(caps.len(), usize::from(lease.is_some()), deadline != 0).0;
        self.w.set_words(self.tids[p].expect("it runs"), words);
        let outcome = self.call(p, call, &[handle, tag, extras]);
        if let Some((session, _)) = self.agree(p, plan, outcome) {
            let wants_reply = call == Call::Call;
            self.m.processes[p].via = named.ok();
            self.m.send(p, Message { session, tag, words, caps, lease, wants_reply, deadline });
        }
    }

    pub fn reply_plan(&mut self, p: P, word: u64, or_free: bool) -> Result<O, Error> {
        let c = self.m.look(p, word, Kind::Reply, Rights::SEND)?;
        let o = self.named(c);
        match self.m.reply(o).state {
            ReplyState::Free if !or_free => Err(Error::WrongState),
            ReplyState::Receiving => Err(Error::WrongState),
            _ => Ok(o),
        }
    }

    pub fn recv(&mut self, p: P) {
        let waited_at = |_: &Self, what: &What| matches!(what, What::Endpoint(e) if !e.senders.is_empty());
        let handle = self.handle_where(p, Kind::Endpoint, Rights::RECEIVE, waited_at);
        let reply = self.reply_handle(p, ReplyState::Free);
        let deadline = self.put_deadline(p);
        let named = self.m.look(p, handle, Kind::Endpoint, Rights::RECEIVE);
        let plan = named.and_then(|c| {
            let r = self.m.look(p, reply, Kind::Reply, Rights::SEND)?;
            let o = self.named(r);
            if self.m.reply(o).state != ReplyState::Free {
                return Err(Error::WrongState);
            }
            Ok((self.named(c), o))
        });
        let outcome = self.call(p, Call::Recv, &[handle, 0, Extras::new(0, 0, deadline != 0).0, reply]);
        if let Some(((endpoint, reply), _)) = self.agree(p, plan, outcome) {
            self.m.processes[p].via = named.ok();
            self.m.receive(p, endpoint, reply, deadline);
        }
    }

    /// A reply handle: mostly of a reply in this state.
    pub fn reply_handle(&mut self, p: P, state: ReplyState) -> u64 {
        let in_state = |_: &Self, what: &What| matches!(what, What::Reply(r) if r.state == state);
        self.handle_where(p, Kind::Reply, Rights::SEND, in_state)
    }

    /// A reply handle: mostly of a call that lent something.
    pub fn lent_handle(&mut self, p: P) -> u64 {
        let lent = |_: &Self, what: &What| matches!(what, What::Reply(r) if r.lease.is_some());
        self.handle_where(p, Kind::Reply, Rights::SEND, lent)
    }

    pub fn reply(&mut self, p: P) {
        let handle = self.reply_handle(p, ReplyState::Bound);
        let (caps, tag, words) = (self.put_caps(p), self.random.next(), self.words());
        let plan = self.reply_plan(p, handle, false).and_then(|o| self.caps_plan(p, &caps).map(|()| o));
        self.w.set_words(self.tids[p].expect("it runs"), words);
        let outcome = self.call(p, Call::Reply, &[handle, tag, Extras::new(caps.len(), 0, false).0]);
        if let Some((o, _)) = self.agree(p, plan, outcome) {
            self.m.answer(p, o, tag, words, &caps);
        }
    }

    pub fn reply_recv(&mut self, p: P) {
        let endpoint = self.handle(p, Kind::Endpoint, Rights::RECEIVE);
        let handle = self.reply_handle(p, ReplyState::Bound);
        let (caps, deadline, tag, words) = (self.put_caps(p), self.put_deadline(p), self.random.next(), self.words());
        let named = self.m.look(p, endpoint, Kind::Endpoint, Rights::RECEIVE);
        let plan = named.and_then(|e| {
            let o = self.reply_plan(p, handle, true)?;
            self.caps_plan(p, &caps)?;
            Ok((self.named(e), o))
        });
        self.w.set_words(self.tids[p].expect("it runs"), words);
        let extras = Extras::new(caps.len(), 0, deadline != 0).0;
        let outcome = self.call(p, Call::ReplyRecv, &[endpoint, tag, extras, handle]);
        if let Some(((endpoint, o), _)) = self.agree(p, plan, outcome) {
            self.m.answer(p, o, tag, words, &caps);
            self.m.processes[p].via = named.ok();
            self.m.receive(p, endpoint, o, deadline);
        }
    }
}
