//! What the holder of a capability may do with its object.

bitflags::bitflags! {
    /// Rights of one capability. Deriving and transferring can only drop bits.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Rights: u16 {
        /// May be passed on in a message or granted to a process.
        const TRANSFER = 1 << 0;
        /// May be derived from.
        const DERIVE = 1 << 1;
        /// Its state may be looked at.
        const INSPECT = 1 << 2;
        /// Memory, ports, registers, the log: may be read (and mapped readable).
        const READ = 1 << 3;
        /// Memory, ports, registers, the log: may be written (and mapped writable).
        const WRITE = 1 << 4;
        /// Memory may be mapped executable.
        const EXECUTE = 1 << 5;
        /// A session may be called or sent to; a notification may be signalled.
        const SEND = 1 << 6;
        /// An endpoint may be received from; a notification may be waited on.
        const RECEIVE = 1 << 7;
        /// The object may be configured, ended, or used to make others.
        const MANAGE = 1 << 8;
    }
}

impl Rights {
    /// The rights in a register; `None` when a bit is set that is no right.
    pub const fn from_word(word: u64) -> Option<Rights> {
        if word > 0xffff {
            None
        } else {
            Rights::from_bits(word as u16)
        }
    }
}
