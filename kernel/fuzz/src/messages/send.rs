//! Sending, receiving and answering.

use super::record::{Content, Doing, Fate, Lent, Number, Record};
use super::stage::{Actor, Stage, DATA, LENGTH};
use crate::handle::{choose_real, look_up, Entry};
use crate::input::Input;
use crate::number::{address, length, number, time};
use abi::call::Call;
use abi::memory::{PAGE_SIZE, USER_END, USER_START};
use abi::message::{buffer, Extras, LeaseAccess};
use abi::{Error, Kind, Rights};
use kernel_core::id::Id;
use kernel_core::object::{Process, Reply, Session};
use kernel_core::world::Outcome;

/// What a message brings beside its words, and whether that can be sent.
struct Extra {
    extras: Extras,
    content: Content,
    leases: Vec<Lent>,
    deadline_ns: u64,
    plan: Result<(), Error>,
}

impl<const FAULT: u8> Stage<FAULT> {
    /// A call, or a one-way message.
    pub fn send(&mut self, input: &mut Input<'_>, n: usize) {
        let actor = self.actors[n];
        let table = self.table(actor.process);
        let is_call = input.byte() & 7 != 0;
        let handle = choose_real(input, &table, Some(Kind::Session));
        let plan = look_up(&table, handle, Kind::Session, Rights::SEND);
        let extra = self.extra(input, actor, &table, is_call, true);
        let plan = plan.and(extra.plan);
        let named = table.iter().find(|entry| u64::from(entry.handle.0) == handle && plan.is_ok());
        let session = named.map(|entry| entry.object);
        let badge = session
            .and_then(|raw| Id::<Session>::try_new(raw as usize))
            .map_or(0, |session| self.w.kernel.sessions[session].in_endpoint.key.get());
        let (tag, number) = (extra.content.tag, extra.content.words[0]);
        let record = Record {
            session,
            badge,
            is_call,
            content: extra.content,
            leases: extra.leases,
            unwanted: false,
            deadline_ns: extra.deadline_ns,
            fate: Fate::Sent,
        };
        self.messages.insert(number, record);
        self.actors[n].doing = Doing::Send(number);
        let call = if is_call { Call::Call } else { Call::Send };
        let outcome = self.call(actor.thread, call, &[handle, tag, extra.extras.0]);
        match (plan, outcome) {
            // (Who can't be reached is not asked what for.)
            (Err(_), Outcome::Failed(Error::Closed)) => {}
            (Err(expected), Outcome::Failed(error)) => assert_eq!(error, expected),
            (Err(expected), other) => panic!("{other:?} instead of {expected:?}"),
            (Ok(()), Outcome::Failed(error)) => {
                let may_be = [Error::Closed, Error::TimedOut, Error::OutOfQuota, Error::OutOfMemory];
                assert!(may_be.contains(&error), "refused what may be sent: {error:?}");
            }
            (Ok(()), _) => {}
        }
    }

    /// Receives.
    pub fn receive(&mut self, input: &mut Input<'_>, n: usize) {
        let actor = self.actors[n];
        let table = self.table(actor.process);
        let endpoint = choose_real(input, &table, Some(Kind::Endpoint));
        let reply = self.choose_reply(input, &table, false);
        let deadline = self.put_deadline(input, actor);
        let object = self.reply_object(&table, reply);
        self.actors[n].doing = Doing::Receive(object.unwrap_or(0));
        let extras = Extras::new(0, 0, deadline != 0).0;
        let plan = look_up(&table, endpoint, Kind::Endpoint, Rights::RECEIVE)
            .and_then(|()| look_up(&table, reply, Kind::Reply, Rights::SEND));
        let outcome = self.call(actor.thread, Call::Recv, &[endpoint, 0, extras, reply]);
        assert!(plan.is_ok() || matches!(outcome, Outcome::Failed(_)), "{outcome:?} instead of {plan:?}");
    }

