//! One entry of a capability table.

use super::ListHead;
use crate::field::Field;
use crate::fields;

fields! {
/// A capability: what it names, what it allows, and its place in the derivation tree.
///
/// `word` packs handle (bits 0–31), kind (32–39) and rights (40–55), so that a look-up is one
/// masked compare; a free entry's word is 0 but for the next generation in bits 16–31.
/// Parent, child and siblings are indices in the capability arena, over all processes; 0 for none.
#[repr(C, align(64))]
pub struct Cap {
    /// Handle | kind << 32 | rights << 40.
    pub word: Field<u64>,
    /// The object's index in the arena of its kind.
    pub object: Field<u32>,
    /// The entry it was derived from. While the entry is free: the next free entry of the table.
    pub parent: Field<u32>,
    /// The entry derived from it most lately.
    pub first_child: Field<u32>,
    /// The next entry with the same parent.
    pub next_sibling: Field<u32>,
    /// The previous entry with the same parent.
    pub prev_sibling: Field<u32>,
    /// Bit 0: this entry is being revoked (no derive, no transfer).
    pub flags: Field<u32>,
    /// Sessions: messages sent through it. Notifications: the bits that it may set, 0 for all of them.
    pub data: Field<u64>,
    /// What stems from it beside other entries and ends with a revocation. Memory, DeviceMemory: mappings
    /// (`Mapping::in_via`). Sessions: calls in flight whose entry was closed (`Thread::in_via`).
    pub uses: ListHead,
    /// Sessions: names bound with it (`Name::in_via`).
    pub names: ListHead,
    /// The process it came from, by object id (low half); 0: it was made by its holder.
    pub origin: Field<u32>,
    /// Being closed or removed: threads of its holder that were looked at (`cap::uses`).
    pub cursor: Field<u32>,
}
}
