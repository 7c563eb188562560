//! What the core asks of the hardware.
//!
//! The real machine is `kernel/arch`; the test machine is ordinary Rust (`src/test_machine.rs`). Nothing here waits,
//! and nothing here checks authority: the core has done so.

use crate::address::{CpuId, FrameNumber, PhysAddr, VirtAddr};
use crate::arena::{ArenaItem, ArenaKind};
use abi::memory::Protection;
use core::sync::atomic::AtomicU64;

/// A frame seen as words. User threads may write the same words at the same time.
pub type FrameWords = [AtomicU64; 512];

/// There is no table for this address at some level: install a frame as one and try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableMissing;

/// What one page-table entry should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// Where it leads.
    pub address: PhysAddr,
    /// What user code may do.
    pub protection: Protection,
    /// A 2 MiB page instead of a 4 KiB one.
    pub large: bool,
    /// Device registers: uncached.
    pub device: bool,
}

/// What a look for the next translation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// The first page at or after the start that has a translation.
    Found(VirtAddr),
    /// There is none before this address, which lies after the start and not after the end.
    Clear(VirtAddr),
}

/// A removed or weakened translation may still be in a TLB.
#[must_use = "a changed translation stays in the TLB until it is flushed"]
#[derive(Debug, PartialEq, Eq)]
pub struct Flush {
    /// The page-table root it was changed in.
    pub root: FrameNumber,
    /// The page.
    pub page: VirtAddr,
}

impl Flush {
    /// Flushes now, on every processor that may hold it.
    pub fn now<M: Machine>(self, machine: &M) {
        machine.flush(self.root, Some(self.page));
    }
    /// Leaves it to one flush of the whole root that the caller makes before user code runs.
    pub fn batch(self, batch: &mut FlushBatch) {
        batch.root = Some(self.root);
        batch.pages = batch.pages.saturating_add(1);
    }
}

/// Flushes gathered to be made at once.
#[must_use = "gathered flushes have to be made"]
#[derive(Debug, Default)]
pub struct FlushBatch {
    root: Option<FrameNumber>,
    pages: u32,
}

impl FlushBatch {
    /// Makes the flush, if there is anything to flush.
    pub fn now<M: Machine>(self, machine: &M) {
        if let Some(root) = self.root {
            machine.flush(root, None);
        }
    }
}

/// How the machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Power off.
    PowerOff,
    /// Reset.
    Reboot,
    /// Leave the emulator with an exit status, where there is one; else power off.
    Exit(u32),
}

/// Where a device has to write to raise an interrupt as a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageInterrupt {
    /// The address to write to.
    pub address: u64,
    /// The word to write.
    pub data: u32,
}

/// Faults that a machine can plant in the core on purpose, so that the tests are seen to find them.
pub struct Fault;

impl Fault {
    /// None: what every real machine says.
    pub const NONE: u8 = 0;
    /// A look-up does not compare rights.
    pub const RIGHTS: u8 = 1;
    /// A look-up does not compare generations.
    pub const GENERATION: u8 = 2;
    /// Children of a closed entry are not handed to its parent.
    pub const REPARENT: u8 = 3;
}

