//! Frames and arena pages of the test machine.

use crate::address::FrameNumber;
use crate::arena::{ArenaItem, ArenaKind};
use crate::field::Clear;
use crate::machine::{FrameWords, TableMissing};
use std::any::{Any, TypeId};
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

type Slab = (TypeId, usize, &'static (dyn Any + Send + Sync));

thread_local! {
    /// Item slices of machines that are gone, to be used again: they are leaked (the core wants `'static`), and a
    /// test run makes thousands of machines.
    static POOL: RefCell<Vec<Slab>> = const { RefCell::new(Vec::new()) };
}

struct ArenaPages {
    clear: Box<dyn Fn(usize)>,
    backed: BTreeMap<usize, FrameNumber>,
    tables: BTreeSet<usize>,
    pages: usize,
}

pub(super) struct Memory {
    frames: Vec<OnceCell<Box<FrameWords>>>,
    arenas: RefCell<HashMap<u8, ArenaPages>>,
    backing: RefCell<BTreeSet<u32>>,
    lent: RefCell<Vec<Slab>>,
}

struct Items<T: 'static>(&'static [T]);

impl Memory {
    pub(super) fn new(frames: u32) -> Memory {
        let frames = (0..frames).map(|_| OnceCell::new()).collect();
        Memory { frames, arenas: RefCell::default(), backing: RefCell::default(), lent: RefCell::default() }
    }

    pub(super) fn reserve<T: ArenaItem>(&self, kind: ArenaKind, items: usize) -> &'static [T] {
        let slab = POOL.with_borrow_mut(|pool| {
            let found = pool.iter().position(|(t, n, _)| *t == TypeId::of::<T>() && *n == items)?;
            Some(pool.swap_remove(found))
        });
        let slab = slab.unwrap_or_else(|| {
            let fresh: Vec<T> = (0..items).map(|_| T::default()).collect();
            let holder: &'static Items<T> = Box::leak(Box::new(Items(Vec::leak(fresh))));
            (TypeId::of::<T>(), items, holder)
        });
        let slice = slab.2.downcast_ref::<Items<T>>().expect("the type was compared").0;
        self.lent.borrow_mut().push(slab);
        let per_page = 4096 / size_of::<T>();
        let clear =
            Box::new(move |page: usize| slice.iter().skip(page * per_page).take(per_page).for_each(Clear::clear));
        let pages = items.div_ceil(per_page);
        let fresh = ArenaPages { clear, backed: BTreeMap::new(), tables: BTreeSet::new(), pages };
        assert!(self.arenas.borrow_mut().insert(kind as u8, fresh).is_none(), "{kind:?} is reserved once");
        slice
    }

    pub(super) fn back(
        &self,
        kind: ArenaKind,
        page: usize,
        frame: FrameNumber,
        spare: &mut dyn FnMut() -> Option<FrameNumber>,
    ) -> Result<(), TableMissing> {
        assert!(self.words(frame).iter().all(|w| w.load(Relaxed) == 0), "a frame behind an arena was zeroed");
        let missing = !self.arenas.borrow()[&(kind as u8)].tables.contains(&(page / 512));
        if missing {
            spare().ok_or(TableMissing)?;
        }
        let mut arenas = self.arenas.borrow_mut();
        let arena = arenas.get_mut(&(kind as u8)).expect("the arena is reserved");
        arena.tables.insert(page / 512);
        assert!(page < arena.pages, "{kind:?} page {page} is outside its range");
        assert!(arena.backed.insert(page, frame).is_none(), "{kind:?} page {page} is backed already");
        assert!(self.backing.borrow_mut().insert(frame.0), "{frame:?} backs a page already");
        (arena.clear)(page);
        Ok(())
    }

    pub(super) fn unback(&self, kind: ArenaKind, page: usize) -> Option<FrameNumber> {
        let frame = self.arenas.borrow_mut().get_mut(&(kind as u8))?.backed.remove(&page)?;
        assert!(self.backing.borrow_mut().remove(&frame.0));
        Some(frame)
    }

    pub(super) fn arena_frames(&self) -> Vec<FrameNumber> {
        self.backing.borrow().iter().copied().map(FrameNumber).collect()
    }

    pub(super) fn assert_not_backing(&self, frame: FrameNumber) {
        assert!(!self.backing.borrow().contains(&frame.0), "{frame:?} is reused while it backs an arena page");
    }

    pub(super) fn words(&self, frame: FrameNumber) -> &FrameWords {
        assert_ne!(frame.0, 0, "frame 0 is no frame");
        let cell = self.frames.get(frame.0 as usize).expect("the frame exists");
        cell.get_or_init(|| Box::new([const { AtomicU64::new(0) }; 512]))
    }

    pub(super) fn zero(&self, frame: FrameNumber) {
        self.words(frame).iter().for_each(|w| w.store(0, Relaxed));
    }

    pub(super) fn read(&self, frame: FrameNumber, offset: usize, out: &mut [u8]) {
        assert!(offset + out.len() <= 4096, "the range leaves its frame");
        let words = self.words(frame);
        for (i, byte) in out.iter_mut().enumerate() {
            let at = offset + i;
            *byte = (words[at / 8].load(Relaxed) >> (at % 8 * 8)) as u8;
        }
    }

    pub(super) fn write(&self, frame: FrameNumber, offset: usize, data: &[u8]) {
        assert!(offset + data.len() <= 4096, "the range leaves its frame");
        let words = self.words(frame);
        for (i, byte) in data.iter().enumerate() {
            let (word, shift) = (&words[(offset + i) / 8], (offset + i) % 8 * 8);
            word.store(word.load(Relaxed) & !(0xff << shift) | u64::from(*byte) << shift, Relaxed);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let lent = self.lent.take();
        // At the end of its thread the pool may be gone already: then the slices stay leaked.
        let _ = POOL.try_with(|pool| pool.borrow_mut().extend(lent));
    }
}
