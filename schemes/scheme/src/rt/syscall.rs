//! One stub for each row of the contract, made from the rows.
//!
//! They are `unsafe` without exception: a row can name addresses of the caller's, and nothing here looks at
//! what they mean. [`calls`](super::calls) gives the safe forms. Message calls have registers of
//! their own and live in [`message`](super::message).

use abi::call::Call;
use abi::{error, Handle, Result};

/// What fits a register.
pub trait Word: Copy {
    /// As the register's value.
    fn word(self) -> u64;
    /// From the register's value.
    fn from_word(word: u64) -> Self;
}

impl Word for u64 {
    fn word(self) -> u64 {
        self
    }
    fn from_word(word: u64) -> u64 {
        word
    }
}

impl Word for Handle {
    fn word(self) -> u64 {
        Handle::word(self)
    }
    fn from_word(word: u64) -> Handle {
        Handle(word as u32)
    }
}

/// Makes a call. Returns the status and the three result registers.
///
/// # Safety
///
/// Addresses among the arguments must be memory that the call may read or write as its row says,
/// and a change of mappings must not touch memory in use.
#[cfg(target_os = "none")]
#[inline]
pub unsafe fn raw(call: Call, args: [u64; 6]) -> (u64, [u64; 3]) {
    let status;
    let [mut a, mut b, mut c, d, e, f] = args;
    // SAFETY: the kernel keeps every register but rax, rcx, r11 and the results; what it does to memory is the
    // caller's promise.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") call as u64 => status,
            inlateout("rdi") a,
            inlateout("rsi") b,
            inlateout("rdx") c,
            in("r8") d,
            in("r9") e,
            in("r10") f,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack)
        );
    }
    (status, [a, b, c])
}

/// There is no kernel of ours below: `NoSuchCall`.
///
/// # Safety
///
/// None needed here.
#[cfg(not(target_os = "none"))]
pub unsafe fn raw(call: Call, args: [u64; 6]) -> (u64, [u64; 3]) {
    let _ = (call, args);
    (u64::from(abi::Error::NoSuchCall.number()), [0; 3])
}

macro_rules! word_type {
    (quota) => {
        Handle
    };
    (endpoint) => {
        Handle
    };
    (session) => {
        Handle
    };
    (reply) => {
        Handle
    };
    (notification) => {
        Handle
    };
    (memory) => {
        Handle
    };
    (space) => {
        Handle
    };
    (process) => {
        Handle
    };
    (thread) => {
        Handle
    };
    (handle) => {
        Handle
    };
    (namespace) => {
        Handle
    };
    (domain) => {
        Handle
    };
    (pin) => {
        Handle
    };
    (interrupt) => {
        Handle
    };
    (root) => {
        Handle
    };
    (ports) => {
        Handle
    };
    (child) => {
        Handle
    };
    (queue) => {
        Handle
    };
    (source) => {
        Handle
    };
    (into) => {
        Handle
    };
    (system) => {
        Handle
    };
    (log) => {
        Handle
    };
    ($other:ident) => {
        u64
    };
}

macro_rules! results {
    () => {
        ()
    };
    ($a:ident) => {
        word_type!($a)
    };
    ($a:ident, $b:ident) => {
        (word_type!($a), word_type!($b))
    };
    ($a:ident, $b:ident, $c:ident) => {
        (word_type!($a), word_type!($b), word_type!($c))
    };
}

macro_rules! unpack {
    ($values:ident,) => {{
        let _ = $values;
    }};
    ($values:ident, $a:ident) => {
        Word::from_word($values[0])
    };
    ($values:ident, $a:ident, $b:ident) => {
        (Word::from_word($values[0]), Word::from_word($values[1]))
    };
    ($values:ident, $a:ident, $b:ident, $c:ident) => {
        (Word::from_word($values[0]), Word::from_word($values[1]), Word::from_word($values[2]))
    };
}

macro_rules! stub {
    (call $($rest:tt)*) => {};
    (open $($rest:tt)*) => {};
    (reply_recv $($rest:tt)*) => {};
    (reply $($rest:tt)*) => {};
    (recv $($rest:tt)*) => {};
    (send $($rest:tt)*) => {};
    ($name:ident $variant:ident $text:literal ($($arg:ident),*) -> ($($result:ident),*)) => {
        #[doc = $text]
        ///
        /// # Safety
        ///
        /// As [`raw`].
        pub unsafe fn $name($($arg: word_type!($arg)),*) -> Result<results!($($result),*)> {
            let given: &[u64] = &[$(Word::word($arg)),*];
            let mut args = [0; 6];
            for (slot, value) in args.iter_mut().zip(given) {
                *slot = *value;
            }
            // SAFETY: the caller promises the same.
            let (status, values) = unsafe { raw(Call::$variant, args) };
            error::check(status)?;
            Ok(unpack!(values, $($result),*))
        }
    };
}

macro_rules! stubs {
    ($($number:literal $variant:ident $name:ident [$($need:tt)*] $lock:ident $wait:ident
        ($($arg:ident),*) -> ($($result:ident),*) $text:literal;)+) => {
        $(stub! { $name $variant $text ($($arg),*) -> ($($result),*) })+
    };
}

abi::for_each_call!(stubs);
