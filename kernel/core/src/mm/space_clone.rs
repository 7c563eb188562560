//! Cloning an address space: what `fork` stands on.
//!
//! Mapping by mapping, in the order of addresses, each as it asks for (`abi::memory::Inherit`). A mapping is made in the new
//! space before its pages are shared with the clone of its object, so a clone that is not done belongs to somebody; the
//! position goes with the caller. Mappings of one object lead to one clone.

use crate::list::InMemory;
use crate::mm::mapping::Backing;
use crate::object::{Mapping, MappingKind, Memory, Space};
use crate::tree::InSpace;
use crate::{Id, Kernel, Machine};
use abi::memory::Inherit;
use abi::{Error, Result};

impl<M: Machine> Kernel<M> {
    /// A step of cloning a space from an address on; answers the address to go on from, or none at the end. Errors:
    /// `Exists` (something is mapped there already), `Closed` (the space is ending), `OutOfQuota`,
    /// `OutOfMemory` (of the new space's account).
    pub(crate) fn space_clone_step(&self, source: Id<Space>, into: Id<Space>, from: u64) -> Result<Option<u64>> {
        Error::Closed.when(self.spaces[into].ending.get() || self.spaces[source].ending.get())?;
        let tree = self.mappings.tree::<InSpace>(&self.spaces[source].mappings);
        let Some(id) = tree.ceiling(from) else { return Ok(None) };
        let mapping = &self.mappings[id];
        let start = mapping.start();
        let next = Ok(Some(start.saturating_add(1)));
        let (MappingKind::Memory, Some(memory)) = (mapping.kind.get(), mapping.memory.get()) else { return next };
        let inherit = Inherit::from_number(mapping.inherit.get()).unwrap_or(Inherit::Nothing);
        if inherit == Inherit::Nothing {
            return next;
        }
        let clone = match self.cloned_mapping(memory, into, start) {
            Some(clone) => clone,
            None => {
                Error::Exists.when(self.mapping_last(into, start, mapping.end()).is_some())?;
                let object =
                    if inherit == Inherit::Share { memory } else { self.clone_object(memory, source, into, start)? };
                self.clone_mapping(mapping, object, into)?;
                object
            }
        };
        if inherit == Inherit::Share || self.clone_step(memory, clone)? {
            return next;
        }
        Ok(Some(start))
    }

    /// The object behind the mapping that was made already for this one: its clone.
    fn cloned_mapping(&self, memory: Id<Memory>, into: Id<Space>, start: u64) -> Option<Id<Memory>> {
        let there = &self.mappings[self.mapping_at(into, start).filter(|id| self.mappings[*id].start() == start)?];
        let object = there.memory.get()?;
        let from = self.memories[object].cloned_from.get();
        (from == self.memories[memory].header.object_id.get()).then_some(object)
    }

    /// The clone of an object for a space: the one that an earlier mapping of the same object led to, or a fresh one.
    fn clone_object(&self, memory: Id<Memory>, source: Id<Space>, into: Id<Space>, start: u64) -> Result<Id<Memory>> {
        let mut others = self.mappings.list::<InMemory>(&self.memories[memory].mappings).iter();
        let known = others.find_map(|id| {
            let other = &self.mappings[id];
            let before = other.space.get() == Some(source) && other.start() < start;
            let copied = other.inherit.get() == Inherit::Copy as u8 && other.kind.get() == MappingKind::Memory;
            self.cloned_mapping(memory, into, other.start()).filter(|_| before && copied)
        });
        match known {
            Some(clone) => Ok(clone),
            None => {
                let quota = self.spaces[into].header.quota.get().expect("invariant: an object has an account");
                self.clone_new(memory, quota, 0, self.memories[memory].length_pages.get())
            }
        }
    }

    fn clone_mapping(&self, mapping: &Mapping, object: Id<Memory>, into: Id<Space>) -> Result<()> {
        let backing = Backing::Memory(object, mapping.offset_pages.get());
        // Until the mapping holds it, nothing does.
        self.retain(object);
        let pages = mapping.length_pages.get();
        let made = self.mapping_new(into, mapping.start(), pages, backing, mapping.protection(), mapping.limit());
        if let Ok(id) = made {
            self.mappings[id].inherit.set(mapping.inherit.get());
            if mapping.inherit.get() == Inherit::Share as u8 {
                self.mapping_via_set(id, Id::try_new(mapping.via.get() as usize), mapping.via_inherited.get());
            }
        }
        self.release(object);
        made.map(|_| ())
    }
}
