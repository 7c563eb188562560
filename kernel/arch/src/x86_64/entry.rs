//! In and out of the kernel: `syscall`, interrupts, faults, and the way back.
//!
//! Registers go straight into the current thread's `Registers` (its address is in the per-CPU
//! block); nothing of a thread stays on the kernel stack, so each entry starts at the stack's top
//! and each exit leaves it empty. Handlers answer the address of the registers to go on with.
//! References: SDM 2B, SYSCALL, SYSRET, SWAPGS, IRET; SDM 3A, 6.12 (interrupts in 64-bit mode).
//!
//! `syscall` does not change the stack: the first instructions run on the user's stack pointer and
//! must not push. Interrupts are off throughout (SFMASK, interrupt gates). An interrupt in the kernel
//! comes only while it waits (`sti; hlt; cli`); it is noted and the wait ends. Every other trap
//! from kernel mode is a defect.

use super::descriptors::{USER_CODE, USER_DATA};
use super::layout::{DIRECT, USER_LIMIT};
use super::per_cpu::PerCpu;
use super::{fpu, smp, trap};
use abi::call::{Call, FIRST};
use core::arch::global_asm;
use core::mem::{offset_of, size_of};
use kernel_core::lock::Lock;
use kernel_core::object::{Registers, Thread};
use x86_64::registers::model_specific::{Efer, EferFlags, LStar, SFMask, Star};
use x86_64::registers::rflags::RFlags;
use x86_64::structures::gdt::SegmentSelector;
use x86_64::VirtAddr;

const _: () = assert!(offset_of!(Thread, registers) == 0, "registers come first in a thread");
const _: () = assert!(size_of::<Registers>() == 20 * 8, "the entry code knows every register");

const IA32_FS_BASE: u32 = 0xc000_0100;
/// One bit for each call that is tried the brief way, by its number after the first.
static BRIEF: u128 = {
    1 << (Call::ThreadId as u64 - FIRST) | 1 << (Call::Notify as u64 - FIRST) | 1 << (Call::Wait as u64 - FIRST)
};
/// Bytes from one stub to the next.
const STUB: usize = 16;

