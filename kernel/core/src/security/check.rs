//! The decisions: which session may go where, with which rights.
//!
//! A session has the label of the process that made it. Inside one label nothing is asked; where a session goes to a
//! process of another label, by whatever way, what is left of its rights is what the policy lets that label have of its
//! type. Nothing is asked when a session that is held is called: what is held may be called.

use crate::id::Id;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::object::{Cap, Process, Session};
use crate::syscall::Context;
use abi::message::{buffer, Extras};
use abi::security::{Kind, Record, Verdict, PATH};
use abi::{Error, Handle, Result, Rights};

/// A record with how it was decided.
fn with_verdict(record: Record, asked: Rights, result: Result<Rights>) -> Record {
    let (verdict, given) = match result {
        Ok(given) => (Verdict::Allowed, given),
        Err(_) => (Verdict::Denied, Rights::empty()),
    };
    Record { verdict, asked, given, ..record }
}

impl<M: Machine> Kernel<M> {
    fn label(&self, process: Id<Process>) -> u32 {
        self.processes[process].label.get()
    }

    /// What a process may have of a session: the rights given, as far as the policy leaves any. Errors: `Denied`.
    fn rights_for(&self, to: Id<Process>, session: Id<Session>, rights: Rights) -> Result<Rights> {
        let session = &self.sessions[session];
        if session.label.get() == self.label(to) {
            return Ok(rights);
        }
        let left = rights & self.policy_rights(self.label(to), session.object_type.get());
        left.contains(Rights::SEND).then_some(left).ok_or(Error::Denied)
    }

    /// Whether passing this capability on is for the policy to decide.
    #[inline]
    pub(crate) fn is_typed_hand_over(&self, from: Id<Process>, cap: Id<Cap>, to: Id<Process>) -> bool {
        self.security.is_loaded()
            && self.caps[cap].kind() == Some(abi::Kind::Session)
            && self.label(from) != self.label(to)
    }

    /// The rights that are left of `rights` when a process hands a capability to another, recorded. For every way that
    /// a capability takes from table to table. Errors: `Denied`.
    pub fn hand_over_rights(&self, from: Id<Process>, cap: Id<Cap>, rights: Rights, to: Id<Process>) -> Result<Rights> {
        if !self.is_typed_hand_over(from, cap, to) {
            return Ok(rights);
        }
        let result = self.hand_over_decide(cap, rights, to);
        self.decided(self.hand_over_about(from, cap, to), rights & self.caps[cap].rights(), result)
    }

    fn hand_over_decide(&self, cap: Id<Cap>, rights: Rights, to: Id<Process>) -> Result<Rights> {
        let session = self.session_of(cap);
        self.rights_for(to, session, rights & self.caps[cap].rights())
    }

    fn session_of(&self, cap: Id<Cap>) -> Id<Session> {
        Id::try_new(self.caps[cap].object.get() as usize).expect("invariant: a capability names an object")
    }

    fn hand_over_about(&self, from: Id<Process>, cap: Id<Cap>, to: Id<Process>) -> Record {
        let about = Record {
            other: self.processes[to].header.object_id.get(),
            other_label: self.label(to),
            ..self.record(Kind::Pass, from)
        };
        self.about_session(about, self.session_of(cap))
    }

    /// Hands a session over where the policy decides; as `cap_derive`. A decision in favour is recorded when the
    /// capability is there. Errors: `Denied`, and those of `cap_derive`.
    #[cold]
    pub(crate) fn cap_transfer_typed(
        &self,
        from: Id<Process>,
        cap: Id<Cap>,
        mask: Rights,
        to: Id<Process>,
        asked_by: Id<Process>,
    ) -> Result<(Handle, Rights)> {
        let decided = self.hand_over_decide(cap, mask, to);
        let handed = decided.and_then(|left| self.cap_derive(cap, self.caps[cap].object.get(), left, to));
        if matches!(handed, Ok(_) | Err(Error::Denied)) {
            let result = handed.map(|(_, rights)| rights);
            let about = self.hand_over_about(from, cap, to);
            let record = with_verdict(about, mask & self.caps[cap].rights(), result);
            self.audit_keep_for(self.label(asked_by), record);
        }
        handed
    }

    /// Whether a process may call a session by its scheme's name. Errors: `Denied`.
    #[cold]
    pub(crate) fn open_decide(&self, cx: &Context, session: Id<Session>, name: [u64; 4]) -> Result<()> {
        if self.sessions[session].label.get() == self.label(cx.process) {
            return Ok(());
        }
        let result = self.rights_for(cx.process, session, Rights::SEND);
        let (path, path_length) = self.path_peek(cx);
        let about = Record {
            other_label: self.sessions[session].label.get(),
            scheme: crate::cap::namespace::bytes(name).0,
            path,
            path_length,
            ..self.record(Kind::Open, cx.process)
        };
        self.decided(self.about_session(about, session), Rights::SEND, result).map(|_| ())
    }

