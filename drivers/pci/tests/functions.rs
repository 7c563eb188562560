//! Functions and what they have, in a configuration space that is made up.

mod fake;

use fake::{bridge, disk, FakeSpace};
use pci::enumerate::functions;
use pci::function::Region;

#[test]
fn bars_tell_place_and_length_and_keep_their_values() {
    let space = FakeSpace::new(&[(0, 3, disk())]);
    let function = functions(&space, 0, 0)[0];
    let before = space.dump();
    assert_eq!(function.bar(&space, 1), Some(Region::Memory { address: 0xfebd_5000, length: 4096 }));
    assert_eq!(function.bar(&space, 4), Some(Region::Memory { address: 0x70_0000_0000, length: 16384 }));
    assert_eq!(function.bar(&space, 0), Some(Region::Ports { first: 0xc000, count: 128 }));
    assert_eq!(function.bar(&space, 2), None);
    assert_eq!(function.bar(&space, 6), None);
    assert_eq!(space.dump(), before);
}

#[test]
fn the_interrupt_table_is_found_in_its_bar_only() {
    let space = FakeSpace::new(&[(0, 3, disk())]);
    let function = functions(&space, 0, 0)[0];
    assert_eq!(function.msix_ranges(&space, 1), [0..32, 0x800..0x808]);
    assert_eq!(function.msix_ranges(&space, 4), [0..0, 0..0]);
}

#[test]
fn stopping_ends_mastering_and_messages() {
    let space = FakeSpace::new(&[(0, 3, disk())]);
    let function = functions(&space, 0, 0)[0];
    function.set_mastering(&space, true);
    assert_ne!(space.word(0, 3, 4) & 4, 0);
    function.stop(&space);
    assert_eq!(space.word(0, 3, 4) & 4, 0);
    assert_eq!(space.word(0, 3, 0x98) >> 31, 0);
    assert_eq!(function.bar(&space, 1), Some(Region::Memory { address: 0xfebd_5000, length: 4096 }));
}

#[test]
fn functions_behind_bridges_are_found_once() {
    let space = FakeSpace::new(&[(0, 1, bridge(5)), (5, 0, disk()), (5, 2, bridge(0)), (0, 31, disk())]);
    let names: Vec<String> = functions(&space, 0, 0).iter().map(|f| f.name.to_string()).collect();
    assert_eq!(names, ["0000.00.1f.0", "0000.05.00.0"]);
}

#[test]
fn a_function_tells_what_it_is() {
    let space = FakeSpace::new(&[(0, 3, disk())]);
    let info = functions(&space, 0, 0)[0].info;
    assert_eq!((info.vendor, info.device, info.class), (0x1af4, 0x1042, 0x01_0000));
    assert_eq!(info.subsystem, (0x1af4, 0x1100));
}
