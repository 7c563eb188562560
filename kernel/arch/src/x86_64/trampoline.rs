//! How the processors after the first start: from real mode to the kernel, one
//! after another.
//!
//! A processor begins at a page below 1 MiB, with an address it was sent. The code there goes straight to long mode, on
//! tables that have the kernel's half and that page, and takes its number; one that comes when nobody is expected halts.
//! Called by [`super::platform`] once the clock runs. References: SDM 3A, 9.4.4 (INIT and start-up messages), 10.8.5.

use super::features::Features;
use super::kernel_space::{kernel_root, Direct};
use super::layout::{stack_top, PAGE};
use super::{apic, clock, descriptors, entry, fpu, per_cpu, platform, smp, trap};
use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use kernel_core::address::FrameNumber;
use spin::Once;

global_asm!(
    ".section .rodata.trampoline, \"a\", @progbits",
    ".balign 16",
    "trampoline_start:",
    ".code16",
    "cli",
    "cld",
    "movw %cs, %ax",
    "movw %ax, %ds",
    "lgdtl (trampoline_table - trampoline_start)",
    // PAE; the tables; LME and NXE; protection and paging at once, caches on.
    "movl $0x20, %eax",
    "movl %eax, %cr4",
    "movl (trampoline_root - trampoline_start), %eax",
    "movl %eax, %cr3",
    "movl $0xc0000080, %ecx",
    "movl $0x900, %eax",
    "xorl %edx, %edx",
    "wrmsr",
    "movl $0x80010033, %eax",
    "movl %eax, %cr0",
    "ljmpl *(trampoline_far - trampoline_start)",
    ".code64",
    "trampoline_long:",
    "movl $16, %eax",
    "movl %eax, %ss",
    "xorl %edi, %edi",
    "xchgl %edi, trampoline_number(%rip)",
    "testl %edi, %edi",
    "jz 2f",
    "movq trampoline_stack(%rip), %rsp",
    "xorl %ebp, %ebp",
    "callq *trampoline_main(%rip)",
    "2: cli",
    "hlt",
    "jmp 2b",
    ".balign 8",
    "trampoline_segments: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff",
    "trampoline_stack: .quad 0",
    "trampoline_main: .quad 0",
    "trampoline_number: .long 0",
    "trampoline_root: .long 0",
    "trampoline_far: .long 0",
    ".word 8, 0",
    "trampoline_table: .word 23",
    "trampoline_table_base: .long 0",
    "trampoline_end:",
    options(att_syntax)
);

extern "C" {
    static trampoline_start: u8;
    static trampoline_long: u8;
    static trampoline_segments: u8;
    static trampoline_stack: u8;
    static trampoline_main: u8;
    static trampoline_number: u8;
    static trampoline_root: u8;
    static trampoline_far: u8;
    static trampoline_table_base: u8;
    static trampoline_end: u8;
}

static FEATURES: Once<Features> = Once::new();
/// Processors that have come up.
static UP: AtomicU32 = AtomicU32::new(1);
/// The two time-stamp counters that are compared: the boot processor's, then the other's.
static COMPARED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// How long a processor is waited for: much for a machine, not too much for an emulator on a busy host.
const PATIENCE_NS: u64 = 3_000_000_000;
const MILLISECOND: u64 = 1_000_000;

/// Waits until something holds, for a time; answers whether it does.
fn wait_for(ns: u64, holds: impl Fn() -> bool) -> bool {
    let end = clock::now_ns().saturating_add(ns);
    while !holds() {
        if clock::now_ns() >= end {
            return holds();
        }
        core::hint::spin_loop();
    }
    true
}

/// The page that processors start in.
struct Page(u64);

impl Page {
    fn offset(of: *const u8) -> u64 {
        (of as u64).wrapping_sub(&raw const trampoline_start as u64)
    }

    fn place(&self, of: *const u8) -> u64 {
        Direct::pointer(FrameNumber((self.0 / PAGE) as u32)) as u64 | (Self::offset(of) % PAGE)
    }

