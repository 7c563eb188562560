//! Reaching what was lent: copying, mapping, pinning.

use super::record::{Fate, Lent, Mapped, Number, Pinned};
use super::stage::{Stage, DATA, LENGTH};
use crate::handle::{choose_real, look_up};
use crate::input::Input;
use crate::number::{address, number};
use abi::call::Call;
use abi::memory::PAGE_SIZE;
use abi::message::{buffer, LeaseAccess};
use abi::{Error, Handle, Kind, Rights};
use kernel_core::address::FrameNumber;
use kernel_core::id::Id;
use kernel_core::machine::Machine;
use kernel_core::mm::user::COPY_LIMIT;
use kernel_core::object::Process;
use kernel_core::world::Outcome;

/// What an operation is about: a lease, and part of it.
struct Part {
    reply: u64,
    call: Option<Number>,
    index: usize,
    offset: u64,
    length: u64,
}

impl<const FAULT: u8> Stage<FAULT> {
    /// A lease of a call, if it can still be reached: the call waits for its answer and is wanted, and so are those above.
    pub fn lent(&self, call: Number, index: usize) -> Result<Lent, Error> {
        let record = &self.messages[&call];
        assert!(!matches!(record.fate, Fate::Sent), "call {call} was received");
        let Some(lent) = record.leases.get(index).copied() else {
            return Err(Error::BadArgument);
        };
        let wanted = !record.unwanted && matches!(record.fate, Fate::Received) && self.lives(lent.lender);
        match lent.passed_on {
            _ if !wanted || !self.has_sender(call) => Err(Error::Cancelled),
            Some((above, at)) => self.lent(above, at).map(|_| lent),
            None => Ok(lent),
        }
    }

    /// Whether the one who called is still there.
    fn has_sender(&self, call: Number) -> bool {
        self.actors.iter().any(|actor| actor.doing == super::record::Doing::Send(call) && self.lives(actor.process))
    }

    fn part(&self, input: &mut Input<'_>, process: Id<Process>) -> Part {
        let table = self.table(process);
        let reply = self.choose_reply(input, &table, true);
        let call = self.reply_object(&table, reply).and_then(|object| self.bound.get(&object).copied());
        let how = input.byte();
        let leases = call.map_or(&[][..], |call| &self.messages[&call].leases);
        let fits = how & 0xe0 != 0 && !leases.is_empty();
        let index = if fits { usize::from(how & 3) % leases.len() } else { usize::from(how & 3) };
        let lent = leases.get(index).map_or(PAGE_SIZE, |lease| lease.length);
        let (offset, length) = match how >> 2 & 7 {
            // Inside what is lent, in whole pages or to the byte; anywhere near; anywhere.
            0..=2 => {
                let pages = lent / PAGE_SIZE;
                let offset = u64::from(input.byte()) % pages.max(1);
                (offset * PAGE_SIZE, (1 + u64::from(input.byte()) % pages.saturating_sub(offset).max(1)) * PAGE_SIZE)
            }
            3..=5 => {
                let offset = input.short() % lent.saturating_add(1);
                (offset, input.short() % (lent - offset).saturating_add(1))
            }
            6 => (input.short() % (2 * PAGE_SIZE), input.short() % (2 * PAGE_SIZE)),
            _ => (number(input), number(input)),
        };
        Part { reply, call, index, offset, length }
    }

    /// The lease that a part is of, or why there is none.
    fn lease_of(&self, part: &Part, process: Id<Process>) -> Result<Lent, Error> {
        look_up(&self.table(process), part.reply, Kind::Reply, Rights::SEND)?;
        self.lent(part.call.ok_or(Error::WrongState)?, part.index)
    }

