//! A thread seen from outside: its registers, the frame of an upcall, the message
//! that tells of a fault.
//!
//! All three are words of 64 bits in the order of the fields here. Frames and registers come back from user memory and
//! are believed in nothing: flags are made harmless ([`harmless`]), addresses are checked.

/// Declares a struct of words with its way to an array and back.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $count:ident = $number:literal { $($(#[$fmeta:meta])* $field:ident,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
        #[repr(C)]
        pub struct $name { $($(#[$fmeta])* pub $field: u64,)+ }

        #[doc = concat!("Words in [`", stringify!($name), "`].")]
        pub const $count: usize = $number;

        impl $name {
            /// As words.
            pub const fn to_words(&self) -> [u64; $count] {
                [$(self.$field),+]
            }
            /// From words; the inverse of `to_words`.
            pub const fn from_words(words: [u64; $count]) -> $name {
                let [$($field),+] = words;
                $name { $($field),+ }
            }
        }
    };
}

words! {
    /// The registers of a thread, as `thread_registers` writes and `thread_set_registers` reads them. In a thread that waits
    /// in a kernel call they are those the call was made with; after `syscall` rcx is rip and r11 the flags.
    Registers, REGISTER_WORDS = 19 {
        /// rax.
        rax,
        /// rbx (word 0 of a message).
        rbx,
        /// rcx.
        rcx,
        /// rdx.
        rdx,
        /// rsi.
        rsi,
        /// rdi.
        rdi,
        /// rbp (word 1 of a message).
        rbp,
        /// Stack pointer; any value.
        rsp,
        /// r8.
        r8,
        /// r9.
        r9,
        /// r10.
        r10,
        /// r11.
        r11,
        /// r12 (word 2).
        r12,
        /// r13 (word 3).
        r13,
        /// r14 (word 4).
        r14,
        /// r15 (word 5).
        r15,
        /// Program counter; in the user half.
        rip,
        /// Flags; see [`harmless`](super::harmless).
        rflags,
        /// FS base; in the user half.
        fs_base,
    }
}

/// Flags that user code may choose: CF, PF, AF, ZF, SF, TF (single step: each instruction ends with fault 1), DF, OF, AC
/// and ID: all that POPF changes without privilege (SDM 1, 3.4.3), but NT, which is of no use in 64-bit mode.
const CHOSEN: u64 = 0x24_0dd5;
/// Flags that are always set: the reserved bit 1, and IF.
const ALWAYS: u64 = 0x202;

/// What becomes of flags that user code hands to the kernel: IF set, IOPL, NT, RF, VM, VIF, VIP and all reserved ones clear.
pub const fn harmless(rflags: u64) -> u64 {
    rflags & CHOSEN | ALWAYS
}

/// The bit of an upcall that tells of a fault of the thread itself; not to be sent by anyone.
pub const UPCALL_FAULT: u64 = 1 << 63;
/// Flag of `upcall_handler`: faults of the thread, where nobody else handles them, are upcalls with [`UPCALL_FAULT`].
pub const UPCALL_FAULTS: u64 = 1;
/// The least a stack for upcalls can have.
pub const UPCALL_STACK_LEAST: u64 = 2048;
/// Bytes below the stack pointer that an upcall leaves alone: the red zone of the System V ABI.
pub const RED_ZONE: u64 = 128;

/// What an upcall interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Interrupted {
    /// Code of the program's own, or a kernel call that was over.
    Nothing = 0,
    /// A wait, or a call that nobody had received: it ended with `Interrupted`, which rax of the frame says.
    Wait = 1,
    /// A call that was received. It stays in flight; `upcall_return` waits for its answer, or delivers it.
    Call = 2,
}

impl Interrupted {
    /// From its number.
    pub const fn from_number(number: u64) -> Option<Interrupted> {
        match number {
            0 => Some(Interrupted::Nothing),
            1 => Some(Interrupted::Wait),
            2 => Some(Interrupted::Call),
            _ => None,
        }
    }
}

/// Words of a [`Frame`] before its registers.
pub const FRAME_HEAD: usize = 8;
/// Words in a [`Frame`].
pub const FRAME_WORDS: usize = FRAME_HEAD + REGISTER_WORDS;

/// What the kernel leaves on the stack for an upcall handler, which begins with rdi = bits, rsi = the frame's
/// address, rsp the same (a multiple of 16), DF and TF clear, upcalls masked, all else as it was. The state of x87, SSE
/// and AVX is not in it: a handler that uses them saves them first (`xsave` to its stack).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Frame {
    /// Why: bits of `thread_upcall`, and [`UPCALL_FAULT`].
    pub bits: u64,
    /// An [`Interrupted`].
    pub interrupted: u64,
    /// With [`UPCALL_FAULT`]: the vector (SDM 3A, table 6-1), or 0x100 for a call number without a handler.
    pub vector: u64,
    /// Likewise: the error code, or the number.
    pub code: u64,
    /// Likewise: CR2 for a page fault, else 0.
    pub address: u64,
    /// Zeros.
    pub reserved: [u64; 3],
    /// The thread's registers, which `upcall_return` goes on from.
    pub registers: Registers,
}

impl Frame {
    /// As words.
    pub fn to_words(&self) -> [u64; FRAME_WORDS] {
        let [r0, r1, r2] = self.reserved;
        let head = [self.bits, self.interrupted, self.vector, self.code, self.address, r0, r1, r2];
        let mut all = head.into_iter().chain(self.registers.to_words());
        core::array::from_fn(|_| all.next().unwrap_or(0))
    }
    /// From words; the inverse of `to_words`.
    pub fn from_words(words: [u64; FRAME_WORDS]) -> Frame {
        let mut rest = words.into_iter();
        let mut next = || rest.next().unwrap_or(0);
        Frame {
            bits: next(),
            interrupted: next(),
            vector: next(),
            code: next(),
            address: next(),
            reserved: core::array::from_fn(|_| next()),
            registers: Registers::from_words(core::array::from_fn(|_| next())),
        }
    }
}

/// The tag of the call that a fault becomes. Its words: vector, code, address (as in [`Frame`]), rip, rsp, the thread's id.
/// An answer with tag 0 has the thread go on with its registers as they are then; anything else ends its process.
pub const FAULT_TAG: u64 = 0xfa17;

#[cfg(test)]
mod tests {
    use super::{harmless, Frame, Registers, FRAME_HEAD, FRAME_WORDS, REGISTER_WORDS};

    #[test]
    fn frames_hold_registers_in_their_order() {
        let words: [u64; FRAME_WORDS] = core::array::from_fn(|i| i as u64);
        let frame = Frame::from_words(words);
        assert_eq!(frame.to_words(), words);
        let registers: [u64; REGISTER_WORDS] = core::array::from_fn(|i| (FRAME_HEAD + i) as u64);
        assert_eq!(frame.registers, Registers::from_words(registers));
        assert_eq!((frame.bits, frame.registers.rip), (0, 24));
        assert_eq!(frame.registers.to_words(), registers);
    }

    #[test]
    fn flags_are_made_harmless() {
        assert_eq!(harmless(0), 0x202);
        // CF PF AF ZF SF TF IF DF OF, AC, ID: SDM 1, figure 3-8.
        assert_eq!(harmless(u64::MAX), 0x24_0fd7);
    }
}