    fn put(&self, of: *const u8, value: u64, wide: bool) {
        let place = self.place(of);
        // SAFETY: a field of the page, which is RAM in the direct map and kept back for this.
        unsafe {
            if wide {
                (place as *mut u64).write_unaligned(value);
            } else {
                (place as *mut u32).write_unaligned(value as u32);
            }
        }
    }

    /// The word that a processor takes its number from.
    fn number(&self) -> &AtomicU32 {
        // SAFETY: as for `put`; aligned in the assembly above, and nobody touches it but by atomic steps.
        unsafe { &*(self.place(&raw const trampoline_number) as *const AtomicU32) }
    }
}

/// Starts the processors with these APIC ids, as far as they come up. `page`: below 1 MiB; `root`: tables that have it.
pub fn start(ids: impl Iterator<Item = u32> + Clone, page: u64, root: FrameNumber, features: &Features) {
    FEATURES.call_once(|| *features);
    let page = Page(page);
    let code = &raw const trampoline_start;
    let length = Page::offset(&raw const trampoline_end);
    // SAFETY: the code is part of the image, shorter than a page, and the page is as in `put`.
    unsafe { core::ptr::copy_nonoverlapping(code, page.place(code) as *mut u8, length as usize) };
    page.put(&raw const trampoline_root, root.address().0, false);
    page.put(&raw const trampoline_far, page.0.wrapping_add(Page::offset(&raw const trampoline_long)), false);
    page.put(&raw const trampoline_table_base, page.0.wrapping_add(Page::offset(&raw const trampoline_segments)), false);
    page.put(&raw const trampoline_main, processor_main as *const () as u64, true);
    for id in ids.clone() {
        apic::send(id, apic::INIT | apic::ASSERT);
    }
    wait_for(10 * MILLISECOND, || false);
    for id in ids {
        if !start_one(id, &page) {
            break;
        }
    }
}

/// Starts one processor. `false`: what it does is unknown, so its number and stack can't be another's.
fn start_one(id: u32, page: &Page) -> bool {
    let cpu = UP.load(Relaxed);
    page.put(&raw const trampoline_stack, stack_top(cpu as usize, 0), true);
    page.number().store(cpu, Release);
    let taken = || page.number().load(Relaxed) == 0;
    // Twice, as the manual says; one that runs already does not hear the second.
    for ns in [MILLISECOND, PATIENCE_NS] {
        apic::send(id, apic::START | apic::ASSERT | (page.0 / PAGE) as u32);
        if wait_for(ns, taken) {
            break;
        }
    }
    if page.number().swap(0, Relaxed) != 0 {
        log::warn!("the processor with APIC id {id} does not start: left out");
        return true;
    }
    let before = clock::tsc();
    COMPARED[0].store(before, Release);
    let up = wait_for(PATIENCE_NS, || UP.load(Acquire) > cpu);
    let (theirs, after) = (COMPARED[1].load(Relaxed), clock::tsc());
    if !up {
        log::warn!("the processor with APIC id {id} stops while it starts: no more are started");
    } else if !(before..=after).contains(&theirs) {
        log::warn!("processor {cpu}: its time-stamp counter says {theirs} between {before} and {after} of the first's");
    }
    smp::set_count(UP.load(Relaxed) as usize);
    COMPARED[0].store(0, Relaxed);
    up
}

/// Where a processor comes to, on its main stack and the start's tables.
extern "C" fn processor_main(cpu: u32) -> ! {
    let features = FEATURES.get().expect("invariant: kept before any processor starts");
    let stacks = core::array::from_fn(|which| stack_top(cpu as usize, which));
    descriptors::initialise(cpu as usize, stacks);
    per_cpu::initialise(cpu as usize, stacks[0], features.smap);
    per_cpu::load_root(kernel_root());
    platform::set_registers(features);
    fpu::initialise(features);
    entry::initialise();
    smp::among_others();
    apic::initialise_another();
    while COMPARED[0].load(Acquire) == 0 {
        core::hint::spin_loop();
    }
    COMPARED[1].store(clock::tsc(), Relaxed);
    UP.store(cpu.wrapping_add(1), Release);
    trap::join()
}
