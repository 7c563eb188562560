//! How kernel objects refer to each other: indices into the arena of their
//! type.
//!
//! An id is not a capability and carries no generation: whoever stores one holds a reference
//! (counted in the object's header) or is unlinked before the object goes.

use crate::field::Value;
use core::marker::PhantomData;
use core::num::NonZeroU32;
use core::sync::atomic::AtomicU32;

/// The index of an object of type `T` in its arena. Index 0 is never used.
pub struct Id<T>(NonZeroU32, PhantomData<fn() -> T>);

impl<T> Id<T> {
    /// The id of an index, unless it is 0 or past 32 bits.
    pub fn try_new(index: usize) -> Option<Id<T>> {
        Some(Id(NonZeroU32::new(u32::try_from(index).ok()?)?, PhantomData))
    }
    /// The index in the arena.
    #[inline(always)]
    pub fn index(self) -> usize {
        self.0.get() as usize
    }
    /// The index as 32 bits, for untyped places (capability entries, tree links).
    #[inline(always)]
    pub fn raw(self) -> u32 {
        self.0.get()
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Id<T> {}
impl<T> core::hash::Hash for Id<T> {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T> core::fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A field that may name an object: 0 for none.
pub type Link<T> = Option<Id<T>>;

impl<T> Value for Link<T> {
    type Atom = AtomicU32;
    #[inline(always)]
    fn bits(self) -> u32 {
        match self {
            Some(id) => id.raw(),
            None => 0,
        }
    }
    #[inline(always)]
    fn from_bits(bits: u32) -> Self {
        NonZeroU32::new(bits).map(|n| Id(n, PhantomData))
    }
}
