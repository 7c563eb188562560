//! What one processor keeps for itself, reached through its GS base.
//!
//! In the kernel GS base points to this block; in user mode it holds the user's (always 0: FSGSBASE
//! stays off) and the block's address waits in KERNEL_GS_BASE. The entry code in [`super::entry`]
//! knows the offsets of the first fields.

use super::kernel_space;
use core::arch::asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicU8, Ordering::Relaxed};
use kernel_core::address::{CpuId, FrameNumber};
use kernel_core::kernel::CPUS;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::registers::model_specific::{GsBase, KernelGsBase};
use x86_64::structures::paging::PhysFrame;
use x86_64::{PhysAddr, VirtAddr};

/// One processor's block.
#[repr(C, align(64))]
pub struct PerCpu {
    /// Where the entry code saves registers: the current thread's `Registers`.
    pub registers: AtomicU64,
    /// The user's stack pointer, for the few instructions until it is saved.
    pub user_rsp: AtomicU64,
    /// Top of the kernel stack.
    pub stack: AtomicU64,
    /// What the core keeps of this processor: its `Cpu`.
    pub cpu: AtomicU64,
    /// The word that says whether it holds the shared side of the kernel's lock.
    pub reader: AtomicU64,
    /// This block's own address.
    pub own: AtomicU64,
    /// Whether SMAP is on: then entries from user mode clear AC.
    pub smap: AtomicU64,
    /// Its number.
    pub id: AtomicU64,
    /// Whether it holds the kernel's lock: then the way out gives it back.
    pub locked: AtomicBool,
    /// Whether other processors run too: then nothing goes the short ways that take no lock.
    pub among_others: AtomicBool,
    /// The root that is loaded.
    pub root: AtomicU32,
    /// XSAVE's components of FPU states.
    pub fpu_components: AtomicU32,
    /// Where the FPU state in the processor is put away: of the thread whose registers these are, or nobody's.
    pub fpu_area: AtomicU64,
    /// How: `fpu`'s kinds.
    pub fpu_kind: AtomicU8,
    /// The vector that ended an idle wait; 0: none.
    pub idle_vector: AtomicU32,
    /// The FS base that is loaded.
    pub fs_base: AtomicU64,
    /// What the timer is set to; 0: nothing.
    pub deadline_ns: AtomicU64,
    /// Entries to the kernel.
    pub entries: AtomicU64,
    /// Loads of the root.
    pub root_loads: AtomicU64,
    /// TLB flushes.
    pub flushes: AtomicU64,
    /// Device interrupts.
    pub interrupts: AtomicU64,
    /// Nanoseconds spent waiting.
    pub idle_ns: AtomicU64,
    /// What other processors ask of it: bits of [`super::smp`]. They write this; all else is its own.
    pub requests: AtomicU32,
    /// Its local APIC's id.
    pub apic_id: AtomicU32,
    /// The state of the arenas' addresses that its TLB knows ([`super::smp::lock`]).
    pub arenas_seen: AtomicU32,
    /// Whether it waits for the kernel's lock with a call of its thread.
    pub about_to_call: AtomicBool,
}

// SAFETY: a block consists of atomic numbers and truth values alone: all bits zero are a value of it.
static BLOCKS: [PerCpu; CPUS] = unsafe { core::mem::zeroed() };

/// The block of a processor.
#[inline]
pub fn block(cpu: usize) -> &'static PerCpu {
    BLOCKS.get(cpu).expect("invariant: a processor that there is")
}

/// This processor's block.
#[inline(always)]
pub fn this() -> &'static PerCpu {
    let own: *const PerCpu;
    // SAFETY: 1. GS base is the address of this processor's block from `initialise` on, in all kernel code, and the block
    // holds its own address; 2. it is one of BLOCKS and lives for ever; 3. kernel code never changes processors, so the
    // answer may be kept (`pure`).
    unsafe {
        asm!("mov {}, gs:[{own}]", out(reg) own, own = const offset_of!(PerCpu, own), options(pure, nomem, nostack, preserves_flags));
        &*own
    }
}

/// This processor.
#[inline(always)]
pub fn id() -> CpuId {
    CpuId(this().id.load(Relaxed) as u8)
}

/// Adds one to a counter that only its own processor writes.
#[inline(always)]
pub fn count(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

/// Points GS at a processor's block, on that processor. `stack`: the top of its main stack.
pub fn initialise(cpu: usize, stack: u64, smap: bool) {
    let block = block(cpu);
    let address = &raw const *block as u64;
    block.own.store(address, Relaxed);
    block.id.store(cpu as u64, Relaxed);
    block.stack.store(stack, Relaxed);
    block.smap.store(u64::from(smap), Relaxed);
    GsBase::write(VirtAddr::new_truncate(address));
    KernelGsBase::write(VirtAddr::zero());
}

/// Loads a page-table root. The kernel's half is the same in all of them.
#[inline(always)]
pub fn load_root(root: FrameNumber) {
    let block = this();
    // SAFETY: every root holds the kernel's half: the kernel's own by construction, a process's
    // through `space_create`; user halves are only ever reached from user mode.
    unsafe { Cr3::write(PhysFrame::containing_address(PhysAddr::new_truncate(root.address().0)), Cr3Flags::empty()) };
    block.root.store(root.0, Relaxed);
    count(&block.root_loads);
}

/// Makes sure that a root that is about to go is not the one loaded.
pub fn leave_root(root: FrameNumber) {
    if this().root.load(Relaxed) == root.0 {
        load_root(kernel_space::kernel_root());
    }
}
