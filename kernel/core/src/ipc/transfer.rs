//! What travels beside the words: deadline, capabilities and leases, through
//! the IPC buffers.
//!
//! A sender's buffer is read once, at the call, and all of it is checked before anything happens. What a waiting
//! sender brought stands in its thread until it is received. Capabilities are checked again when they
//! change hands: one that is gone by then, that the receiver has no room for or may not have, arrives as handle 0.

use crate::object::{Lease, Process, Registers, Reply, Thread, ThreadState};
use crate::{Id, Kernel, Link, Machine};
use abi::message::{buffer, Extras, Received, CAPS, LEASES};
use abi::{Error, Handle, Result, Rights};
use core::sync::atomic::Ordering::Relaxed;

/// What a sender brings beside the words, checked. Leases in it exist already: it is either stored or dropped.
#[must_use = "its leases exist: store it in the thread or drop it"]
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// Absolute nanoseconds; 0: none.
    pub deadline_ns: u64,
    caps: [u64; CAPS],
    cap_count: u8,
    leases: [Link<Lease>; LEASES],
    lease_count: u8,
}

/// Which extras a call takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    pub leases: bool,
    pub deadline: bool,
}

fn handle_and_mask(word: u64) -> Result<(Handle, Rights)> {
    let mask = Rights::from_word(word >> 32).ok_or(Error::BadArgument)?;
    Ok((Handle(word as u32), mask))
}

/// Copies the six words.
#[inline(always)]
pub(crate) fn words_copy(from: &Registers, to: &Registers) {
    let [a, b, c, d, e, f] = &from.words;
    let [u, v, w, x, y, z] = &to.words;
    u.set(a.get());
    v.set(b.get());
    w.set(c.get());
    x.set(d.get());
    y.set(e.get());
    z.set(f.get());
}

impl<M: Machine> Kernel<M> {
    /// A word of a thread's IPC buffer. Errors: `BadArgument` (the thread has none).
    pub(crate) fn buffer_word(&self, thread: Id<Thread>, index: usize) -> Result<u64> {
        let frame = self.threads[thread].buffer.get();
        Error::BadArgument.when(frame.0 == 0)?;
        let word = self.machine.frame_words(frame).get(index);
        Ok(word.expect("invariant: buffer words are inside the buffer").load(Relaxed))
    }

    pub(crate) fn buffer_put(&self, thread: Id<Thread>, index: usize, value: u64) {
        let frame = self.threads[thread].buffer.get();
        if frame.0 != 0 {
            let word = self.machine.frame_words(frame).get(index);
            word.expect("invariant: buffer words are inside the buffer").store(value, Relaxed);
        }
    }

    /// The deadline that a receive's extras tell of; 0: none. Errors: `BadArgument` (no IPC buffer).
    pub(crate) fn deadline_of(&self, thread: Id<Thread>, extras: Extras) -> Result<u64> {
        if extras.has_deadline() {
            self.buffer_word(thread, buffer::DEADLINE)
        } else {
            Ok(0)
        }
    }

    /// Reads and checks what extras tell of. Errors: `BadArgument` (malformed extras, no IPC buffer, unknown rights),
    /// `BadHandle`, `NoRight` (a capability without `TRANSFER`), and those of `lease_make`.
    pub(crate) fn outgoing(
        &self,
        thread: Id<Thread>,
        process: Id<Process>,
        extras: Extras,
        allowed: Allowed,
    ) -> Result<Outgoing> {
        let mut out = Outgoing::default();
        if extras == Extras::NONE {
            return Ok(out);
        }
        let too_many = extras.leases() != 0 && !allowed.leases || extras.has_deadline() && !allowed.deadline;
        Error::BadArgument.when(!extras.is_valid() || too_many)?;
        out.deadline_ns = self.deadline_of(thread, extras)?;
        for (i, place) in out.caps.iter_mut().take(extras.caps()).enumerate() {
            let index = i.wrapping_mul(buffer::SEND_CAP_WORDS).wrapping_add(buffer::SEND_CAPS);
            let word = self.buffer_word(thread, index)?;
            let (handle, _) = handle_and_mask(word)?;
            let (cap, _) = self.lookup_any(process, handle)?;
            Error::NoRight.when(!self.caps[cap].rights().contains(Rights::TRANSFER))?;
            *place = word;
        }
        out.cap_count = extras.caps() as u8;
        for i in 0..extras.leases() {
            match self.lease_at(thread, process, i) {
                Ok(lease) => {
                    if let Some(place) = out.leases.get_mut(i) {
                        *place = Some(lease);
                    }
                }
                Err(error) => {
                    self.outgoing_drop(out);
                    return Err(error);
                }
            }
        }
        out.lease_count = extras.leases() as u8;
        Ok(out)
    }

