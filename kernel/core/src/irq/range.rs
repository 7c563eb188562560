//! Ranges of ports and of device registers.
//!
//! A range is an object of its own; a narrower one is made by deriving, in absolute numbers: ports by number, registers
//! by physical address, so that what a manifest or a BAR says can be used as it is. No range reaches memory
//! that the kernel looks after, whatever its numbers: mapping checks that each time.

use crate::cap::reference::object;
use crate::object::{DeviceMemory, IoPorts, Quota};
use crate::{Id, Kernel, Machine};
use abi::memory::PAGE_SIZE;
use abi::{Error, Kind, Result};

/// All ports.
pub const PORTS: u32 = 1 << 16;
/// Pages of physical address space (52 bits of address; SDM 3A, 4.1.4).
pub const PHYSICAL_PAGES: u64 = 1 << 40;
/// Pages of registers that the kernel can keep for itself: interrupt controllers, timers.
pub const KEPT: usize = 16;

object!(IoPorts, IoPorts, |kernel, id| kernel.free_object(id));

object!(DeviceMemory, DeviceMemory, |kernel, id| {
    // Mappings of it are made of addresses; they stay until they are unmapped.
    kernel.free_object(id);
});

impl IoPorts {
    /// Whether an access of this width (1, 2 or 4 bytes) lies in the range. Errors: `BadArgument`.
    pub fn check(&self, port: u64, width: u64) -> Result<u16> {
        let first = u64::from(self.first.get());
        let end = first.saturating_add(u64::from(self.count.get()));
        Error::BadArgument.when(!matches!(width, 1 | 2 | 4) || port < first || port.saturating_add(width) > end)?;
        u16::try_from(port).map_err(|_| Error::BadArgument)
    }
}

impl<M: Machine> Kernel<M> {
    /// Keeps a page of registers for the kernel: nobody maps it from now on. `false`: there is no place to note it.
    pub fn device_page_keep(&self, page: u64) -> bool {
        let place = self.irq.kept.iter().find(|place| place.get() == 0 || place.get() == page);
        place.is_some_and(|place| {
            place.set(page);
            true
        })
    }

    /// Whether user code may have these physical pages mapped: no memory that the kernel looks after, no registers of
    /// its own.
    pub fn device_pages_are_free(&self, first: u64, pages: u64) -> bool {
        let end = first.saturating_add(pages);
        let kept = |place: &crate::field::Field<u64>| (first.max(1)..end).contains(&place.get());
        !self.frames.touches_ram(first, pages) && !self.irq.kept.iter().any(kept)
    }

    /// A range of ports, without references. Errors: `BadArgument` (empty, or past the last port), `OutOfQuota`, `OutOfMemory`.
    pub fn ports_new(&self, quota: Id<Quota>, first: u32, count: u32) -> Result<Id<IoPorts>> {
        Error::BadArgument.when(count == 0 || first.checked_add(count).is_none_or(|end| end > PORTS))?;
        let id = self.allocate_object::<IoPorts>(quota)?;
        self.ports[id].first.set(first);
        self.ports[id].count.set(count);
        Ok(id)
    }

    /// A range of physical pages, without references. Errors: `BadArgument` (empty, or past the last page), `OutOfQuota`,
    /// `OutOfMemory`.
    pub fn device_memory_new(&self, quota: Id<Quota>, first_page: u64, pages: u64) -> Result<Id<DeviceMemory>> {
        Error::BadArgument.when(pages == 0 || first_page.checked_add(pages).is_none_or(|end| end > PHYSICAL_PAGES))?;
        let id = self.allocate_object::<DeviceMemory>(quota)?;
        self.device_memories[id].first_page.set(first_page);
        self.device_memories[id].pages.set(pages);
        Ok(id)
    }

    /// Part of a range as an object of its own, without references: ports by number, registers by physical address and
    /// bytes. Errors: `BadArgument` (not inside, empty, not whole pages), `NotSupported` (a kind without ranges),
    /// `OutOfQuota`, `OutOfMemory`.
    pub fn derive_range(&self, quota: Id<Quota>, kind: Kind, object: u32, start: u64, length: u64) -> Result<u32> {
        let end = start.checked_add(length).ok_or(Error::BadArgument)?;
        match kind {
            Kind::IoPorts => {
                let id = Id::<IoPorts>::try_new(object as usize).ok_or(Error::BadArgument)?;
                let first = u64::from(self.ports[id].first.get());
                Error::BadArgument
                    .when(start < first || end > first.saturating_add(u64::from(self.ports[id].count.get())))?;
                Ok(self.ports_new(quota, start as u32, length as u32)?.raw())
            }
            Kind::DeviceMemory => {
                let id = Id::<DeviceMemory>::try_new(object as usize).ok_or(Error::BadArgument)?;
                let range = &self.device_memories[id];
                let first = range.first_page.get();
                let (page, last) = (start / PAGE_SIZE, end / PAGE_SIZE);
                let whole = (start | length) & PAGE_SIZE.wrapping_sub(1) == 0;
                Error::BadArgument.when(!whole || page < first || last > first.saturating_add(range.pages.get()))?;
                Ok(self.device_memory_new(quota, page, length / PAGE_SIZE)?.raw())
            }
            _ => Err(Error::NotSupported),
        }
    }
}
