//! Typed arenas: one flat slice a type, its pages charged to the accounts that
//! fill them.
//!
//! An arena page belongs to one quota, is charged whole, and goes back to the frame pool when its last object ends.
//! What is kept of it stands in the record of the frame behind it; of pages that are not there, four bytes. Each arena's range
//! of pages is as large as all memory (`kernel::pages_of`), so that no kind of object runs out before memory does.
//! The capability arena is special: each process has its own run of pages.

use crate::field::{Clear, Field};
use crate::fields;
use crate::object::FrameInfo;
use crate::{FrameNumber, Id};

/// Marks a type that is made of [`Field`]s alone, so that any bits, zero too, are a value of it,
/// and shared writes are sound. Its size divides the page size. Implemented by `arena_items!` only.
pub trait ArenaItem: Default + Clear + Sync + 'static {
    /// Which arena it lives in.
    const KIND: ArenaKind;
}

/// The most items in a page: one bit each in [`FrameInfo::used`].
const ITEMS: usize = 32;
/// The smallest item of an arena whose pages are booked.
const SMALLEST: usize = 4096 / ITEMS;

fields! {
/// What is behind one arena page. In use: [`PageSlot::IN_USE`] and the frame, whose record says whom the page is charged
/// to and which items are used. Else the next page that was given back: its number + 1, 0 for none.
#[repr(C)]
pub struct PageSlot {
    /// See above.
    pub word: Field<u32>,
}
}

impl PageSlot {
    /// The page is backed.
    pub const IN_USE: u32 = 1 << 31;

    /// The frame behind the page, if there is one.
    #[inline(always)]
    pub fn frame(&self) -> Option<FrameNumber> {
        let word = self.word.get();
        (word & Self::IN_USE != 0).then_some(FrameNumber(word & !Self::IN_USE))
    }
}

macro_rules! arena_items {
    ($($name:ident = $number:literal,)+) => {
        /// The arenas.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum ArenaKind {
            $(#[doc = concat!("Holds `", stringify!($name), "`.")] $name = $number,)+
        }
        impl ArenaKind {
            /// How many arenas there are.
            pub const COUNT: usize = [$($number),+].len();
            /// All of them, by number.
            pub const ALL: [ArenaKind; Self::COUNT] = [$(ArenaKind::$name),+];
        }
        $(impl ArenaItem for crate::object::$name {
            const KIND: ArenaKind = ArenaKind::$name;
        }
        const _: () = assert!(4096 % core::mem::size_of::<crate::object::$name>() == 0, "size must divide the page");
        )+
    };
}

arena_items! {
    Process = 0, Thread = 1, Space = 2, Memory = 3, Endpoint = 4, Session = 5, Reply = 6, Notification = 7,
    Namespace = 8, Name = 9, Quota = 10, DmaDomain = 11, Pin = 12, Interrupt = 13, IoPorts = 14,
    DeviceMemory = 15, Mapping = 16, Lease = 17, Watch = 18, Cap = 19, PageSlot = 20, FrameInfo = 21,
    EventQueue = 22, Interest = 23, Parked = 24, Cpu = 25,
}

/// The flat slice of one type, with the bookkeeping of its pages. What takes from and gives to it stands in
/// `cap::allocate`, since every page is charged to an account.
pub struct Arena<T: ArenaItem> {
    /// The items; only those of backed pages may be touched.
    pub items: &'static [T],
    /// One a page.
    pub pages: &'static [PageSlot],
    /// The records of all frames.
    frames: &'static [FrameInfo],
    /// Pages that were never used start here.
    pub fresh: Field<u32>,
    /// Head of the list of pages given back (linked by `PageInfo::next`; page number + 1).
    pub given_back: Field<u32>,
}

impl<T: ArenaItem> Arena<T> {
    /// Items in a page.
    pub const PER_PAGE: usize = 4096 / core::mem::size_of::<T>();

    /// An arena over items, the bookkeeping of their pages, and the records of frames. Page 0 is never used, so that index 0
    /// is no id.
    pub fn new(items: &'static [T], pages: &'static [PageSlot], frames: &'static [FrameInfo]) -> Arena<T> {
        Arena { items, pages, frames, fresh: Field::new(1), given_back: Field::new(0) }
    }

    /// The record of the frame behind a page that is backed.
    pub fn info(&self, page: usize) -> Option<&'static FrameInfo> {
        const { assert!(size_of::<T>() >= SMALLEST) };
        self.frames.get(self.pages.get(page)?.frame()?.0 as usize)
    }

    /// The page that holds an item, and its place there.
    #[inline(always)]
    pub fn place(id: Id<T>) -> (usize, usize) {
        const { assert!(Self::PER_PAGE > 0) };
        let page = id.index().checked_div(Self::PER_PAGE).unwrap_or(0);
        (page, id.index().wrapping_sub(page.wrapping_mul(Self::PER_PAGE)))
    }

    /// Whether an item is allocated. (The capability arena has no page bookkeeping: there it is `false`.)
    pub fn is_used(&self, id: Id<T>) -> bool {
        let (page, bit) = Self::place(id);
        let slot = self.pages.get(page).and_then(PageSlot::frame);
        let info = slot.and_then(|frame| self.frames.get(frame.0 as usize));
        info.is_some_and(|info| info.used.get() >> (bit as u32) & 1 == 1)
    }

    /// The item, for as long as the kernel lives: for what is read while the kernel itself is borrowed exclusively.
    #[inline(always)]
    pub fn at(&self, id: Id<T>) -> &'static T {
        self.items.get(id.index()).expect("invariant: ids stay inside their arena")
    }
}

impl<T: ArenaItem> core::ops::Index<Id<T>> for Arena<T> {
    type Output = T;
    #[inline(always)]
    fn index(&self, id: Id<T>) -> &T {
        #[cfg(any(test, feature = "host"))]
        assert!(self.pages.is_empty() || self.is_used(id), "invariant: {:?} {id:?} is in use", T::KIND);
        self.items.get(id.index()).expect("invariant: ids stay inside their arena")
    }
}
