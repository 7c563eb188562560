//! The operations: what each has to answer, and what comes of it.

use crate::reference::{Lease, Message, Reply, ReplyState, Wait, What, O, P};
use crate::run::{Run, DATA, LENGTH, LOOK};
use abi::call::Call;
use abi::memory::PAGE_SIZE;
use abi::message::{buffer, Extras, LeaseAccess};
use abi::{Error, Kind, Rights};
use kernel_core::world::Outcome;

impl<const FAULT: u8> Run<FAULT> {
    /// One operation of somebody.
    pub fn step(&mut self) {
        if self.random.chance(5) {
            let now = self.w.now() + 1 + self.random.below(100_000);
            let _ = self.w.time(now);
            self.m.time(now);
            return self.settle();
        }
        let alive: Vec<P> = (0..self.m.processes.len()).filter(|p| self.m.processes[*p].alive).collect();
        if alive.len() < 4 || alive.len() < 9 && self.random.chance(2) {
            if let Some(child) = self.spawn(0) {
                self.endow(0, child);
            }
            return self.settle();
        }
        let ready: Vec<P> =
            alive.into_iter().filter(|p| matches!(self.m.processes[*p].wait, Wait::Ready)).collect();
        // The first process is always there, makes things for the others, and never waits.
        let p = if self.random.chance(12) { 0 } else { self.random.pick(&ready).unwrap_or(0) };
        if self.m.processes[p].table.len() > 60 {
            self.close(p);
        } else {
            self.operation(p);
        }
        self.settle();
    }

    fn operation(&mut self, p: P) {
        if p != 0 && self.random.chance(65) {
            return self.talk(p);
        }
        match self.random.below(100) {
            0..9 => self.derive(p),
            9..15 => self.close(p),
            15..17 => self.revoke(p),
            17..21 => self.inspect(p),
            21..30 => self.grant(p),
            30..31 => self.split(p),
            31..34 => self.create(p, Call::NotificationCreate),
            34..37 => self.create(p, Call::EndpointCreate),
            37..42 => self.create(p, Call::ReplyCreate),
            42..48 => self.session_create(p),
            48..52 => self.acknowledge(p),
            52..55 => self.status(p),
            55..63 => self.notify(p),
            63..65 => self.bind(p),
            65..69 => self.poke(p),
            69..71 => self.reply(p),
            71..73 => self.lease_copy(p, false),
            73..75 => self.lease_copy(p, true),
            75..77 => self.lease_map(p),
            // From here on it may wait, which the first process never does.
            _ if p == 0 => self.kill(p),
            77..80 => self.send(p, Call::Call),
            80..84 => self.send(p, Call::Send),
            84..87 => self.recv(p),
            87..90 => self.reply_recv(p),
            90..97 => self.wait(p),
            97..98 => self.sleep(p),
            98 => self.kill(p),
            _ => {
                if self.random.chance(30) {
                    self.exit(p);
                }
            }
        }
    }

    /// Goes on with whatever conversation a process could be in.
    fn talk(&mut self, p: P) {
        let caps: Vec<_> = self.m.processes[p].table.values().map(|c| self.m.cap(*c)).collect();
        let has = |kind: Kind, rights: Rights| {
            caps.iter().any(|c| self.m.objects[c.object].kind == kind && c.rights.contains(rights))
        };
        let has_reply = |state: ReplyState| {
            caps.iter().any(|c| matches!(&self.m.objects[c.object].what, What::Reply(r) if r.state == state))
        };
        let owes = has_reply(ReplyState::Bound) || has_reply(ReplyState::Cancelled);
        let serves = has(Kind::Endpoint, Rights::RECEIVE);
        let calls = has(Kind::Session, Rights::SEND);
        let (ready, accounts) = (has_reply(ReplyState::Free), has(Kind::Quota, Rights::MANAGE));
        match self.random.below(100) {
            0..20 if owes => self.lease_copy(p, false),
            20..40 if owes => self.lease_copy(p, true),
            40..60 if owes => self.lease_map(p),
            60..75 if owes => self.reply(p),
            75..95 if owes && serves => self.reply_recv(p),
            0..50 if serves && ready => self.recv(p),
            50..90 if calls => self.send(p, Call::Call),
            90..95 if calls => self.send(p, Call::Send),
            _ if accounts && !ready => self.create(p, Call::ReplyCreate),
            _ if serves => self.session_create(p),
            _ if accounts => self.create(p, Call::EndpointCreate),
            _ => self.wait(p),
        }
    }

