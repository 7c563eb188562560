//! What processors ask of each other, and the kernel's lock.
//!
//! One word of requests a processor, and one interrupt that has it look there. Whoever asks holds the exclusive side of the
//! lock, so there is one who asks at a time. A processor answers wherever it is: from user mode and from its idle wait in
//! the interrupt, on its way into the kernel while it waits for the lock. It is never asked while it holds the lock, and
//! on its way out interrupts come as soon as it is out: so every request is answered.

use super::kernel_space::kernel_root;
use super::layout::KICK_VECTOR;
use super::per_cpu::{self, PerCpu};
use super::{apic, entry, fpu, machine};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use kernel_core::address::FrameNumber;
use kernel_core::lock::Lock;

/// Look at the scheduler.
const KICK: u32 = 1;
/// Flush [`PAGE`] from the TLB.
const FLUSH: u32 = 2;
/// Load the kernel's own root.
const LEAVE: u32 = 4;
/// Put the thread's state away.
const DRAW: u32 = 8;

/// Processors that run.
static COUNT: AtomicU32 = AtomicU32::new(1);
/// What [`FLUSH`] is for: a page's address, or [`ALL`].
static PAGE: AtomicU64 = AtomicU64::new(0);
const ALL: u64 = u64::MAX;
/// Counts what was taken out of the arenas' addresses.
static ARENAS: AtomicU32 = AtomicU32::new(0);
/// The kernel's lock. The way out gives it back (`entry`).
pub static LOCK: Lock = Lock::unheld();
static STOPPING: AtomicU32 = AtomicU32::new(0);

/// How many processors run.
#[inline(always)]
pub fn count() -> usize {
    COUNT.load(Relaxed) as usize
}

/// Whether more than one does.
#[inline(always)]
pub fn many() -> bool {
    COUNT.load(Relaxed) > 1
}

/// Another one runs.
pub fn set_count(count: usize) {
    COUNT.store(count as u32, Relaxed);
    if count > 1 {
        among_others();
    }
}

/// This processor is not alone: its entries take the lock.
pub fn among_others() {
    let block = per_cpu::this();
    block.among_others.store(true, Relaxed);
    block.reader.store(&raw const *LOCK.reader(block.id.load(Relaxed) as usize) as u64, Relaxed);
    entry::among_others();
}

/// The blocks of the processors that run.
pub fn blocks() -> impl Iterator<Item = &'static PerCpu> {
    (0..count()).map(per_cpu::block)
}

fn others() -> impl Iterator<Item = &'static PerCpu> {
    let own = per_cpu::this();
    blocks().filter(move |block| !core::ptr::eq(*block, own))
}

fn ask(block: &PerCpu, what: u32) {
    // One that has not looked at an earlier kick yet will see this with it.
    if block.requests.fetch_or(what, AcqRel) & what == 0 {
        apic::send(block.apic_id.load(Relaxed), apic::ASSERT | u32::from(KICK_VECTOR));
    }
}

/// Asks all that `which` picks at once, then waits for all of them.
fn ask_and_wait(which: impl Fn(&PerCpu) -> bool, what: u32) {
    let mut asked = 0u64;
    for block in others().filter(|block| which(block)) {
        asked |= 1u64.wrapping_shl(block.id.load(Relaxed) as u32);
        ask(block, what);
    }
    for block in others().filter(|block| asked.wrapping_shr(block.id.load(Relaxed) as u32) & 1 != 0) {
        while block.requests.load(Acquire) & what != 0 {
            core::hint::spin_loop();
        }
    }
}

/// Does what this processor is asked; answers whether it has to enter the kernel for it.
pub fn answer() -> bool {
    let block = per_cpu::this();
    let asked = block.requests.load(Acquire);
    if asked == 0 {
        return false;
    }
    if asked & FLUSH != 0 {
        let page = PAGE.load(Relaxed);
        machine::flush_here(Some(page).filter(|page| *page != ALL));
    }
    if asked & LEAVE != 0 {
        per_cpu::load_root(kernel_root());
        block.registers.store(0, Relaxed);
    }
    if asked & DRAW != 0 {
        fpu::put_away();
    }
    // Only now: who waits goes by this.
    block.requests.fetch_and(!asked, Release);
    asked & (KICK | LEAVE | DRAW) != 0
}

/// Has a processor look at its scheduler.
pub fn kick(cpu: usize) {
    ask(per_cpu::block(cpu), KICK);
}

/// See `Machine::draw_in`.
pub fn draw_in(cpu: usize) -> bool {
    let there = per_cpu::block(cpu);
    ask_and_wait(|block| core::ptr::eq(block, there), DRAW);
    there.about_to_call.load(Relaxed)
}

/// Forgets translations of a root on the processors that have it loaded.
pub fn flush(root: FrameNumber, page: Option<u64>) {
    if cfg!(not(feature = "no-shootdown")) {
        PAGE.store(page.unwrap_or(ALL), Relaxed);
        ask_and_wait(|block| block.root.load(Relaxed) == root.0, FLUSH);
    }
}

/// No other processor has this root loaded when this returns.
pub fn leave_root(root: FrameNumber) {
    ask_and_wait(|block| block.root.load(Relaxed) == root.0, LEAVE);
}

/// An arena's page was taken away: other processors forget it when they have the lock next, before they look at any.
pub fn arena_changed() {
    per_cpu::this().arenas_seen.store(ARENAS.fetch_add(1, Relaxed).wrapping_add(1), Relaxed);
}

/// Takes the kernel's lock, where other processors run. `calls`: with a call of the thread that runs here.
#[inline(never)]
pub fn lock(calls: bool) {
    let block = per_cpu::this();
    block.about_to_call.store(calls, Relaxed);
    LOCK.exclusive(count(), || {
        answer();
        core::hint::spin_loop();
    });
    block.about_to_call.store(false, Relaxed);
    block.locked.store(true, Relaxed);
    let arenas = ARENAS.load(Relaxed);
    if block.arenas_seen.swap(arenas, Relaxed) != arenas {
        machine::flush_global();
    }
}

/// Takes the shared side of the kernel's lock for this processor, which it answers, if that is to be had at once and
/// nothing was taken out of the arenas' addresses that the TLB may still know.
#[inline(always)]
pub fn try_shared() -> Option<usize> {
    let block = per_cpu::this();
    let cpu = block.id.load(Relaxed) as usize;
    if !LOCK.try_shared(cpu) {
        return None;
    }
    if block.arenas_seen.load(Relaxed) != ARENAS.load(Relaxed) {
        LOCK.release_shared(cpu);
        return None;
    }
    Some(cpu)
}

/// Gives the kernel's lock back.
pub fn unlock() {
    per_cpu::this().locked.store(false, Relaxed);
    LOCK.release_exclusive();
}

/// Whether another processor waits for the lock, which this one has.
pub fn is_wanted() -> bool {
    many() && LOCK.is_wanted()
}

/// Halts all other processors, wherever they are: the machine stops, or the kernel has a defect. One that is told so
/// itself while it tells others halts too.
pub fn halt_others() {
    if !many() {
        return;
    }
    let own = per_cpu::this().id.load(Relaxed).wrapping_add(1) as u32;
    let first = STOPPING.compare_exchange(0, own, Relaxed, Relaxed);
    if first.is_err_and(|other| other != own) {
        super::stop::halt();
    }
    if first.is_ok() {
        apic::send(0, apic::NMI | apic::ASSERT | apic::OTHERS);
    }
}

/// Whether the machine stops: then an NMI says so.
pub fn is_stopping() -> bool {
    STOPPING.load(Relaxed) != 0
}