    fn lease_at(&self, thread: Id<Thread>, process: Id<Process>, i: usize) -> Result<Id<Lease>> {
        let mut words = [0; buffer::SEND_LEASE_WORDS];
        for (n, word) in words.iter_mut().enumerate() {
            let index = i.wrapping_mul(buffer::SEND_LEASE_WORDS).wrapping_add(buffer::SEND_LEASES).wrapping_add(n);
            *word = self.buffer_word(thread, index)?;
        }
        self.lease_make(process, words)
    }

    /// Gives up what was read: its leases go.
    pub(crate) fn outgoing_drop(&self, out: Outgoing) {
        for lease in out.leases.into_iter().flatten() {
            self.lease_drop(lease);
        }
    }

    /// Leaves what was read with the thread that sends it.
    pub(crate) fn outgoing_store(&self, id: Id<Thread>, out: Outgoing) {
        let thread = &self.threads[id];
        thread.send_cap_count.set(out.cap_count);
        thread.send_lease_count.set(out.lease_count);
        for (place, word) in thread.send_caps.iter().zip(out.caps) {
            place.set(word);
        }
        for (place, lease) in thread.send_leases.iter().zip(out.leases) {
            place.set(lease);
        }
    }

    /// Forgets what a thread was about to send.
    pub(crate) fn outgoing_forget(&self, id: Id<Thread>) {
        let thread = &self.threads[id];
        thread.send_cap_count.set(0);
        thread.send_lease_count.set(0);
        for place in &thread.send_leases {
            if let Some(lease) = place.replace(None) {
                self.lease_drop(lease);
            }
        }
    }

    /// Carries a message from its sender's registers and thread to a receiver: words, tag, capabilities, and, for a
    /// call, the leases to the reply object it is bound to.
    pub(crate) fn deliver(&self, from: Id<Thread>, badge: u64, to: Id<Thread>, call: Link<Reply>) {
        let (sender, receiver) = (&self.threads[from], &self.threads[to]);
        let caps = self.capabilities_carry(from, to);
        let mut leases = 0;
        if let Some(reply) = call {
            leases = self.leases_carry(from, to, reply);
        }
        let what = if call.is_some() { Received::Call } else { Received::Send };
        let registers = &receiver.registers;
        registers.rax.set(0);
        registers.rdi.set(badge);
        registers.rsi.set(sender.registers.rsi.get());
        registers.rdx.set(Extras::received(caps, leases, what).0);
        registers.r8.set(sender.account.get());
        if sender.faulting.get() {
            self.fault_write(sender, registers);
        } else {
            words_copy(&sender.registers, registers);
        }
    }

    /// Moves the capabilities that a thread sends, and answers how many the receiver is told of.
    pub(crate) fn capabilities_carry(&self, from: Id<Thread>, to: Id<Thread>) -> usize {
        self.capabilities_move(from, to, |i, word| self.buffer_put(to, buffer::RECEIVED_CAPS.wrapping_add(i), word))
    }

    /// The same, with the words that tell of them put elsewhere than into the receiver's buffer.
    pub(crate) fn capabilities_move(&self, from: Id<Thread>, to: Id<Thread>, put: impl Fn(usize, u64)) -> usize {
        let (sender, receiver) = (&self.threads[from], &self.threads[to]);
        let count = usize::from(sender.send_cap_count.replace(0));
        if count == 0 || receiver.buffer.get().0 == 0 {
            return 0;
        }
        let (Some(source), Some(target)) = (sender.process.get(), receiver.process.get()) else { return 0 };
        // An answer is what its receiver asked for; anything else is its sender's idea.
        let is_answer = receiver.state.get() == ThreadState::AwaitingReply;
        let asked_by = if is_answer { target } else { source };
        for (i, word) in sender.send_caps.iter().take(count).enumerate() {
            let moved = handle_and_mask(word.get())
                .and_then(|(handle, mask)| self.cap_transfer_asked(source, handle, mask, target, asked_by))
                .map(|(handle, kind, rights)| handle.word() | u64::from(rights.bits()) << 32 | (kind as u64) << 48);
            let word = match moved {
                Ok(word) => word,
                Err(Error::Denied) => buffer::DENIED_CAP,
                Err(_) => 0,
            };
            put(i, word);
        }
        count
    }

    fn leases_carry(&self, from: Id<Thread>, to: Id<Thread>, reply_id: Id<Reply>) -> usize {
        let (sender, reply) = (&self.threads[from], &self.replies[reply_id]);
        let count = sender.send_lease_count.replace(0);
        reply.lease_count.set(count);
        for (i, (place, bound)) in sender.send_leases.iter().zip(&reply.leases).take(usize::from(count)).enumerate() {
            let lease = place.replace(None).expect("invariant: as many leases as were counted");
            bound.set(Some(lease));
            let lease = &self.leases[lease];
            lease.reply.set(Some(reply_id));
            let index = i.wrapping_mul(buffer::RECEIVED_LEASE_WORDS).wrapping_add(buffer::RECEIVED_LEASES);
            self.buffer_put(to, index, lease.length.get());
            self.buffer_put(to, index.wrapping_add(1), u64::from(lease.access.get()));
        }
        usize::from(count)
    }
}