    fn rights(&mut self) -> (u64, Result<Rights, Error>) {
        let word = match self.random.below(10) {
            0..6 => u64::from(Rights::all().bits()),
            6..9 => self.random.below(512),
            _ => self.random.below(1 << 20),
        };
        (word, Rights::from_word(word).ok_or(Error::BadArgument))
    }

    fn derive(&mut self, p: P) {
        let handle = self.handle(p, Kind::Session, Rights::DERIVE);
        let (word, rights) = self.rights();
        let plan = self.m.look_any(p, handle).and_then(|c| {
            if !self.m.cap(c).rights.contains(Rights::DERIVE) {
                return Err(Error::NoRight);
            }
            Ok((c, rights? & self.m.cap(c).rights))
        });
        let outcome = self.call(p, Call::Derive, &[handle, word, 0, 0]);
        if let Some(((c, rights), [child, ..])) = self.agree(p, plan, outcome) {
            let object = self.named(c);
            self.m.add(p, child, object, rights, Some(c));
        }
    }

    fn any_handle(&mut self, p: P) -> u64 {
        let kinds = [Kind::Session, Kind::Endpoint, Kind::Notification, Kind::Reply, Kind::Process, Kind::Quota];
        let kind = self.random.pick(&kinds).unwrap_or(Kind::Session);
        self.handle(p, kind, Rights::empty())
    }

    /// Whether an entry is one that a run needs to go on: the first process's root account.
    fn is_kept(&self, p: P, handle: u64) -> bool {
        p == 0 && handle & 0xffff == 1
    }

    fn close(&mut self, p: P) {
        let handle = self.any_handle(p);
        if self.is_kept(p, handle) {
            return;
        }
        let plan = self.m.look_any(p, handle);
        let outcome = self.call(p, Call::Close, &[handle]);
        if let Some((c, _)) = self.agree(p, plan, outcome) {
            self.m.close(c);
        }
    }

    fn revoke(&mut self, p: P) {
        let handle = self.any_handle(p);
        if self.is_kept(p, handle) && !self.random.chance(5) {
            return;
        }
        let plan = self.m.look_any(p, handle);
        let outcome = self.call(p, Call::Revoke, &[handle]);
        if let Some((c, _)) = self.agree(p, plan, outcome) {
            self.m.revoke(c);
        }
    }

    fn inspect(&mut self, p: P) {
        let handle = self.any_handle(p);
        let plan = self.m.look_any(p, handle);
        let outcome = self.call(p, Call::Inspect, &[handle]);
        if let Some((c, [kind_rights, badge, number, _])) = self.agree(p, plan, outcome) {
            let cap = self.m.cap(c);
            let object = &self.m.objects[cap.object];
            assert_eq!(kind_rights, object.kind as u64 | u64::from(cap.rights.bits()) << 8);
            assert_eq!(number, object.number);
            if let What::Session { badge: own, .. } = object.what {
                assert_eq!(badge, own);
            }
        }
    }

    /// Grants a new process some of what its maker has.
    fn endow(&mut self, parent: P, child: P) {
        let process = self.m.processes[child].object;
        let table = &self.m.processes[parent].table;
        let to = table.values().find(|c| self.named(**c) == process).map(|c| self.m.cap(*c).handle);
        let Some(to) = to.map(u64::from) else { return };
        use Kind::{Endpoint, Notification, Process, Quota, Session};
        for kind in [Quota, Endpoint, Session, Session, Session, Notification, Process] {
            let handle = self.handle(parent, kind, Rights::TRANSFER);
            self.grant_to(parent, to, handle, u64::from(Rights::all().bits()));
        }
    }

    fn grant(&mut self, p: P) {
        let to = self.handle(p, Kind::Process, Rights::MANAGE);
        let handle = self.any_handle(p);
        let (word, _) = self.rights();
        self.grant_to(p, to, handle, word);
    }

    fn grant_to(&mut self, p: P, to: u64, handle: u64, word: u64) {
        let plan = (|| {
            let to = self.m.look(p, to, Kind::Process, Rights::MANAGE)?;
            if handle >> 32 != 0 {
                return Err(Error::BadHandle);
            }
            let rights = Rights::from_word(word).ok_or(Error::BadArgument)?;
            let What::Process(target) = self.m.objects[self.named(to)].what else { panic!("a process") };
            if !self.m.processes[target].alive {
                return Err(Error::Closed);
            }
            let c = self.m.look_any(p, handle)?;
            if !self.m.cap(c).rights.contains(Rights::TRANSFER) {
                return Err(Error::NoRight);
            }
            Ok((target, c, rights & self.m.cap(c).rights))
        })();
        let outcome = self.call(p, Call::ProcessGrant, &[to, handle, word]);
        if let Some(((target, c, rights), [granted, ..])) = self.agree(p, plan, outcome) {
            let object = self.named(c);
            self.m.add(target, granted, object, rights, Some(c));
        }
    }

