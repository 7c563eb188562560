//! The static ACPI tables that user mode needs, through the crate `acpi`
//! (tables only, no AML).

use abi::{Error, Handle, Result};
use alloc::vec::Vec;

/// A range of buses whose configuration space is mapped (PCI Firmware Specification 4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EcamRegion {
    /// Physical address of bus 0's space (also where the first bus is another).
    pub base: u64,
    /// PCI segment group.
    pub segment: u16,
    /// First and last bus.
    pub buses: (u8, u8),
}

/// The mapped configuration regions that the MCFG tells of; none on machines without one. `memory` is a `DeviceMemory`
/// that begins at physical 0. Errors: `NotFound` (no root pointer), `Corrupt`.
pub fn ecam_regions(memory: Handle, rsdp: u64) -> Result<Vec<EcamRegion>> {
    if rsdp == 0 {
        return Err(Error::NotFound);
    }
    tables::ecam_regions(memory, rsdp)
}

#[cfg(target_os = "none")]
mod tables;

/// The host's firmware is not ours to read.
#[cfg(not(target_os = "none"))]
mod tables {
    use super::{EcamRegion, Error, Handle, Result, Vec};

    pub fn ecam_regions(_memory: Handle, _rsdp: u64) -> Result<Vec<EcamRegion>> {
        Err(Error::NotSupported)
    }
}
