//! Program files, good and bad.

use abi::memory::Protection;
use abi::Error;
use proptest::prelude::{any, proptest, Just, ProptestConfig, Strategy};
use scheme::elf::{parse, Segment};

const TEXT: u64 = 0x40_0000;

/// kind, flags, offset, address, file size, memory size
type Header = (u32, u32, u64, u64, u64, u64);

fn elf(entry: u64, headers: &[Header]) -> Vec<u8> {
    let mut file = vec![0u8; 0x3000];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &2u16.to_le_bytes());
    put(18, &62u16.to_le_bytes());
    put(20, &1u32.to_le_bytes());
    put(24, &entry.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(52, &64u16.to_le_bytes());
    put(54, &56u16.to_le_bytes());
    put(56, &(headers.len() as u16).to_le_bytes());
    for (i, (kind, flags, offset, address, file_size, memory_size)) in headers.iter().enumerate() {
        let at = 64 + i * 56;
        put(at, &kind.to_le_bytes());
        put(at + 4, &flags.to_le_bytes());
        for (n, word) in [*offset, *address, *address, *file_size, *memory_size, 4096].iter().enumerate() {
            put(at + 8 + n * 8, &word.to_le_bytes());
        }
    }
    file
}

fn good() -> Vec<u8> {
    elf(
        TEXT + 4,
        &[(1, 5, 0x1000, TEXT, 100, 100), (1, 6, 0x2010, TEXT + 0x1010, 0x20, 0x3000), (0x6474_e551, 6, 0, 0, 0, 0)],
    )
}

#[test]
fn a_program_is_its_segments_and_its_entry() {
    let program = parse(&good()).unwrap();
    let text = Segment {
        address: TEXT,
        memory_size: 100,
        file: 0x1000..0x1064,
        protection: Protection::READ | Protection::EXECUTE,
    };
    assert_eq!((program.entry, &program.segments[0]), (TEXT + 4, &text));
    let data = &program.segments[1];
    assert_eq!((data.first_page(), data.pages(), data.file.clone()), (TEXT + 0x1000, 4, 0x2010..0x2030));
    assert_eq!(data.protection, Protection::READ | Protection::WRITE);
}

#[test]
fn what_is_no_program_of_ours_is_refused() {
    let text = (1, 5, 0x1000, TEXT, 100, 100);
    let cases: [(&str, Vec<u8>); 15] = [
        ("nothing", vec![]),
        ("a script", b"#!/bin/sh\n".repeat(30)),
        ("no segments", elf(TEXT, &[])),
        ("writable and executable", elf(TEXT, &[(1, 7, 0x1000, TEXT, 100, 100)])),
        ("an interpreter", elf(TEXT, &[text, (3, 4, 0x1000, 0, 10, 10)])),
        ("the entry in data", elf(TEXT + 0x1000, &[text, (1, 6, 0x2000, TEXT + 0x1000, 8, 8)])),
        ("the entry past the text", elf(TEXT + 100, &[text])),
        ("two on one page", elf(TEXT, &[text, (1, 6, 0x2000, TEXT + 0x800, 8, 8)])),
        ("out of order", elf(TEXT, &[(1, 6, 0x2000, TEXT + 0x1000, 8, 8), text])),
        ("the null page", elf(0x1000, &[(1, 5, 0x1000, 0x1000, 8, 8)])),
        ("the kernel's half", elf(TEXT, &[text, (1, 6, 0x2000, 0xffff_8000_0000_0000, 8, 8)])),
        ("over the stack", elf(TEXT, &[text, (1, 6, 0x2000, 0x7ffd_ffff_f000, 8, 8)])),
        ("past the file", elf(TEXT, &[(1, 5, 0x2ff0, TEXT, 100, 100)])),
        ("more file than memory", elf(TEXT, &[(1, 5, 0x1000, TEXT, 100, 99)])),
        ("too large", elf(TEXT, &[text, (1, 6, 0x2000, TEXT + 0x1000, 8, 1 << 34)])),
    ];
    for (what, file) in cases {
        assert_eq!(parse(&file), Err(Error::NotExecutable), "{what}");
    }
    for (at, value, what) in [
        (4, 1, "32 bits"),
        (5, 2, "big-endian"),
        (16, 3, "a library"),
        (18, 3, "another machine"),
        (54, 32, "odd headers"),
    ] {
        let mut file = good();
        file[at] = value;
        assert_eq!(parse(&file), Err(Error::NotExecutable), "{what}");
    }
    assert!(parse(&good()).is_ok());
}

fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let hits = proptest::collection::vec((0..240usize, any::<u8>()), 1..8);
    (Just(good()), hits, 0..0x3000usize).prop_map(|(mut file, hits, cut)| {
        for (at, value) in hits {
            file[at] = value;
        }
        if cut % 3 == 0 {
            file.truncate(cut);
        }
        file
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn whatever_is_accepted_is_safe_to_map(file in damaged()) {
        if let Ok(program) = parse(&file) {
            let mut free = 0x1_0000;
            for segment in &program.segments {
                assert!(segment.first_page() >= free && segment.file.end <= file.len());
                assert!(segment.file.len() as u64 <= segment.memory_size);
                assert!(!segment.protection.contains(Protection::WRITE | Protection::EXECUTE));
                free = segment.first_page() + segment.pages() * 4096;
            }
            assert!(free <= 0x10_0000_0000);
            let inside = |s: &Segment| (s.address..s.address + s.memory_size).contains(&program.entry);
            assert!(program.segments.iter().any(|s| inside(s) && s.protection.contains(Protection::EXECUTE)));
        }
    }

    #[test]
    fn noise_is_refused(noise in proptest::collection::vec(any::<u8>(), 0..300usize)) {
        assert_eq!(parse(&noise), Err(Error::NotExecutable));
    }
}
