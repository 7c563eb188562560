//! Programs: what is understood, what is refused.

use super::Program;
use abi::memory::Protection;

/// A program of two segments: code at 0x20_0000 (3 bytes), data at 0x30_0800 (2 bytes of 0x1000).
pub(crate) fn sample() -> Vec<u8> {
    let mut file = vec![0; 0x3000];
    file[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    let mut put =
        |at: usize, value: u64, length: usize| file[at..at + length].copy_from_slice(&value.to_le_bytes()[..length]);
    put(16, 2, 2);
    put(18, 62, 2);
    put(24, 0x20_0000, 8);
    put(32, 64, 8);
    put(54, 56, 2);
    put(56, 2, 2);
    for (i, (flags, offset, address, length, memory)) in
        [(5, 0x1000, 0x20_0000, 3, 3), (6, 0x2800, 0x30_0800, 2, 0x1000)].into_iter().enumerate()
    {
        let at = 64 + i * 56;
        put(at, 1, 4);
        put(at + 4, flags, 4);
        put(at + 8, offset, 8);
        put(at + 16, address, 8);
        put(at + 32, length, 8);
        put(at + 40, memory, 8);
    }
    file[0x1000..0x1003].copy_from_slice(b"abc");
    file[0x2800..0x2802].copy_from_slice(b"de");
    file
}

#[test]
fn segments_are_whole_pages_with_their_bytes() {
    let file = sample();
    let program = Program::new(&file).unwrap();
    let all: Vec<_> = program.segments().map(|s| (s.page, s.pages, s.offset, s.data, s.protection)).collect();
    let read = Protection::READ;
    assert_eq!(all[0], (0x20_0000, 1, 0, &b"abc"[..], read | Protection::EXECUTE));
    assert_eq!(all[1], (0x30_0000, 2, 0x800, &b"de"[..], read | Protection::WRITE));
    assert_eq!((all.len(), program.entry), (2, 0x20_0000));
}

#[test]
fn what_is_not_a_sound_program_is_refused() {
    let changes: [(usize, u64, usize); 11] = [
        (0, 0, 1),                               // magic
        (4, 1, 1),                               // 32 bits
        (16, 3, 2),                              // position-independent
        (18, 3, 2),                              // another machine
        (24, 0x30_0000, 8),                      // entry in data
        (56, 0xffff, 2),                         // headers past the end
        (64 + 4, 7, 4),                          // writable and executable
        (64 + 16, 0x1000, 8),                    // below user memory
        (64 + 40, u64::MAX, 8),                  // wraps around
        (64 + 56 + 16, 0x20_0800, 8),            // on the page of another segment
        (64 + 56 + 8, 0xffff_ffff_ffff_0000, 8), // outside the file
    ];
    for (at, value, length) in changes {
        let mut file = sample();
        file[at..at + length].copy_from_slice(&value.to_le_bytes()[..length]);
        assert!(Program::new(&file).is_err(), "change at {at}");
    }
    for cut in [0, 10, 63, 100, 0x1002, 0x2801] {
        assert!(Program::new(&sample()[..cut]).is_err(), "cut at {cut}");
    }
}
