//! From a mapping to a translation, when an access asks for it.
//!
//! Called for page faults of user code, and by the kernel's own walks of user memory, which never fault:
//! they look first. What a mapping leads to is entered page by page, or as a large page where the memory
//! is one run (or device registers) and its address fits.

use crate::machine::{Machine, Translation};
use crate::object::{Mapping, MappingKind, Space};
use crate::{FrameNumber, Id, Kernel, PhysAddr, VirtAddr};
use abi::memory::{Protection, LARGE_PAGE_SIZE, PAGE_SIZE};
use abi::{Error, Result};

/// What an access wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To load.
    Read,
    /// To store.
    Write,
    /// To fetch instructions.
    Execute,
}

impl Access {
    /// From the error code of a page fault (SDM 3A, 4.7): bit 1 a store, bit 4 an instruction fetch.
    pub fn from_code(code: u64) -> Access {
        if code & 0x10 != 0 {
            Access::Execute
        } else if code & 2 != 0 {
            Access::Write
        } else {
            Access::Read
        }
    }

    /// Whether a protection lets it through. Pages that can be written or executed can be read too: the
    /// page tables of this architecture can't say otherwise.
    pub fn allowed(self, by: Protection) -> bool {
        match self {
            Access::Read => !by.is_empty(),
            Access::Write => by.contains(Protection::WRITE),
            Access::Execute => by.contains(Protection::EXECUTE),
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// Makes an access possible that the mappings allow. Errors: `BadAddress` (they don't), `Busy` (it would be
    /// executed while a device may write it), `OutOfQuota`, `OutOfMemory` (of the memory object's or the space's account).
    pub fn resolve_fault(&self, space: Id<Space>, address: u64, access: Access) -> Result<()> {
        let page = VirtAddr::try_user(address).ok_or(Error::BadAddress)?.page();
        Error::BadAddress.when(self.spaces[space].ending.get())?;
        let id = self.mapping_at(space, page.0).ok_or(Error::BadAddress)?;
        let mapping = &self.mappings[id];
        let protection = mapping.protection();
        Error::BadAddress.when(!access.allowed(protection))?;
        let root = self.spaces[space].root.get();
        if let Some(there) = self.machine.translate(root, page) {
            if access.allowed(there.protection) {
                // Another thread was first, or a processor remembers what was there before.
                self.machine.flush(root, Some(page));
                return Ok(());
            }
            if self.fault_unshare(root, id, page, access)? {
                return Ok(());
            }
        }
        match (mapping.kind.get(), mapping.memory.get()) {
            (MappingKind::Memory, Some(memory)) => {
                let object = &self.memories[memory];
                let executable = protection.contains(Protection::EXECUTE);
                if object.is_run() && (!executable || object.foreign.get() != 0) {
                    let base = u64::from(object.first.get().0);
                    if let Some((block, to)) = self.fault_large(mapping, page, base) {
                        return self.translation_enter(space, block, to);
                    }
                }
                let frame = self.memory_bring(memory, mapping.page_at(page.0), access)?;
                let written = object.pins.get() > 0 || self.frame_info(frame).is_some_and(|f| f.written.get() > 0);
                Error::Busy.when(executable && written)?;
                let protection = self.page_protection(memory, mapping.page_at(page.0), frame, protection);
                let to = Translation { address: frame.address(), protection, large: false, device: false };
                self.translation_enter(space, page, to)
            }
            (MappingKind::Device, _) => {
                if let Some((block, to)) = self.fault_large(mapping, page, 0) {
                    return self.translation_enter(space, block, to);
                }
                let address = PhysAddr(mapping.page_at(page.0).saturating_mul(PAGE_SIZE));
                let to = Translation { address, protection, large: false, device: true };
                self.translation_enter(space, page, to)
            }
            // All pages of a mapped lease are there from the start.
            _ => Err(Error::BadAddress),
        }
    }

    /// A translation allows less than its mapping: its frame was shared when it was entered. For a store the object gets a
    /// frame of its own, and the translation is out: `false`. If nobody shares the frame any more, the translation is made what
    /// the mapping says: `true`. Errors: `BadAddress` (no such translation), `OutOfQuota`, `OutOfMemory`.
    fn fault_unshare(&self, root: FrameNumber, id: Id<Mapping>, page: VirtAddr, access: Access) -> Result<bool> {
        let mapping = &self.mappings[id];
        let (MappingKind::Memory, Some(memory), Access::Write) = (mapping.kind.get(), mapping.memory.get(), access)
        else {
            return Err(Error::BadAddress);
        };
        self.memory_bring(memory, mapping.page_at(page.0), access)?;
        let there = self.machine.protect(root, page, mapping.protection());
        Ok(there.map(|flush| flush.now(&self.machine)).is_some())
    }

    /// The large page around a page, where the mapping and what it leads to (a run that begins at physical page
    /// `base`) are so aligned and reach so far.
    fn fault_large(&self, mapping: &Mapping, page: VirtAddr, base: u64) -> Option<(VirtAddr, Translation)> {
        let block = page.0 & !LARGE_PAGE_SIZE.wrapping_sub(1);
        if block < mapping.start() || block.saturating_add(LARGE_PAGE_SIZE) > mapping.end() {
            return None;
        }
        let address = base.saturating_add(mapping.page_at(block)).saturating_mul(PAGE_SIZE);
        let root = self.spaces[mapping.space()].root.get();
        if address & LARGE_PAGE_SIZE.wrapping_sub(1) != 0 || self.machine.small_table(root, VirtAddr(block)) {
            return None;
        }
        let device = mapping.kind.get() == MappingKind::Device;
        let to = Translation { address: PhysAddr(address), protection: mapping.protection(), large: true, device };
        Some((VirtAddr(block), to))
    }

    /// The frame behind an address of memory that the space's owner mapped itself, brought in; nothing is
    /// entered. Borrowed pages and registers are refused: who keeps the frame must not outlive a lease.
    /// The caller takes a reference if it keeps the frame. Errors: as [`Kernel::resolve_fault`].
    pub fn space_frame(&self, space: Id<Space>, address: u64, write: bool) -> Result<FrameNumber> {
        let page = VirtAddr::try_user(address).ok_or(Error::BadAddress)?.page();
        let mapping = &self.mappings[self.mapping_at(space, page.0).ok_or(Error::BadAddress)?];
        let access = if write { Access::Write } else { Access::Read };
        match (mapping.kind.get(), mapping.memory.get()) {
            (MappingKind::Memory, Some(memory)) if access.allowed(mapping.protection()) && !self.is_paged(memory) => {
                self.memory_bring(memory, mapping.page_at(page.0), access)
            }
            _ => Err(Error::BadAddress),
        }
    }
}
