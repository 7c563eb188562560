//! `Machine` for x86_64: the core's requests, each in a few lines.

use super::kernel_space::{kernel_root, Direct};
use super::layout::{ARENAS, ARENAS_LENGTH, HUGE, INTERRUPTS, INTERRUPT_FIRST, LARGE, PAGE};
use super::paging::{self, Tables, ACCESSED, DIRTY, GLOBAL, NO_EXECUTE, PRESENT, USER_ENTRIES, WRITE};
use super::per_cpu::{self, PerCpu};
use super::{apic, clock, console, fpu, idle, lines, port, smp, start, stop, trap};
use abi::boot::Counter;
use abi::memory::Protection;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel_core::address::{CpuId, FrameNumber, VirtAddr};
use kernel_core::arena::{ArenaItem, ArenaKind};
use kernel_core::machine::{Flush, FrameWords, Machine, MessageInterrupt, Scan, Stop, TableMissing, Translation};
use x86_64::registers::control::{Cr3, Cr4, Cr4Flags};

/// The machine. All its state is in the processor and in the modules' statics.
#[derive(Clone, Copy, Debug)]
pub struct X86;

/// Where each arena begins.
static STARTS: [AtomicU64; ArenaKind::COUNT] = [const { AtomicU64::new(0) }; ArenaKind::COUNT];
/// Bytes of arenas' addresses given out.
static RESERVED: AtomicU64 = AtomicU64::new(0);

fn arena_page(kind: ArenaKind, page: usize) -> u64 {
    let start = STARTS.get(kind as usize).map_or(0, |start| start.load(Relaxed));
    start.wrapping_add((page as u64).wrapping_mul(PAGE))
}

/// Forgets a page of the root that is loaded, or all of them, on this processor.
pub fn flush_here(page: Option<u64>) {
    match page {
        Some(page) => flush_page(page),
        None => {
            let (frame, flags) = Cr3::read();
            // SAFETY: loads what is loaded.
            unsafe { Cr3::write(frame, flags) };
            per_cpu::count(&per_cpu::this().flushes);
        }
    }
}

/// Forgets everything, the kernel's half too, on this processor.
pub fn flush_global() {
    // SAFETY: turns global pages off, which flushes them, and on again as they were (SDM 3A, 4.10.4.1).
    unsafe {
        let control = Cr4::read_raw();
        Cr4::write_raw(control & !Cr4Flags::PAGE_GLOBAL.bits());
        Cr4::write_raw(control);
    }
    flush_here(None);
}

fn flush_page(address: u64) {
    x86_64::instructions::tlb::flush(x86_64::VirtAddr::new_truncate(address));
    per_cpu::count(&per_cpu::this().flushes);
}

/// Where a byte of a frame is seen.
fn byte(frame: FrameNumber, offset: usize, length: usize) -> *mut u8 {
    assert!(offset.saturating_add(length) <= PAGE as usize, "invariant: a copy stays inside its frame");
    Direct::pointer(frame).wrapping_add(offset)
}

/// Copies forward.
///
/// # Safety
/// Both ranges are mapped; where they overlap, `to` lies before `from`.
#[inline(always)]
unsafe fn copy_forward(from: *const u8, to: *mut u8, length: usize) {
    // SAFETY: the caller's duty. In assembly, because user threads and devices may change the bytes
    // meanwhile: the compiler may assume nothing about them.
    unsafe {
        asm!(
            "rep movsq",
            "mov rcx, {rest}",
            "rep movsb",
            rest = in(reg) length & 7,
            inout("rcx") length >> 3 => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags)
        );
    }
}

impl Machine for X86 {
    const PROCESSES: usize = 1 << 16;
    const PROCESS_PAGES: usize = 32;
    const TABLE_ENTRIES: usize = 1 << 14;
    const ARENA_PAGES: usize = 1 << 22;
    const INTERRUPTS: usize = INTERRUPTS;

    #[inline(always)]
    fn cpu(&self) -> CpuId {
        per_cpu::id()
    }

    fn cpu_count(&self) -> usize {
        smp::count()
    }

    fn kick(&self, cpu: CpuId) {
        smp::kick(usize::from(cpu.0));
    }

    fn draw_in(&self, cpu: CpuId) -> bool {
        smp::draw_in(usize::from(cpu.0))
    }

    fn is_wanted(&self) -> bool {
        smp::is_wanted()
    }

