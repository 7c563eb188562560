//! A machine of ordinary Rust, so that the whole core runs under `cargo test`.
//!
//! Frames are boxes, page tables are maps, time is a number that tests set. It is stricter than hardware: it
//! panics where the core would corrupt memory (a frame reused while something still leads to it, a mapping
//! put over another, writable and executable at once, a translation that was not flushed).

mod driver;
mod memory;
mod paging;

pub use driver::Driver;

use crate::address::{CpuId, FrameNumber, VirtAddr};
use crate::arena::{ArenaItem, ArenaKind};
use crate::kernel::Kernel;
use crate::machine::{Flush, FrameWords, Machine, MessageInterrupt, Scan, Stop, TableMissing, Translation};
use abi::boot::{Region, RegionKind};
use abi::memory::Protection;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// The machine. `FAULT` plants a fault in the core on purpose, to show that tests find it: see [`Machine::FAULT`].
pub struct TestMachine<const FAULT: u8 = 0> {
    memory: memory::Memory,
    paging: RefCell<paging::Paging>,
    /// The processor at hand, and how many there are.
    pub cpu: Cell<u8>,
    cpus: usize,
    /// Processors kicked so far, and those drawn in.
    pub kicked: RefCell<Vec<u8>>,
    /// See `kicked`.
    pub drawn_in: RefCell<Vec<u8>>,
    /// Whether a processor that is drawn in is said to have been about to make a call.
    pub about_to_call: Cell<bool>,
    /// Whether another processor waits to enter the kernel.
    pub wanted: Cell<bool>,
    now: Cell<u64>,
    timer: Cell<Option<u64>>,
    /// An interrupt is pending at each look that this divides; 0: never.
    pending_every: Cell<u32>,
    looks: Cell<u32>,
    /// Ports: what was last written, and what reads answer.
    pub ports: RefCell<BTreeMap<u16, u32>>,
    /// Bytes written to ports by the string forms.
    pub port_bytes: RefCell<Vec<(u16, u8)>>,
    /// Lines routed: line → (id, level, active low, masked).
    pub lines: RefCell<BTreeMap<u32, (usize, bool, bool, bool)>>,
    /// Whether there are no message-signalled interrupts.
    pub without_messages: Cell<bool>,
    /// What was shown on the early console.
    pub console: RefCell<Vec<u8>>,
    /// Whether the serial port was released.
    pub released: Cell<bool>,
    /// How the machine was stopped.
    pub stopped: Cell<Option<Stop>>,
}

/// Frames of a test machine that is asked for nothing else.
pub const FRAMES: u32 = 4096;

impl<const FAULT: u8> TestMachine<FAULT> {
    /// A machine with this many frames of memory.
    pub fn with_frames(frames: u32) -> TestMachine<FAULT> {
        TestMachine {
            memory: memory::Memory::new(frames),
            paging: RefCell::default(),
            cpu: Cell::new(0),
            cpus: 1,
            kicked: RefCell::default(),
            drawn_in: RefCell::default(),
            about_to_call: Cell::new(false),
            wanted: Cell::new(false),
            now: Cell::new(1_000),
            timer: Cell::new(None),
            pending_every: Cell::new(0),
            looks: Cell::new(0),
            ports: RefCell::default(),
            port_bytes: RefCell::default(),
            lines: RefCell::default(),
            without_messages: Cell::new(false),
            console: RefCell::default(),
            released: Cell::new(false),
            stopped: Cell::new(None),
        }
    }

    /// A kernel on such a machine. All frames but the first 16 are usable.
    pub fn kernel(frames: u32) -> Kernel<TestMachine<FAULT>> {
        Self::kernel_on(frames, 1)
    }

    /// The same with this many processors.
    pub fn kernel_on(frames: u32, cpus: usize) -> Kernel<TestMachine<FAULT>> {
        let start = 16 * 4096;
        let length = u64::from(frames) * 4096 - start;
        let region = Region { start, length, kind: RegionKind::Usable as u32, reserved: 0 };
        let machine = TestMachine { cpus, ..Self::with_frames(frames) };
        Kernel::new(machine, &[region]).expect("the test machine has enough memory")
    }

