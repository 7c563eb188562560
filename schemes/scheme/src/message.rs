//! What a call carries, and the way it takes: the client's half of messages.
//!
//! A [`Connection`] is one session that can be called: the kernel's ([`Session`](crate::session::Session)) or a
//! harness's on the host. Everything a client does ([`File`](crate::client::File)) is written over it.

use abi::message::{LeaseAccess, CAPS, WORDS};
use abi::{Error, Handle, Result, Rights};

/// Memory lent with a call.
#[derive(Debug)]
pub enum Lend<'a> {
    /// The callee may read it.
    Read(&'a [u8]),
    /// The callee may fill it.
    Write(&'a mut [u8]),
    /// A part of what a caller lent to us.
    PassOn {
        /// The reply object of that caller.
        reply: Handle,
        /// Which of its leases.
        index: u8,
        /// From where.
        offset: usize,
        /// How much.
        length: usize,
        /// What for.
        access: LeaseAccess,
    },
}

impl Lend<'_> {
    /// Bytes lent.
    pub fn len(&self) -> usize {
        match self {
            Lend::Read(data) => data.len(),
            Lend::Write(buffer) => buffer.len(),
            Lend::PassOn { length, .. } => *length,
        }
    }

    /// Whether nothing is lent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same memory, lent again: for a call that is sent again.
    pub fn again(&mut self) -> Lend<'_> {
        match self {
            Lend::Read(data) => Lend::Read(data),
            Lend::Write(buffer) => Lend::Write(buffer),
            Lend::PassOn { reply, index, offset, length, access } => {
                Lend::PassOn { reply: *reply, index: *index, offset: *offset, length: *length, access: *access }
            }
        }
    }

    /// The address it begins at, for the mapping hint; 0 for what is passed on.
    pub fn address(&self) -> usize {
        match self {
            Lend::Read(data) => data.as_ptr() as usize,
            Lend::Write(buffer) => buffer.as_ptr() as usize,
            Lend::PassOn { .. } => 0,
        }
    }
}

/// A capability sent along: the receiver gets a child of it with at most these rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendCap {
    /// What to send (TRANSFER asked).
    pub handle: Handle,
    /// With which rights.
    pub rights: Rights,
}

/// Capabilities that came with a message. What is not taken is closed by whoever received it.
#[derive(Debug, Default)]
pub struct Caps {
    handles: [Handle; CAPS],
    denied: bool,
}

impl Caps {
    /// Capabilities as they were received.
    pub fn new(handles: [Handle; CAPS]) -> Caps {
        Caps { handles, denied: false }
    }

    /// The same, of which the security policy kept one or more back.
    pub fn partly_denied(self) -> Caps {
        Caps { denied: true, ..self }
    }

    /// Why one that should have come did not.
    pub fn missing(&self) -> Error {
        if self.denied {
            Error::Denied
        } else {
            Error::TableFull
        }
    }

    /// Takes number `index`; `None` if it did not come or is taken.
    pub fn take(&mut self, index: usize) -> Option<Handle> {
        let slot = self.handles.get_mut(index)?;
        Some(core::mem::take(slot)).filter(|handle| !handle.is_none())
    }

    /// Takes all that are left.
    pub fn drain(&mut self) -> impl Iterator<Item = Handle> + '_ {
        self.handles.iter_mut().map(core::mem::take).filter(|handle| !handle.is_none())
    }
}

/// A request on its way out.
#[derive(Debug, Default)]
pub struct Outgoing<'a> {
    /// The tag.
    pub tag: u64,
    /// The words.
    pub words: [u64; WORDS],
    /// Capabilities, at most 4.
    pub caps: alloc::vec::Vec<SendCap>,
    /// Leases, at most 4.
    pub leases: alloc::vec::Vec<Lend<'a>>,
    /// When to give up, in nanoseconds of the monotonic clock; 0: never.
    pub deadline_ns: u64,
}

/// An answer.
#[derive(Debug, Default)]
pub struct Incoming {
    /// The tag: a status in the scheme protocol.
    pub tag: u64,
    /// The words.
    pub words: [u64; WORDS],
    /// Capabilities.
    pub caps: Caps,
}

/// A session that can be called.
pub trait Connection: Sized {
    /// Sends a request and waits for its answer. Errors: the kernel's; `Restarted` when the request is to be sent again.
    fn call(&self, request: &mut Outgoing<'_>) -> Result<Incoming>;
    /// A number for a call that changes something: unique to this thread, growing.
    fn next_sequence(&self) -> u64;
    /// Takes up a session that came as a capability of an answer from here.
    fn adopt(&self, session: Handle) -> Result<Self>;
    /// Gives a capability up that came with an answer and is not wanted.
    fn discard(&self, handle: Handle);
    /// Brings what is lent into memory after a `LeaseFault`. Errors: `LeaseFault` when it isn't ours to bring in.
    fn touch(&self, lend: &mut Lend<'_>) -> Result<()>;
    /// Lets others run before a call is tried again.
    fn pause(&self);
}
