//! Finding functions: from the root buses down through bridges.

use crate::function::Function;
use alloc::vec::Vec;
use hal::bus::{FunctionName, Info};
use hal::config::{Access, ConfigSpace};
use pci_types::{EndpointHeader, HeaderType, PciAddress, PciHeader, PciPciBridgeHeader};

/// All endpoint functions of a segment, by place, from `first_bus` on. Every bus is looked at once, so that bridges
/// which point at each other end nothing.
pub fn functions(space: &dyn ConfigSpace, segment: u16, first_bus: u8) -> Vec<Function> {
    let mut found = Vec::new();
    let mut seen = [false; 256];
    let mut buses = Vec::from([first_bus]);
    while let Some(bus) = buses.pop() {
        match seen.get_mut(usize::from(bus)) {
            Some(seen) if !*seen => *seen = true,
            _ => continue,
        }
        for device in 0..32 {
            let header = PciHeader::new(PciAddress::new(segment, bus, device, 0));
            if header.id(Access(space)).0 == 0xffff {
                continue;
            }
            let last = if header.has_multiple_functions(Access(space)) { 7 } else { 0 };
            for function in 0..=last {
                let name = FunctionName { segment, bus, device, function };
                look(space, name, &mut found, &mut buses);
            }
        }
    }
    found.sort_by_key(|f: &Function| f.name);
    found
}

fn look(space: &dyn ConfigSpace, name: FunctionName, found: &mut Vec<Function>, buses: &mut Vec<u8>) {
    let address = PciAddress::new(name.segment, name.bus, name.device, name.function);
    let header = PciHeader::new(address);
    let (vendor, device) = header.id(Access(space));
    if vendor == 0xffff {
        return;
    }
    let (revision, class, subclass, interface) = header.revision_and_class(Access(space));
    let class = (u32::from(class) << 16) | (u32::from(subclass) << 8) | u32::from(interface);
    match header.header_type(Access(space)) {
        HeaderType::PciPciBridge => {
            let bridge = PciPciBridgeHeader::from_header(header, Access(space));
            buses.extend(bridge.map(|b| b.secondary_bus_number(Access(space))));
        }
        HeaderType::Endpoint => {
            let endpoint = EndpointHeader::from_header(PciHeader::new(address), Access(space));
            let (id, maker) = endpoint.map_or((0, 0), |e| e.subsystem(Access(space)));
            let info = Info { vendor, device, class, revision, subsystem: (maker, id) };
            found.push(Function { name, info });
        }
        _ => {}
    }
}
