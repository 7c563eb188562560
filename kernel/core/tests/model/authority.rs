//! Operations on capabilities, accounts and processes.

use crate::reference::{Reply, ReplyState, What, P};
use crate::run::{Run, LOOK};
use abi::call::Call;
use abi::{Error, Kind, Rights};
use kernel_core::world::Outcome;

impl<const FAULT: u8> Run<FAULT> {
    pub fn rights(&mut self) -> (u64, Result<Rights, Error>) {
        let word = match self.random.below(10) {
            0..6 => u64::from(Rights::all().bits()),
            6..9 => self.random.below(512),
            _ => self.random.below(1 << 20),
        };
        (word, Rights::from_word(word).ok_or(Error::BadArgument))
    }

    pub fn derive(&mut self, p: P) {
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

    pub fn any_handle(&mut self, p: P) -> u64 {
        let kinds = [Kind::Session, Kind::Endpoint, Kind::Notification, Kind::Reply, Kind::Process, Kind::Quota];
        let kind = self.random.pick(&kinds).unwrap_or(Kind::Session);
        self.handle(p, kind, Rights::empty())
    }

    /// Whether an entry is one that a run needs to go on: the first process's root account.
    pub fn is_kept(&self, p: P, handle: u64) -> bool {
        p == 0 && handle & 0xffff == 1
    }

    pub fn close(&mut self, p: P) {
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

    /// Closes what a process has of processes that have ended: their records stay for as long as anyone asks.
    pub fn bury(&mut self, p: P) {
        let dead = |run: &Self, what: &What| matches!(what, What::Process(q) if !run.m.processes[*q].alive);
        for _ in 0..4 {
            let handle = self.handle_where(p, Kind::Process, Rights::empty(), dead);
            if let Ok(c) = self.m.look_any(p, handle) {
                if dead(self, &self.m.objects[self.named(c)].what) {
                    assert!(matches!(self.call(p, Call::Close, &[handle]), Outcome::Done(_)));
                    self.m.close(c);
                }
            }
        }
    }

    pub fn revoke(&mut self, p: P) {
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

    pub fn inspect(&mut self, p: P) {
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
    pub fn endow(&mut self, parent: P, child: P) {
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

    pub fn grant(&mut self, p: P) {
        let to = self.handle(p, Kind::Process, Rights::MANAGE);
        let handle = self.any_handle(p);
        let (word, _) = self.rights();
        self.grant_to(p, to, handle, word);
    }

    pub fn grant_to(&mut self, p: P, to: u64, handle: u64, word: u64) {
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

    pub fn split(&mut self, p: P) {
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

    pub fn create(&mut self, p: P, call: Call) {
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
            Call::EndpointCreate => (Kind::Endpoint, Self::fresh_endpoint(), LOOK | Rights::RECEIVE | Rights::MANAGE),
            _ => {
                let reply = Reply {
                    endpoint: None,
                    reason: None,
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

    pub fn session_create(&mut self, p: P) {
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
            let object =
                self.m.object(Kind::Session, number, What::Session { endpoint, badge, senders: 0, ended: false });
            self.m.endpoint(endpoint).last_badge = badge;
            self.m.endpoint(endpoint).sessions.insert(badge, object);
            self.m.add(p, session, object, LOOK | Rights::SEND, None);
        }
    }

    pub fn acknowledge(&mut self, p: P) {
        let over = |_: &Self, what: &What| matches!(what, What::Endpoint(e) if !e.ended.is_empty());
        let handle = self.handle_where(p, Kind::Endpoint, Rights::MANAGE, over);
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

    pub fn status(&mut self, p: P) {
        let handle = self.handle(p, Kind::Process, Rights::INSPECT);
        let plan = self.m.look(p, handle, Kind::Process, Rights::INSPECT);
        let outcome = self.call(p, Call::ProcessStatus, &[handle]);
        if let Some((c, [state, _, number, _])) = self.agree(p, plan, outcome) {
            let object = &self.m.objects[self.named(c)];
            let What::Process(q) = object.what else { panic!("a process") };
            assert_eq!((state == 0, number), (self.m.processes[q].alive, object.number));
        }
    }
}
