//! Operations on what callers lent.

use crate::reference::{ReplyState, O, P};
use crate::run::{Run, DATA, LENGTH};
use abi::call::Call;
use abi::memory::PAGE_SIZE;
use abi::{Error, Kind, Rights};

impl<const FAULT: u8> Run<FAULT> {
    /// What an operation on the first lease of a reply has to answer, before its range is looked at.
    pub fn lease_plan(&mut self, p: P, word: u64, index: u64) -> Result<O, Error> {
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

    pub fn lease_copy(&mut self, p: P, write: bool) {
        let handle = self.lent_handle(p);
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

    pub fn lease_map(&mut self, p: P) {
        let handle = self.lent_handle(p);
        let (offset, length) = (self.random.below(2) * PAGE_SIZE, (1 + self.random.below(2)) * PAGE_SIZE);
        let write = self.random.chance(40);
        let plan = self.lease_plan(p, handle, 0).and_then(|o| {
            let lease = self.m.reply(o).lease.clone().ok_or(Error::BadArgument)?;
            if offset + length > lease.length {
                return Err(Error::LeaseRange);
            }
            let access = 1 + u32::from(write) * 2;
            if lease.access & access != access || !lease.offset.is_multiple_of(PAGE_SIZE) {
                return Err(Error::LeaseAccess);
            }
            Ok((o, lease))
        });
        let protection = 1 + u64::from(write) * 2;
        let args = [handle, 0, offset, length, 0, protection];
        let outcome = self.call(p, Call::LeaseMap, &args);
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
}
