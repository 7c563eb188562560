//! One field of a kernel object: a plain word that may be read through
//! `&Kernel`.
//!
//! Objects live in arenas and are reached through shared references, so every field is an atomic
//! that is loaded and stored relaxed: the same machine code as a plain field, no undefined
//! behaviour, no lock of its own. What keeps several fields in step is the kernel's lock and the gates of endpoints
//! (`lock`; `docs/decisions/0001-fields-are-relaxed-atomics.md`); with one processor that is the kernel itself.

use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicU8, Ordering::Relaxed};

/// An atomic cell that holds the bits of a value.
pub trait Atom: Send + Sync + 'static {
    /// The bits.
    type Bits: Copy;
    /// All bits zero.
    const ZERO: Self::Bits;
    /// Reads the bits.
    fn load(&self) -> Self::Bits;
    /// Writes the bits.
    fn store(&self, bits: Self::Bits);
    /// A cell with these bits.
    fn new(bits: Self::Bits) -> Self;
}

macro_rules! atoms {
    ($($atomic:ident $bits:ident,)+) => { $(
        impl Atom for $atomic {
            type Bits = $bits;
            const ZERO: $bits = 0;
            #[inline(always)]
            fn load(&self) -> $bits { $atomic::load(self, Relaxed) }
            #[inline(always)]
            fn store(&self, bits: $bits) { $atomic::store(self, bits, Relaxed) }
            fn new(bits: $bits) -> Self { $atomic::new(bits) }
        }
        impl Value for $bits {
            type Atom = $atomic;
            #[inline(always)]
            fn bits(self) -> $bits { self }
            #[inline(always)]
            fn from_bits(bits: $bits) -> $bits { bits }
        }
    )+ };
}

/// A small value that can be a field.
pub trait Value: Copy {
    /// The cell that holds it.
    type Atom: Atom;
    /// The value as bits.
    fn bits(self) -> <Self::Atom as Atom>::Bits;
    /// The value of bits that `bits` made; all-zero bits (a fresh arena page) must be a value too.
    fn from_bits(bits: <Self::Atom as Atom>::Bits) -> Self;
}

atoms! { AtomicU8 u8, AtomicU16 u16, AtomicU32 u32, AtomicU64 u64, }

impl Value for bool {
    type Atom = AtomicU8;
    #[inline(always)]
    fn bits(self) -> u8 {
        self as u8
    }
    #[inline(always)]
    fn from_bits(bits: u8) -> bool {
        bits != 0
    }
}

/// A field of a kernel object.
#[repr(transparent)]
pub struct Field<T: Value>(T::Atom);

impl<T: Value> Field<T> {
    /// A field with a value, for what is not in an arena.
    pub fn new(value: T) -> Field<T> {
        Field(T::Atom::new(value.bits()))
    }
    /// The value.
    #[inline(always)]
    pub fn get(&self) -> T {
        T::from_bits(self.0.load())
    }
    /// Stores a value.
    #[inline(always)]
    pub fn set(&self, value: T) {
        self.0.store(value.bits());
    }
    /// Stores a value and answers the one before. Not atomic: the object's lock is held.
    #[inline(always)]
    pub fn replace(&self, value: T) -> T {
        let before = self.get();
        self.set(value);
        before
    }
    /// Stores what `change` makes of the value. Not atomic: the object's lock is held.
    #[inline(always)]
    pub fn update(&self, change: impl FnOnce(T) -> T) {
        self.set(change(self.get()));
    }
}

/// Stores values in fields, one in each.
pub fn store<T: Value, const N: usize>(fields: &[Field<T>; N], values: [T; N]) {
    fields.iter().zip(values).for_each(|(field, value)| field.set(value));
}

impl<T: Value> Default for Field<T> {
    /// All bits zero, which is a value of every type that can be a field.
    fn default() -> Field<T> {
        Field(T::Atom::new(T::Atom::ZERO))
    }
}

/// Can be set back to all bits zero through a shared reference.
pub trait Clear {
    /// Zeroes every field.
    fn clear(&self);
}

impl<T: Value> Clear for Field<T> {
    #[inline(always)]
    fn clear(&self) {
        self.0.store(T::Atom::ZERO);
    }
}

impl<T: Clear, const N: usize> Clear for [T; N] {
    #[inline(always)]
    fn clear(&self) {
        self.iter().for_each(Clear::clear);
    }
}

/// Declares structs of fields: `Default` is all bits zero, `Clear` brings that back.
#[macro_export]
macro_rules! fields {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident: $type:ty,)+ })+) => { $(
        $(#[$meta])*
        #[derive(Default)]
        pub struct $name { $($(#[$fmeta])* pub $field: $type,)+ }
        impl $crate::field::Clear for $name {
            fn clear(&self) { $($crate::field::Clear::clear(&self.$field);)+ }
        }
    )+ };
}

/// Gives an enum of small numbers the traits of a field. The first variant is the fresh one, number 0.
#[macro_export]
macro_rules! field_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $number:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* $variant = $number,)+ }
        impl $crate::field::Value for $name {
            type Atom = core::sync::atomic::AtomicU8;
            #[inline(always)]
            fn bits(self) -> u8 { self as u8 }
            #[inline(always)]
            fn from_bits(bits: u8) -> Self {
                match bits { $($number => $name::$variant,)+ _ => unreachable!("invariant: bits that no variant made") }
            }
        }
    };
}
