//! Typed arenas: one flat slice a type, its pages charged to the accounts that fill them.
//!
//! An arena page belongs to one quota, is charged whole, and goes back to the frame pool when its
//! last object ends. The capability arena is special: each process has its own run of pages.

use crate::field::Field;
use crate::id::{Id, Link};
use crate::object::Quota;

/// Marks a type that is made of [`Field`]s alone, so that any bits, zero too, are a value of it,
/// and shared writes are sound. Its size divides the page size. Implemented by [`arena_items`] only.
pub trait ArenaItem: Sync + 'static {
    /// Which arena it lives in.
    const KIND: ArenaKind;
}

/// The bookkeeping of one arena page.
#[derive(Default)]
#[repr(C)]
pub struct PageInfo {
    /// Whom the page is charged to; none: the page is not backed.
    pub quota: Field<Link<Quota>>,
    /// Neighbours in the quota's list of pages of this kind with room; page number + 1, 0 for none.
    pub next: Field<u32>,
    /// See `next`.
    pub prev: Field<u32>,
    /// Spare.
    pub reserved: Field<u32>,
    /// One bit for each item in use.
    pub used: [Field<u64>; 2],
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
        const _: () = assert!(core::mem::size_of::<crate::object::$name>() >= 32, "at most 128 items a page");
        )+
    };
}

arena_items! {
    Process = 0, Thread = 1, Space = 2, Memory = 3, Endpoint = 4, Session = 5, Reply = 6, Notification = 7,
    Namespace = 8, Name = 9, Quota = 10, DmaDomain = 11, Pin = 12, Interrupt = 13, IoPorts = 14,
    DeviceMemory = 15, Mapping = 16, Lease = 17, Watch = 18, Cap = 19, PageInfo = 20, FrameInfo = 21,
}

impl<T: crate::field::Value> Default for Field<T>
where
    T: DefaultValue,
{
    fn default() -> Self {
        Field::new(T::DEFAULT)
    }
}

/// The value a field starts with: all bits zero.
pub trait DefaultValue: crate::field::Value {
    /// That value.
    const DEFAULT: Self;
}

macro_rules! zero_defaults {
    ($($t:ty = $v:expr,)+) => { $(impl DefaultValue for $t { const DEFAULT: Self = $v; })+ };
}
zero_defaults! { u8 = 0, u16 = 0, u32 = 0, u64 = 0, bool = false, }

impl<T> DefaultValue for Link<T> {
    const DEFAULT: Self = None;
}

/// The flat slice of one type, with the bookkeeping of its pages. Methods in `arena/*`.
pub struct Arena<T: ArenaItem> {
    /// The items; only those of backed pages may be touched.
    pub items: &'static [T],
    /// One a page.
    pub pages: &'static [PageInfo],
    /// Pages that were never used start here.
    pub fresh: Field<u32>,
    /// Head of the list of pages given back (linked by `PageInfo::next`; page number + 1).
    pub given_back: Field<u32>,
}

impl<T: ArenaItem> core::ops::Index<Id<T>> for Arena<T> {
    type Output = T;
    #[inline(always)]
    fn index(&self, id: Id<T>) -> &T {
        self.items.get(id.index()).expect("invariant: ids stay inside their arena")
    }
}
