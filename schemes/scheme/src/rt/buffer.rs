//! The thread's IPC buffer: the page through which capabilities, leases and
//! deadlines travel.
//!
//! A thread finds its own through the FS base, which this runtime points at the buffer; word
//! [`SELF`] holds the buffer's address. A C library that needs FS for itself installs a
//! [`set_locator`]. The words from `SCRATCH` on are the thread's own: its id and its sequence counter live there.

use abi::message::buffer::{SCRATCH, WORDS};

/// Word: the buffer's own address.
pub const SELF: usize = SCRATCH;
/// Word: the thread's id, 0 until asked for.
pub const THREAD_ID: usize = SCRATCH + 1;
/// Word: the last sequence number's low half.
pub const SEQUENCE: usize = SCRATCH + 2;
/// Words from here on are free for whoever replaces this runtime's start.
pub const FREE: usize = SCRATCH + 8;

#[cfg(target_os = "none")]
mod place {
    use core::sync::atomic::{AtomicUsize, Ordering};

    static LOCATOR: AtomicUsize = AtomicUsize::new(0);

    /// From now on `find` tells where the calling thread's buffer is.
    ///
    /// # Safety
    ///
    /// `find` must return the address of the calling thread's IPC buffer, every time, on every thread.
    pub unsafe fn set_locator(find: fn() -> usize) {
        LOCATOR.store(find as usize, Ordering::Release);
    }

    pub(super) fn base() -> *mut u64 {
        let find = LOCATOR.load(Ordering::Acquire);
        if find != 0 {
            // SAFETY: only `set_locator` stores here, and it stores a `fn() -> usize`.
            let find: fn() -> usize = unsafe { core::mem::transmute(find) };
            return find() as *mut u64;
        }
        let address: u64;
        // SAFETY: the runtime points FS at the buffer before any other code of the thread runs, and word SELF
        // holds the buffer's address.
        unsafe {
            core::arch::asm!("mov {}, fs:[{}]", out(reg) address, const super::SELF * 8,
                options(nostack, readonly, preserves_flags));
        }
        address as *mut u64
    }
}

#[cfg(not(target_os = "none"))]
mod place {
    std::thread_local! {
        static PAGE: std::cell::UnsafeCell<[u64; super::WORDS]> = const { std::cell::UnsafeCell::new([0; super::WORDS]) };
    }

    pub(super) fn base() -> *mut u64 {
        PAGE.with(|page| page.get().cast())
    }
}

#[cfg(target_os = "none")]
pub use place::set_locator;

/// Reads a word of the buffer. Words past its end read as 0.
pub fn get(word: usize) -> u64 {
    if word >= WORDS {
        return 0;
    }
    // SAFETY: (1) the buffer is a page of this thread's own, mapped for as long as the thread runs; (2) `word` lies in it;
    // (3) the kernel writes it only during this thread's calls; volatile, since it does so behind the compiler's back.
    unsafe { place::base().add(word).read_volatile() }
}

/// Writes a word of the buffer; past its end, nothing.
pub fn set(word: usize, value: u64) {
    if word < WORDS {
        // SAFETY: as in `get`.
        unsafe { place::base().add(word).write_volatile(value) }
    }
}

/// The calling thread's id.
pub fn thread_id() -> u64 {
    let known = get(THREAD_ID);
    if known != 0 {
        return known;
    }
    let id = super::calls::thread_id().map(|(thread, _)| thread).unwrap_or(1);
    set(THREAD_ID, id);
    id
}

/// The next number for a call that changes something: the low half of the thread's id, then a counter.
///
/// A thread has one call outstanding at most, so a server needs to remember only the last of each thread.
pub fn next_sequence() -> u64 {
    let count = get(SEQUENCE).wrapping_add(1) & 0xffff_ffff;
    let count = if count == 0 { 1 } else { count };
    set(SEQUENCE, count);
    (thread_id() << 32) | count
}
