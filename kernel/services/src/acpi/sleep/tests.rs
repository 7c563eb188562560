//! The scan for the sleep types, on bytes as they stand in tables.

use super::Scan;

fn scan(bytes: &[u8]) -> Option<(u8, u8)> {
    let mut scan = Scan::new();
    bytes.iter().find_map(|byte| scan.byte(*byte))
}

#[test]
fn the_forms_that_compilers_write_are_understood() {
    // QEMU's q35 and pc: Name (_S5, Package (4) { Zero, Zero, Zero, Zero }).
    assert_eq!(scan(b"\x10junk\x08_S5_\x12\x06\x04\x00\x00\x00\x00"), Some((0, 0)));
    assert_eq!(scan(b"\x08_S5_\x12\x0a\x04\x0a\x05\x0a\x05\x00\x00"), Some((5, 5)));
    assert_eq!(scan(b"\x08\x5c_S5_\x12\x08\x04\x0a\x07\x01\x00\x00"), Some((7, 1)));
    assert_eq!(scan(b"\x08_S5_\x12\x40\x01\x02\x0b\x05\x00\x0a\x06"), Some((5, 6)));
}

#[test]
fn mentions_other_states_and_cut_tables_give_nothing() {
    assert_eq!(scan(b"_S5_\x12\x06\x04\x00\x00"), None);
    assert_eq!(scan(b"\x08_S4_\x12\x06\x04\x00\x00"), None);
    assert_eq!(scan(b"\x08_S5_\x14\x06\x04\x00\x00"), None);
    assert_eq!(scan(b"\x08_S5_\x12\x06\x04\x0a"), None);
    assert_eq!(scan(b"\x08_S5_\x12\x06\x01\x00\x00"), None);
    // A failed look is followed by the real one.
    assert_eq!(scan(b"\x08_S5_\x12\x06\x04\x70\x08_S5_\x12\x06\x04\x01\x00"), Some((1, 0)));
}
