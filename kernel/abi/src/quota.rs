//! What an account tells of itself.
//!
//! `quota_usage` writes words, in the order of [`Word`]; after them one count of objects for each of [`OBJECTS`].

/// A limit of an account, as `quota_limit` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Limit {
    /// Pages. They are the parent's: more are taken from it, fewer given back.
    Pages = 0,
    /// Threads of the account and of those below it; 0: no limit of its own.
    Threads = 1,
    /// Processes, likewise.
    Processes = 2,
}

impl Limit {
    /// From its number.
    pub const fn from_number(number: u64) -> Option<Limit> {
        match number {
            0 => Some(Limit::Pages),
            1 => Some(Limit::Threads),
            2 => Some(Limit::Processes),
            _ => None,
        }
    }
}

/// The words of `quota_usage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Word {
    /// The account's id: what servers are told with each message.
    Account = 0,
    /// The id of the account it was split from; 0 for the root.
    Parent = 1,
    /// Pages it may use.
    LimitPages = 2,
    /// Pages it uses, the limits of accounts below it included.
    UsedPages = 3,
    /// Its limit of threads; 0: none.
    ThreadLimit = 4,
    /// Threads, of accounts below it too.
    Threads = 5,
    /// Its limit of processes; 0: none.
    ProcessLimit = 6,
    /// Processes, of accounts below it too.
    Processes = 7,
    /// Where the counts of objects begin.
    Objects = 8,
}

/// The sorts of objects that are counted, in the order of the words.
pub const OBJECTS: [&str; 22] = [
    "Process",
    "Thread",
    "AddressSpace",
    "Memory",
    "Endpoint",
    "Session",
    "Reply",
    "Notification",
    "Namespace",
    "name",
    "Quota",
    "DmaDomain",
    "Pin",
    "Interrupt",
    "IoPorts",
    "DeviceMemory",
    "mapping",
    "lease",
    "watch",
    "EventQueue",
    "interest",
    "parked call",
];

/// Words in all.
pub const WORDS: usize = Word::Objects as usize + OBJECTS.len();
