//! All that is unsafe here: faults on purpose, raw kernel calls, registers.
//!
//! Nothing in this file protects anybody: it does what the kernel and the machine must be able to bear. On the host, where
//! there is no kernel of ours below, it does nothing.
#![allow(unsafe_code, reason = "programs that try what is forbidden have to do it; all of it is in this file")]

use abi::call::Call;
use abi::memory::{Inherit, Protection};
use abi::{error, Error, Handle, Result};
use scheme::rt::syscall;

/// Loads a byte; faults where nothing is mapped.
pub fn load(address: u64) -> u8 {
    // SAFETY: a volatile load hurts nobody; where it faults, the process ends, which is what its caller is after.
    unsafe { (address as *const u8).read_volatile() }
}

/// Stores a byte: only to addresses that hold nothing of Rust's, or to fault.
pub fn store(address: u64, value: u8) {
    // SAFETY: callers pass addresses of mappings that nobody refers to, or addresses that fault.
    unsafe { (address as *mut u8).write_volatile(value) }
}

/// Calls an address.
pub fn jump(address: u64) {
    // Hidden from the compiler, which would put something else in the place of a call of null.
    let address = core::hint::black_box(address) as *const ();
    // SAFETY: callers pass addresses that can't be executed: the process ends at the first fetch.
    let code: extern "C" fn() = unsafe { core::mem::transmute(address) };
    code();
}

/// Memory mapped at a place of the kernel's choice.
pub fn map(memory: Handle, offset: u64, length: u64, protection: Protection) -> Result<u64> {
    // SAFETY: the kernel chooses a free place.
    unsafe { syscall::space_map(Handle::SELF_SPACE, memory, 0, offset, length, u64::from(protection.bits())) }
}

/// Memory mapped at an address of one's own choice.
pub fn map_at(memory: Handle, address: u64, length: u64, protection: Protection) -> Result<u64> {
    // SAFETY: callers pass addresses where nothing of the runtime's is; what is taken is refused.
    unsafe { syscall::space_map(Handle::SELF_SPACE, memory, address, 0, length, u64::from(protection.bits())) }
}

/// The same, saying what a clone of the space is to get of it.
pub fn map_inherited(memory: Handle, length: u64, protection: Protection, inherit: Inherit) -> Result<u64> {
    let bits = u64::from(protection.bits()) | u64::from(inherit as u8) << Inherit::SHIFT;
    // SAFETY: the kernel chooses a free place.
    unsafe { syscall::space_map(Handle::SELF_SPACE, memory, 0, 0, length, bits) }
}

/// Unmaps what [`map`] mapped.
pub fn unmap(address: u64, length: u64) -> Result<()> {
    // SAFETY: callers pass ranges that they mapped themselves.
    unsafe { syscall::space_unmap(Handle::SELF_SPACE, address, length) }
}

/// What [`map`] mapped, to be lent for the length of a call. Others store into it meanwhile, by way of other mappings: that
/// is what it is for.
pub fn borrowed(address: u64, length: u64) -> &'static mut [u8] {
    // SAFETY: callers pass ranges that they mapped themselves and lend once at a time; nothing reads or writes through
    // the slice here: only its address goes to the kernel.
    unsafe { core::slice::from_raw_parts_mut(address as *mut u8, length as usize) }
}

/// Changes the protection of what [`map`] mapped.
pub fn protect(address: u64, length: u64, protection: Protection) -> Result<()> {
    // SAFETY: as in `unmap`.
    unsafe { syscall::space_protect(Handle::SELF_SPACE, address, length, u64::from(protection.bits())) }
}

/// Closes a handle, and tells what the kernel says.
pub fn close(handle: Handle) -> Result<()> {
    // SAFETY: no address.
    unsafe { syscall::close(handle) }
}

/// Copies out of a lease at any offset; how many bytes.
pub fn lease_read(reply: Handle, index: u64, offset: u64, out: &mut [u8]) -> Result<u64> {
    // SAFETY: the kernel writes at most `out.len()` bytes of `out`.
    unsafe { syscall::lease_read(reply, index, offset, out.as_mut_ptr() as u64, out.len() as u64) }
}