    /// Sets the clock.
    pub fn set_now(&self, ns: u64) {
        assert!(ns >= self.now.get(), "the clock never goes back");
        self.now.set(ns);
    }

    /// What the timer was last set to.
    pub fn timer(&self) -> Option<u64> {
        self.timer.get()
    }

    /// Has an interrupt pending at every `n`th look from now on; 0: never.
    pub fn interrupt_every(&self, n: u32) {
        self.pending_every.set(n);
        self.looks.set(0);
    }

    /// Translations of a root: page address to translation, large pages once.
    pub fn translations(&self, root: FrameNumber) -> Vec<(u64, Translation)> {
        self.paging.borrow().translations(root)
    }

    /// Whether a translation of this page that is gone could still be in a TLB.
    pub fn is_stale(&self, root: FrameNumber, page: VirtAddr) -> bool {
        self.paging.borrow().is_stale(root, page.0)
    }

    /// Calls with every translation of every root.
    pub fn check_translations(&self, mut check: impl FnMut(FrameNumber, u64, Translation)) {
        for root in self.paging.borrow().roots() {
            for (page, translation) in self.paging.borrow().translations(root) {
                check(root, page, translation);
            }
        }
    }

    /// Frames that are page tables.
    pub fn table_frames(&self) -> Vec<FrameNumber> {
        self.paging.borrow().tables()
    }

    /// Frames behind arena pages.
    pub fn arena_frames(&self) -> Vec<FrameNumber> {
        self.memory.arena_frames()
    }
}

impl<const FAULT: u8> Machine for TestMachine<FAULT> {
    const PROCESSES: usize = 128;
    const TABLE_ENTRIES: usize = 1024;
    const PROCESS_PAGES: usize = 0;
    const ARENA_PAGES: usize = 256;
    const INTERRUPTS: usize = 32;
    const FAULT: u8 = FAULT;

    const WORDS_IN_MEMORY: bool = true;

