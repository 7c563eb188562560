//! Tables put together by hand, read back, damaged, cut.

use super::madt::IoApic;
use super::{read, NoTables, Tables};

const RSDP: u64 = 0x1000;

struct Memory(Vec<u8>);

impl Memory {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
    /// A table with a header, at an address; its checksum is made right.
    fn table(&mut self, at: usize, signature: &[u8; 4], body: &[u8]) {
        let mut bytes = vec![0; 36];
        bytes[..4].copy_from_slice(signature);
        bytes[4..8].copy_from_slice(&((36 + body.len()) as u32).to_le_bytes());
        bytes.extend_from_slice(body);
        bytes[9] = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
        self.put(at, &bytes);
    }
    fn read(&self) -> Result<Tables, NoTables> {
        let reader = |at: u64, out: &mut [u8]| match self.0.get(at as usize..at as usize + out.len()) {
            Some(part) => {
                out.copy_from_slice(part);
                true
            }
            None => false,
        };
        read(&reader, RSDP)
    }
}

fn machine() -> Memory {
    let mut memory = Memory(vec![0; 0x1_0000]);
    let mut pointer = [0u8; 36];
    pointer[..8].copy_from_slice(b"RSD PTR ");
    pointer[16..20].copy_from_slice(&0x2000u32.to_le_bytes());
    pointer[8] = pointer.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    memory.put(RSDP as usize, &pointer);
    let list: Vec<u8> = [0x3000u32, 0x4000, 0x5000].iter().flat_map(|a| a.to_le_bytes()).collect();
    memory.table(0x2000, b"RSDT", &list);

    let mut madt = vec![0, 0, 0xe0, 0xfe, 1, 0, 0, 0];
    madt.extend([0, 8, 0, 0, 1, 0, 0, 0]); // processor 0, enabled
    madt.extend([0, 8, 1, 1, 0, 0, 0, 0]); // processor 1, not enabled
    madt.extend([9, 16, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]); // a wide id, enabled
    madt.extend([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
    madt.extend([1, 12, 1, 0, 0, 0x10, 0xc0, 0xfe, 24, 0, 0, 0]);
    madt.extend([1, 4, 9, 9]); // too short for what it says it is
    memory.table(0x3000, b"APIC", &madt);

    let mut fadt = vec![0u8; 129 - 36];
    let mut put = |at: usize, bytes: &[u8]| fadt[at - 36..at - 36 + bytes.len()].copy_from_slice(bytes);
    put(40, &0x6000u32.to_le_bytes());
    put(48, &0xb2u32.to_le_bytes());
    put(52, &[2]);
    put(64, &0x604u32.to_le_bytes());
    put(76, &0x608u32.to_le_bytes());
    put(112, &(1u32 << 10 | 1 << 8).to_le_bytes());
    put(116, &[1, 8, 0, 0]);
    put(120, &0xcf9u64.to_le_bytes());
    put(128, &[0x0f]);
    memory.table(0x4000, b"FACP", &fadt);

    let mut hpet = vec![0u8; 56 - 36];
    hpet[8..16].copy_from_slice(&0xfed0_0000u64.to_le_bytes());
    memory.table(0x5000, b"HPET", &hpet);
    memory.table(0x6000, b"DSDT", b"\x08_S5_\x12\x06\x04\x05\x00\x08_S5_\x12\x06\x04\x00\x00\x00\x00");
    memory
}

#[test]
fn everything_the_kernel_needs_is_found() {
    let tables = machine().read().unwrap();
    assert_eq!(tables.controllers.local_apic, 0xfee0_0000);
    let want = [IoApic { address: 0xfec0_0000, first_line: 0 }, IoApic { address: 0xfec0_1000, first_line: 24 }];
    assert_eq!(tables.controllers.io_apics(), want);
    assert_eq!((tables.controllers.processors, tables.controllers.has_8259), (2, true));
    assert_eq!((tables.hpet, tables.sleep_type), (Some(0xfed0_0000), Some((0, 0))));
    let fixed = tables.fixed;
    assert_eq!(
        (fixed.pm1a_control, fixed.pm1b_control, fixed.pm_timer, fixed.pm_timer_is_wide),
        (0x604, 0, 0x608, true)
    );
    assert_eq!((fixed.enable, fixed.reset), (Some((0xb2, 2)), Some((0xcf9, 0x0f))));
    assert_eq!((tables.range.0, tables.range.1 > 0x6024), (0x2000, true));
}

#[test]
fn a_damaged_table_is_as_good_as_absent() {
    let mut memory = machine();
    memory.0[0x5000 + 44] ^= 1;
    assert_eq!(memory.read().unwrap().hpet, None);
    memory.0[0x3000 + 40] ^= 1;
    assert_eq!(memory.read(), Err(NoTables));
}

#[test]
fn no_byte_flipped_anywhere_makes_a_panic() {
    for at in (0x1000..0x1024).chain(0x2000..0x2030).chain(0x3000..0x3060).chain(0x4000..0x4081).chain(0x6000..0x6040) {
        for value in [0, 1, 0x7f, 0xff] {
            let mut memory = machine();
            memory.0[at] = value;
            let _ = memory.read();
            // The same with the checksum made right again, so that the value is looked at.
            let base = at & !0xfff;
            if base > 0x1000 {
                let length = u32::from_le_bytes(memory.0[base + 4..base + 8].try_into().unwrap()) as usize;
                if let Some(bytes) = memory.0.get(base..base.saturating_add(length)) {
                    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
                    memory.0[base + 9] = memory.0[base + 9].wrapping_sub(sum);
                    let _ = memory.read();
                }
            }
        }
    }
}

#[test]
fn a_bad_root_pointer_is_refused() {
    for at in [0, 8, 16] {
        let mut memory = machine();
        memory.0[RSDP as usize + at] ^= 0xff;
        assert_eq!(memory.read(), Err(NoTables), "byte {at}");
    }
}
