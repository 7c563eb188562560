//! The operations: who does what next.

use super::record::Doing;
use super::stage::Stage;
use crate::handle::choose_real;
use crate::input::Input;
use crate::trace::tell;
use abi::call::Call;
use abi::{Error, Kind};
use kernel_core::id::Id;
use kernel_core::object::{Session, Thread};
use kernel_core::world::Outcome;

impl<const FAULT: u8> Stage<FAULT> {
    /// One operation.
    pub fn act(&mut self, input: &mut Input<'_>) {
        let mut what = input.byte();
        match what {
            0xe0..=0xe7 => return self.pass_time(input),
            0xe8..=0xef => return self.cancel(input),
            0xf0..=0xf1 => return self.kill(input),
            0xf2..=0xf3 => return self.revoke(input),
            0xf4..=0xf9 => return self.notify(input),
            0xfa..=0xff => return self.w.kernel.machine.interrupt_every(u32::from(input.byte() & 3)),
            _ => {}
        }
        let free = |n: &usize| self.actors[*n].doing == Doing::Nothing && self.is_ready(self.actors[*n].thread);
        let mut free: Vec<usize> = (0..self.actors.len()).filter(free).collect();
        // Answers and leases are for those who owe an answer, if there are any.
        let owes = |n: &usize| self.owes(self.actors[*n].process);
        if (0x60..=0xc5).contains(&what) {
            if free.iter().any(owes) {
                free.retain(owes);
            } else if what & 7 != 0 {
                // Nobody does: then something is sent or received instead, mostly.
                what &= 0x3f;
            }
        }
        if free.is_empty() {
            // All wait, for each other perhaps.
            return self.cancel(input);
        }
        let Some(n) = input.pick(&free) else { return };
        match what {
            0..=0x2f => self.send(input, n),
            0x30..=0x5f => self.receive(input, n),
            0x60..=0x6f => self.answer(input, n, false),
            0x70..=0x8f => self.answer(input, n, true),
            0x90..=0x9f => self.lease_copy(input, n, false),
            0xa0..=0xaf => self.lease_copy(input, n, true),
            0xb0..=0xbb => self.lease_map(input, n),
            0xbc..=0xc5 => self.lease_pin(input, n),
            0xc6..=0xcf => self.poke(input, n),
            0xd0..=0xd7 => self.close(input, n),
            _ => self.wait(input, n),
        }
    }

    /// Makes a call as a thread; what works in steps is gone on with.
    pub fn call(&mut self, thread: Id<Thread>, call: Call, args: &[u64]) -> Outcome {
        tell(|| format!("{thread:?}: {} {args:x?} {:x?}", call.name(), self.w.words(thread)));
        let mut outcome = self.w.call(thread, call, args);
        for _ in 0..1000 {
            let unfinished = matches!(outcome, Outcome::Failed(Error::Io))
                && self.w.kernel.threads[thread].registers.rax.get() == call as u64;
            if !unfinished {
                break;
            }
            outcome = self.w.again(thread);
        }
        tell(|| format!("    {outcome:x?}"));
        outcome
    }

    fn pass_time(&mut self, input: &mut Input<'_>) {
        let now = self.w.now() + u64::from(input.byte()) * 500;
        let _ = self.w.time(now);
    }

    /// The keeper cancels what somebody waits for.
    fn cancel(&mut self, input: &mut Input<'_>) {
        let Some((thread, handle)) = input.pick(&self.threads) else { return };
        if let Outcome::Done(_) = self.call(self.keeper.thread, Call::ThreadCancel, &[handle]) {
            self.cancelled(thread);
        }
    }

    /// A process dies: not the keeper.
    fn kill(&mut self, input: &mut Input<'_>) {
        if let Some(actor) = input.pick(&self.actors) {
            self.w.kill(actor.process);
        }
    }

    /// The keeper takes a session back from everyone.
    fn revoke(&mut self, input: &mut Input<'_>) {
        let Some(session) = input.pick(&self.sessions) else { return };
        for _ in 0..1000 {
            if self.call(self.keeper.thread, Call::Revoke, &[session]) != Outcome::Failed(Error::Retry) {
                break;
            }
        }
        // All calls that were made through it stem from the keeper's capability.
        let object = self.w.object::<Session>(self.keeper.process, session).raw();
        let through = self.messages.values_mut().filter(|record| record.session == Some(object));
        through.for_each(|record| record.unwanted = true);
    }

    fn notify(&mut self, input: &mut Input<'_>) {
        if let Some(notification) = input.pick(&self.notifications) {
            let bits = u64::from(input.byte());
            self.call(self.keeper.thread, Call::Notify, &[notification, bits]);
        }
    }

    /// Somebody gives up something.
    fn close(&mut self, input: &mut Input<'_>, n: usize) {
        let actor = self.actors[n];
        let table = self.table(actor.process);
        let kind = [None, Some(Kind::Pin), Some(Kind::Reply), Some(Kind::Session)][input.below(4)];
        let handle = choose_real(input, &table, kind);
        let object = self.reply_object(&table, handle);
        if let (Outcome::Done(_), Some(object)) = (self.call(actor.thread, Call::Close, &[handle]), object) {
            // Another may still have it: then the call is bound as before.
            let left = self.w.kernel.replies.iter_used();
            let mut left = left.map(|id| self.w.kernel.replies[id].header.object_id.get());
            if !left.any(|other| other == object) {
                self.bound.remove(&object);
            }
        }
    }
}
