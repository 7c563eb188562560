//! The kinds of kernel objects.

macro_rules! kinds {
    ($(#[doc = $doc:literal] $name:ident = $number:literal,)+) => {
        /// What a capability names. Numbers are part of the contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Kind { $(#[doc = $doc] $name = $number,)+ }
        impl Kind {
            /// All kinds, in numeric order.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)+];
            /// The kind with this number.
            pub const fn from_number(number: u8) -> Option<Kind> {
                match number { $($number => Some(Kind::$name),)+ _ => None }
            }
            /// The name as people read it.
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$name => stringify!($name),)+ }
            }
            /// What it is, in one line.
            pub const fn text(self) -> &'static str {
                match self { $(Kind::$name => $doc.trim_ascii(),)+ }
            }
        }
    };
}

kinds! {
    /// A capability table, an address space, a namespace, a quota, a label.
    Process = 1,
    /// Registers, an IPC buffer, a priority.
    Thread = 2,
    /// Mappings of memory objects.
    AddressSpace = 3,
    /// Pages.
    Memory = 4,
    /// Where calls meet receivers.
    Endpoint = 5,
    /// A badged way into an endpoint; an open file is one.
    Session = 6,
    /// The right to answer one call at a time, and to touch what its caller lent.
    Reply = 7,
    /// A word of bits to signal and wait on.
    Notification = 8,
    /// Readiness events of many sessions.
    EventQueue = 9,
    /// Scheme names, each bound to a root session.
    Namespace = 10,
    /// An account of pages and threads.
    Quota = 11,
    /// Priority or deadline, budget and period.
    SchedContext = 12,
    /// A device's view of memory.
    DmaDomain = 13,
    /// Memory held in place for a device.
    Pin = 14,
    /// One interrupt line, or (the root) a range of them.
    Interrupt = 15,
    /// A range of I/O ports.
    IoPorts = 16,
    /// A physical range of device registers.
    DeviceMemory = 17,
    /// Power, boot information, fault reports: init's alone.
    System = 18,
    /// The kernel's log.
    Log = 19,
}