/// Copies into a lease at any offset; how many bytes.
pub fn lease_write(reply: Handle, index: u64, offset: u64, data: &[u8]) -> Result<u64> {
    // SAFETY: the kernel reads `data`.
    unsafe { syscall::lease_write(reply, index, offset, data.as_ptr() as u64, data.len() as u64) }
}

/// Maps part of a lease where the kernel chooses; the address.
pub fn lease_map(reply: Handle, index: u64, offset: u64, length: u64, protection: Protection) -> Result<u64> {
    // SAFETY: the kernel chooses a free place.
    unsafe { syscall::lease_map(reply, index, offset, length, 0, u64::from(protection.bits())) }
}

/// Reads a port, without a capability, or with one that does not name it.
pub fn port_call(ports: Handle, port: u64) -> Result<u64> {
    // SAFETY: no address.
    unsafe { syscall::port_read(ports, port, 1) }
}

/// Any call with any arguments. Only for a process that has nothing to lose.
pub fn any_call(call: Call, args: [u64; 6]) -> Result<[u64; 3]> {
    // SAFETY: none: the caller is a process that may be ruined.
    let (status, values) = unsafe { syscall::raw(call, args) };
    error::check(status)?;
    Ok(values)
}

/// A call of any number, those of the kernel and others.
#[cfg(target_os = "none")]
pub fn any_number(number: u64, args: [u64; 6]) -> u64 {
    let status;
    let [a, b, c, d, e, f] = args;
    // SAFETY: as in `any_call`. What the kernel answers in registers is thrown away.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number => status, inlateout("rdi") a => _, inlateout("rsi") b => _,
            inlateout("rdx") c => _, inlateout("r8") d => _, in("r9") e, in("r10") f, lateout("rcx") _, lateout("r11") _,
            options(nostack));
    }
    status
}

/// On the host there is nobody to call.
#[cfg(not(target_os = "none"))]
pub fn any_number(number: u64, args: [u64; 6]) -> u64 {
    let _ = (number, args);
    u64::from(Error::NoSuchCall.number())
}

/// An instruction that user code may not run.
#[derive(Clone, Copy, Debug)]
pub enum Forbidden {
    /// `in`
    In,
    /// `out`
    Out,
    /// `hlt`
    Halt,
    /// `cli`
    ClearInterrupts,
    /// `mov cr3, …`
    PageTable,
    /// `rdmsr`
    ModelSpecific,
    /// `lgdt`
    Descriptors,
    /// `swapgs`
    SwapGs,
    /// `sgdt`, which UMIP forbids where there is UMIP
    Undefined,
    /// A division by zero
    Divide,
    /// `int3`
    Breakpoint,
}

/// Runs it.
#[cfg(target_os = "none")]
pub fn forbidden(what: Forbidden) {
    use core::arch::asm;
    // SAFETY: each ends the process with a fault if the kernel is right; if it is wrong, that is what the test is for. `hlt`
    // and `cli` leave no harm that the test's failure does not tell of; the others get values they can't hurt with.
    unsafe {
        match what {
            Forbidden::In => asm!("in al, dx", in("dx") 0x80u16, out("al") _),
            Forbidden::Out => asm!("out dx, al", in("dx") 0x80u16, in("al") 0u8),
            Forbidden::Halt => asm!("hlt"),
            Forbidden::ClearInterrupts => asm!("cli"),
            Forbidden::PageTable => asm!("mov rax, cr3", "mov cr3, rax", out("rax") _),
            Forbidden::ModelSpecific => asm!("rdmsr", in("ecx") 0xc000_0080u32, out("eax") _, out("edx") _),
            Forbidden::Descriptors => asm!("lgdt [{}]", in(reg) &[0u64; 2]),
            Forbidden::SwapGs => asm!("swapgs"),
            Forbidden::Undefined => asm!("ud2"),
            Forbidden::Divide => {
                asm!("xor edx, edx", "mov eax, 1", "xor ecx, ecx", "div ecx", out("eax") _, out("ecx") _, out("edx") _)
            }
            Forbidden::Breakpoint => asm!("int3"),
        }
    }
}