global_asm!(
    ".section .text.entry, \"ax\", @progbits",
    // The registers that the ways in save and the ways out restore, addressed by rsp or rax; rax, rdx, and what the
    // processor itself changes, apart.
    ".macro save_arguments base",
    "mov [\\base + {rdi}], rdi",
    "mov [\\base + {rsi}], rsi",
    "mov [\\base + {r8}], r8",
    "mov [\\base + {r9}], r9",
    "mov [\\base + {r10}], r10",
    ".endm",
    ".macro save_words base",
    "mov [\\base + {words} + 0], rbx",
    "mov [\\base + {words} + 8], rbp",
    "mov [\\base + {words} + 16], r12",
    "mov [\\base + {words} + 24], r13",
    "mov [\\base + {words} + 32], r14",
    "mov [\\base + {words} + 40], r15",
    ".endm",
    ".macro restore_arguments base",
    "mov rdi, [\\base + {rdi}]",
    "mov rsi, [\\base + {rsi}]",
    "mov r9, [\\base + {r9}]",
    "mov r10, [\\base + {r10}]",
    "mov r8, [\\base + {r8}]",
    ".endm",
    ".macro restore base",
    "restore_arguments \\base",
    "mov rdx, [\\base + {rdx}]",
    "mov rbx, [\\base + {words} + 0]",
    "mov rbp, [\\base + {words} + 8]",
    "mov r12, [\\base + {words} + 16]",
    "mov r13, [\\base + {words} + 24]",
    "mov r14, [\\base + {words} + 32]",
    "mov r15, [\\base + {words} + 40]",
    ".endm",
    // Another thread runs than before: its root, its FPU state (the other's is put away) and its FS base. rax, then r8: its
    // registers; the rest is lost. User code may have changed the FS base by loading a selector, but only to 0.
    ".macro load_thread",
    "mov r8, rax",
    "mov gs:[{registers}], r8",
    "mov ecx, [r8 + {root}]",
    "cmp ecx, gs:[{loaded_root}]",
    "je 11f",
    "mov gs:[{loaded_root}], ecx",
    "inc qword ptr gs:[{root_loads}]",
    "shl rcx, 12",
    "mov cr3, rcx",
    "11: mov ecx, [r8 + {fpu}]",
    "shl rcx, 12",
    "movabs rdx, {direct}",
    "or rcx, rdx",
    "mov rsi, gs:[{fpu_area}]",
    "mov gs:[{fpu_area}], rcx",
    "mov eax, gs:[{components}]",
    "xor edx, edx",
    "cmp byte ptr gs:[{fpu_kind}], {xsaveopt}",
    "jne 13f",
    "xsaveopt64 [rsi]",
    "12: xrstor64 [rcx]",
    "14: mov rax, [r8 + {fs_base}]",
    "or rax, gs:[{loaded_fs_base}]",
    "jnz 15f",
    ".subsection 1",
    "13: cmp byte ptr gs:[{fpu_kind}], {fxsave}",
    "je 16f",
    "xsave64 [rsi]",
    "jmp 12b",
    "16: fxsave64 [rsi]",
    "fxrstor64 [rcx]",
    "jmp 14b",
    "15: mov rax, [r8 + {fs_base}]",
    "mov gs:[{loaded_fs_base}], rax",
    "mov rdx, rax",
    "shr rdx, 32",
    "mov ecx, {fs_base_msr}",
    "wrmsr",
    "jmp 17f",
    ".previous",
    "17:",
    ".endm",
    // SYSCALL: rcx has the return address, r11 the flags. Words alone, to or from a server, go the short way, with the words
    // where they are; alone, or (`shared`) holding the shared side of the lock until the other thread is loaded.
    ".macro short_ways call, reply_recv, shared",
    "swapgs",
    "mov gs:[{user_rsp}], rsp",
    "mov rsp, gs:[{registers}]",
    "save_arguments rsp",
    "mov [rsp + {rip}], rcx",
    "mov [rsp + {rflags}], r11",
    "mov rcx, gs:[{user_rsp}]",
    "mov [rsp + {rsp}], rcx",
    "mov qword ptr [rsp + {full}], 0",
    "test rdx, rdx",
    "jnz syscall_long",
    "cmp rax, {call_number}",
    "jne 4f",
    "mov rdx, rsp",
    "mov rcx, gs:[{cpu}]",
    "mov rsp, gs:[{stack}]",
    "call \\call",
    "test rax, rax",
    "jnz 3f",
    "mov eax, {call_number}",
    "jmp 6f",
    "4: cmp rax, {reply_recv_number}",
    "jne syscall_long",
    "mov rdx, rsp",
    "mov rcx, gs:[{cpu}]",
    "mov rsp, gs:[{stack}]",
    "call \\reply_recv",
    "test rax, rax",
    "jz 7f",
    // Out: rax has the registers of the thread that is answered, which came by `syscall` too.
    "3: inc qword ptr gs:[{entries}]",
    "load_thread",
    ".if \\shared",
    "mov rcx, gs:[{reader}]",
    "mov dword ptr [rcx], 0",
    ".endif",
    "mov rcx, [r8 + {rip}]",
    "mov r11, [r8 + {rflags}]",
    "mov rsp, [r8 + {rsp}]",
    "restore_arguments r8",
    "xor edx, edx",
    "xor eax, eax",
    "swapgs",
    "sysretq",
    // Given up: as if it had not been tried. Nobody was written to, and the words are still there.
    "7: mov eax, {reply_recv_number}",
    "6: mov rsp, gs:[{registers}]",
    "xor edx, edx",
    "jmp syscall_long",
    ".endm",
    ".balign 64",
    ".global syscall_alone",
    "syscall_alone: short_ways {call}, {reply_recv}, 0",
    ".balign 64",
    ".global syscall_among_others",
    "syscall_among_others: short_ways {call_shared}, {reply_recv_shared}, 1",
    "syscall_long:",
    "mov [rsp + {rax}], rax",
    "mov [rsp + {rdx}], rdx",
    // What may be answered at once, with the words where they are.
    "lea rcx, [rax - {first_number}]",
    "cmp rcx, 127",
    "ja 18f",
    "bt dword ptr [{brief_numbers}], ecx",
    "jnc 18f",
    "cmp byte ptr gs:[{among_others}], 0",
    "jne 18f",
    "mov rdi, rsp",
    "mov rsi, gs:[{cpu}]",
    "mov rdx, rax",
    "mov rsp, gs:[{stack}]",
    "call {brief}",
    "test rax, rax",
    "jz 18f",
    "inc qword ptr gs:[{entries}]",
    "mov rcx, [rax + {rip}]",
    "mov r11, [rax + {rflags}]",
    "mov rsp, [rax + {rsp}]",
    "mov rdx, [rax + {rdx}]",
    "restore_arguments rax",
    "mov rax, [rax + {rax}]",
    "swapgs",
    "sysretq",
    "18: mov rsp, gs:[{registers}]",
    "22: save_words rsp",
    "mov rsp, gs:[{stack}]",
    "xor ebp, ebp",
    "call {syscall}",
    // Out: rax has the registers to go on with.
    ".global resume_user",
    "resume_user:",
    "cmp rax, gs:[{registers}]",
    "jne 8f",
    "mov rcx, [rax + {fs_base}]",
    "cmp rcx, gs:[{loaded_fs_base}]",
    "jne 8f",
    // All that is the thread's is loaded: others may have the kernel.
    "1: cmp byte ptr gs:[{locked}], 0",
    "jne 19f",
    "21: cmp qword ptr [rax + {full}], 0",
    "jne 2f",
    "restore rax",
    "mov rcx, [rax + {rip}]",
    "mov r11, [rax + {rflags}]",
    "mov rsp, [rax + {rsp}]",
    "mov rax, [rax + {rax}]",
    "swapgs",
    "sysretq",
    "8: load_thread",
    "mov rax, r8",
    "jmp 1b",
    "19: mov byte ptr gs:[{locked}], 0",
    "inc dword ptr [rip + {lock} + {turn}]",
    "jmp 21b",
    // Among other processors no way is so short that it needs no lock: all is saved first, so that others can have it.
    "20: mov [rsp + {rax}], rax",
    "mov [rsp + {rdx}], rdx",
    "jmp 22b",
    // Where `iretq` goes has to be in the user half: a jump elsewhere faults on some processors when it is made already.
    "9: call {astray}",
    "jmp resume_user",
    "2:",
    "mov rcx, [rax + {rip}]",
    "shr rcx, {user_bits}",
    "jnz 9b",
    "push {user_data}",
    "push [rax + {rsp}]",
    "push [rax + {rflags}]",
    "push {user_code}",
    "push [rax + {rip}]",
    "restore rax",
    "mov rcx, [rax + {rcx}]",
    "mov r11, [rax + {r11}]",
    "mov rax, [rax + {rax}]",
    "swapgs",
    "iretq",
    // Faults and interrupts. Above rsp: vector, code, rip, cs, rflags, rsp, ss.
    ".balign 16",
    "trap_common:",
    "test byte ptr [rsp + 24], 3",
    "jz 4f",
    "swapgs",
    "push rax",
    "cmp qword ptr gs:[{smap}], 0",
    "je 3f",
    "clac",
    "3: cld",
    "mov rax, gs:[{registers}]",
    "save_arguments rax",
    "mov [rax + {rdx}], rdx",
    "save_words rax",
    "mov [rax + {rcx}], rcx",
    "mov [rax + {r11}], r11",
    "pop [rax + {rax}]",
    "mov rdi, [rsp]",
    "mov rsi, [rsp + 8]",
    "mov rcx, [rsp + 16]",
    "mov [rax + {rip}], rcx",
    "mov rcx, [rsp + 32]",
    "mov [rax + {rflags}], rcx",
    "mov rcx, [rsp + 40]",
    "mov [rax + {rsp}], rcx",
    "mov qword ptr [rax + {full}], 1",
    "mov rsp, gs:[{stack}]",
    "xor ebp, ebp",
    "call {trap}",
    "jmp resume_user",
    // From kernel mode: what a handler in Rust may lose is kept on the stack, which is aligned here.
    "4: push rax",
    "push rcx",
    "push rdx",
    "push rsi",
    "push rdi",
    "push r8",
    "push r9",
    "push r10",
    "push r11",
    "cld",
    "mov rdi, [rsp + 72]",
    "mov rsi, [rsp + 80]",
    "lea rdx, [rsp + 88]",
    "call {kernel_trap}",
    "pop r11",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rdi",
    "pop rsi",
    "pop rdx",
    "pop rcx",
    "pop rax",
    "add rsp, 16",
    "iretq",
    // Vectors with stacks of their own: never to return.
    "fatal_common:",
    "cld",
    "mov rdi, [rsp]",
    "mov rsi, [rsp + 8]",
    "lea rdx, [rsp + 16]",
    "and rsp, -16",
    "call {fatal}",
    "ud2",
    // One stub a vector. The processor pushes a code for some (SDM 3A, table 6-1; 21, 29, 30: CET, SEV).
    ".balign 16",
    ".global trap_stubs",
    "trap_stubs:",
    ".set vector, 0",
    ".rept 256",
    ".balign 16",
    ".if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)",
    "push 0",
    ".endif",
    "push vector",
    ".if vector == 2 || vector == 8 || vector == 18",
    "jmp fatal_common",
    ".else",
    "jmp trap_common",
    ".endif",
    ".set vector, vector + 1",
    ".endr",
    rax = const offset_of!(Registers, rax),
    rdi = const offset_of!(Registers, rdi),
    rsi = const offset_of!(Registers, rsi),
    rdx = const offset_of!(Registers, rdx),
    r8 = const offset_of!(Registers, r8),
    r9 = const offset_of!(Registers, r9),
    r10 = const offset_of!(Registers, r10),
    rcx = const offset_of!(Registers, rcx),
    r11 = const offset_of!(Registers, r11),
    words = const offset_of!(Registers, words),
    rip = const offset_of!(Registers, rip),
    rsp = const offset_of!(Registers, rsp),
    rflags = const offset_of!(Registers, rflags),
    full = const offset_of!(Registers, full_frame),
    root = const offset_of!(Thread, root),
    fpu = const offset_of!(Thread, fpu),
    fs_base = const offset_of!(Registers, fs_base),
    loaded_root = const offset_of!(PerCpu, root),
    loaded_fs_base = const offset_of!(PerCpu, fs_base),
    root_loads = const offset_of!(PerCpu, root_loads),
    fpu_area = const offset_of!(PerCpu, fpu_area),
    components = const offset_of!(PerCpu, fpu_components),
    fpu_kind = const offset_of!(PerCpu, fpu_kind),
    fxsave = const fpu::FX,
    xsaveopt = const fpu::XOPT,
    direct = const DIRECT,
    fs_base_msr = const IA32_FS_BASE,
    user_bits = const USER_LIMIT.trailing_zeros(),
    astray = sym trap::astray,
    cpu = const offset_of!(PerCpu, cpu),
    entries = const offset_of!(PerCpu, entries),
    among_others = const offset_of!(PerCpu, among_others),
    locked = const offset_of!(PerCpu, locked),
    lock = sym smp::LOCK,
    turn = const Lock::TURN,
    registers = const offset_of!(PerCpu, registers),
    user_rsp = const offset_of!(PerCpu, user_rsp),
    stack = const offset_of!(PerCpu, stack),
    smap = const offset_of!(PerCpu, smap),
    user_code = const USER_CODE,
    user_data = const USER_DATA,
    call_number = const Call::Call as u64,
    reply_recv_number = const Call::ReplyRecv as u64,
    call = sym trap::call,
    call_shared = sym trap::call_shared,
    reply_recv_shared = sym trap::reply_recv_shared,
    reader = const offset_of!(PerCpu, reader),
    brief = sym trap::brief,
    brief_numbers = sym BRIEF,
    first_number = const FIRST,
    reply_recv = sym trap::reply_recv,
    syscall = sym trap::syscall,
    trap = sym trap::from_user,
    kernel_trap = sym trap::from_kernel,
    fatal = sym trap::fatal,
);

