//! What is known of a message from the moment it is sent.

use abi::message::LeaseAccess;
use abi::{Kind, Rights};
use kernel_core::id::Id;
use kernel_core::object::Process;

/// The number that a message carries in its first word.
pub type Number = u64;

/// A range that a call lends.
#[derive(Clone, Copy, Debug)]
pub struct Lent {
    /// Whose memory it is.
    pub lender: Id<Process>,
    /// Where it begins there.
    pub address: u64,
    /// Bytes.
    pub length: u64,
    /// What it is lent for.
    pub access: LeaseAccess,
    /// What was lent to the sender, and is passed on: the call and the place in it.
    pub passed_on: Option<(Number, usize)>,
}

/// A capability that is sent: what it names, and what its receiver may do with it.
pub type Carried = (Kind, u32, Rights);

/// What a message or an answer says.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The tag.
    pub tag: u64,
    /// The words.
    pub words: [u64; 6],
    /// The capabilities.
    pub caps: Vec<Carried>,
}

/// What has become of a message.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It waits to be received.
    Sent,
    /// It was received.
    Received,
    /// It was answered, and its sender does not know yet.
    Answered(Content),
    /// Its sender was told how it ended.
    Over,
}

/// A message.
#[derive(Clone, Debug)]
pub struct Record {
    /// The session it is sent through, by its number in the arena; none: it can't be sent.
    pub session: Option<u32>,
    /// The badge of that session.
    pub badge: u64,
    /// Whether it is a call.
    pub is_call: bool,
    /// What it says.
    pub content: Content,
    /// What it lends.
    pub leases: Vec<Lent>,
    /// Whether its sender does not want it any more: cancelled, revoked, or too late.
    pub unwanted: bool,
    /// When it is too late; 0: never.
    pub deadline_ns: u64,
    /// What has become of it.
    pub fate: Fate,
}

/// What a thread is in the midst of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Nothing: it can make a call.
    Nothing,
    /// A call or a one-way message.
    Send(Number),
    /// It receives, with the reply object that has this object id.
    Receive(u64),
    /// It waits on its process's notification.
    Wait,
}

/// Pages of a lease that a server has mapped.
#[derive(Clone, Copy, Debug)]
pub struct Mapped {
    /// The call that lends them, and which lease.
    pub call: Number,
    /// The place of the lease in the call.
    pub index: usize,
    /// The server.
    pub server: Id<Process>,
    /// Where it has them.
    pub address: u64,
    /// The lender's address of the same.
    pub lent_at: u64,
    /// Bytes.
    pub length: u64,
}

/// A pin of a lease.
#[derive(Clone, Copy, Debug)]
pub struct Pinned {
    /// The call that lends it.
    pub call: Number,
    /// Who holds it.
    pub holder: Id<Process>,
    /// By which handle.
    pub handle: u64,
}