/// The host's own kernel is not the one under test.
#[cfg(not(target_os = "none"))]
pub fn forbidden(what: Forbidden) {
    let _ = what;
}

/// Bytes of the registers that [`fill_registers`] fills: 16 of 16 bytes.
pub const VECTORS: usize = 256;

/// Puts a pattern into all SSE registers, and one of two rounding modes into MXCSR and the x87 control word. The compiler uses none
/// of them in these programs, so they stay until somebody changes them.
#[cfg(target_os = "none")]
pub fn fill_registers(pattern: &[u8; VECTORS], mode: bool) {
    let mxcsr: u32 = if mode { 0x3f80 } else { 0x1f80 };
    let control: u16 = if mode { 0x0f7f } else { 0x037f };
    // SAFETY: loads from memory that is borrowed; the registers belong to this thread and the compiler uses none of them.
    unsafe {
        core::arch::asm!(
            "movups xmm0, [{p}]", "movups xmm1, [{p} + 16]", "movups xmm2, [{p} + 32]", "movups xmm3, [{p} + 48]",
            "movups xmm4, [{p} + 64]", "movups xmm5, [{p} + 80]", "movups xmm6, [{p} + 96]", "movups xmm7, [{p} + 112]",
            "movups xmm8, [{p} + 128]", "movups xmm9, [{p} + 144]", "movups xmm10, [{p} + 160]", "movups xmm11, [{p} + 176]",
            "movups xmm12, [{p} + 192]", "movups xmm13, [{p} + 208]", "movups xmm14, [{p} + 224]", "movups xmm15, [{p} + 240]",
            "ldmxcsr [{m}]", "fldcw [{c}]",
            p = in(reg) pattern, m = in(reg) &mxcsr, c = in(reg) &control, options(nostack, readonly)
        );
    }
}

/// Whether the registers still hold what [`fill_registers`] put there.
#[cfg(target_os = "none")]
pub fn registers_hold(pattern: &[u8; VECTORS], mode: bool) -> bool {
    let mut found = [0u8; VECTORS];
    let (mut mxcsr, mut control) = (0u32, 0u16);
    // SAFETY: stores to memory that is borrowed for writing.
    unsafe {
        core::arch::asm!(
            "movups [{p}], xmm0", "movups [{p} + 16], xmm1", "movups [{p} + 32], xmm2", "movups [{p} + 48], xmm3",
            "movups [{p} + 64], xmm4", "movups [{p} + 80], xmm5", "movups [{p} + 96], xmm6", "movups [{p} + 112], xmm7",
            "movups [{p} + 128], xmm8", "movups [{p} + 144], xmm9", "movups [{p} + 160], xmm10", "movups [{p} + 176], xmm11",
            "movups [{p} + 192], xmm12", "movups [{p} + 208], xmm13", "movups [{p} + 224], xmm14", "movups [{p} + 240], xmm15",
            "stmxcsr [{m}]", "fnstcw [{c}]",
            p = in(reg) &mut found, m = in(reg) &mut mxcsr, c = in(reg) &mut control, options(nostack)
        );
    }
    let modes = if mode { (0x3f80, 0x0f7f) } else { (0x1f80, 0x037f) };
    // Bits 0 to 5 of MXCSR are flags that stick; nothing here raises any.
    found == *pattern && (mxcsr & 0xffc0, control) == modes
}

/// The host's compiler uses these registers itself.
#[cfg(not(target_os = "none"))]
pub fn fill_registers(pattern: &[u8; VECTORS], mode: bool) {
    let _ = (pattern, mode);
}

/// See [`fill_registers`].
#[cfg(not(target_os = "none"))]
pub fn registers_hold(pattern: &[u8; VECTORS], mode: bool) -> bool {
    let _ = (pattern, mode);
    true
}