extern "C" {
    static trap_stubs: u8;
    fn syscall_alone();
    fn syscall_among_others();
    fn resume_user();
}

/// The address of a vector's stub.
pub fn stub(vector: usize) -> u64 {
    (&raw const trap_stubs as u64).wrapping_add(vector.wrapping_mul(STUB) as u64)
}

/// Sets the registers that `syscall` goes by. Flags cleared on the way in: all that change how the
/// kernel runs (trap, direction, nested task, alignment check = SMAP's override, interrupts), and the
/// arithmetic ones, which say something about the user.
pub fn initialise() {
    let selector = SegmentSelector;
    Star::write(selector(USER_CODE), selector(USER_DATA), selector(super::descriptors::KERNEL_CODE), selector(super::descriptors::KERNEL_DATA))
        .expect("invariant: the segments stand in the order that sysret asks for");
    LStar::write(VirtAddr::new_truncate(syscall_alone as *const () as u64));
    SFMask::write(RFlags::from_bits_truncate(0x0025_7fd5));
    // SAFETY: turns SYSCALL on; the three registers above are set. NX was on since the start.
    unsafe { Efer::update(|flags| flags.insert(EferFlags::SYSTEM_CALL_EXTENSIONS | EferFlags::NO_EXECUTE_ENABLE)) };
}

/// From now on the short ways of this processor share the kernel with those of others.
pub fn among_others() {
    LStar::write(VirtAddr::new_truncate(syscall_among_others as *const () as u64));
}

/// Goes to user mode for the first time on this processor, leaving the boot stack behind.
///
/// # Safety
/// `registers` are those of a thread that may run; nothing on the
/// present stack is needed any more.
pub unsafe fn leave(registers: *const Registers) -> ! {
    // SAFETY: the per-CPU block is set; `resume_user` expects the kernel's GS, the kernel's stack at
    // its top, and the registers in rax.
    unsafe {
        core::arch::asm!(
            "mov rsp, gs:[{stack}]",
            "jmp {resume}",
            stack = const offset_of!(PerCpu, stack),
            resume = sym resume_user,
            in("rax") registers,
            options(noreturn)
        )
    }
}