    fn reserve<T: ArenaItem>(&self, kind: ArenaKind, items: usize) -> &'static [T] {
        let bytes = (items as u64).saturating_mul(size_of::<T>() as u64);
        let offset = RESERVED.fetch_add(bytes.div_ceil(LARGE).wrapping_mul(LARGE), Relaxed);
        assert!(offset.saturating_add(bytes) <= ARENAS_LENGTH, "invariant: all arenas fit in 512 GiB");
        let start = ARENAS.wrapping_add(offset);
        if let Some(slot) = STARTS.get(kind as usize) {
            slot.store(start, Relaxed);
        }
        // SAFETY: 1. the range is this arena's alone, aligned to 2 MiB, and its addresses are used for
        // nothing else; 2. items consist of atomics alone, so zeroed memory is a value of them and
        // shared writes are sound (`ArenaItem`); 3. pages that are not backed are not touched: the
        // core keeps to that, and a slip is a page fault in the kernel, not a wrong read.
        unsafe { core::slice::from_raw_parts(start as *const T, items) }
    }

    fn back(
        &self,
        kind: ArenaKind,
        page: usize,
        frame: FrameNumber,
        spare: &mut dyn FnMut() -> Option<FrameNumber>,
    ) -> Result<(), TableMissing> {
        let address = arena_page(kind, page);
        let entry = frame.address().0 | PRESENT | WRITE | NO_EXECUTE | GLOBAL | ACCESSED | DIRTY;
        while paging::enter(&Direct, kernel_root(), address, 0, entry).is_err() {
            let table = spare().ok_or(TableMissing)?;
            self.zero_frame(table);
            paging::install(&Direct, kernel_root(), address, 0, table, false);
        }
        Ok(())
    }

    fn unback(&self, kind: ArenaKind, page: usize) -> Option<FrameNumber> {
        let address = arena_page(kind, page);
        let (slot, _) = paging::find(&Direct, kernel_root(), address)?;
        let frame = paging::frame_of(slot.swap(0, Relaxed));
        flush_page(address);
        smp::arena_changed();
        Some(frame)
    }

    #[inline(always)]
    fn frame_words(&self, frame: FrameNumber) -> &FrameWords {
        Direct.table(frame)
    }

    #[inline(always)]
    fn zero_frame(&self, frame: FrameNumber) {
        // SAFETY: the frame is RAM, in the direct map.
        unsafe {
            asm!(
                "rep stosq",
                inout("rcx") PAGE / 8 => _,
                inout("rdi") Direct::pointer(frame) => _,
                in("rax") 0u64,
                options(nostack, preserves_flags)
            );
        }
    }

    fn copy(&self, from: FrameNumber, from_offset: usize, to: FrameNumber, to_offset: usize, length: usize) {
        let source = byte(from, from_offset, length);
        let target = byte(to, to_offset, length);
        // SAFETY: both ranges lie in frames of RAM, checked by `byte`. A copy upwards inside one frame may
        // overlap, which `core::ptr::copy` is made for.
        unsafe {
            if from == to && to_offset > from_offset {
                core::ptr::copy(source, target, length);
            } else {
                copy_forward(source, target, length);
            }
        }
    }

    fn read_frame(&self, frame: FrameNumber, offset: usize, out: &mut [u8]) {
        // SAFETY: the frame's range is checked by `byte`; `out` is the kernel's and lies elsewhere.
        unsafe { copy_forward(byte(frame, offset, out.len()), out.as_mut_ptr(), out.len()) };
    }

    fn write_frame(&self, frame: FrameNumber, offset: usize, data: &[u8]) {
        // SAFETY: as for `read_frame`.
        unsafe { copy_forward(data.as_ptr(), byte(frame, offset, data.len()), data.len()) };
    }

    fn space_create(&self, root: FrameNumber) {
        let (new, kernel) = (Direct.table(root), Direct.table(kernel_root()));
        for (to, from) in new.iter().zip(kernel).skip(USER_ENTRIES) {
            to.store(from.load(Relaxed), Relaxed);
        }
    }

    fn space_release(&self, root: FrameNumber) {
        per_cpu::leave_root(root);
        smp::leave_root(root);
    }

    #[inline]
    fn map(&self, root: FrameNumber, page: VirtAddr, to: Translation) -> Result<(), TableMissing> {
        paging::enter(&Direct, root, page.0, u32::from(to.large), paging::user_entry(&to))
    }

    fn install_table(&self, root: FrameNumber, page: VirtAddr, table: FrameNumber, large: bool) {
        paging::install(&Direct, root, page.0, u32::from(large), table, true);
    }

    fn unmap(&self, root: FrameNumber, page: VirtAddr) -> Option<(Translation, Flush)> {
        let (slot, level) = paging::find(&Direct, root, page.0)?;
        let translation = paging::translation(slot.swap(0, Relaxed), level);
        let first = if translation.large { page.0 & !LARGE.wrapping_sub(1) } else { page.page().0 };
        Some((translation, Flush { root, page: VirtAddr(first) }))
    }

    fn protect(&self, root: FrameNumber, page: VirtAddr, protection: Protection) -> Option<Flush> {
        paging::protect(&Direct, root, page.0, protection).then_some(Flush { root, page: page.page() })
    }

    #[inline]
    fn translate(&self, root: FrameNumber, page: VirtAddr) -> Option<Translation> {
        let (slot, level) = paging::find(&Direct, root, page.0)?;
        Some(paging::translation(slot.load(Relaxed), level))
    }

    fn small_table(&self, root: FrameNumber, page: VirtAddr) -> bool {
        paging::level_of(&Direct, root, page.0) == 0
    }

    fn next_translation(&self, root: FrameNumber, from: VirtAddr, end: VirtAddr) -> Scan {
        match paging::scan(&Direct, root, from.0, end.0) {
            Ok(page) => Scan::Found(VirtAddr(page)),
            Err(page) => Scan::Clear(VirtAddr(page)),
        }
    }

    fn take_table(&self, root: FrameNumber) -> Option<FrameNumber> {
        // The processor may walk a loaded root at any time, so its tables can't go before it does.
        self.space_release(root);
        paging::take_table(&Direct, root)
    }

    fn flush(&self, root: FrameNumber, page: Option<VirtAddr>) {
        // Another root's translations went when this one was loaded: no process-context ids are used.
        if per_cpu::this().root.load(Relaxed) == root.0 {
            flush_here(page.map(|page| page.0));
        }
        if smp::many() {
            smp::flush(root, page.map(|page| page.0));
        }
    }

    fn fpu_initialise(&self, frame: FrameNumber) {
        fpu::fresh(frame);
    }

    fn fpu_forget(&self, frame: FrameNumber) {
        fpu::forget(frame);
    }

    #[inline]
    fn now_ns(&self) -> u64 {
        clock::now_ns()
    }

    fn set_timer(&self, deadline_ns: Option<u64>) {
        let set = &per_cpu::this().deadline_ns;
        let wanted = deadline_ns.map_or(0, |ns| ns.max(1));
        if set.load(Relaxed) == wanted {
            return;
        }
        set.store(wanted, Relaxed);
        apic::shoot(deadline_ns.map(|ns| ns.saturating_sub(clock::now_ns())));
    }

    fn interrupt_pending(&self) -> bool {
        idle::pending() || smp::is_wanted()
    }

    fn line_route(&self, line: u32, id: usize, level: bool, active_low: bool) -> bool {
        id < INTERRUPTS && lines::route(line, id, level, active_low)
    }

    fn line_mask(&self, line: u32, masked: bool) {
        lines::mask(line, masked);
    }

    /// SDM 3A, 10.11: fixed delivery, edge, to the boot processor by its physical id.
    fn message_interrupt(&self, id: usize) -> Option<MessageInterrupt> {
        let target = apic::boot_id();
        if id >= INTERRUPTS || target > 0xff {
            return None;
        }
        apic::expect(id);
        let vector = u32::from(INTERRUPT_FIRST).wrapping_add(id as u32);
        Some(MessageInterrupt { address: 0xfee0_0000 | u64::from(target) << 12, data: vector })
    }

    fn port_read(&self, port: u16, width: u8) -> u32 {
        port::read(port, width)
    }

    fn port_write(&self, port: u16, width: u8, value: u32) {
        port::write(port, width, value);
    }

    fn port_read_bytes(&self, port: u16, out: &mut [u8]) {
        for byte in out {
            *byte = port::read(port, 1) as u8;
        }
    }

    fn port_write_bytes(&self, port: u16, data: &[u8]) {
        for byte in data {
            port::write(port, 1, u32::from(*byte));
        }
    }

    fn console_write(&self, bytes: &[u8]) {
        console::write(bytes);
    }

    fn console_release(&self) {
        console::release();
    }

    fn counters(&self, out: &mut [u64]) {
        let sum = |field: fn(&PerCpu) -> &AtomicU64| {
            smp::blocks().fold(0u64, |sum, block| sum.wrapping_add(field(block).load(Relaxed)))
        };
        let values = [
            (Counter::KernelEntries, sum(|block| &block.entries)),
            (Counter::RootLoads, sum(|block| &block.root_loads)),
            (Counter::TlbFlushes, sum(|block| &block.flushes)),
            (Counter::Interrupts, sum(|block| &block.interrupts)),
            (Counter::EntryTsc, start::entry_tsc()),
            (Counter::InitTsc, trap::first_user_tsc()),
            (Counter::TscHz, clock::hz()),
            (Counter::IdleNs, sum(|block| &block.idle_ns)),
        ];
        for (counter, value) in values {
            if let Some(slot) = out.get_mut(counter as usize) {
                *slot = value;
            }
        }
    }

    fn stop(&self, how: Stop) {
        stop::stop(how)
    }
}

const _: () = assert!(ARENAS_LENGTH.is_multiple_of(HUGE));
