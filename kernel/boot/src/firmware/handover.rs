//! The jump from the firmware's world into the kernel's.
#![allow(unsafe_code, reason = "page tables are switched and a bare address is jumped to")]

use core::arch::global_asm;
use uefi::boot;
use uefi::mem::memory_map::MemoryMapOwned;

// Turns the new page tables on and jumps. The code lies within one page, which the new tables map
// where it is, executable. rdi: root, rsi: end of the stack, rdx: entry, rcx: boot information,
// r8: whether to allow no-execute pages.
//
// Order matters: EFER.NXE before the tables that use the bit (else it is a reserved bit: SDM volume
// 3, 4.1.1). CR4.PGE goes off, so that no global translation of the firmware's outlives the switch
// (SDM volume 3, 4.10.4.1), and CR4.CET, so that the kernel starts without a shadow stack.
global_asm!(
    ".text",
    ".balign 128",
    ".globl limitless_handover",
    "limitless_handover:",
    "cli",
    "cld",
    "mov r9, rcx",
    "mov r10, rdx",
    "test r8d, r8d",
    "jz 2f",
    "mov ecx, 0xc0000080",
    "rdmsr",
    "or eax, 0x800",
    "wrmsr",
    "2:",
    "mov rax, cr4",
    "and rax, -8388737", // not (PGE, bit 7, or CET, bit 23)
    "mov cr4, rax",
    "mov cr3, rdi",
    "mov rax, cr0",
    "or eax, 0x10000", // WP: read-only holds for the kernel as well
    "mov cr0, rax",
    "mov rsp, rsi",
    "xor ebp, ebp", // the end of the chain of frames
    "push rbp",     // no return address: as after a call, and a backtrace ends here
    "mov rdi, r9",
    "jmp r10",
    ".org limitless_handover + 128", // fails to assemble where the code is longer
);

extern "sysv64" {
    fn limitless_handover(root: u64, stack_top: u64, entry: u64, boot_info: u64, no_execute: u64) -> !;
}

/// All that the jump needs, as physical addresses but for the entry.
#[derive(Clone, Copy, Debug)]
pub struct Handover {
    /// The root page table.
    pub root: u64,
    /// One past the stack, 16-byte aligned.
    pub stack_top: u64,
    /// The kernel's 64-bit entry, virtual.
    pub entry: u64,
    /// The boot information.
    pub boot_info: u64,
    /// Whether the processor knows no-execute pages.
    pub no_execute: bool,
}

/// Where the code of the jump lies: that page must be mapped one to one and executable.
pub fn trampoline() -> u64 {
    limitless_handover as *const () as u64
}

/// Ends boot services. What the firmware lent is gone: console, files, allocator.
pub fn exit_boot_services() -> MemoryMapOwned {
    // SAFETY: 1. every protocol we opened was closed: volume and display are out of scope here;
    // 2. the caller allocates, frees and prints nothing from now on, and never returns.
    unsafe { boot::exit_boot_services(None) }
}

impl Handover {
    /// Starts the kernel. Only after [`exit_boot_services`].
    pub fn go(self) -> ! {
        // SAFETY: 1. `root` maps the trampoline's page, the stack and the boot information one to one
        // and the kernel where it was linked (`page_tables`); 2. the entry lies in an executable
        // segment (`Plan::new`); 3. boot services are over, so that no firmware code runs or needs its
        // own tables; 4. the five arguments are what the assembly expects, in that order.
        unsafe { limitless_handover(self.root, self.stack_top, self.entry, self.boot_info, u64::from(self.no_execute)) }
    }
}
