//! The lock around the kernel: readers on their own cache lines, writers in line.
//!
//! Whoever changes what others look at takes the exclusive side, in the order in which they came: nobody waits for more
//! than one step of every other processor. The shared side writes nothing but a flag on a cache line of its own processor
//! and never waits: one that finds a writer gives up and takes the exclusive side. Called by the machine layer at every way
//! into and out of the kernel. While it waits it calls a hook, which answers what other processors ask of this one;
//! without that, a writer that waits for an answer and a processor that waits for the lock would wait for each other.
//!
//! Generic over its words, so that `loom` checks this very code (`tests/lock.rs`).

use crate::field::Clear;
use crate::kernel::CPUS;
use core::sync::atomic::{
    AtomicU32, Ordering, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst,
};

/// A word that processors share.
pub trait Word {
    /// A word that holds 0.
    fn zero() -> Self;
    /// Reads it.
    fn load(&self, order: Ordering) -> u32;
    /// Writes it.
    fn store(&self, value: u32, order: Ordering);
    /// Adds 1, in one step with reading what was there.
    fn take(&self, order: Ordering) -> u32;
    /// Lets nothing after it pass what is before it.
    fn fence();
}

impl Word for AtomicU32 {
    fn zero() -> Self {
        AtomicU32::new(0)
    }
    #[inline(always)]
    fn load(&self, order: Ordering) -> u32 {
        AtomicU32::load(self, order)
    }
    #[inline(always)]
    fn store(&self, value: u32, order: Ordering) {
        AtomicU32::store(self, value, order);
    }
    #[inline(always)]
    fn take(&self, order: Ordering) -> u32 {
        self.fetch_add(1, order)
    }
    #[inline(always)]
    fn fence() {
        core::sync::atomic::fence(SeqCst);
    }
}

/// Something on a cache line of its own (two lines: the processor fetches them in pairs).
#[repr(align(128))]
struct Line<T>(T);

/// The lock. `N` processors at most.
pub struct Lock<W: Word = AtomicU32, const N: usize = CPUS> {
    /// The next ticket.
    next: Line<W>,
    /// The ticket whose turn it is; as the next one: there is no writer.
    turn: Line<W>,
    /// Whether each processor holds the shared side.
    readers: [Line<W>; N],
}

impl Lock {
    /// Where the word stands that goes up by 1 when the exclusive side is given back, for who does that in assembly.
    pub const TURN: usize = core::mem::offset_of!(Self, turn);

    /// Nobody holds it.
    pub const fn unheld() -> Lock {
        Lock {
            next: Line(AtomicU32::new(0)),
            turn: Line(AtomicU32::new(0)),
            readers: [const { Line(AtomicU32::new(0)) }; CPUS],
        }
    }
}

/// A small lock in an object, for those on the shared side alone: whoever finds it taken takes the exclusive side.
#[derive(Default)]
pub struct Gate(AtomicU32);

impl Gate {
    /// Takes it, if nobody has it.
    #[inline(always)]
    pub fn enter(&self) -> bool {
        self.0.swap(1, Acquire) == 0
    }

    /// Gives it back.
    #[inline(always)]
    pub fn leave(&self) {
        self.0.store(0, Release);
    }
}

impl Clear for Gate {
    fn clear(&self) {
        self.leave();
    }
}

impl<W: Word, const N: usize> Lock<W, N> {
    /// Nobody holds it; for words that can't be made at compile time.
    pub fn of_words() -> Lock<W, N> {
        Lock { next: Line(W::zero()), turn: Line(W::zero()), readers: core::array::from_fn(|_| Line(W::zero())) }
    }

    /// The flag of a processor: not 0 while it holds the shared side.
    pub fn reader(&self, cpu: usize) -> &W {
        &self.readers.get(cpu).expect("invariant: a processor that there is").0
    }

    /// Takes the shared side, unless a writer is there or waits.
    ///
    /// Either this sees the writer's ticket, or the writer sees this flag: both write first and look then, with a fence
    /// between. The ticket is read before the turn: writers that come between the two see the flag.
    #[inline(always)]
    pub fn try_shared(&self, cpu: usize) -> bool {
        self.reader(cpu).store(1, Relaxed);
        W::fence();
        let next = self.next.0.load(Acquire);
        if self.turn.0.load(Acquire) == next {
            return true;
        }
        self.release_shared(cpu);
        false
    }

    /// Gives the shared side back.
    #[inline(always)]
    pub fn release_shared(&self, cpu: usize) {
        self.reader(cpu).store(0, Release);
    }

    /// Takes the exclusive side: waits for those who came before, then for readers on the first `cpus` processors.
    #[inline]
    pub fn exclusive(&self, cpus: usize, mut hook: impl FnMut()) {
        let ticket = self.next.0.take(AcqRel);
        W::fence();
        while self.turn.0.load(Acquire) != ticket {
            hook();
        }
        for reader in self.readers.iter().take(cpus) {
            while reader.0.load(Acquire) != 0 {
                hook();
            }
        }
    }

    /// Gives the exclusive side back; the next in line has it. Only its holder calls this.
    #[inline(always)]
    pub fn release_exclusive(&self) {
        let turn = self.turn.0.load(Acquire);
        self.turn.0.store(turn.wrapping_add(1), Release);
    }

    /// Asked by the holder of the exclusive side: whether someone waits for it.
    #[inline(always)]
    pub fn is_wanted(&self) -> bool {
        self.next.0.load(Acquire).wrapping_sub(self.turn.0.load(Acquire)) > 1
    }
}
