//! The number by which a process names one of its capabilities.
//!
//! Low half: index into the capability table. High half: the entry's generation, so that a handle
//! kept past `close` names nothing. 0 is never a handle.

/// A handle, or [`Handle::NONE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct Handle(pub u32);

impl Handle {
    /// No handle.
    pub const NONE: Handle = Handle(0);
    /// The calling process itself.
    pub const SELF_PROCESS: Handle = Handle(0xffff_ffff);
    /// The calling process's address space.
    pub const SELF_SPACE: Handle = Handle(0xffff_fffe);
    /// The calling thread.
    pub const SELF_THREAD: Handle = Handle(0xffff_fffd);
    /// The account that the calling process is charged to.
    pub const SELF_QUOTA: Handle = Handle(0xffff_fffc);
    /// The namespace of the calling process.
    pub const SELF_NAMESPACE: Handle = Handle(0xffff_fffb);
    /// Handles from this value on are pseudo-handles; table indices stay below it.
    pub const FIRST_PSEUDO: u32 = 0xffff_fff0;

    /// The most entries in one process's capability table.
    pub const TABLE_ENTRIES: usize = 1 << 16;

    /// Puts a handle together. The generation is never 0 and never 0xffff.
    pub const fn new(index: u16, generation: u16) -> Handle {
        Handle((index as u32) | ((generation as u32) << 16))
    }
    /// The index into the capability table.
    pub const fn index(self) -> u16 {
        (self.0 & 0xffff) as u16
    }
    /// The generation that the entry must have.
    pub const fn generation(self) -> u16 {
        (self.0 >> 16) as u16
    }
    /// Whether this is one of the pseudo-handles.
    pub const fn is_pseudo(self) -> bool {
        self.0 >= Self::FIRST_PSEUDO
    }
    /// Whether this is no handle at all.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
    /// The handle in the low half of a register; `None` when the high half is not zero.
    pub const fn from_word(word: u64) -> Option<Handle> {
        if word >> 32 == 0 {
            Some(Handle(word as u32))
        } else {
            None
        }
    }
    /// The handle as a register value.
    pub const fn word(self) -> u64 {
        self.0 as u64
    }
}