    fn cpu(&self) -> CpuId {
        CpuId(self.cpu.get())
    }
    fn cpu_count(&self) -> usize {
        self.cpus
    }
    fn kick(&self, cpu: CpuId) {
        assert_ne!(cpu, self.cpu(), "a processor does not kick itself");
        self.kicked.borrow_mut().push(cpu.0);
    }
    fn draw_in(&self, cpu: CpuId) -> bool {
        assert_ne!(cpu, self.cpu(), "a processor does not wait for itself");
        self.drawn_in.borrow_mut().push(cpu.0);
        self.about_to_call.get()
    }
    fn is_wanted(&self) -> bool {
        self.wanted.get()
    }
    fn reserve<T: ArenaItem>(&self, kind: ArenaKind, items: usize) -> &'static [T] {
        self.memory.reserve(kind, items)
    }
    fn back(
        &self,
        kind: ArenaKind,
        page: usize,
        frame: FrameNumber,
        spare: &mut dyn FnMut() -> Option<FrameNumber>,
    ) -> Result<(), TableMissing> {
        self.memory.back(kind, page, frame, spare)
    }
    fn unback(&self, kind: ArenaKind, page: usize) -> Option<FrameNumber> {
        self.memory.unback(kind, page)
    }
    fn frame_words(&self, frame: FrameNumber) -> &FrameWords {
        self.memory.words(frame)
    }
    fn zero_frame(&self, frame: FrameNumber) {
        // The core zeroes a frame when it takes it for something new: nothing may lead to it any more.
        self.paging.borrow().assert_unreachable(frame);
        self.memory.assert_not_backing(frame);
        self.memory.zero(frame);
    }
    fn copy(&self, from: FrameNumber, from_offset: usize, to: FrameNumber, to_offset: usize, length: usize) {
        let mut bytes = vec![0; length];
        self.memory.read(from, from_offset, &mut bytes);
        self.memory.write(to, to_offset, &bytes);
    }
    fn read_frame(&self, frame: FrameNumber, offset: usize, out: &mut [u8]) {
        self.memory.read(frame, offset, out);
    }
    fn write_frame(&self, frame: FrameNumber, offset: usize, data: &[u8]) {
        self.memory.write(frame, offset, data);
    }
    fn space_create(&self, root: FrameNumber) {
        self.paging.borrow_mut().create(root);
    }
    fn space_release(&self, root: FrameNumber) {
        self.paging.borrow_mut().release(root);
    }
    fn map(&self, root: FrameNumber, page: VirtAddr, to: Translation) -> Result<(), TableMissing> {
        self.paging.borrow_mut().map(root, page.0, to)
    }
    fn install_table(&self, root: FrameNumber, page: VirtAddr, table: FrameNumber, large: bool) {
        self.paging.borrow_mut().install(root, page.0, table, large);
    }
    fn small_table(&self, root: FrameNumber, page: VirtAddr) -> bool {
        self.paging.borrow().has_small_table(root, page.0)
    }
    fn unmap(&self, root: FrameNumber, page: VirtAddr) -> Option<(Translation, Flush)> {
        let (first, translation) = self.paging.borrow_mut().unmap(root, page.0)?;
        Some((translation, Flush { root, page: VirtAddr(first) }))
    }
    fn protect(&self, root: FrameNumber, page: VirtAddr, protection: Protection) -> Option<Flush> {
        let first = self.paging.borrow_mut().protect(root, page.0, protection)?;
        Some(Flush { root, page: VirtAddr(first) })
    }
    fn translate(&self, root: FrameNumber, page: VirtAddr) -> Option<Translation> {
        self.paging.borrow().lookup(root, page.0).map(|(_, translation)| translation)
    }
    fn next_translation(&self, root: FrameNumber, from: VirtAddr, end: VirtAddr) -> Scan {
        self.paging.borrow().scan(root, from.0, end.0)
    }
    fn take_table(&self, root: FrameNumber) -> Option<FrameNumber> {
        self.paging.borrow_mut().take_table(root)
    }
    fn flush(&self, root: FrameNumber, page: Option<VirtAddr>) {
        self.paging.borrow_mut().flush(root, page.map(|p| p.0));
    }
    fn fpu_initialise(&self, frame: FrameNumber) {
        self.memory.write(frame, 0, b"fresh fpu state");
    }
    fn now_ns(&self) -> u64 {
        self.now.get()
    }
    fn set_timer(&self, deadline_ns: Option<u64>) {
        self.timer.set(deadline_ns);
    }
    fn interrupt_pending(&self) -> bool {
        self.looks.set(self.looks.get() + 1);
        let every = self.pending_every.get();
        every != 0 && self.looks.get().is_multiple_of(every)
    }
    fn line_route(&self, line: u32, id: usize, level: bool, active_low: bool) -> bool {
        if line >= 24 {
            return false;
        }
        self.lines.borrow_mut().insert(line, (id, level, active_low, true));
        true
    }
    fn line_mask(&self, line: u32, masked: bool) {
        self.lines.borrow_mut().get_mut(&line).expect("the line is routed").3 = masked;
    }
    fn message_interrupt(&self, id: usize) -> Option<MessageInterrupt> {
        if self.without_messages.get() {
            return None;
        }
        Some(MessageInterrupt { address: 0xfee0_0000, data: u32::try_from(id).ok()? })
    }
    fn port_read(&self, port: u16, width: u8) -> u32 {
        let value = self.ports.borrow().get(&port).copied().unwrap_or(u32::MAX);
        value & (u32::MAX >> (32 - 8 * u32::from(width)))
    }
    fn port_write(&self, port: u16, _width: u8, value: u32) {
        self.ports.borrow_mut().insert(port, value);
    }
    fn port_read_bytes(&self, port: u16, out: &mut [u8]) {
        out.fill(self.port_read(port, 1) as u8);
    }
    fn port_write_bytes(&self, port: u16, data: &[u8]) {
        self.port_bytes.borrow_mut().extend(data.iter().map(|b| (port, *b)));
    }
    fn console_write(&self, bytes: &[u8]) {
        self.console.borrow_mut().extend_from_slice(bytes);
    }
    fn console_release(&self) {
        self.released.set(true);
    }
    fn counters(&self, out: &mut [u64]) {
        out[abi::boot::Counter::KernelEntries as usize] = 7;
    }
    fn stop(&self, how: Stop) {
        self.stopped.set(Some(how));
    }
}
