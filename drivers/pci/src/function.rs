//! One PCI function: identity, BARs, MSI-X, reset.

use hal::bus::{FunctionName, Info};
use hal::config::{Access, ConfigSpace};
use pci_types::capability::{MsixCapability, PciCapability};
use pci_types::{Bar, CommandRegister, EndpointHeader, PciAddress, PciHeader};

/// A function's place in its bus and what it says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its place.
    pub name: FunctionName,
    /// What it is.
    pub info: Info,
}

/// Where a BAR leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// Physical addresses.
    Memory {
        /// The first.
        address: u64,
        /// Bytes.
        length: u64,
    },
    /// I/O ports.
    Ports {
        /// The first.
        first: u16,
        /// How many.
        count: u16,
    },
}

/// Capability ids and registers that `pci_types` names no further.
mod register {
    pub const COMMAND: u16 = 0x04;
    /// PCI Express capability: device capabilities, bit 28: function-level reset (7.5.3.3).
    pub const EXPRESS_DEVICE_CAPABILITIES: u16 = 4;
    /// Device control and status: bit 15 starts the reset.
    pub const EXPRESS_DEVICE_CONTROL: u16 = 8;
    /// Power management: control/status; bits 0-1 the state, bit 3 "no soft reset".
    pub const POWER_CONTROL: u16 = 4;
}

impl Function {
    /// The address as `pci_types` has it.
    pub fn address(&self) -> PciAddress {
        PciAddress::new(self.name.segment, self.name.bus, self.name.device, self.name.function)
    }

    fn endpoint(&self, space: &dyn ConfigSpace) -> Option<EndpointHeader> {
        EndpointHeader::from_header(PciHeader::new(self.address()), Access(space))
    }

    fn capability(&self, space: &dyn ConfigSpace, wanted: impl Fn(&PciCapability) -> bool) -> Option<PciCapability> {
        // 48 capabilities fit the space: more is a loop.
        self.endpoint(space)?.capabilities(Access(space)).take(48).find(wanted)
    }

    /// Where BAR `index` leads, if it is there. While its size is asked for, the device doesn't decode.
    pub fn bar(&self, space: &dyn ConfigSpace, index: u8) -> Option<Region> {
        let endpoint = self.endpoint(space)?;
        let offset = 0x10_u16.checked_add(u16::from(index).checked_mul(4)?)?;
        let raw = space.read(self.address(), offset);
        // The reserved memory types would be a panic in the library; bit 1 alone is "below 1 MiB", long gone.
        if index >= 6 || (raw & 1 == 0 && !matches!(raw & 6, 0 | 4)) {
            return None;
        }
        let command = space.read(self.address(), register::COMMAND) & 0xffff;
        space.write(self.address(), register::COMMAND, command & !3);
        let bar = endpoint.bar(index, Access(space));
        let ports = (raw & 1 == 1).then(|| {
            space.write(self.address(), offset, u32::MAX);
            let mask = space.read(self.address(), offset) & 0xfffc;
            space.write(self.address(), offset, raw);
            (mask as u16).wrapping_neg()
        });
        space.write(self.address(), register::COMMAND, command);
        match bar? {
            Bar::Memory32 { address, size, .. } if address != 0 => {
                Some(Region::Memory { address: u64::from(address), length: u64::from(size) })
            }
            Bar::Memory64 { address, size, .. } if address != 0 => Some(Region::Memory { address, length: size }),
            Bar::Io { port } if port != 0 => Some(Region::Ports { first: u16::try_from(port).ok()?, count: ports? }),
            _ => None,
        }
    }

    /// The MSI-X capability, if there is one.
    pub fn msix(&self, space: &dyn ConfigSpace) -> Option<MsixCapability> {
        match self.capability(space, |c| matches!(c, PciCapability::MsiX(_)))? {
            PciCapability::MsiX(msix) => Some(msix),
            _ => None,
        }
    }

