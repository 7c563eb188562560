//! The PCI bus manager's wiring: capabilities from the manifest, configuration
//! space, the server.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use abi::{Handle, Rights};
use alloc::vec::Vec;
use hal::config::ConfigSpace;
use hal::port::PortRange;
use pci::enumerate::functions;
use pci::server::{Pci, Roots};
use pci::space::{Ecam, PortSpace};
use scheme::rt::{calls, start};

scheme::entry!(run);

fn run() -> u64 {
    let (Some(memory), Some(ports), Some(interrupts), Some(dma)) =
        (start::handle("registers"), start::handle("ports"), start::handle("interrupts"), start::handle("dma"))
    else {
        log::error!("a capability is missing: registers, ports, interrupts, dma");
        return 1;
    };
    let roots = Roots { memory, ports, interrupts, dma };
    let rsdp = start::arguments().iter().find_map(|a| a.strip_prefix("rsdp=")?.parse().ok()).unwrap_or(0);
    let regions = hal::acpi::ecam_regions(memory, rsdp).unwrap_or_else(|error| {
        log::warn!("no ACPI tables for configuration space: {error}");
        Vec::new()
    });
    match regions.first() {
        Some(region) => {
            if regions.len() > 1 {
                log::warn!("{} more segments of configuration space are not used", regions.len() - 1);
            }
            log::info!("configuration space at {:#x}, buses {:?}", region.base, region.buses);
            serve(Ecam::new(memory, *region), region.segment, region.buses.0, roots)
        }
        None => match config_ports(ports) {
            Ok(ports) => serve(PortSpace::new(ports), 0, 0, roots),
            Err(error) => {
                log::error!("no way into configuration space: {error}");
                1
            }
        },
    }
}

fn config_ports(ports: Handle) -> abi::Result<PortRange> {
    let handle = calls::derive_range(ports, Rights::READ | Rights::WRITE, 0xcf8, 8)?;
    Ok(PortRange::new(handle, 0xcf8))
}

fn serve<S: ConfigSpace>(space: S, segment: u16, bus: u8, roots: Roots) -> u64 {
    let found = functions(&space, segment, bus);
    for function in &found {
        let info = function.info;
        log::info!("{}: {:04x}:{:04x} class {:06x}", function.name, info.vendor, info.device, info.class);
    }
    scheme::server::serve(Pci::new(space, found, roots))
}
