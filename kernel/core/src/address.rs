//! Physical and virtual addresses and frame numbers, which never mix.

use crate::field::Value;
use abi::memory::{PAGE_SIZE, USER_END, USER_START};
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicU8};

/// A physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct PhysAddr(pub u64);

impl PhysAddr {
    /// The frame that holds the address; `None` past 2^44 (frame numbers have 32 bits).
    pub fn frame(self) -> Option<FrameNumber> {
        u32::try_from(self.0 / PAGE_SIZE).ok().map(FrameNumber)
    }
}

/// A virtual address of the user half, unless a name says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct VirtAddr(pub u64);

impl VirtAddr {
    /// An address in the user half.
    pub fn try_user(address: u64) -> Option<VirtAddr> {
        (USER_START..USER_END).contains(&address).then_some(VirtAddr(address))
    }
    /// The address of its page's first byte.
    pub fn page(self) -> VirtAddr {
        VirtAddr(self.0 & !(PAGE_SIZE - 1))
    }
    /// The offset in its page.
    pub fn offset(self) -> usize {
        (self.0 & (PAGE_SIZE - 1)) as usize
    }
    /// Whether it is the first byte of a page.
    pub fn is_aligned(self) -> bool {
        self.offset() == 0
    }
}

/// The number of a 4 KiB frame of physical memory. 0 is never handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct FrameNumber(pub u32);

impl FrameNumber {
    /// The address of its first byte.
    pub fn address(self) -> PhysAddr {
        PhysAddr(u64::from(self.0) * PAGE_SIZE)
    }
    /// The frame `n` further on, unless past the end of numbers.
    #[allow(clippy::should_implement_trait, reason = "an `Add` could not say that there is no such frame")]
    pub fn add(self, n: u32) -> Option<FrameNumber> {
        self.0.checked_add(n).map(FrameNumber)
    }
}

macro_rules! values {
    ($($name:ident $atomic:ident $bits:ident,)+) => { $(
        impl Value for $name {
            type Atom = $atomic;
            #[inline(always)]
            fn bits(self) -> $bits {
                self.0
            }
            #[inline(always)]
            fn from_bits(bits: $bits) -> Self {
                $name(bits)
            }
        }
    )+ };
}

values! { FrameNumber AtomicU32 u32, VirtAddr AtomicU64 u64, CpuId AtomicU8 u8, }

/// A processor, counted from 0 in the order they are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CpuId(pub u8);
