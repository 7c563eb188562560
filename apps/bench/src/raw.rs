//! Calls without the library around them: what is measured is the kernel's
//! path and its registers.
#![allow(unsafe_code, reason = "the measured paths are the calls themselves, with nothing of the library between")]

use abi::call::Call;
use abi::Handle;
use core::sync::atomic::AtomicU64;
use scheme::rt::memory::Mapping;

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

/// Raises a breakpoint, which the processor reports with the next instruction's address: whoever answers the fault need
/// change nothing for the thread to go on.
#[inline(always)]
pub fn breakpoint() {
    // SAFETY: a fault of this thread, which its fault session answers; no register changes.
    #[cfg(target_os = "none")]
    unsafe {
        core::arch::asm!("int3", options(nostack));
    }
}

/// Stores the time-stamp counter in a word, again and again: whoever interrupts finds when that was, at most five
/// instructions ago.
pub fn stamp_for_ever(word: &AtomicU64) -> ! {
    loop {
        // SAFETY: stores to a word that may change at any time, and reads a counter.
        #[cfg(target_os = "none")]
        unsafe {
            core::arch::asm!(
                "2: rdtsc", "shl rdx, 32", "or rax, rdx", "mov [{word}], rax", "jmp 2b",
                word = in(reg) word.as_ptr(), out("rax") _, out("rdx") _, options(nostack)
            );
        }
        #[cfg(not(target_os = "none"))]
        word.store(tsc(), core::sync::atomic::Ordering::Relaxed);
    }
}

/// The first word of a mapping, shared with others.
pub fn first_word(mapping: &Mapping) -> &AtomicU64 {
    // SAFETY: (1) a mapping is a page at least, aligned, and stays while it is borrowed; (2) callers map it writable and use
    // this word through atomics alone.
    unsafe { AtomicU64::from_ptr(mapping.address() as *mut u64) }
}

/// Loads a byte of memory that is mapped, by address.
pub fn load(address: u64) -> u8 {
    // SAFETY: callers name pages that they mapped, to which nobody has a reference.
    unsafe { (address as *const u8).read_volatile() }
}

/// Stores a byte.
pub fn store(address: u64, value: u8) {
    // SAFETY: as in `load`; mapped writable.
    unsafe { (address as *mut u8).write_volatile(value) }
}

/// Where a symbol of the assembly here stands; the host has none of it.
macro_rules! address_of {
    ($symbol:ident) => {{
        #[cfg(target_os = "none")]
        {
            extern "C" {
                static $symbol: u8;
            }
            &raw const $symbol as u64
        }
        #[cfg(not(target_os = "none"))]
        0
    }};
}

#[cfg(target_os = "none")]
core::arch::global_asm!(
    ".global bench_brief",
    "bench_brief:",
    // rdi is the notification to set.
    "mov esi, 1",
    "mov eax, {notify}",
    "syscall",
    "2: mov eax, {exit}",
    "syscall",
    "jmp 2b",
    notify = const Call::Notify as u64,
    exit = const Call::ThreadExit as u64,
);

/// Where a thread starts that does nothing but set bit 0 of the notification in its argument, and end. It needs no stack.
pub fn brief() -> u64 {
    address_of!(bench_brief)
}

/// The code of a process that ends at once: `xor edi, edi; mov eax, PROCESS_EXIT; syscall`.
pub fn exit_code() -> [u8; 9] {
    let [a, b, c, d] = (Call::ProcessExit as u32).to_le_bytes();
    [0x31, 0xff, 0xb8, a, b, c, d, 0x0f, 0x05]
}

#[cfg(target_os = "none")]
core::arch::global_asm!(
    ".global bench_sleeper",
    "bench_sleeper:",
    // rdi is a word that holds 0.
    "xor esi, esi",
    "xor edx, edx",
    "mov eax, {wait}",
    "syscall",
    "2: mov eax, {exit}",
    "syscall",
    "jmp 2b",
    wait = const Call::FutexWait as u64,
    exit = const Call::ThreadExit as u64,
);

/// Where a thread starts that waits at the word (of value 0) whose address is its argument, and ends when it is woken. It
/// needs no stack.
pub fn sleeper() -> u64 {
    address_of!(bench_sleeper)
}

/// The code of a thread that waits for the notification in its argument, for ever: `xor esi, esi; mov eax, WAIT; syscall`.
pub fn waiting_code() -> [u8; 11] {
    let [a, b, c, d] = (Call::Wait as u32).to_le_bytes();
    // And again, should it be woken.
    [0x31, 0xf6, 0xb8, a, b, c, d, 0x0f, 0x05, 0xeb, 0xf5]
}