    /// The bytes of BAR `index` that hold the MSI-X table or its pending bits: never mapped to a driver.
    pub fn msix_ranges(&self, space: &dyn ConfigSpace, index: u8) -> [core::ops::Range<u64>; 2] {
        let Some(msix) = self.msix(space) else { return [0..0, 0..0] };
        let range = |bar: u8, offset: u32, bytes: u64| {
            let start = u64::from(offset);
            if bar == index {
                start..start.saturating_add(bytes)
            } else {
                0..0
            }
        };
        let entries = u64::from(msix.table_size());
        [
            range(msix.table_bar(), msix.table_offset(), entries.saturating_mul(16)),
            range(msix.pba_bar(), msix.pba_offset(), entries.div_ceil(64).saturating_mul(8)),
        ]
    }

    /// Lets the device decode its BARs and master the bus, without line interrupts; or master nothing.
    pub fn set_mastering(&self, space: &dyn ConfigSpace, on: bool) {
        let mut header = PciHeader::new(self.address());
        header.update_command(Access(space), |command| {
            let always =
                CommandRegister::IO_ENABLE | CommandRegister::MEMORY_ENABLE | CommandRegister::INTERRUPT_DISABLE;
            let command = command | always;
            if on {
                command | CommandRegister::BUS_MASTER_ENABLE
            } else {
                command - CommandRegister::BUS_MASTER_ENABLE
            }
        });
    }

    /// Stops the device: no mastering, no message interrupts, and a reset where it has one. Configuration that
    /// firmware made (BARs) is kept. Answers whether a reset was done.
    pub fn stop(&self, space: &dyn ConfigSpace) -> bool {
        self.set_mastering(space, false);
        if let Some(mut msix) = self.msix(space) {
            msix.set_enabled(false, Access(space));
        }
        let saved: [u32; 6] = core::array::from_fn(|i| space.read(self.address(), bar_offset(i)));
        let command = space.read(self.address(), register::COMMAND) & 0xffff;
        let done = self.function_level_reset(space) || self.power_cycle(space);
        if done {
            for (i, value) in saved.iter().enumerate() {
                space.write(self.address(), bar_offset(i), *value);
            }
            space.write(self.address(), register::COMMAND, command);
        }
        done
    }

    fn function_level_reset(&self, space: &dyn ConfigSpace) -> bool {
        let Some(express) = self.capability(space, |c| matches!(c, PciCapability::PciExpress(_))) else { return false };
        let at = express.address().offset;
        let Some(control) = at.checked_add(register::EXPRESS_DEVICE_CONTROL) else { return false };
        let can = at.checked_add(register::EXPRESS_DEVICE_CAPABILITIES).map(|a| space.read(self.address(), a));
        if can.is_none_or(|c| c & (1 << 28) == 0) {
            return false;
        }
        let value = space.read(self.address(), control) & 0xffff;
        space.write(self.address(), control, value | (1 << 15));
        self.wait_for_answer(space);
        true
    }

    fn power_cycle(&self, space: &dyn ConfigSpace) -> bool {
        let power = self.capability(space, |c| matches!(c, PciCapability::PowerManagement(_)));
        let Some(at) = power.and_then(|p| p.address().offset.checked_add(register::POWER_CONTROL)) else {
            return false;
        };
        let value = space.read(self.address(), at);
        if value & (1 << 3) != 0 {
            return false;
        }
        space.write(self.address(), at, value | 3);
        space.write(self.address(), at, value & !3);
        self.wait_for_answer(space);
        true
    }

    /// After a reset a function answers configuration reads within 100 ms (PCI Express 6.6.2); until then all ones.
    fn wait_for_answer(&self, space: &dyn ConfigSpace) {
        for _ in 0..1000 {
            if space.read(self.address(), 0) & 0xffff != 0xffff {
                return;
            }
            scheme::time::sleep_ns(100_000);
        }
        log::warn!("{} does not answer after its reset", self.name);
    }
}

fn bar_offset(index: usize) -> u16 {
    0x10_u16.saturating_add((index as u16).saturating_mul(4))
}