    /// Copies out of a lease, or into one.
    pub fn lease_copy(&mut self, input: &mut Input<'_>, n: usize, write: bool) {
        let actor = self.actors[n];
        let part = self.part(input, actor.process);
        let at = match input.byte() {
            0..=0xdf => DATA + input.short() % LENGTH,
            _ => address(input),
        };
        let (reach, wanted) =
            if write { (Call::LeaseWrite, LeaseAccess::WRITE) } else { (Call::LeaseRead, LeaseAccess::READ) };
        let lease = self.lease_of(&part, actor.process);
        let plan = lease.and_then(|lease| {
            within(&part, &lease)?;
            if lease.access.contains(wanted) {
                Ok(lease)
            } else {
                Err(Error::LeaseAccess)
            }
        });
        let (theirs, length) = (plan.map_or(0, |lease| lease.address + part.offset), part.length);
        let known = plan.is_ok() && is_known(theirs, length) && is_known(at, length);
        let lender = plan.map_or(actor.process, |lease| lease.lender);
        let (from, from_at, to, to_at) =
            if write { (actor.process, at, lender, theirs) } else { (lender, theirs, actor.process, at) };
        let before = known.then(|| (self.bytes(from, from_at, length), self.around(to, to_at, length)));
        let args = [part.reply, part.index as u64, part.offset, at, length];
        match (plan, self.call(actor.thread, reach, &args)) {
            (Err(expected), Outcome::Failed(error)) => assert_eq!(error, expected, "{reach:?} {:?}", part.call),
            (Err(expected), other) => panic!("{other:?} instead of {expected:?}"),
            (Ok(_), Outcome::Failed(error)) => {
                let may_be = [Error::LeaseFault, Error::BadAddress, Error::OutOfQuota, Error::OutOfMemory];
                assert!(!known && may_be.contains(&error), "{error:?} where it can be reached");
            }
            (Ok(_), Outcome::Done([done, ..])) => {
                assert!(done <= length.min(COPY_LIMIT) && (done > 0 || length == 0), "{done} of {length}");
                let overlaps = from == to && from_at.abs_diff(to_at) < length;
                let Some((bytes, around)) = before.filter(|_| !overlaps) else { return };
                let done_bytes = done as usize;
                assert_eq!(self.bytes(to, to_at, done), bytes[..done_bytes], "what was copied");
                let after = self.around(to, to_at, length);
                assert_eq!((after.0, &after.1[done_bytes..], after.2), (around.0, &around.1[done_bytes..], around.2));
            }
            (Ok(_), other) => panic!("{other:?} from a copy"),
        }
    }

    /// Maps pages of a lease.
    pub fn lease_map(&mut self, input: &mut Input<'_>, n: usize) {
        let actor = self.actors[n];
        let part = self.part(input, actor.process);
        let protection = u64::from(input.byte() & 3);
        let lease = self.lease_of(&part, actor.process);
        let args = [part.reply, part.index as u64, part.offset, part.length, 0, protection];
        let outcome = self.call(actor.thread, Call::LeaseMap, &args);
        let Outcome::Done([at, ..]) = outcome else {
            let easy = lease.is_ok_and(|lease| {
                let lent_at = lease.address.wrapping_add(part.offset);
                let whole = (lent_at | part.length).is_multiple_of(PAGE_SIZE) && part.length > 0;
                let allowed = u64::from(lease.access.bits()) & protection == protection && protection != 0;
                whole && allowed && within(&part, &lease).is_ok() && is_known(lent_at, part.length)
            });
            assert!(!easy, "{outcome:?} where it can be mapped");
            return;
        };
        let lease = lease.unwrap_or_else(|error| panic!("mapped instead of {error:?}"));
        within(&part, &lease).expect("mapped what was not lent");
        assert_eq!(u64::from(lease.access.bits()) & protection, protection, "mapped for what it was not lent for");
        let call = part.call.expect("a lease is a call's");
        let lent_at = lease.address + part.offset;
        let mapped =
            Mapped { call, index: part.index, server: actor.process, address: at, lent_at, length: part.length };
        self.mapped.push(mapped);
        self.peek(mapped);
    }

    /// A mapped lease is the lender's very memory.
    fn peek(&self, mapped: Mapped) {
        let lender = self.messages[&mapped.call].leases[mapped.index].lender;
        if !self.lives(lender) || !self.lives(mapped.server) || !is_known(mapped.lent_at, mapped.length) {
            return;
        }
        for at in [0, mapped.length - 1] {
            let k = &self.w.kernel;
            let mut bytes = [0; 2];
            let (first, second) = bytes.split_at_mut(1);
            k.user_read(lender, mapped.lent_at + at, first).expect("it is there");
            k.user_read(mapped.server, mapped.address + at, second).expect("it is mapped");
            assert_eq!(first, second, "{mapped:?}");
        }
    }