    fn split(&mut self, p: P) {
        let quota = self.handle(p, Kind::Quota, Rights::MANAGE);
        let plan = self.m.look(p, quota, Kind::Quota, Rights::MANAGE);
        let pages = 1 + self.random.below(200);
        let outcome = self.call(p, Call::QuotaSplit, &[quota, pages, 0]);
        // How much room there is, and how deep an account is nested, is the kernel's to know.
        if plan.is_ok() && matches!(outcome, Outcome::Failed(Error::OutOfQuota | Error::BadArgument)) {
            return;
        }
        if let Some((_, [child, ..])) = self.agree(p, plan, outcome) {
            let number = self.number(p, child);
            let object = self.m.object(Kind::Quota, number, What::Plain);
            self.m.add(p, child, object, LOOK | Rights::MANAGE, None);
        }
    }

    fn create(&mut self, p: P, call: Call) {
        let quota = self.handle(p, Kind::Quota, Rights::MANAGE);
        let plan = self.m.look(p, quota, Kind::Quota, Rights::MANAGE);
        let outcome = self.call(p, call, &[quota]);
        let Some((_, [handle, ..])) = self.agree(p, plan, outcome) else { return };
        let number = self.number(p, handle);
        let (kind, what, rights) = match call {
            Call::NotificationCreate => (
                Kind::Notification,
                What::Notification { bits: 0, waiters: Default::default(), bound: None },
                LOOK | Rights::SEND | Rights::RECEIVE,
            ),
            Call::EndpointCreate => {
                (Kind::Endpoint, Self::fresh_endpoint(), LOOK | Rights::RECEIVE | Rights::MANAGE)
            }
            _ => {
                let reply = Reply {
                    state: ReplyState::Free,
                    owner: Some(p),
                    caller: None,
                    receiver: None,
                    lease: None,
                    end_error: None,
                };
                (Kind::Reply, What::Reply(reply), Rights::TRANSFER | Rights::INSPECT | Rights::SEND)
            }
        };
        let object = self.m.object(kind, number, what);
        self.m.add(p, handle, object, rights, None);
    }

    fn session_create(&mut self, p: P) {
        let handle = self.handle(p, Kind::Endpoint, Rights::MANAGE);
        let named = self.m.look(p, handle, Kind::Endpoint, Rights::MANAGE);
        let next = named.map_or(1, |c| {
            let endpoint = self.named(c);
            self.m.endpoint(endpoint).last_badge + 1
        });
        let badge = if self.random.chance(90) { next + self.random.below(3) } else { self.random.below(next + 1) };
        let plan = named.and_then(|c| match badge {
            0 => Err(Error::BadArgument),
            badge if badge < next => Err(Error::Exists),
            _ => Ok(c),
        });
        let outcome = self.call(p, Call::SessionCreate, &[handle, badge, 0]);
        if let Some((c, [session, ..])) = self.agree(p, plan, outcome) {
            let endpoint = self.named(c);
            let number = self.number(p, session);
            let object = self.m.object(Kind::Session, number, What::Session { endpoint, badge, senders: 0, ended: false });
            self.m.endpoint(endpoint).last_badge = badge;
            self.m.endpoint(endpoint).sessions.insert(badge, object);
            self.m.add(p, session, object, LOOK | Rights::SEND, None);
        }
    }

    fn acknowledge(&mut self, p: P) {
        let handle = self.handle(p, Kind::Endpoint, Rights::MANAGE);
        let plan = self.m.look(p, handle, Kind::Endpoint, Rights::MANAGE);
        let mut badge = self.random.below(20);
        if let Ok(c) = plan {
            let endpoint = self.named(c);
            let ended = self.m.endpoint(endpoint).ended.clone();
            badge = self.random.pick(&ended).filter(|_| self.random.chance(90)).unwrap_or(badge);
        }
        let plan = plan.and_then(|c| {
            let endpoint = self.named(c);
            let e = self.m.endpoint(endpoint);
            match e.sessions.get(&badge) {
                None => Err(Error::NotFound),
                Some(_) if !e.ended.contains(&badge) => Err(Error::WrongState),
                Some(_) => Ok(endpoint),
            }
        });
        let outcome = self.call(p, Call::SessionAcknowledge, &[handle, badge]);
        if let Some((endpoint, _)) = self.agree(p, plan, outcome) {
            let e = self.m.endpoint(endpoint);
            let at = e.ended.iter().position(|b| *b == badge).expect("it has ended");
            if e.told == Some(badge) {
                e.told = e.ended.get(at + 1).copied();
            }
            e.ended.remove(at);
            e.sessions.remove(&badge);
        }
    }