/// Sets the direction flag (which the kernel must clear for itself) and makes a harmless call; whether the call worked and the flag
/// is as it was.
#[cfg(target_os = "none")]
pub fn direction_flag_survives() -> bool {
    let (status, flags): (u64, u64);
    // SAFETY: the flag is cleared again before any compiled code runs.
    unsafe {
        core::arch::asm!("std", "syscall", "pushfq", "pop {f}", "cld", f = out(reg) flags,
            inlateout("rax") Call::Clock as u64 => status, lateout("rdi") _, lateout("rsi") _, lateout("rdx") _, lateout("r8") _,
            lateout("rcx") _, lateout("r11") _);
    }
    status == 0 && flags & 1 << 10 != 0
}

/// See above.
#[cfg(not(target_os = "none"))]
pub fn direction_flag_survives() -> bool {
    true
}

/// What a handle's look-up says, for a handle that may be nonsense.
pub fn inspect(handle: Handle) -> Result<u64> {
    any_call(Call::Inspect, [handle.word(), 0, 0, 0, 0, 0]).map(|[kind_rights, ..]| kind_rights)
}

/// Whether an error says that the handle itself is bad.
pub fn is_bad(result: Result<u64>) -> bool {
    result == Err(Error::BadHandle)
}

/// Asks to have an upcall handler at any address, with any stack.
pub fn upcall_handler(entry: u64, stack: u64, length: u64, flags: u64) -> Result<()> {
    // SAFETY: none: callers are parts that may be ruined, or pass what is refused.
    unsafe { syscall::upcall_handler(entry, stack, length, flags) }
}

/// Goes on from a frame, if the kernel lets it; answers only if it does not.
pub fn upcall_return(frame: u64) -> Result<()> {
    // SAFETY: as in `upcall_handler`.
    unsafe { syscall::upcall_return(frame) }
}

/// Sets another thread's registers.
pub fn set_registers(thread: Handle, registers: &abi::thread::Registers) -> Result<()> {
    // SAFETY: callers change what the code in this file lets them change, or what is refused.
    unsafe { scheme::rt::debug::set_registers(thread, registers) }
}

/// The number that the processor at hand has of itself (its first local APIC id; SDM 2A, CPUID leaf 1).
pub fn processor() -> u32 {
    core::arch::x86_64::__cpuid(1).ebx >> 24
}

/// Loads a word, or answers what an upcall's [`skip_load`] puts in its place.
#[cfg(target_os = "none")]
pub fn load_or_skip(address: u64) -> u64 {
    let value;
    // SAFETY: a load hurts nobody; 3 bytes (48 8b 07), which `skip_load` counts on.
    unsafe { core::arch::asm!("mov rax, [rdi]", in("rdi") address, out("rax") value, options(nostack, readonly)) };
    value
}

/// See above.
#[cfg(not(target_os = "none"))]
pub fn load_or_skip(address: u64) -> u64 {
    address
}

/// Has the thread that faulted in [`load_or_skip`] go on as if it had loaded this.
pub fn skip_load(upcall: &mut scheme::rt::upcall::Upcall<'_>, value: u64) {
    // SAFETY: callers use it for faults of `load_or_skip` alone, which bears any value.
    let frame = unsafe { upcall.frame_mut() };
    frame.registers.rip += 3;
    frame.registers.rax = value;
}

