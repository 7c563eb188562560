//! The mapper that the crate `acpi` reads tables through.

use super::EcamRegion;
use crate::window::Window;
use abi::{Error, Handle, Result};
use acpi::sdt::mcfg::{Mcfg, McfgEntry};
use acpi::{AcpiTables, PciAddress, PhysicalMapping};
use alloc::vec::Vec;
use core::ptr::NonNull;

/// Maps tables out of the `DeviceMemory` that covers them; its range begins at physical 0.
#[derive(Clone)]
struct Mapper(Handle);

macro_rules! unreachable_accesses {
    ($($name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)+) => {
        $(fn $name(&self, $($arg: $type),*) $(-> $result)? {
            $(let _ = $arg;)*
            // Asked for by AML alone, which is not compiled in.
            unimplemented_access()
        })+
    };
}

fn unimplemented_access() -> ! {
    panic!("static ACPI tables need no register access")
}

impl acpi::Handler for Mapper {
    unsafe fn map_physical_region<T>(&self, physical_address: usize, size: usize) -> PhysicalMapping<Self, T> {
        let window = Window::map(self.0, physical_address as u64, size, false).expect("ACPI tables can be mapped");
        let (address, mapped) = window.leak();
        PhysicalMapping {
            physical_start: physical_address,
            virtual_start: NonNull::new(address as *mut T).expect("mappings are not at 0"),
            region_length: size,
            mapped_length: mapped,
            handler: self.clone(),
        }
    }
    fn unmap_physical_region<T>(region: &PhysicalMapping<Self, T>) {
        Window::unleak(region.virtual_start.as_ptr() as usize, region.mapped_length);
    }
    unreachable_accesses! {
        read_u8(address: usize) -> u8;
        read_u16(address: usize) -> u16;
        read_u32(address: usize) -> u32;
        read_u64(address: usize) -> u64;
        write_u8(address: usize, value: u8);
        write_u16(address: usize, value: u16);
        write_u32(address: usize, value: u32);
        write_u64(address: usize, value: u64);
        read_io_u8(port: u16) -> u8;
        read_io_u16(port: u16) -> u16;
        read_io_u32(port: u16) -> u32;
        write_io_u8(port: u16, value: u8);
        write_io_u16(port: u16, value: u16);
        write_io_u32(port: u16, value: u32);
        read_pci_u8(address: PciAddress, offset: u16) -> u8;
        read_pci_u16(address: PciAddress, offset: u16) -> u16;
        read_pci_u32(address: PciAddress, offset: u16) -> u32;
        write_pci_u8(address: PciAddress, offset: u16, value: u8);
        write_pci_u16(address: PciAddress, offset: u16, value: u16);
        write_pci_u32(address: PciAddress, offset: u16, value: u32);
        nanos_since_boot() -> u64;
        stall(microseconds: u64);
        sleep(milliseconds: u64);
    }
}

/// See the parent module.
pub fn ecam_regions(memory: Handle, rsdp: u64) -> Result<Vec<EcamRegion>> {
    // SAFETY: the address is the firmware's, told by the kernel; signature and checksum are verified by the crate.
    let tables = unsafe { AcpiTables::from_rsdp(Mapper(memory), rsdp as usize) }.map_err(|_| Error::Corrupt)?;
    let Some(mcfg) = tables.find_table::<Mcfg>() else { return Ok(Vec::new()) };
    let region = |e: &McfgEntry| EcamRegion {
        base: e.base_address,
        segment: e.pci_segment_group,
        buses: (e.bus_number_start, e.bus_number_end),
    };
    Ok(mcfg.entries().iter().map(region).filter(|r| r.buses.0 <= r.buses.1).collect())
}