    /// Answers; with `receive`, receives the next message too.
    pub fn answer(&mut self, input: &mut Input<'_>, n: usize, receive: bool) {
        let actor = self.actors[n];
        let table = self.table(actor.process);
        let reply = self.choose_reply(input, &table, true);
        let endpoint = if receive { choose_real(input, &table, Some(Kind::Endpoint)) } else { 0 };
        let extra = self.extra(input, actor, &table, false, receive);
        let object = self.reply_object(&table, reply);
        let call = object.and_then(|object| self.bound.get(&object).copied());
        let is_pinned = call.is_some_and(|call| self.is_pinned(call));
        let outcome = if receive {
            self.actors[n].doing = Doing::Receive(object.unwrap_or(0));
            let args = [endpoint, extra.content.tag, extra.extras.0, reply];
            self.call(actor.thread, Call::ReplyRecv, &args)
        } else {
            self.call(actor.thread, Call::Reply, &[reply, extra.content.tag, extra.extras.0])
        };
        let after = [Error::TimedOut, Error::Closed, Error::Cancelled, Error::Interrupted];
        let answered = match outcome {
            Outcome::Failed(error) => receive && after.contains(&error),
            _ => true,
        };
        if !answered {
            return;
        }
        assert_eq!(extra.plan, Ok(()), "answered with what can't be sent");
        let object = object.expect("answered by a handle that names no reply object");
        let Some(call) = call else {
            assert!(receive, "nothing was bound to what was answered by");
            return;
        };
        assert!(!is_pinned, "answered while what was lent is pinned");
        self.bound.remove(&object);
        let record = self.messages.get_mut(&call).expect("it was sent");
        match record.fate {
            Fate::Received => record.fate = Fate::Answered(extra.content),
            Fate::Over => {}
            Fate::Sent | Fate::Answered(_) => panic!("call {call} was answered: {:?}", record.fate),
        }
    }

    /// Waits on a notification.
    pub fn wait(&mut self, input: &mut Input<'_>, n: usize) {
        let actor = self.actors[n];
        let table = self.table(actor.process);
        let handle = choose_real(input, &table, Some(Kind::Notification));
        let deadline = time(input, self.w.now());
        self.actors[n].doing = Doing::Wait;
        self.call(actor.thread, Call::Wait, &[handle, deadline]);
    }

    /// Whether a process has a reply object that is bound to a call.
    pub fn owes(&self, process: Id<Process>) -> bool {
        let table = self.table(process);
        let objects = table.iter().filter_map(|entry| self.reply_object(&table, entry.handle.word()));
        objects.into_iter().any(|object| self.bound.contains_key(&object))
    }

    /// The object id of the reply object that a handle names.
    pub fn reply_object(&self, table: &[Entry], handle: u64) -> Option<u64> {
        look_up(table, handle, Kind::Reply, Rights::SEND).ok()?;
        let entry = table.iter().find(|entry| u64::from(entry.handle.0) == handle)?;
        let reply = Id::<Reply>::try_new(entry.object as usize)?;
        Some(self.w.kernel.replies[reply].header.object_id.get())
    }

    /// A handle of a reply object: mostly of one that is bound, or of one that is not.
    pub fn choose_reply(&self, input: &mut Input<'_>, table: &[Entry], bound: bool) -> u64 {
        let fits: Vec<Entry> = table
            .iter()
            .filter(|entry| {
                let object = self.reply_object(table, entry.handle.word());
                object.is_some_and(|object| self.bound.contains_key(&object) == bound)
            })
            .copied()
            .collect();
        choose_real(input, if fits.is_empty() { table } else { &fits }, Some(Kind::Reply))
    }

    fn put_deadline(&mut self, input: &mut Input<'_>, actor: Actor) -> u64 {
        let deadline = time(input, self.w.now());
        self.w.buffer_set(actor.thread, buffer::DEADLINE, deadline);
        deadline
    }

