//! A configuration space in memory, with functions that behave as the tests
//! need.

use hal::config::ConfigSpace;
use pci_types::PciAddress;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A function: its words, and which bits of each can be written.
#[derive(Clone)]
pub struct FakeFunction {
    words: BTreeMap<u16, (u32, u32)>,
}

/// A virtio disk with I/O, 32-bit and 64-bit BARs and MSI-X.
pub fn disk() -> FakeFunction {
    let words = [
        (0x00, 0x1042_1af4, 0),
        (0x04, 0x0010_0003, 0x0000_0407),
        (0x08, 0x0100_0001, 0),
        (0x0c, 0, 0),
        (0x10, 0x0000_c001, 0xffff_ff80),
        (0x14, 0xfebd_5000, 0xffff_f000),
        (0x18, 0, 0),
        (0x1c, 0, 0),
        (0x20, 0x0000_000c, 0xffff_c000),
        (0x24, 0x0000_0070, 0xffff_ffff),
        (0x2c, 0x1100_1af4, 0),
        (0x34, 0x98, 0),
        (0x98, 0x8001_0011, 0xc000_0000),
        (0x9c, 0x0000_0001, 0),
        (0xa0, 0x0000_0801, 0),
    ];
    FakeFunction { words: words.into_iter().map(|(at, value, mask)| (at, (value, mask))).collect() }
}

/// A bridge to another bus.
pub fn bridge(secondary: u8) -> FakeFunction {
    let words = [(0x00, 0x0001_1b36), (0x08, 0x0604_0000), (0x0c, 0x0001_0000), (0x18, u32::from(secondary) << 8)];
    FakeFunction { words: words.into_iter().map(|(at, value)| (at, (value, 0))).collect() }
}

/// Functions by bus and device.
pub struct FakeSpace(RefCell<BTreeMap<(u8, u8), FakeFunction>>);

impl FakeSpace {
    pub fn new(functions: &[(u8, u8, FakeFunction)]) -> FakeSpace {
        FakeSpace(RefCell::new(functions.iter().map(|(b, d, f)| ((*b, *d), f.clone())).collect()))
    }
    pub fn word(&self, bus: u8, device: u8, at: u16) -> u32 {
        self.0.borrow()[&(bus, device)].words[&at].0
    }
    pub fn dump(&self) -> Vec<(u8, u8, u16, u32)> {
        let all = self.0.borrow();
        all.iter().flat_map(|((b, d), f)| f.words.iter().map(|(at, w)| (*b, *d, *at, w.0))).collect()
    }
}

impl ConfigSpace for FakeSpace {
    fn read(&self, address: PciAddress, offset: u16) -> u32 {
        let all = self.0.borrow();
        let function = all.get(&(address.bus(), address.device())).filter(|_| address.function() == 0);
        function.map_or(u32::MAX, |f| f.words.get(&offset).map_or(0, |w| w.0))
    }
    fn write(&self, address: PciAddress, offset: u16, value: u32) {
        let mut all = self.0.borrow_mut();
        let function = all.get_mut(&(address.bus(), address.device()));
        if let Some(word) = function.and_then(|f| f.words.get_mut(&offset)) {
            word.0 = (word.0 & !word.1) | (value & word.1);
        }
    }
}
