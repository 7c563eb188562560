//! Calls on capabilities themselves: derive, close, revoke, inspect.

use crate::object::{Cap, DeviceMemory, IoPorts, Notification, Object, Quota, Session};
use crate::syscall::{Answer, Context, Subject};
use crate::{Id, Kernel, Machine};
use abi::{Error, Handle, Kind, Result, Rights};

impl<M: Machine> Kernel<M> {
    /// `derive`. Rights that the entry does not have are dropped. A notification can be given a badge: the bits that the child may
    /// set. Errors: `BadHandle`, `NoRight` (`DERIVE` is asked), `BadArgument` (unknown rights, a range that is not inside, bits
    /// that the entry may not set), `NotSupported` (a range or a badge of what has none), `Retry`, `TableFull`, `OutOfQuota`,
    /// `OutOfMemory`.
    pub fn derive(&self, cx: &Context) -> Result<Answer> {
        let handle = Handle::from_word(cx.arg(0)).ok_or(Error::BadHandle)?;
        let (cap, kind) = self.lookup_any(cx.process, handle)?;
        let entry = &self.caps[cap];
        Error::NoRight.when(!entry.rights().contains(Rights::DERIVE))?;
        let rights = Rights::from_word(cx.arg(1)).ok_or(Error::BadArgument)?;
        let (start, length) = (cx.arg(2), cx.arg(3));
        self.cap_room(cx.process, 1)?;
        let object = entry.object.get();
        let badge = if kind == Kind::Notification && length == 0 { start } else { 0 };
        Error::BadArgument.when(badge & !badge_mask(entry.badge()) != 0)?;
        let object = match (start, length) {
            (0, 0) => object,
            _ if badge != 0 => object,
            _ => self.derive_range(self.own_quota(cx)?, kind, object, start, length)?,
        };
        let (child, _) = self.cap_derive(cap, object, rights, cx.process).inspect_err(|_| {
            // The narrowed range, if one was made, is named by nothing yet.
            if object != entry.object.get() {
                self.cap_retain(kind, object);
                self.cap_release(kind, object);
            }
        })?;
        self.cap_badge_set(cx.process, child, badge);
        Ok(Answer::one(child.word()))
    }

    /// The notification that an argument names, to set these bits in it. Errors: those of a look-up (`SEND` is asked), and
    /// `NoRight` (its badge does not have these bits), `BadArgument` (no bits).
    pub(crate) fn resolve_bits(&self, cx: &Context, word: u64, bits: u64) -> Result<Id<Notification>> {
        let subject = self.resolve(cx, word, Kind::Notification, Rights::SEND)?;
        self.check_bits(subject, bits)?;
        (bits != 0).then(|| subject.id()).ok_or(Error::BadArgument)
    }

    /// Whether something may be made that stems from what the caller named. Errors: `Retry` (it is being revoked).
    pub(crate) fn check_not_revoked(&self, cx: &Context) -> Result<()> {
        Error::Retry.when(cx.subject.cap.is_some_and(|cap| self.is_being_revoked(cap)))
    }

    /// Whether a capability may set these bits of its notification. Errors: `NoRight`.
    #[inline(always)]
    pub(crate) fn check_bits(&self, subject: Subject, bits: u64) -> Result<()> {
        let badge = subject.cap.map_or(0, |cap| self.caps[cap].data.get());
        Error::NoRight.when(bits & !badge_mask(badge) != 0)
    }

    /// `close`. Its children, mappings, names and calls under way go to its parent. Errors: `BadHandle`, `Retry` (it is
    /// being revoked).
    pub fn close(&self, cx: &Context) -> Result<Answer> {
        let handle = Handle::from_word(cx.arg(0)).ok_or(Error::BadHandle)?;
        let (cap, _) = self.lookup_any(cx.process, handle)?;
        self.in_steps(|| self.cap_close_step(cap))
    }

    /// Takes steps until one answers that it was the last, or an interrupt is pending: then the call is made again.
    pub(crate) fn in_steps(&self, mut step: impl FnMut() -> Result<bool>) -> Result<Answer> {
        loop {
            if step()? {
                return Ok(Answer::DONE);
            }
            if self.machine.interrupt_pending() {
                return Ok(Answer::Again);
            }
        }
    }

    /// `revoke`. With each descendant goes what stems from it: mappings and names at once; waits through it end with
    /// `Revoked`, but for a call whose server holds what was lent, which ends with the answer. Errors: `BadHandle`, `Retry` (there is more to do, or too many revocations are running).
    pub fn revoke(&mut self, cx: &Context) -> Result<Answer> {
        let handle = Handle::from_word(cx.arg(0)).ok_or(Error::BadHandle)?;
        let (cap, kind) = self.lookup_any(cx.process, handle)?;
        if self.revoke_start(cap)? {
            self.audit_revocation(cx.process, kind, self.object_id(kind, self.caps[cap].object.get()));
        }
        let done = self.in_steps(|| Ok(self.revoke_step(cap)))? == Answer::DONE;
        if done {
            self.revoke_done(cap);
        }
        done.then_some(Answer::DONE).ok_or(Error::Retry)
    }

