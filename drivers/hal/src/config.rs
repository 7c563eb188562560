//! PCI configuration space as a trait, and the bridge to `pci_types`.

use pci_types::{ConfigRegionAccess, PciAddress};

/// Reads and writes of configuration space; a function that is not there reads as all ones.
pub trait ConfigSpace {
    /// Reads 4 bytes at `offset`, a multiple of 4.
    fn read(&self, address: PciAddress, offset: u16) -> u32;
    /// Writes 4 bytes at `offset`, a multiple of 4.
    fn write(&self, address: PciAddress, offset: u16, value: u32);
}

/// A configuration space as `pci_types` wants it.
#[derive(Clone, Copy)]
pub struct Access<'a>(pub &'a dyn ConfigSpace);

impl ConfigRegionAccess for Access<'_> {
    unsafe fn read(&self, address: PciAddress, offset: u16) -> u32 {
        self.0.read(address, offset)
    }
    unsafe fn write(&self, address: PciAddress, offset: u16, value: u32) {
        self.0.write(address, offset, value);
    }
}