    fn status(&mut self, p: P) {
        let handle = self.handle(p, Kind::Process, Rights::INSPECT);
        let plan = self.m.look(p, handle, Kind::Process, Rights::INSPECT);
        let outcome = self.call(p, Call::ProcessStatus, &[handle]);
        if let Some((c, [state, _, number, _])) = self.agree(p, plan, outcome) {
            let object = &self.m.objects[self.named(c)];
            let What::Process(q) = object.what else { panic!("a process") };
            assert_eq!((state == 0, number), (self.m.processes[q].alive, object.number));
        }
    }

    fn notify(&mut self, p: P) {
        let handle = self.handle(p, Kind::Notification, Rights::SEND);
        let plan = self.m.look(p, handle, Kind::Notification, Rights::SEND);
        let bits = self.random.below(256);
        let outcome = self.call(p, Call::Notify, &[handle, bits]);
        if let Some((c, _)) = self.agree(p, plan, outcome) {
            let object = self.named(c);
            self.m.signal(object, bits);
        }
    }

    fn wait(&mut self, p: P) {
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
                self.m.processes[p].wait = Wait::Waiting { on, deadline };
            }
        }
    }

    fn bind(&mut self, p: P) {
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

    fn sleep(&mut self, p: P) {
        let deadline = self.deadline();
        let outcome = self.call(p, Call::Sleep, &[deadline]);
        if self.agree(p, Ok(()), outcome).is_some() && deadline != 0 {
            self.m.processes[p].wait = Wait::Sleeping { deadline };
        }
    }

    /// The process writes its own memory.
    fn poke(&mut self, p: P) {
        let (offset, byte) = (self.random.below(LENGTH), self.random.next() as u8);
        self.w.kernel.user_write(self.pids[p], DATA + offset, &[byte]).expect("it is there");
        self.m.processes[p].data[offset as usize] = byte;
    }

    fn words(&mut self) -> [u64; 6] {
        std::array::from_fn(|_| self.random.next())
    }

    /// Puts capabilities to send into the IPC buffer.
    fn put_caps(&mut self, p: P) -> Vec<(u32, Rights)> {
        let count = if self.random.chance(25) { 1 + self.random.below(2) } else { 0 };
        let thread = self.tids[p].expect("it runs");
        (0..count as usize)
            .map(|i| {
                let handle = self.any_handle(p) as u32;
                let mask = Rights::from_bits_truncate(self.random.next() as u16 | 1);
                let at = buffer::SEND_CAPS + i * buffer::SEND_CAP_WORDS;
                self.w.buffer_set(thread, at, u64::from(handle) | u64::from(mask.bits()) << 32);
                (handle, mask)
            })
            .collect()
    }

    fn caps_plan(&self, p: P, caps: &[(u32, Rights)]) -> Result<(), Error> {
        for (handle, _) in caps {
            let c = self.m.look_any(p, u64::from(*handle))?;
            if !self.m.cap(c).rights.contains(Rights::TRANSFER) {
                return Err(Error::NoRight);
            }
        }
        Ok(())
    }

    /// Puts a range to lend into the IPC buffer.
    fn put_lease(&mut self, p: P) -> Option<Lease> {
        if !self.random.chance(45) {
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

    fn put_deadline(&mut self, p: P) -> u64 {
        let deadline = self.deadline();
        self.w.buffer_set(self.tids[p].expect("it runs"), buffer::DEADLINE, deadline);
        deadline
    }

    fn send(&mut self, p: P, call: Call) {
        let handle = self.handle(p, Kind::Session, Rights::SEND);
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
            self.m.send(p, Message { session, tag, words, caps, lease, wants_reply, deadline });
        }
    }

    fn reply_plan(&mut self, p: P, word: u64, or_free: bool) -> Result<O, Error> {
        let c = self.m.look(p, word, Kind::Reply, Rights::SEND)?;
        let o = self.named(c);
        match self.m.reply(o).state {
            ReplyState::Free if !or_free => Err(Error::WrongState),
            ReplyState::Receiving => Err(Error::WrongState),
            _ => Ok(o),
        }
    }

    fn recv(&mut self, p: P) {
        let (handle, reply) = (self.handle(p, Kind::Endpoint, Rights::RECEIVE), self.reply_handle(p, ReplyState::Free));
        let deadline = self.put_deadline(p);
        let plan = self.m.look(p, handle, Kind::Endpoint, Rights::RECEIVE).and_then(|c| {
            let r = self.m.look(p, reply, Kind::Reply, Rights::SEND)?;
            let o = self.named(r);
            if self.m.reply(o).state != ReplyState::Free {
                return Err(Error::WrongState);
            }
            Ok((self.named(c), o))
        });
        let outcome = self.call(p, Call::Recv, &[handle, 0, Extras::new(0, 0, deadline != 0).0, reply]);
        if let Some(((endpoint, reply), _)) = self.agree(p, plan, outcome) {
            self.m.receive(p, endpoint, reply, deadline);
        }
    }

    /// A reply handle: mostly of a reply in this state.
    fn reply_handle(&mut self, p: P, state: ReplyState) -> u64 {
        let table = self.m.processes[p].table.clone();
        let fits: Vec<u64> = table
            .values()
            .filter(|c| matches!(&self.m.objects[self.named(**c)].what, What::Reply(r) if r.state == state))
            .map(|c| u64::from(self.m.cap(*c).handle))
            .collect();
        match self.random.pick(&fits) {
            Some(handle) if self.random.chance(90) => handle,
            _ => self.handle(p, Kind::Reply, Rights::SEND),
        }
    }

    fn reply(&mut self, p: P) {
        let handle = self.reply_handle(p, ReplyState::Bound);
        let (caps, tag, words) = (self.put_caps(p), self.random.next(), self.words());
        let plan = self.reply_plan(p, handle, false).and_then(|o| self.caps_plan(p, &caps).map(|()| o));
        self.w.set_words(self.tids[p].expect("it runs"), words);
        let outcome = self.call(p, Call::Reply, &[handle, tag, Extras::new(caps.len(), 0, false).0]);
        if let Some((o, _)) = self.agree(p, plan, outcome) {
            self.m.answer(p, o, tag, words, &caps);
        }
    }

    fn reply_recv(&mut self, p: P) {
        let endpoint = self.handle(p, Kind::Endpoint, Rights::RECEIVE);
        let handle = self.reply_handle(p, ReplyState::Bound);
        let (caps, deadline, tag, words) = (self.put_caps(p), self.put_deadline(p), self.random.next(), self.words());
        let plan = self.m.look(p, endpoint, Kind::Endpoint, Rights::RECEIVE).and_then(|e| {
            let o = self.reply_plan(p, handle, true)?;
            self.caps_plan(p, &caps)?;
            Ok((self.named(e), o))
        });
        self.w.set_words(self.tids[p].expect("it runs"), words);
        let extras = Extras::new(caps.len(), 0, deadline != 0).0;
        let outcome = self.call(p, Call::ReplyRecv, &[endpoint, tag, extras, handle]);
        if let Some(((endpoint, o), _)) = self.agree(p, plan, outcome) {
            self.m.answer(p, o, tag, words, &caps);
            self.m.receive(p, endpoint, o, deadline);
        }
    }

    /// What an operation on the first lease of a reply has to answer, before its range is looked at.
    fn lease_plan(&mut self, p: P, word: u64, index: u64) -> Result<O, Error> {
        let c = self.m.look(p, word, Kind::Reply, Rights::SEND)?;
        let o = self.named(c);
        let reply = self.m.reply(o);
        if !matches!(reply.state, ReplyState::Bound | ReplyState::Cancelled) {
            return Err(Error::WrongState);
        }
        match &reply.lease {
            Some(lease) if index == 0 && !lease.withdrawn => Ok(o),
            Some(_) if index == 0 => Err(Error::Cancelled),
            _ => Err(Error::BadArgument),
        }
    }

    fn lease_copy(&mut self, p: P, write: bool) {
        let handle = self.reply_handle(p, ReplyState::Bound);
        let index = u64::from(self.random.chance(4));
        let (offset, length) = (self.random.below(2 * PAGE_SIZE), self.random.below(2 * PAGE_SIZE));
        let to = self.random.below(LENGTH - 2 * PAGE_SIZE);
        let plan = self.lease_plan(p, handle, index).and_then(|o| {
            let lease = self.m.reply(o).lease.clone().ok_or(Error::BadArgument)?;
            if offset + length > lease.length {
                return Err(Error::LeaseRange);
            }
            if lease.access & (1 + u32::from(write)) == 0 {
                return Err(Error::LeaseAccess);
            }
            Ok(lease)
        });
        let call = if write { Call::LeaseWrite } else { Call::LeaseRead };
        let mut done = 0;
        // An interrupt can cut it short: the rest is asked for.
        let lease = loop {
            let args = [handle, index, offset + done, DATA + to + done, length - done];
            let outcome = self.call(p, call, &args);
            let Some((lease, [copied, ..])) = self.agree(p, plan.clone(), outcome) else { return };
            done += copied;
            if done == length {
                break lease;
            }
            assert!(copied > 0, "it gets on");
        };
        let (mine, theirs) = (to as usize, (lease.offset + offset) as usize);
        let (from, at, target, target_at) =
            if write { (p, mine, lease.lender, theirs) } else { (lease.lender, theirs, p, mine) };
        let bytes = self.m.processes[from].data[at..at + length as usize].to_vec();
        self.m.processes[target].data[target_at..target_at + length as usize].copy_from_slice(&bytes);
        if length > 0 && target != 0 {
            let mut read = vec![0; length as usize];
            self.w.kernel.user_read(self.pids[target], DATA + target_at as u64, &mut read).expect("it is there");
            assert_eq!(read, bytes, "what was copied");
        }
    }

    fn lease_map(&mut self, p: P) {
        let handle = self.reply_handle(p, ReplyState::Bound);
        let (offset, length) = (self.random.below(2) * PAGE_SIZE, (1 + self.random.below(2)) * PAGE_SIZE);
        let write = self.random.chance(40);
        let plan = self.lease_plan(p, handle, 0).and_then(|o| {
            let lease = self.m.reply(o).lease.clone().ok_or(Error::BadArgument)?;
            if offset + length > lease.length {
                return Err(Error::LeaseRange);
            }
            if lease.access & 1 == 0 && !(write && lease.access & 2 != 0) || write && lease.access & 2 == 0 {
                return Err(Error::LeaseAccess);
            }
            if lease.offset % PAGE_SIZE != 0 {
                return Err(Error::LeaseAccess);
            }
            Ok((o, lease))
        });
        let protection = 1 + u64::from(write) * 2;
        let args = [handle, 0, offset, length, 0, protection];
        let outcome = self.call(p, Call::LeaseMap, &args);
        if plan.is_ok() && outcome == Outcome::Failed(Error::LeaseAccess) {
            // Lent for writing only: whether that may be mapped readable is checked in the memory tests.
            assert!(plan.is_ok_and(|(_, lease)| lease.access & 1 == 0));
            return;
        }
        if let Some(((o, lease), [address, ..])) = self.agree(p, plan, outcome) {
            let at = (lease.offset + offset) as usize;
            let mut read = vec![0; length as usize];
            self.w.kernel.user_read(self.pids[p], address, &mut read).expect("it is mapped");
            assert_eq!(read, self.m.processes[lease.lender].data[at..at + length as usize], "the very pages");
            if write {
                let byte = self.random.next() as u8;
                self.w.kernel.user_write(self.pids[p], address, &[byte]).expect("it is mapped");
                self.m.processes[lease.lender].data[at] = byte;
            }
            let lease = self.m.reply(o).lease.as_mut().expect("it is lent");
            lease.maps.push((p, address, offset, length));
        }
    }

    fn kill(&mut self, p: P) {
        if !self.random.chance(if p == 0 { 8 } else { 40 }) {
            return;
        }
        let handle = self.handle(p, Kind::Process, Rights::MANAGE);
        let plan = self.m.look(p, handle, Kind::Process, Rights::MANAGE);
        if plan.is_ok_and(|c| self.named(c) == self.m.processes[0].object) {
            return;
        }
        let outcome = self.call(p, Call::ProcessKill, &[handle, 9]);
        if let Some((c, _)) = self.agree(p, plan, outcome) {
            let What::Process(q) = self.m.objects[self.named(c)].what else { panic!("a process") };
            self.m.kill(q);
        }
    }

    fn exit(&mut self, p: P) {
        let call = if self.random.chance(50) { Call::ProcessExit } else { Call::ThreadExit };
        assert_eq!(self.call(p, call, &[0]), Outcome::Gone);
        self.m.kill(p);
    }
}