    /// `inspect`. Errors: `BadHandle`.
    pub fn inspect(&self, cx: &Context) -> Result<Answer> {
        let handle = Handle::from_word(cx.arg(0)).ok_or(Error::BadHandle)?;
        let (kind, raw, rights, badge) = if handle.is_pseudo() {
            let found = Kind::ALL.iter().find_map(|kind| {
                let subject = self.resolve(cx, handle.word(), *kind, Rights::empty()).ok()?;
                Some((*kind, subject.raw, subject.rights, 0))
            });
            found.ok_or(Error::BadHandle)?
        } else {
            let (cap, kind) = self.lookup_any(cx.process, handle)?;
            let entry = &self.caps[cap];
            (kind, entry.object.get(), entry.rights(), entry.badge())
        };
        let kind_rights = kind as u64 | u64::from(rights.bits()) << 8;
        let badge = self.badge_or_range(kind, raw) | badge;
        Ok(Answer::Values([kind_rights, badge, self.object_id(kind, raw), 0]))
    }

    /// What an inspector is told beside kind and rights: a session's badge, or a range as first | count << 32 (ports, or
    /// pages).
    pub(crate) fn badge_or_range(&self, kind: Kind, raw: u32) -> u64 {
        let range = |first: u64, count: u64| (first & 0xffff_ffff) | count << 32;
        match kind {
            Kind::Session => Id::<Session>::try_new(raw as usize).map(|id| self.sessions[id].in_endpoint.key.get()),
            Kind::IoPorts => Id::<IoPorts>::try_new(raw as usize).map(|id| {
                let ports = &self.ports[id];
                range(u64::from(ports.first.get()), u64::from(ports.count.get()))
            }),
            Kind::DeviceMemory => Id::<DeviceMemory>::try_new(raw as usize).map(|id| {
                let memory = &self.device_memories[id];
                range(memory.first_page.get(), memory.pages.get())
            }),
            _ => None,
        }
        .unwrap_or(0)
    }

    /// Puts a capability to an object that has just been made into the caller's table: the room was planned for.
    pub(crate) fn cap_give(&self, cx: &Context, kind: Kind, raw: u32, rights: Rights) -> Handle {
        self.cap_insert(cx.process, kind, raw, rights, None).expect("invariant: the plan made room for the entry")
    }

    /// The same as an answer: its handle.
    pub(crate) fn give<T: Object>(&self, cx: &Context, id: Id<T>, rights: Rights) -> Result<Answer> {
        Ok(Answer::one(self.cap_give(cx, T::CAP_KIND, id.raw(), rights).word()))
    }

    /// Answers with a capability that stems from the one the row asks for. Errors: those of [`Kernel::cap_insert_below`].
    pub(crate) fn give_below<T: Object>(&self, cx: &Context, id: Id<T>, rights: Rights) -> Result<Answer> {
        Ok(Answer::one(self.cap_insert_below(cx.process, T::CAP_KIND, id.raw(), rights, cx.subject.cap)?.word()))
    }

    /// Makes an object of which nothing is to be said, and answers with a capability to it. Errors: `TableFull`,
    /// `OutOfQuota`, `OutOfMemory`.
    pub(crate) fn make<T: Object>(&self, cx: &Context, quota: Id<Quota>, rights: Rights) -> Result<Answer> {
        self.cap_room(cx.process, 1)?;
        self.give(cx, self.allocate_object::<T>(quota)?, rights)
    }

    /// What inspection tells of one entry: handle, kind and rights, badge or range, object, and where it came from.
    pub(crate) fn cap_words(&self, cap: Id<Cap>) -> [u64; abi::start::CAPABILITY_INFO_WORDS] {
        let entry = &self.caps[cap];
        let Some(kind) = entry.kind() else { return [0; abi::start::CAPABILITY_INFO_WORDS] };
        let raw = entry.object.get();
        let parent = Id::<Cap>::try_new(entry.parent.get() as usize);
        let holder = parent.map(|p| self.cap_holder(p));
        let same = holder == Some(self.cap_holder(cap));
        [
            entry.handle().word(),
            kind as u64 | u64::from(entry.rights().bits()) << 8,
            self.badge_or_range(kind, raw) | entry.badge(),
            self.object_id(kind, raw),
            parent.filter(|_| same).map_or(0, |p| self.caps[p].handle().word()),
            holder.map_or(0, |h| self.processes[h].header.object_id.get()),
            if kind == Kind::Session { entry.data.get() } else { 0 },
            u64::from(entry.origin.get()),
            match Id::<Session>::try_new(raw as usize) {
                Some(session) if kind == Kind::Session => u64::from(self.sessions[session].object_type.get()),
                _ => 0,
            },
        ]
    }
}

/// The bits that a badge allows to be set.
fn badge_mask(badge: u64) -> u64 {
    core::num::NonZeroU64::new(badge).map_or(u64::MAX, |badge| badge.get())
}

/// To look at something, and to pass that on.
pub(crate) const LOOK: Rights = Rights::TRANSFER.union(Rights::DERIVE).union(Rights::INSPECT);
/// The rights of a capability to something that its maker may do everything with.
pub(crate) const MAKER: Rights = LOOK.union(Rights::MANAGE);
