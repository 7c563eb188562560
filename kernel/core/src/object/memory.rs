//! Memory objects.

use super::{Endpoint, Header, ListHead, ListLinks};
use crate::fields;
use crate::{Field, FrameNumber, Link};

fields! {
/// Pages. References: its capabilities, mappings, pins, threads that wait at futex words in it.
///
/// Frames are found through a radix tree of frames used as tables (512 entries of a frame number a
/// table, 0 for none), `levels` deep; a contiguous object needs none: frame = `first` + page. Nor does
/// one of a single page. A page once in memory stays until the object ends.
#[repr(C, align(256))]
pub struct Memory {
    /// Common to all objects; the quota pays for the frames too.
    pub header: Header,
    /// Size in pages.
    pub length_pages: Field<u64>,
    /// `abi::memory::MemoryFlags` bits.
    pub flags: Field<u32>,
    /// Depth of the table tree: 0 for contiguous objects and for single pages.
    pub levels: Field<u32>,
    /// The root table, the first frame of a contiguous object, or the only page; 0 while there is none.
    pub first: Field<FrameNumber>,
    /// Pages in memory.
    pub resident: Field<u32>,
    /// Pins on it: while there are any its frames stay.
    pub pins: Field<u32>,
    /// Where it is mapped, through leases too (`Mapping::in_memory`).
    pub mappings: ListHead,
    /// How many of these allow stores now.
    pub writable: Field<u32>,
    /// How many of these allow instruction fetches now.
    pub executable: Field<u32>,
    /// The next page its teardown looks at.
    pub teardown: Field<u64>,
    /// The next one that the reaper ends.
    pub next_reap: Field<u32>,
    /// A clone: the object id of its source.
    pub cloned_from: Field<u64>,
    /// A clone: the source's page that is its first.
    pub clone_first: Field<u64>,
    /// A clone that is not done yet: the source's page that is looked at next, plus one; 0: it is done.
    pub clone_next: Field<u64>,
    /// A clone of an object with a pager, or of such a clone: that object, whose pages it copies when they are first touched.
    pub behind: Field<Link<Memory>>,
    /// The page of that object that is its first.
    pub behind_first: Field<u64>,
    /// Paged: the endpoint that absent pages are asked for at (not a reference: an endpoint that ends leaves its objects).
    pub pager: Field<Link<Endpoint>>,
    /// Paged: that endpoint is gone.
    pub pager_gone: Field<bool>,
    /// Paged: whether pages may be written without asking.
    pub pager_grants: Field<bool>,
    /// Its place in `Endpoint::paged`.
    pub in_pager: ListLinks,
    /// Paged: its number at the pager's.
    pub pager_key: Field<u64>,
    /// Paged: root of the tree of threads that wait for a page (`Thread::sending`), keyed by page and arrival.
    pub page_waiters: Field<u32>,
    /// Root of the tree of the first waiters at each futex word in it (`Thread::sending`), keyed by offset.
    pub futexes: Field<u32>,
    /// The next arrival number of those who wait at words in it.
    pub futex_arrivals: Field<u64>,
    /// Its place among all paged objects, for what is discarded under pressure.
    pub in_paged: ListLinks,
    /// Pages in memory that were written since they were last clean.
    pub dirty: Field<u32>,
    /// The next page that is looked at for discarding.
    pub hand: Field<u64>,
    /// The search for a clean page that last began to look here (`Wanted::round`), and how many pages it has not looked at.
    pub hand_round: Field<u32>,
    /// See `hand_round`.
    pub hand_left: Field<u64>,
    /// 1 for frames that were not allocated but came with boot (initfs): never freed, never charged.
    pub foreign: Field<u32>,
}
}