    /// Somebody writes its own memory, and all who have it mapped see it; or gives such a mapping up.
    pub fn poke(&mut self, input: &mut Input<'_>, n: usize) {
        let process = self.actors[n].process;
        let mine: Vec<usize> = (0..self.mapped.len()).filter(|i| self.mapped[*i].server == process).collect();
        let (how, byte) = (input.byte(), input.byte());
        if let Some(i) = input.pick(&mine).filter(|_| how & 3 == 0) {
            let mapped = self.mapped.remove(i);
            let space = Handle::SELF_SPACE.word();
            self.call(self.actors[n].thread, Call::SpaceUnmap, &[space, mapped.address, mapped.length]);
            return;
        }
        let at = DATA + input.short() % LENGTH;
        self.w.kernel.user_write(process, at, &[byte]).expect("it is there");
        self.mapped.iter().for_each(|mapped| self.peek(*mapped));
    }

    /// Pins part of a lease.
    pub fn lease_pin(&mut self, input: &mut Input<'_>, n: usize) {
        let actor = self.actors[n];
        let part = self.part(input, actor.process);
        let domain = choose_real(input, &self.table(actor.process), Some(Kind::DmaDomain));
        let lease = self.lease_of(&part, actor.process);
        let args = [part.reply, part.index as u64, part.offset, part.length, domain];
        let Outcome::Done([handle, ranges, ..]) = self.call(actor.thread, Call::LeasePin, &args) else { return };
        let lease = lease.unwrap_or_else(|error| panic!("pinned instead of {error:?}"));
        within(&part, &lease).expect("pinned what was not lent");
        let call = part.call.expect("a lease is a call's");
        self.pinned.push(Pinned { call, holder: actor.process, handle });
        let mut at = lease.address + part.offset;
        for i in 0..ranges as usize {
            let word = |n: usize| self.w.buffer(actor.thread, buffer::RANGES + 2 * i + n);
            let (physical, bytes) = (word(0), word(1));
            for offset in [0, bytes - 1] {
                let mut byte = [0; 2];
                let (device, own) = byte.split_at_mut(1);
                let place = physical + offset;
                let frame = FrameNumber((place / PAGE_SIZE) as u32);
                self.w.kernel.machine.read_frame(frame, (place % PAGE_SIZE) as usize, device);
                if is_known(at, bytes) {
                    self.w.kernel.user_read(lease.lender, at + offset, own).expect("it is there");
                    assert_eq!(device, own, "where the device looks");
                }
            }
            at += bytes;
        }
        assert_eq!(at, lease.address + part.offset + part.length, "the ranges are the part");
    }

    /// Whether somebody who lives has part of what a call lent pinned.
    pub fn is_pinned(&self, call: Number) -> bool {
        self.pinned.iter().any(|pinned| {
            let holds = |entry: &crate::handle::Entry| entry.handle.word() == pinned.handle && entry.kind == Kind::Pin;
            pinned.call == call && self.lives(pinned.holder) && self.table(pinned.holder).iter().any(holds)
        })
    }

    fn bytes(&self, process: Id<Process>, at: u64, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        self.w.kernel.user_read(process, at, &mut bytes).expect("it is there");
        bytes
    }

    /// Some bytes before a range, the range, and some after.
    fn around(&self, process: Id<Process>, at: u64, length: u64) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        (self.bytes(process, at - 8, 8), self.bytes(process, at, length), self.bytes(process, at + length, 8))
    }
}

/// Whether a range lies in the data that every process has, so that what comes of an access is known.
fn is_known(at: u64, length: u64) -> bool {
    at >= DATA && at.checked_add(length).is_some_and(|end| end <= DATA + LENGTH)
}

fn within(part: &Part, lease: &Lent) -> Result<(), Error> {
    let inside = part.offset.checked_add(part.length).is_some_and(|end| end <= lease.length);
    inside.then_some(()).ok_or(Error::LeaseRange)
}
