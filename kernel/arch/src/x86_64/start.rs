//! The two ways in: PVH (32-bit, from an emulator) and our UEFI loader
//! (64-bit).
//!
//! Both end in `kernel_main` of the kernel binary, on the boot stack, in long mode, with interrupts
//! off, the first 4 GiB mapped one to one and the kernel at its linked addresses; what the machine
//! looks like stands in [`BootInfo`]. References: the x86/HVM direct boot ABI (Xen); SDM 3A, 9.8.5
//! (entering IA-32e mode).

use super::early;
use super::start_info;
use abi::boot::BootInfo;
use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

global_asm!(
    ".section .note.pvh, \"a\", @note",
    ".balign 4",
    ".long 4, 8, 18",
    ".asciz \"Xen\"",
    ".quad pvh_start32 - {base}",
    ".section .boot, \"ax\", @progbits",
    ".code32",
    "pvh_start32:",
    // ebx holds the address of the start information; the flags and segments are as the ABI says.
    "cli",
    "cld",
    "movl %ebx, %ebp",
    "rdtsc",
    "movl %eax, ({tsc} - {base})",
    "movl %edx, ({tsc} + 4 - {base})",
    // Long mode at all? (AMD APM 3, Fn8000_0001 EDX bit 29; bit 20 is NX.)
    "movl $0x80000001, %eax",
    "cpuid",
    "andl $0x20100000, %edx",
    "cmpl $0x20100000, %edx",
    "jne 8f",
    // Four page directories: the first 4 GiB in pages of 2 MiB, present and writable.
    "movl $({pd} - {base}), %esi",
    "xorl %ecx, %ecx",
    "2: movl %ecx, %eax",
    "shll $21, %eax",
    "orl $0x83, %eax",
    "movl %eax, (%esi,%ecx,8)",
    "incl %ecx",
    "cmpl $2048, %ecx",
    "jb 2b",
    // One third-level table for low memory, one for the top 2 GiB.
    "movl $({pdpt} - {base}), %edi",
    "leal 3(%esi), %eax",
    "movl %eax, (%edi)",
    "movl %eax, (4096 + 510 * 8)(%edi)",
    "addl $4096, %eax",
    "movl %eax, 8(%edi)",
    "movl %eax, (4096 + 511 * 8)(%edi)",
    "addl $4096, %eax",
    "movl %eax, 16(%edi)",
    "addl $4096, %eax",
    "movl %eax, 24(%edi)",
    "movl $({pml4} - {base}), %esi",
    "leal 3(%edi), %eax",
    "movl %eax, (%esi)",
    "addl $4096, %eax",
    "movl %eax, (511 * 8)(%esi)",
    // PAE; the tables; LME and NXE; paging with write protection.
    "movl %cr4, %eax",
    "orl $0x20, %eax",
    "movl %eax, %cr4",
    "movl %esi, %cr3",
    "movl $0xc0000080, %ecx",
    "rdmsr",
    "orl $0x900, %eax",
    "wrmsr",
    "movl %cr0, %eax",
    "orl $0x80010000, %eax",
    "movl %eax, %cr0",
    "lgdt (7f - {base})",
    "ljmp $8, $(5f - {base})",
    "8: hlt",
    "jmp 8b",
    ".balign 8",
    "6: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff",
    "7: .word 23",
    ".long 6b - {base}",
    ".balign 8",
    ".code64",
    "5: movl $16, %eax",
    "movl %eax, %ds",
    "movl %eax, %es",
    "movl %eax, %ss",
    "movabsq $__stack_main, %rsp",
    "movl %ebp, %edi",
    "xorl %ebp, %ebp",
    "movabsq ${pvh}, %rax",
    "callq *%rax",
    "ud2",
    // The loader's way in: rdi holds the physical address of the boot information.
    ".section .text.kernel_start64, \"ax\", @progbits",
    ".global kernel_start64",
    "kernel_start64:",
    "cli",
    "cld",
    "rdtsc",
    "movl %eax, {tsc}(%rip)",
    "movl %edx, {tsc}+4(%rip)",
    "leaq __stack_main(%rip), %rsp",
    "xorl %ebp, %ebp",
    "callq {uefi}",
    "ud2",
    base = const super::layout::IMAGE_BASE,
    tsc = sym ENTRY_TSC,
    pd = sym EARLY_DIRECTORIES,
    pdpt = sym EARLY_UPPER,
    pml4 = sym EARLY_ROOT,
    pvh = sym pvh_entry,
    uefi = sym uefi_entry,
    options(att_syntax)
);

/// Page tables that the assembly above fills.
#[repr(C, align(4096))]
struct Early<const TABLES: usize>(UnsafeCell<[[u64; 512]; TABLES]>);
// SAFETY: only the start code touches these, on one processor, before any Rust runs.
unsafe impl<const TABLES: usize> Sync for Early<TABLES> {}

static EARLY_ROOT: Early<1> = Early(UnsafeCell::new([[0; 512]; 1]));
static EARLY_UPPER: Early<2> = Early(UnsafeCell::new([[0; 512]; 2]));
static EARLY_DIRECTORIES: Early<4> = Early(UnsafeCell::new([[0; 512]; 4]));

/// The time-stamp counter at the first instruction.
static ENTRY_TSC: AtomicU64 = AtomicU64::new(0);

/// The time-stamp counter at the kernel's first instruction.
pub fn entry_tsc() -> u64 {
    ENTRY_TSC.load(Relaxed)
}

struct Information(UnsafeCell<BootInfo>);
// SAFETY: written by the start code alone, on one processor; handed out once, as the one `&mut`.
unsafe impl Sync for Information {}
static INFORMATION: Information = Information(UnsafeCell::new(BootInfo::EMPTY));

extern "Rust" {
    /// The kernel binary's start. Called once.
    fn kernel_main(info: &'static mut BootInfo) -> !;
}

extern "C" {
    static __image_start: u8;
    static __image_end: u8;
}

/// First and one past the last virtual address of the kernel's image.
pub fn image() -> (u64, u64) {
    (&raw const __image_start as u64, &raw const __image_end as u64)
}

extern "C" fn pvh_entry(start: u64) -> ! {
    // SAFETY: this runs once, before anything else can reach INFORMATION.
    let info = unsafe { &mut *INFORMATION.0.get() };
    if let Err(error) = start_info::convert(&early::read, start, info) {
        early::refuse(match error {
            start_info::BadStart::NotStartInfo => "PVH start information is not there",
            start_info::BadStart::NoMemoryMap => "PVH start information has no memory map",
            start_info::BadStart::MapFull => "the memory map has too many ranges",
        });
    }
    let (first, last) = image();
    info.kernel_start = first.wrapping_sub(super::layout::IMAGE_BASE);
    info.kernel_length = last.wrapping_sub(first);
    // SAFETY: the binary defines it with this signature; the state is what the module's text promises.
    unsafe { kernel_main(info) }
}

extern "C" fn uefi_entry(told: *const BootInfo) -> ! {
    // SAFETY: as in `pvh_entry`.
    let info = unsafe { &mut *INFORMATION.0.get() };
    // SAFETY: the loader passes the address of a BootInfo in memory that is mapped one to one; its
    // first two fields are checked before the rest is believed.
    unsafe {
        if (*told).magic != abi::boot::MAGIC || (*told).version != abi::boot::VERSION {
            early::refuse("the loader speaks another version of the boot information");
        }
        core::ptr::copy_nonoverlapping(told, info, 1);
    }
    // SAFETY: as in `pvh_entry`.
    unsafe { kernel_main(info) }
}