/// Goes through `upcall_return` with these flags and a stack pointer that is no address, and comes back; the flags that were found
/// there. With TF among them it does not come back.
#[cfg(target_os = "none")]
pub fn odd_frame(flags: u64) -> u64 {
    #[repr(align(16))]
    struct Aligned([u64; abi::thread::FRAME_WORDS]);
    let mut frame = Aligned([0; abi::thread::FRAME_WORDS]);
    let found;
    // SAFETY: 1. the frame goes on at 2:, with rsp restored from r9 before anything uses it, and rbx, which it sets too, from
    // r8; 2. all other registers that it changes are named; the flags are plain again before any compiled code runs.
    unsafe {
        core::arch::asm!(
            // FRAME_HEAD words, then rax rbx rcx rdx rsi rdi rbp rsp r8 r9 …, rip at 24, flags at 25, FS base at 26.
            "lea rax, [rip + 2f]",
            "mov [rdi + 24 * 8], rax",
            "mov [rdi + 25 * 8], rsi",
            "mov [rdi + 16 * 8], rbx",
            "mov [rdi + 17 * 8], rsp",
            "mov [rdi + 14 * 8], rbp",
            "mov rax, fs:[{own}]",
            "mov [rdi + 26 * 8], rax",
            "mov rax, 0x8000000000000000",
            "mov [rdi + 15 * 8], rax",
            "mov eax, {call}",
            "syscall",
            // Refused.
            "mov rdx, -1",
            "jmp 3f",
            "2:",
            "mov rbx, r8",
            "mov rsp, r9",
            "pushfq",
            "pop rdx",
            "push 0x202",
            "popfq",
            "3:",
            call = const Call::UpcallReturn as u64,
            own = const scheme::rt::buffer::SELF * 8,
            inout("rdi") frame.0.as_mut_ptr() => _,
            inout("rsi") flags => _,
            out("rdx") found, out("rax") _, out("rcx") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
        );
    }
    found
}

/// See above.
#[cfg(not(target_os = "none"))]
pub fn odd_frame(flags: u64) -> u64 {
    flags
}

/// Instructions that [`climb`] executes after its `syscall` and before its end, one of which another thread may change.
pub const STEPS: u64 = 8;

/// Suspends itself, and counts to [`STEPS`] in rax, one an instruction, from what it is given when it is resumed.
#[cfg(target_os = "none")]
pub fn climb() -> u64 {
    let count;
    // SAFETY: no memory is touched; the registers are named.
    unsafe {
        core::arch::asm!(
            "syscall",
            "inc rax", "inc rax", "inc rax", "inc rax", "inc rax", "inc rax", "inc rax", "inc rax",
            inlateout("rax") Call::ThreadSuspend as u64 => count, inlateout("rdi") Handle::SELF_THREAD.word() => _,
            lateout("rsi") _, lateout("rdx") _, lateout("r8") _, lateout("rcx") _, lateout("r11") _,
        );
    }
    count
}

/// See above.
#[cfg(not(target_os = "none"))]
pub fn climb() -> u64 {
    STEPS
}

#[cfg(target_os = "none")]
core::arch::global_asm!(
    // What a handler of foreign numbers looks like: rax the number, rcx the way back, r11 the flags. This one knows Linux's
    // write(1, …), which says that all was written, and answers -38 (ENOSYS) to all else. The red zone is left alone.
    ".global limitless_test_foreign",
    "limitless_test_foreign:",
    "cmp rax, 1",
    "jne 2f",
    "cmp rdi, 1",
    "jne 2f",
    "mov rax, rdx",
    "jmp rcx",
    "2: mov rax, -38",
    "jmp rcx",
);

/// Has foreign numbers handled by a stub that knows write(1, …) of Linux; `false`: no more.
#[cfg(target_os = "none")]
pub fn foreign_handler(process: Handle, on: bool) -> Result<()> {
    extern "C" {
        fn limitless_test_foreign();
    }
    let entry = if on { limitless_test_foreign as *const () as u64 } else { 0 };
    // SAFETY: the stub keeps all that a foreign call's caller counts on.
    unsafe { syscall::foreign_handler(process, entry) }
}

/// See above.
#[cfg(not(target_os = "none"))]
pub fn foreign_handler(process: Handle, on: bool) -> Result<()> {
    let _ = (process, on);
    Err(Error::NotSupported)
}

/// A foreign handler at any address.
pub fn foreign_handler_at(entry: u64) -> Result<()> {
    // SAFETY: callers pass what is refused.
    unsafe { syscall::foreign_handler(Handle::SELF_PROCESS, entry) }
}