    /// Puts words, capabilities, leases and a deadline into place.
    fn extra(&mut self, input: &mut Input<'_>, actor: Actor, table: &[Entry], leases: bool, deadline: bool) -> Extra {
        self.count += 1;
        let number: Number = self.count;
        let shape = input.byte();
        let caps = usize::from(if shape & 0x80 == 0 { 0 } else { shape & 3 });
        let lent = usize::from(if leases { shape >> 2 & 3 } else { 0 });
        let mut extra = Extra {
            extras: Extras::NONE,
            content: Content::default(),
            leases: Vec::new(),
            deadline_ns: 0,
            plan: Ok(()),
        };
        for i in 0..caps {
            let cap = self.put_cap(input, actor, table, i);
            extra.plan = extra.plan.and(cap.map(|cap| extra.content.caps.push(cap)));
        }
        for i in 0..lent {
            let lease = self.put_lease(input, actor, table, i);
            extra.plan = extra.plan.and(lease.map(|lease| extra.leases.push(lease)));
        }
        if deadline && shape & 0x10 != 0 {
            extra.deadline_ns = self.put_deadline(input, actor);
        }
        extra.extras = Extras::new(caps, lent, extra.deadline_ns != 0);
        extra.content.tag = u64::from(input.byte()) << 32 | number;
        extra.content.words = std::array::from_fn(|i| number.wrapping_mul(i as u64 * 0x1_0001 + 1));
        self.w.set_words(actor.thread, extra.content.words);
        extra
    }

    fn put_cap(
        &mut self,
        input: &mut Input<'_>,
        actor: Actor,
        table: &[Entry],
        i: usize,
    ) -> Result<super::record::Carried, Error> {
        let handle = choose_real(input, table, None) & 0xffff_ffff;
        let mask = Rights::from_bits_truncate(input.short() as u16);
        self.w.buffer_set(
            actor.thread,
            buffer::SEND_CAPS + i * buffer::SEND_CAP_WORDS,
            handle | u64::from(mask.bits()) << 32,
        );
        let entry = table.iter().find(|entry| u64::from(entry.handle.0) == handle).ok_or(Error::BadHandle)?;
        if !entry.rights.contains(Rights::TRANSFER) {
            return Err(Error::NoRight);
        }
        Ok((entry.kind, entry.object, entry.rights & mask))
    }

    /// Lends a range of its own, or part of what was lent to it.
    fn put_lease(&mut self, input: &mut Input<'_>, actor: Actor, table: &[Entry], i: usize) -> Result<Lent, Error> {
        let how = input.byte();
        let mut access = LeaseAccess::from_bits_truncate(u32::from(how & 7));
        let owes = self.owes(actor.process);
        if !owes && how & 0x78 != 0 {
            access.remove(LeaseAccess::PASS_ON);
        }
        if access.is_empty() && how & 0xc0 != 0 {
            access = LeaseAccess::READ | LeaseAccess::WRITE;
        }
        let (at, bytes) = match how >> 3 {
            0..=15 => (DATA + u64::from(input.byte() & 7) * PAGE_SIZE, u64::from(1 + (input.byte() & 3)) * PAGE_SIZE),
            16..=27 => (DATA + input.short() % LENGTH, input.short() % (3 * PAGE_SIZE)),
            _ => (address(input), length(input)),
        };
        if !access.contains(LeaseAccess::PASS_ON) {
            self.w.lend(actor.thread, i, at, bytes, access, 0);
            let end = at.checked_add(bytes).ok_or(Error::BadAddress);
            if access.is_empty() {
                return Err(Error::BadArgument);
            }
            if at < USER_START || end? > USER_END {
                return Err(Error::BadAddress);
            }
            return Ok(Lent { lender: actor.process, address: at, length: bytes, access, passed_on: None });
        }
        let reply = self.choose_reply(input, table, true) & 0xffff_ffff;
        let (index, offset) = (input.below(4), if how & 0x80 == 0 { at - DATA } else { number(input) });
        self.w.lend(actor.thread, i, offset, bytes, access, reply | (index as u64) << 32);
        let lent = access & !LeaseAccess::PASS_ON;
        if lent.is_empty() {
            return Err(Error::BadArgument);
        }
        look_up(table, reply, Kind::Reply, Rights::SEND)?;
        let call = self.reply_object(table, reply).and_then(|object| self.bound.get(&object).copied());
        let above = self.lent(call.ok_or(Error::WrongState)?, index)?;
        let end = offset.checked_add(bytes).filter(|end| *end <= above.length);
        if end.is_none() {
            return Err(Error::LeaseRange);
        }
        if !above.access.contains(lent) {
            return Err(Error::LeaseAccess);
        }
        let passed_on = call.map(|call| (call, index));
        Ok(Lent { lender: above.lender, address: above.address + offset, length: bytes, access: lent, passed_on })
    }
}
