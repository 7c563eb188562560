//! Messages: what travels in registers, and the IPC buffer for what does not
//! fit.
//!
//! | register | to the kernel (`call`, `send`, `reply…`) | from the kernel (`call`) | from `recv`, `reply_recv` |
//! | --- | --- | --- | --- |
//! | rax | number of the call | status (an [`Error`](crate::Error) or 0) | status |
//! | rdi | session, endpoint or reply handle | | badge of the session that was called |
//! | rsi | tag | tag of the answer | tag |
//! | rdx | [`Extras`] | [`Extras`] of the answer | [`Extras`], with [`Received`] |
//! | r8 | `reply_recv`, `recv`: the reply object | | account id of the caller |
//! | rbx rbp r12 r13 r14 r15 | words 0 to 5 | words of the answer | words 0 to 5 |
//! | rcx r11 | clobbered (`syscall` itself) | | |
//!
//! Everything else is kept. With `Extras(0)` nothing but registers is touched: the fast path.

/// Words in a message.
pub const WORDS: usize = 6;
/// The most capabilities in a message.
pub const CAPS: usize = 4;
/// The most leases in a message.
pub const LEASES: usize = 4;
/// The most ranges one pin can have.
pub const RANGES: usize = 128;

/// What came with a receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Received {
    /// A call: the reply object is bound to it and must answer.
    Call = 0,
    /// A one-way message: nothing to answer, the reply object stays free.
    Send = 1,
    /// Bits of the notification bound to the endpoint, in word 0.
    Notification = 2,
    /// The last handle of the session with this badge is gone. Told again until acknowledged.
    SessionEnded = 3,
    /// A page of a Memory is wanted that this endpoint is the pager of: words 0 to 2 are the object's key, the page, and whether
    /// it is to be written (1) or read (0). Told once to each process that receives.
    PageRequest = 4,
    /// A call that was received is not wanted any more: word 0 is the object id of its reply object, word 1 why (an
    /// [`Error`](crate::Error) number: `Cancelled`, `TimedOut`, `Revoked`, or `Closed` where its caller is gone). Told once.
    CallCancelled = 5,
}

/// The shape of what a message carries beside its words.
///
/// Bits 0–2: capabilities. Bits 4–6: leases. Bit 8: the IPC buffer holds a deadline.
/// Bits 16–18 (from a receive): [`Received`]. Other bits are refused on the way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Extras(pub u64);

impl Extras {
    /// Words only.
    pub const NONE: Extras = Extras(0);
    const DEADLINE: u64 = 1 << 8;
    const KNOWN: u64 = 0x177;

    /// Extras for a message on its way in.
    pub const fn new(caps: usize, leases: usize, deadline: bool) -> Extras {
        Extras((caps as u64 & 7) | ((leases as u64 & 7) << 4) | if deadline { Self::DEADLINE } else { 0 })
    }
    /// Extras for a message on its way out.
    pub const fn received(caps: usize, leases: usize, what: Received) -> Extras {
        Extras((caps as u64 & 7) | ((leases as u64 & 7) << 4) | ((what as u64) << 16))
    }
    /// Whether a sender may use these: known bits, counts within their limits.
    pub const fn is_valid(self) -> bool {
        self.0 & !Self::KNOWN == 0 && self.caps() <= CAPS && self.leases() <= LEASES
    }
    /// Capabilities in the message.
    pub const fn caps(self) -> usize {
        (self.0 & 7) as usize
    }
    /// Leases in the message.
    pub const fn leases(self) -> usize {
        ((self.0 >> 4) & 7) as usize
    }
    /// Whether the IPC buffer holds a deadline.
    pub const fn has_deadline(self) -> bool {
        self.0 & Self::DEADLINE != 0
    }
    /// What a receive brought.
    pub const fn kind(self) -> Received {
        match (self.0 >> 16) & 7 {
            0 => Received::Call,
            1 => Received::Send,
            2 => Received::Notification,
            4 => Received::PageRequest,
            5 => Received::CallCancelled,
            _ => Received::SessionEnded,
        }
    }
}

bitflags::bitflags! {
    /// What a server may do with a lease, and how its sender names the memory.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct LeaseAccess: u32 {
        /// The server may copy out of it, and map or pin it readable.
        const READ = 1;
        /// The server may copy into it, and map or pin it writable.
        const WRITE = 2;
        /// Not the sender's own memory but a part of what a caller lent it: `address` is the offset
        /// into lease `index` of `reply`.
        const PASS_ON = 4;
    }
}

/// The IPC buffer: one page of a thread's own, always resident, never shared with the kernel's data.
///
/// Offsets are in 64-bit words. "in": written by the thread before a call, read by the kernel.
/// "out": written by the kernel. Nothing here is trusted: it is read once, at the call.
pub mod buffer {
    /// in: the deadline, in nanoseconds of the monotonic clock.
    pub const DEADLINE: usize = 0;
    /// in: 4 × 2 words: `handle | rights << 32`, and 0. Missing rights are dropped.
    pub const SEND_CAPS: usize = 8;
    /// Words in one capability to send.
    pub const SEND_CAP_WORDS: usize = 2;
    /// in: 4 × 4 words: address, length, access, `reply | index << 32` (for `PASS_ON`).
    pub const SEND_LEASES: usize = 16;
    /// Words in one lease to send.
    pub const SEND_LEASE_WORDS: usize = 4;
    /// out: 4 words: `handle | rights << 32 | kind << 48`; handle 0 where the table was full.
    pub const RECEIVED_CAPS: usize = 32;
    /// out: what stands for a capability that the security policy does not let the receiver have: handle 0, and the
    /// number of `Denied` in place of the rights.
    pub const DENIED_CAP: u64 = (crate::Error::Denied as u64) << 32;
    /// out: 4 × 2 words: length, access.
    pub const RECEIVED_LEASES: usize = 36;
    /// Words in one received lease.
    pub const RECEIVED_LEASE_WORDS: usize = 2;
    /// out: 128 × 2 words: device address, length: the ranges of the pin just made.
    pub const RANGES: usize = 64;
    /// Words in the whole buffer.
    pub const WORDS: usize = 512;
    /// The words from here on are the thread's own; the kernel never touches them.
    pub const SCRATCH: usize = 320;
}

#[cfg(test)]
mod tests {
    use super::{Extras, Received};

    #[test]
    fn extras_keep_what_was_put_in() {
        let extras = Extras::new(3, 4, true);
        assert_eq!((extras.caps(), extras.leases(), extras.has_deadline()), (3, 4, true));
        assert!(extras.is_valid());
        assert!(!Extras(5).is_valid() && !Extras(1 << 9).is_valid() && !Extras(0x50).is_valid());
        assert_eq!(Extras::received(0, 1, Received::SessionEnded).kind(), Received::SessionEnded);
    }
}
