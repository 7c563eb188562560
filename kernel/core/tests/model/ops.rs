//! The operations: what each has to answer, and what comes of it.

use crate::reference::{ReplyState, Wait, What, P};
use crate::run::Run;
use abi::call::Call;
use abi::{Kind, Rights};
use kernel_core::object::ProcessState;
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
        if alive.len() < 6 || alive.len() < 12 && self.random.chance(2) {
            if let Some(child) = self.spawn(0) {
                self.endow(0, child);
            }
            return self.settle();
        }
        let is_ready = |p: &P| *p != 0 && matches!(self.m.processes[*p].wait, Wait::Ready);
        let ready: Vec<P> = alive.into_iter().filter(is_ready).collect();
        // The first process is always there, makes things for the others, and never waits.
        let p = if self.random.chance(12) { 0 } else { self.random.pick(&ready).unwrap_or(0) };
        if ready.len() < 2 && self.random.chance(60) {
            return self.stir();
        }
        if self.m.processes[p].table.len() > 60 {
            self.close(p);
        } else if self.random.chance(5) {
            self.bury(p);
        } else {
            self.operation(p);
        }
        self.settle();
    }

    /// Nearly all wait for each other: time passes until somebody gives up, or somebody is ended.
    fn stir(&mut self) {
        if self.random.chance(90) {
            let now = self.w.now() + 1_000_000;
            let _ = self.w.time(now);
            self.m.time(now);
        } else {
            let waits = |p: &P| *p != 0 && self.m.processes[*p].alive;
            let waiting: Vec<P> = (0..self.m.processes.len()).filter(waits).collect();
            if let Some(p) = self.random.pick(&waiting) {
                self.w.kernel.process_end(self.pids[p], ProcessState::Killed, 1);
                self.m.kill(p);
            }
        }
        self.settle();
    }

    fn operation(&mut self, p: P) {
        if p != 0 && self.random.chance(75) {
            return self.talk(p);
        }
        if p == 0 && self.random.chance(50) {
            return self.provide();
        }
        match self.random.below(100) {
            0..9 => self.derive(p),
            9..15 => self.close(p),
            15..17 => self.revoke(p),
            17..21 => self.inspect(p),
            21..30 => self.grant(p),
            30..31 => self.split(p),
            31..33 => self.create(p, Call::NotificationCreate),
            33..34 => self.create(p, Call::EndpointCreate),
            34..42 => self.create(p, Call::ReplyCreate),
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

    /// The first process keeps a few endpoints, with sessions, notifications, and somebody to give them to.
    fn provide(&mut self) {
        let caps: Vec<_> = self.m.processes[0].table.values().map(|c| self.m.cap(*c)).collect();
        let count = |kind: Kind| caps.iter().filter(|c| self.m.objects[c.object].kind == kind).count();
        if count(Kind::Endpoint) < 3 {
            self.create(0, Call::EndpointCreate);
        } else if count(Kind::Session) < 8 {
            self.session_create(0);
        } else if count(Kind::Notification) < 2 {
            self.create(0, Call::NotificationCreate);
        } else if self.random.chance(30) {
            self.acknowledge(0);
        } else {
            self.grant(0);
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
        let lent = caps.iter().any(|c| match &self.m.objects[c.object].what {
            What::Reply(r) => r.lease.as_ref().is_some_and(|l| !l.withdrawn),
            _ => false,
        });
        let over = caps.iter().any(|c| match &self.m.objects[c.object].what {
            What::Endpoint(e) => !e.ended.is_empty() && c.rights.contains(Rights::MANAGE),
            _ => false,
        });
        let wanted = caps.iter().any(|c| match &self.m.objects[c.object].what {
            What::Endpoint(e) => !e.senders.is_empty() && c.rights.contains(Rights::RECEIVE),
            _ => false,
        });
        match self.random.below(100) {
            0..20 if lent => self.lease_copy(p, false),
            20..40 if lent => self.lease_copy(p, true),
            40..60 if lent => self.lease_map(p),
            60..75 if owes => self.reply(p),
            75..95 if owes && serves => self.reply_recv(p),
            0..40 if over => self.acknowledge(p),
            0..80 if serves && ready && wanted => self.recv(p),
            0..35 if serves && ready => self.recv(p),
            // Half of them mostly serve: if all called, all would wait for each other.
            35..90 if serves && p.is_multiple_of(2) && self.random.chance(85) => self.recv(p),
            35..90 if calls => self.send(p, Call::Call),
            90..95 if calls => self.send(p, Call::Send),
            _ if accounts && !ready => self.create(p, Call::ReplyCreate),
            _ if serves => self.session_create(p),
            _ if accounts => self.create(p, Call::EndpointCreate),
            _ if self.random.chance(20) => self.exit(p),
            _ => self.wait(p),
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
