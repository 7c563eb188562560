//! Configuration space: ECAM where ACPI's MCFG tells of it, the port pair
//! 0xcf8/0xcfc else.
//!
//! Source: PCI Local Bus Specification 3.0, 3.2.2.3.2; PCI Express Base Specification, 7.2.2.

use abi::{Handle, Result};
use alloc::collections::BTreeMap;
use core::cell::RefCell;
use hal::access::Mmio;
use hal::acpi::EcamRegion;
use hal::config::ConfigSpace;
use hal::port::PortRange;
use hal::window::Window;
use pci_types::PciAddress;

/// Bytes of ECAM space for one bus.
const BUS_LENGTH: usize = 1 << 20;

/// Memory-mapped configuration space; a bus is mapped when it is first looked at.
pub struct Ecam {
    memory: Handle,
    region: EcamRegion,
    buses: RefCell<BTreeMap<u8, Option<Window>>>,
}

impl Ecam {
    /// The space of a region, mapped out of a `DeviceMemory` that begins at physical 0.
    pub fn new(memory: Handle, region: EcamRegion) -> Ecam {
        Ecam { memory, region, buses: RefCell::new(BTreeMap::new()) }
    }

    fn with<T>(&self, address: PciAddress, offset: u16, act: impl FnOnce(&Window, usize) -> T) -> Option<T> {
        let (bus, region) = (address.bus(), &self.region);
        if address.segment() != region.segment || bus < region.buses.0 || bus > region.buses.1 || offset >= 4096 {
            return None;
        }
        let mut buses = self.buses.borrow_mut();
        let window = buses.entry(bus).or_insert_with(|| {
            let start = region.base.checked_add(u64::from(bus).checked_mul(BUS_LENGTH as u64)?)?;
            Window::map(self.memory, start, BUS_LENGTH, true)
                .inspect_err(|e| log::warn!("configuration space of bus {bus} can't be mapped: {e}"))
                .ok()
        });
        let function = (usize::from(address.device()) << 3) | usize::from(address.function());
        let at = (function << 12) | usize::from(offset & 0xffc);
        window.as_ref().map(|window| act(window, at))
    }
}

impl ConfigSpace for Ecam {
    fn read(&self, address: PciAddress, offset: u16) -> u32 {
        self.with(address, offset, |window, at| window.read32(at)).unwrap_or(u32::MAX)
    }
    fn write(&self, address: PciAddress, offset: u16, value: u32) {
        self.with(address, offset, |window, at| window.write32(at, value));
    }
}

/// Configuration space through ports: segment 0, the first 256 bytes of each function.
pub struct PortSpace {
    ports: PortRange,
}

impl PortSpace {
    /// The space behind ports 0xcf8 to 0xcff, which begin `ports`.
    pub fn new(ports: PortRange) -> PortSpace {
        PortSpace { ports }
    }

    fn select(&self, address: PciAddress, offset: u16) -> Option<Result<()>> {
        if address.segment() != 0 || offset >= 256 {
            return None;
        }
        let function = (u32::from(address.device()) << 11) | (u32::from(address.function()) << 8);
        let word = 0x8000_0000 | (u32::from(address.bus()) << 16) | function | u32::from(offset & 0xfc);
        Some(self.ports.write(0, 4, word))
    }
}

impl ConfigSpace for PortSpace {
    fn read(&self, address: PciAddress, offset: u16) -> u32 {
        match self.select(address, offset) {
            Some(Ok(())) => self.ports.read(4, 4).unwrap_or(u32::MAX),
            _ => u32::MAX,
        }
    }
    fn write(&self, address: PciAddress, offset: u16, value: u32) {
        if let Some(Ok(())) = self.select(address, offset) {
            if let Err(error) = self.ports.write(4, 4, value) {
                log::warn!("configuration write refused: {error}");
            }
        }
    }
}