    /// The rights with which a process may take a session out of a namespace. Errors: `Denied`.
    pub(crate) fn name_decide(
        &self,
        to: Id<Process>,
        session: Id<Session>,
        rights: Rights,
        name: [u64; 4],
    ) -> Result<Rights> {
        if !self.security.is_loaded() || self.sessions[session].label.get() == self.label(to) {
            return Ok(rights);
        }
        let result = self.rights_for(to, session, rights);
        let about = Record {
            other_label: self.sessions[session].label.get(),
            scheme: crate::cap::namespace::bytes(name).0,
            ..self.record(Kind::Name, to)
        };
        self.decided(self.about_session(about, session), rights, result)
    }

    /// Whether a process may make sessions of a type. Errors: `Denied`.
    pub(crate) fn make_decide(&self, process: Id<Process>, object_type: u32) -> Result<()> {
        if !self.security.is_loaded() || object_type == abi::security::DEFAULT_TYPE {
            return Ok(());
        }
        let allowed = self.policy_rights(self.label(process), object_type).contains(Rights::MANAGE);
        let about = Record { object_type, ..self.record(Kind::Make, process) };
        self.decided_for(allowed, about)
    }

    /// Whether a process may give another a label. Errors: `BadArgument` (there is no such label), `Denied`.
    pub(crate) fn label_decide(&self, by: Id<Process>, process: Id<Process>, label: u32) -> Result<()> {
        let known = if self.security.is_loaded() { self.security.shape().subjects } else { abi::security::SUBJECTS };
        Error::BadArgument.when(label >= known)?;
        let own = self.label(by);
        let allowed = !self.security.is_loaded() || label == own || self.policy_transition(own, label);
        let about = Record {
            other: self.processes[process].header.object_id.get(),
            other_label: label,
            object_kind: abi::Kind::Process as u8,
            object: self.processes[process].header.object_id.get(),
            ..self.record(Kind::Relabel, by)
        };
        self.decided_for(allowed, about)
    }

    fn about_session(&self, record: Record, session: Id<Session>) -> Record {
        let session = &self.sessions[session];
        Record {
            object_kind: abi::Kind::Session as u8,
            object: session.header.object_id.get(),
            object_type: session.object_type.get(),
            ..record
        }
    }

    fn decided(&self, record: Record, asked: Rights, result: Result<Rights>) -> Result<Rights> {
        self.audit_keep(with_verdict(record, asked, result));
        result
    }

    fn decided_for(&self, allowed: bool, record: Record) -> Result<()> {
        let result = allowed.then_some(Rights::MANAGE).ok_or(Error::Denied);
        self.decided(record, Rights::MANAGE, result).map(|_| ())
    }

    /// The first bytes of what an `open` lends first, as far as they are in memory: nothing is brought in for a record.
    fn path_peek(&self, cx: &Context) -> ([u8; PATH], u8) {
        let mut path = [0; PATH];
        let word = |n: usize| self.buffer_word(cx.thread, buffer::SEND_LEASES.wrapping_add(n)).unwrap_or(0);
        // Registers and buffer are the caller's: malformed extras are refused where they are used.
        let lent = cx.arg(2);
        let (address, length, access) = (word(0), word(1), word(2));
        let passed_on = access & u64::from(abi::message::LeaseAccess::PASS_ON.bits()) != 0;
        if Extras(lent).leases() == 0 || passed_on {
            return (path, 0);
        }
        let wanted = length.min(PATH as u64) as usize;
        let mut done = 0usize;
        while done < wanted {
            let at = address.wrapping_add(done as u64);
            let Some((frame, offset)) = self.frame_present(cx.process, at) else { break };
            let here = wanted.wrapping_sub(done).min(4096usize.wrapping_sub(offset));
            let Some(part) = path.get_mut(done..done.wrapping_add(here)) else { break };
            self.machine.read_frame(frame, offset, part);
            done = done.wrapping_add(here);
        }
        (path, done as u8)
    }

    /// The frame behind an address of a process, if it is there and may be read.
    fn frame_present(&self, process: Id<Process>, address: u64) -> Option<(crate::address::FrameNumber, usize)> {
        let page = crate::address::VirtAddr::try_user(address)?;
        let space = self.processes[process].space.get()?;
        let translation = self.machine.translate(self.spaces[space].root.get(), page)?;
        let readable = translation.protection.contains(abi::memory::Protection::READ) && !translation.device;
        let frame = translation.frame_of(page).filter(|_| readable)?;
        Some((frame, page.offset()))
    }
}
