//! What came of the calls that waited, held against what is known of the
//! messages.

use super::record::{Content, Doing, Fate, Number};
use super::stage::{Actor, Stage};
use abi::call::FIRST;
use abi::message::{buffer, Extras, Received};
use abi::{error, Error, Handle};
use kernel_core::id::Id;
use kernel_core::object::Thread;

impl<const FAULT: u8> Stage<FAULT> {
    /// Looks at everybody who was in the midst of something and could go on now.
    pub fn finish_all(&mut self) {
        crate::end::settle(&mut self.w);
        let alive: Vec<bool> = self.actors.iter().map(|actor| self.lives(actor.process)).collect();
        let mut alive = alive.into_iter();
        self.actors.retain(|_| alive.next() == Some(true));
        self.pass_deadlines();
        self.lose_owners();
        // Receivers first: what they have got is known as received when their senders are looked at.
        for receives in [true, false] {
            for n in 0..self.actors.len() {
                let Actor { thread, doing, .. } = self.actors[n];
                if doing == Doing::Nothing || !self.is_ready(thread) || matches!(doing, Doing::Receive(_)) != receives {
                    continue;
                }
                let status = self.w.kernel.threads[thread].registers.rax.get();
                assert!(status < FIRST, "{thread:?} is to call again, and nothing it waits for needs that");
                self.actors[n].doing = Doing::Nothing;
                self.finish(self.actors[n], doing, error::check(status));
            }
        }
    }

    fn finish(&mut self, actor: Actor, doing: Doing, status: Result<(), Error>) {
        match doing {
            Doing::Send(number) => self.finish_send(actor, number, status),
            Doing::Receive(reply) if status.is_ok() => self.finish_receive(actor, reply),
            Doing::Receive(_) | Doing::Wait | Doing::Nothing => {}
        }
    }

    fn finish_send(&mut self, actor: Actor, number: Number, status: Result<(), Error>) {
        let record = self.messages.get_mut(&number).expect("it was sent");
        let fate = std::mem::replace(&mut record.fate, Fate::Over);
        let is_call = record.is_call;
        match (status, fate) {
            (Ok(()), Fate::Answered(content)) if is_call => self.compare(actor, &content),
            (Ok(()), Fate::Received) if !is_call => {}
            (Err(_), Fate::Sent) => {}
            (Err(_), Fate::Received) if is_call => {}
            (status, fate) => panic!("message {number}, {fate:?}: its sender is told {status:?}"),
        }
        // Before the sender runs, nothing of its memory is in anyone's reach.
        let (gone, rest): (Vec<_>, Vec<_>) = self.mapped.iter().copied().partition(|mapped| mapped.call == number);
        self.mapped = rest;
        for mapped in gone.into_iter().filter(|mapped| self.lives(mapped.server)) {
            let read = self.w.kernel.user_read(mapped.server, mapped.address, &mut [0]);
            assert_eq!(read, Err(Error::BadAddress), "{mapped:?} is still mapped");
        }
    }

    fn finish_receive(&mut self, actor: Actor, reply: u64) {
        let words = self.w.words(actor.thread);
        let r = &self.w.kernel.threads[actor.thread].registers;
        let (badge, extras) = (r.rdi.get(), Extras(r.rdx.get()));
        let number = words[0];
        match extras.kind() {
            Received::Call | Received::Send => {}
            Received::Notification => return assert_ne!(number, 0, "told of no bits"),
            Received::SessionEnded | Received::PageRequest | Received::CallCancelled => return,
        }
        let record = self.messages.get_mut(&number).unwrap_or_else(|| panic!("message {number} was never sent"));
        let is_call = extras.kind() == Received::Call;
        assert!(matches!(record.fate, Fate::Sent), "message {number} is received: {:?}", record.fate);
        assert_eq!((record.badge, record.is_call), (badge, is_call), "message {number}");
        record.fate = Fate::Received;
        let record = record.clone();
        if is_call {
            let before = self.bound.insert(reply, number);
            assert!(before.is_none(), "two calls, {before:?} and {number}, for one reply object");
        }
        assert_eq!(extras.leases(), record.leases.len(), "message {number}");
        for (i, lease) in record.leases.iter().enumerate() {
            let at = buffer::RECEIVED_LEASES + i * buffer::RECEIVED_LEASE_WORDS;
            let told = (self.w.buffer(actor.thread, at), self.w.buffer(actor.thread, at + 1));
            assert_eq!(told, (lease.length, u64::from(lease.access.bits())), "message {number}, lease {i}");
        }
        self.compare(actor, &record.content);
    }

    /// Whether somebody has got what was sent.
    fn compare(&self, actor: Actor, content: &Content) {
        let r = &self.w.kernel.threads[actor.thread].registers;
        assert_eq!((r.rsi.get(), self.w.words(actor.thread)), (content.tag, content.words));
        assert_eq!(Extras(r.rdx.get()).caps(), content.caps.len());
        let table = self.table(actor.process);
        for (i, (kind, object, rights)) in content.caps.iter().enumerate() {
            let word = self.w.buffer(actor.thread, buffer::RECEIVED_CAPS + i);
            if word == 0 {
                // Its sender has lost it meanwhile, or there is no room for it.
                continue;
            }
            assert_eq!(word >> 32, u64::from(rights.bits()) | (*kind as u64) << 16, "capability {i}");
            let entry = table.iter().find(|entry| entry.handle == Handle(word as u32)).expect("it has arrived");
            assert_eq!((entry.kind, entry.object, entry.rights), (*kind, *object, *rights), "capability {i}");
        }
    }

    /// Who made or was passed a reply object last takes what it is bound to with it.
    fn lose_owners(&mut self) {
        let dead = |object: &u64| self.owners.get(object).is_some_and(|owner| !self.lives(*owner));
        let kept = self.bound.iter().filter(|(object, _)| !dead(object));
        self.bound = kept.map(|(object, call)| (*object, *call)).collect();
        let replies = &self.w.kernel.replies;
        let owned = replies.iter_used().filter_map(|id| {
            let reply = &replies[id];
            Some((reply.header.object_id.get(), reply.owner.get()?))
        });
        self.owners = owned.collect();
    }

    /// From its deadline on nobody wants a message any more.
    fn pass_deadlines(&mut self) {
        let now = self.w.now();
        for record in self.messages.values_mut() {
            // (The timer may not have come yet in the very nanosecond.)
            record.unwanted |= record.deadline_ns != 0 && record.deadline_ns < now;
        }
    }

    /// A thread was cancelled in whatever it does.
    pub fn cancelled(&mut self, thread: Id<Thread>) {
        let doing = self.actors.iter().find(|actor| actor.thread == thread).map(|actor| actor.doing);
        if let Some(Doing::Send(number)) = doing {
            self.messages.get_mut(&number).expect("it was sent").unwanted = true;
        }
    }
}
