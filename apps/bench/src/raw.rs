//! Calls without the library around them: what is measured is the kernel's
//! path and its registers.
#![allow(unsafe_code, reason = "the measured paths are the calls themselves, with nothing of the library between")]

use abi::call::Call;
use abi::Handle;

/// The time-stamp counter.
pub fn tsc() -> u64 {
    // SAFETY: reads a counter; user code may (CR4.TSD is clear).
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The least the kernel can be asked.
#[inline(always)]
pub fn empty() {
    // SAFETY: the call has no argument; the kernel keeps every register but those named.
    #[cfg(target_os = "none")]
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") Call::ThreadId as u64 => _,
            lateout("rdi") _, lateout("rsi") _, lateout("rdx") _, lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
}

/// Any call: the status and three results.
#[inline(always)]
pub fn any(call: Call, arguments: [u64; 6]) -> (u64, [u64; 3]) {
    // SAFETY: callers name memory of their own that lives through the call, and map nothing over anything.
    unsafe { scheme::rt::syscall::raw(call, arguments) }
}

/// A call with whatever is in the message registers: no words put in or taken out. The status.
#[inline(always)]
pub fn call_bare(session: Handle, tag: u64, extras: u64) -> u64 {
    #[allow(unused_mut, reason = "the host has no call to make")]
    let mut status = 0;
    // SAFETY: (1) rbx and rbp are saved round the call; (2) the other message registers are declared lost; (3) nothing is lent
    // but what the caller put in its IPC buffer.
    #[cfg(target_os = "none")]
    unsafe {
        core::arch::asm!(
            "push rbx", "push rbp", "syscall", "pop rbp", "pop rbx",
            inlateout("rax") Call::Call as u64 => status,
            inlateout("rdi") session.word() => _,
            inlateout("rsi") tag => _,
            inlateout("rdx") extras => _,
            lateout("rcx") _, lateout("r11") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
        );
    }
    let _ = (session, tag, extras);
    status
}

/// A call with six words there and back. The status.
#[inline(always)]
pub fn call_words(session: Handle, tag: u64, words: &mut [u64; 6]) -> u64 {
    #[allow(unused_mut, reason = "the host has no call to make")]
    let mut status = 0;
    // SAFETY: as in `call_bare`; r9 is kept by the kernel and points at the words.
    #[cfg(target_os = "none")]
    unsafe {
        core::arch::asm!(
            "push rbx", "push rbp",
            "mov rbx, [r9]", "mov rbp, [r9+8]", "mov r12, [r9+16]", "mov r13, [r9+24]", "mov r14, [r9+32]", "mov r15, [r9+40]",
            "syscall",
            "mov [r9], rbx", "mov [r9+8], rbp", "mov [r9+16], r12", "mov [r9+24], r13", "mov [r9+32], r14", "mov [r9+40], r15",
            "pop rbp", "pop rbx",
            inlateout("rax") Call::Call as u64 => status,
            inlateout("rdi") session.word() => _,
            inlateout("rsi") tag => _,
            inlateout("rdx") 0u64 => _,
            in("r9") words.as_mut_ptr(),
            lateout("rcx") _, lateout("r11") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
        );
    }
    let _ = (session, tag, words);
    status
}

/// Receives the first message, or answers one and receives the next. Status and tag; words pass through untouched.
#[inline(always)]
pub fn receive(call: Call, endpoint: Handle, tag: u64, reply: Handle) -> (u64, u64) {
    #[allow(unused_mut, reason = "the host has no call to make")]
    let (mut status, mut out) = (1, tag);
    // SAFETY: as in `call_bare`.
    #[cfg(target_os = "none")]
    unsafe {
        core::arch::asm!(
            "push rbx", "push rbp", "syscall", "pop rbp", "pop rbx",
            inlateout("rax") call as u64 => status,
            inlateout("rdi") endpoint.word() => _,
            inlateout("rsi") out,
            inlateout("rdx") 0u64 => _,
            inlateout("r8") reply.word() => _,
            lateout("rcx") _, lateout("r11") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
        );
    }
    let _ = (call, endpoint, reply, &mut out);
    (status, out)
}

/// Lends `length` bytes at `address` with the next call: puts the lease in the IPC buffer.
pub fn lend(address: *const u8, length: u64, access: u64) {
    use abi::message::buffer::SEND_LEASES;
    for (i, word) in [address as u64, length, access, 0].into_iter().enumerate() {
        scheme::rt::buffer::set(SEND_LEASES + i, word);
    }
}