/// The hardware, as the core sees it. All methods take `&self`: a machine keeps its own state in order.
pub trait Machine: Sized + 'static {
    /// The most processes there can be.
    const PROCESSES: usize;
    /// The most capabilities in one process (a power of two, at most 2^16).
    const TABLE_ENTRIES: usize;
    /// The least that an account pays for a process, in pages: its share of the tables that are set aside for
    /// capability tables. 0: nothing (then all accounts together can ask for more processes than there is room for).
    const PROCESS_PAGES: usize;
    /// The most pages of any other one type of object: no fewer than there are frames, where there is address space
    /// for so many.
    const ARENA_PAGES: usize;
    /// Interrupts that can be allocated: ids are below this.
    const INTERRUPTS: usize;
    /// Whether `syscall` finds the message registers in memory like all others: a test machine has no other place for them.
    const WORDS_IN_MEMORY: bool = false;
    /// The fault planted in the core: one of [`Fault`]. A constant, so it costs nothing.
    const FAULT: u8 = Fault::NONE;

    /// The processor that this runs on.
    fn cpu(&self) -> CpuId;
    /// How many processors there are: their ids are below this.
    fn cpu_count(&self) -> usize;
    /// Has another processor enter the kernel soon: it may have something else to run.
    fn kick(&self, cpu: CpuId);
    /// Has another processor enter the kernel now, and waits until it has put away the registers and the FPU state of the
    /// thread on it. Answers whether it was just about to make a call for that thread, which it does not make then.
    fn draw_in(&self, cpu: CpuId) -> bool;
    /// Whether another processor waits to enter the kernel: long work lets it in at its next step.
    fn is_wanted(&self) -> bool;

    /// Reserves the address range of an arena: `items` items, none backed. Called once a kind, at boot.
    /// A backed page reads as zero. Items are made of atomics alone ([`ArenaItem`]).
    fn reserve<T: ArenaItem>(&self, kind: ArenaKind, items: usize) -> &'static [T];
    /// Puts a zeroed frame behind page `page` of an arena. `spare` gives frames for kernel page tables,
    /// which are kept for good; where it gives none, the answer is `Err`.
    fn back(
        &self,
        kind: ArenaKind,
        page: usize,
        frame: FrameNumber,
        spare: &mut dyn FnMut() -> Option<FrameNumber>,
    ) -> Result<(), TableMissing>;
    /// Takes the frame behind a page of an arena away again.
    fn unback(&self, kind: ArenaKind, page: usize) -> Option<FrameNumber>;

    /// A frame of RAM as words.
    fn frame_words(&self, frame: FrameNumber) -> &FrameWords;
    /// Fills a frame with zeros.
    fn zero_frame(&self, frame: FrameNumber);
    /// Copies within RAM; neither range leaves its frame.
    fn copy(&self, from: FrameNumber, from_offset: usize, to: FrameNumber, to_offset: usize, length: usize);
    /// Copies out of a frame; the range does not leave it.
    fn read_frame(&self, frame: FrameNumber, offset: usize, out: &mut [u8]);
    /// Copies into a frame; the range does not leave it.
    fn write_frame(&self, frame: FrameNumber, offset: usize, data: &[u8]);

    /// Makes a zeroed frame the root of an address space: the kernel half is put in.
    fn space_create(&self, root: FrameNumber);
    /// A root is about to be freed: processors that have it loaded load the kernel's own instead.
    fn space_release(&self, root: FrameNumber);
    /// Enters a translation where none is.
    fn map(&self, root: FrameNumber, page: VirtAddr, to: Translation) -> Result<(), TableMissing>;
    /// Gives the highest missing table on the way to `page` a zeroed frame; `large`: only down to the
    /// level that holds 2 MiB entries.
    fn install_table(&self, root: FrameNumber, page: VirtAddr, table: FrameNumber, large: bool);
    /// Removes the translation of a page, if there is one; of a large page the whole of it, and the flush has
    /// its first page.
    fn unmap(&self, root: FrameNumber, page: VirtAddr) -> Option<(Translation, Flush)>;
    /// Whether a table of 4 KiB entries (an empty one too) stands where a large page for this address would go.
    fn small_table(&self, root: FrameNumber, page: VirtAddr) -> bool;
    /// Changes the protection of a page, if it has a translation.
    fn protect(&self, root: FrameNumber, page: VirtAddr, protection: Protection) -> Option<Flush>;
    /// The translation of the page that holds an address; of a large page `address` is where the whole
    /// large page begins.
    fn translate(&self, root: FrameNumber, page: VirtAddr) -> Option<Translation>;
    /// Looks for the next translation from `from` up to `end` (both page-aligned, `from` < `end`), through at most
    /// one table of the lowest level. Inside a large page, `from` itself is found.
    fn next_translation(&self, root: FrameNumber, from: VirtAddr, end: VirtAddr) -> Scan;
    /// Takes one table without entries out of the user half of a root, deepest first; `None`: none is left.
    /// Only for address spaces that no thread will run in again, with every translation removed.
    fn take_table(&self, root: FrameNumber) -> Option<FrameNumber>;
    /// Forgets cached translations of one page, or of all pages, of a root, on every processor.
    fn flush(&self, root: FrameNumber, page: Option<VirtAddr>);

    /// Makes a zeroed frame hold the FPU state of a fresh thread.
    fn fpu_initialise(&self, frame: FrameNumber);
    /// A frame is about to stop being a thread's FPU state: what the processor still holds of it is dropped.
    fn fpu_forget(&self, _frame: FrameNumber) {}
    /// Nanoseconds since boot; never goes back.
    fn now_ns(&self) -> u64;
    /// Asks for one timer interrupt at a time (`None`: none), on this processor.
    fn set_timer(&self, deadline_ns: Option<u64>);
    /// Whether an interrupt is pending on this processor, or another one waits to enter the kernel: long work that is done
    /// by making a call again stops at its next step.
    fn interrupt_pending(&self) -> bool;

    /// Routes a line (GSI) to interrupt id `id`, masked; `false` where there is no such line.
    fn line_route(&self, line: u32, id: usize, level: bool, active_low: bool) -> bool;
    /// Masks or unmasks a line.
    fn line_mask(&self, line: u32, masked: bool);
    /// Where to write to raise interrupt id `id`; `None` where the machine can't.
    fn message_interrupt(&self, id: usize) -> Option<MessageInterrupt>;

    /// Reads 1, 2 or 4 bytes from an I/O port.
    fn port_read(&self, port: u16, width: u8) -> u32;
    /// Writes 1, 2 or 4 bytes to an I/O port.
    fn port_write(&self, port: u16, width: u8, value: u32);
    /// Reads bytes from one port, one after another.
    fn port_read_bytes(&self, port: u16, out: &mut [u8]);
    /// Writes bytes to one port, one after another.
    fn port_write_bytes(&self, port: u16, data: &[u8]);

    /// Shows bytes of the log on whatever early console there is.
    fn console_write(&self, bytes: &[u8]);
    /// Leaves the serial port to a driver; the early console goes on elsewhere, if it can.
    fn console_release(&self);
    /// Kernel entries, root loads, TLB flushes so far, and time-stamp data, as `abi::boot::Counter` numbers them
    /// (only those the machine counts; the rest stay as they are).
    fn counters(&self, out: &mut [u64]);
    /// Stops the machine. The caller makes no further use of it.
    fn stop(&self, how: Stop);
}
