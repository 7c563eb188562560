//! What of `kernel.elf` goes where: an ELF64 file, checked, as a plan.
//!
//! The kernel is linked at fixed addresses in the top 2 GiB; the physical address of each segment is
//! its virtual one less [`BASE`]. The loader puts the segments there if the firmware has the memory
//! free, else anywhere: the difference stays the same for the whole image. `e_entry` is the 64-bit
//! entry. (ELF-64 Object File Format 1.5; System V ABI, AMD64 supplement.)

use crate::{pages, PAGE};
use alloc::vec::Vec;
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{EM_X86_64, ET_EXEC};
use goblin::elf::program_header::{PF_W, PF_X, PT_LOAD};
use goblin::elf::{Elf, ProgramHeader};

/// Where the top 2 GiB begin: virtual address less physical address of the kernel as linked.
pub const BASE: u64 = 0xffff_ffff_8000_0000;
/// The largest image taken.
pub const LARGEST: u64 = 64 << 20;
/// The most program headers read.
const HEADERS: u16 = 32;

/// One loadable segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First virtual address, page-aligned downwards by who maps it.
    pub address: u64,
    /// Where its bytes lie in the file.
    pub offset: usize,
    /// Bytes in the file.
    pub file_length: usize,
    /// Bytes in memory; those past the file's are zero.
    pub length: u64,
    /// Whether the kernel writes there.
    pub write: bool,
    /// Whether it is code.
    pub execute: bool,
}

impl Segment {
    /// First page and one past the last, as virtual addresses.
    pub fn pages(&self) -> (u64, u64) {
        let end = self.address.saturating_add(self.length);
        (self.address & !PAGE.wrapping_sub(1), end.div_ceil(PAGE).saturating_mul(PAGE))
    }
}

/// What to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The first page, virtual.
    pub start: u64,
    /// Bytes from there to the end of the last page.
    pub length: u64,
    /// The 64-bit entry, virtual.
    pub entry: u64,
    /// By address, on pages of their own.
    pub segments: Vec<Segment>,
}

/// Why a file is not a kernel we can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Not an ELF file, or its headers lie outside it.
    NotElf,
    /// Not a fixed-address 64-bit x86 program.
    WrongKind,
    /// Nothing to load, or absurdly many headers.
    Headers,
    /// A segment outside the file or outside the top 2 GiB.
    Outside,
    /// A segment whose physical address is not the virtual one less [`BASE`].
    Physical,
    /// Two segments on one page, or out of order.
    Overlap,
    /// A segment both written and executed.
    WriteAndExecute,
    /// The entry is not in code.
    Entry,
    /// Larger than [`LARGEST`].
    TooLarge,
}

impl Bad {
    /// In plain words.
    pub const fn text(self) -> &'static str {
        match self {
            Bad::NotElf => "is not an ELF file, or is cut off",
            Bad::WrongKind => "is not a 64-bit x86 program linked at fixed addresses",
            Bad::Headers => "has no segments, or too many",
            Bad::Outside => "has a segment outside the file or outside the top 2 GiB",
            Bad::Physical => "has a segment whose physical address does not match its virtual one",
            Bad::Overlap => "has two segments on one page, or segments out of order",
            Bad::WriteAndExecute => "has a segment that is written and executed",
            Bad::Entry => "has its entry outside its code",
            Bad::TooLarge => "is larger than 64 MiB in memory",
        }
    }
}

fn segment(header: &ProgramHeader, file: &[u8]) -> Result<Segment, Bad> {
    let offset = usize::try_from(header.p_offset).map_err(|_| Bad::Outside)?;
    let file_length = usize::try_from(header.p_filesz).map_err(|_| Bad::Outside)?;
    let end = offset.checked_add(file_length).ok_or(Bad::Outside)?;
    if end > file.len() || header.p_memsz < header.p_filesz || header.p_vaddr < BASE {
        return Err(Bad::Outside);
    }
    let last = header.p_vaddr.checked_add(header.p_memsz).ok_or(Bad::Outside)?;
    // The very last page would make "one past the end" wrap.
    if last > u64::MAX.wrapping_sub(PAGE) {
        return Err(Bad::Outside);
    }
    if header.p_vaddr.wrapping_sub(BASE) != header.p_paddr {
        return Err(Bad::Physical);
    }
    let (write, execute) = (header.p_flags & PF_W != 0, header.p_flags & PF_X != 0);
    if write && execute {
        return Err(Bad::WriteAndExecute);
    }
    Ok(Segment { address: header.p_vaddr, offset, file_length, length: header.p_memsz, write, execute })
}

impl Plan {
    /// Checks the file and makes the plan.
    pub fn new(file: &[u8]) -> Result<Plan, Bad> {
        let header = Elf::parse_header(file).map_err(|_| Bad::NotElf)?;
        let is_64 = header.container().is_ok_and(|c| c == Container::Big);
        let is_little = header.endianness().is_ok_and(|e| e == Endian::Little);
        if !is_64 || !is_little || header.e_machine != EM_X86_64 || header.e_type != ET_EXEC {
            return Err(Bad::WrongKind);
        }
        if header.e_phnum == 0 || header.e_phnum > HEADERS {
            return Err(Bad::Headers);
        }
        let at = usize::try_from(header.e_phoff).map_err(|_| Bad::NotElf)?;
        if at > file.len() {
            return Err(Bad::NotElf);
        }
        let context = Ctx::new(Container::Big, Endian::Little);
        let headers = ProgramHeader::parse(file, at, usize::from(header.e_phnum), context).map_err(|_| Bad::NotElf)?;
        let loaded = headers.iter().filter(|header| header.p_type == PT_LOAD && header.p_memsz > 0);
        let segments = loaded.map(|header| segment(header, file)).collect::<Result<Vec<_>, _>>()?;
        for (before, after) in segments.iter().zip(segments.iter().skip(1)) {
            if after.pages().0 < before.pages().1 {
                return Err(Bad::Overlap);
            }
        }
        let (start, end) = match (segments.first(), segments.last()) {
            (Some(first), Some(last)) => (first.pages().0, last.pages().1),
            _ => return Err(Bad::Headers),
        };
        let length = end.saturating_sub(start);
        if length > LARGEST {
            return Err(Bad::TooLarge);
        }
        let entry = header.e_entry;
        let holds = |s: &&Segment| s.execute && s.address <= entry && entry < s.address.saturating_add(s.length);
        segments.iter().find(holds).ok_or(Bad::Entry)?;
        Ok(Plan { start, length, entry, segments })
    }

    /// Where the image wants to lie in physical memory.
    pub fn physical(&self) -> u64 {
        self.start.saturating_sub(BASE)
    }

    /// Pages of the whole image.
    pub fn pages(&self) -> u64 {
        pages(self.length)
    }

    /// Writes the image: `image` is its memory, [`Plan::length`] bytes of anything. Returns false
    /// where it is shorter.
    #[must_use]
    pub fn load(&self, file: &[u8], image: &mut [u8]) -> bool {
        if (image.len() as u64) < self.length {
            return false;
        }
        image.fill(0);
        self.segments.iter().all(|segment| {
            let from = segment.offset..segment.offset.saturating_add(segment.file_length);
            let at = segment.address.saturating_sub(self.start) as usize;
            let to = at..at.saturating_add(segment.file_length);
            match (file.get(from), image.get_mut(to)) {
                (Some(from), Some(to)) => {
                    to.copy_from_slice(from);
                    true
                }
                _ => false,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bad, Plan, Segment, BASE};
    use proptest::prelude::{any, proptest};

    const TEXT: u64 = BASE + 0x10_0000;
    /// Where the first program header's fields lie in the file.
    const FIRST: usize = 64;

    fn header(flags: u32, offset: u64, address: u64, in_file: u64, in_memory: u64) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(1u32.to_le_bytes());
        out.extend(flags.to_le_bytes());
        for word in [offset, address, address.wrapping_sub(BASE), in_file, in_memory, 0x1000] {
            out.extend(word.to_le_bytes());
        }
        out
    }

    /// Code of 16 bytes at 1 MiB, data of 8 bytes in 0x1800 two pages on.
    fn file() -> Vec<u8> {
        let mut out = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        out.extend(2u16.to_le_bytes());
        out.extend(62u16.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        for word in [TEXT + 4, 64, 0] {
            out.extend(word.to_le_bytes());
        }
        out.extend(0u32.to_le_bytes());
        for half in [64u16, 56, 2, 64, 0, 0] {
            out.extend(half.to_le_bytes());
        }
        out.extend(header(5, 0x1000, TEXT, 16, 16));
        out.extend(header(6, 0x1010, TEXT + 0x2010, 8, 0x1800));
        out.resize(0x1000, 0);
        out.extend([0x90; 16]);
        out.extend([7; 8]);
        out
    }

    #[test]
    fn a_kernel_is_planned_and_loaded_with_its_zeroes() {
        let file = file();
        let plan = Plan::new(&file).unwrap();
        assert_eq!((plan.start, plan.length, plan.entry), (TEXT, 0x4000, TEXT + 4));
        assert_eq!((plan.physical(), plan.pages()), (0x10_0000, 4));
        let data = Segment {
            address: TEXT + 0x2010,
            offset: 0x1010,
            file_length: 8,
            length: 0x1800,
            write: true,
            execute: false,
        };
        assert_eq!(plan.segments[1], data);
        let mut image = vec![0xaa; 0x4000];
        assert!(plan.load(&file, &mut image));
        assert_eq!(image[..16], [0x90; 16]);
        assert_eq!(image[0x2010..0x2018], [7; 8]);
        assert!(image[16..0x2010].iter().chain(&image[0x2018..]).all(|&b| b == 0));
        assert!(!plan.load(&file, &mut image[1..]));
    }

    fn changed(at: usize, bytes: &[u8]) -> Result<Plan, Bad> {
        let mut file = file();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        Plan::new(&file)
    }

    #[test]
    fn each_broken_promise_has_its_own_answer() {
        let second = FIRST + 56;
        let cases: [(&str, usize, &[u8], Bad); 14] = [
            ("magic", 0, b"X", Bad::NotElf),
            ("32-bit", 4, &[1], Bad::WrongKind),
            ("big-endian machine", 18, &[0, 62], Bad::WrongKind),
            ("position-independent", 16, &[3], Bad::WrongKind),
            ("no headers", 56, &[0, 0], Bad::Headers),
            ("too many headers", 56, &[33, 0], Bad::Headers),
            ("headers outside", 32, &[0xff; 8], Bad::NotElf),
            ("segment outside the file", FIRST + 8, &[0xff; 8], Bad::Outside),
            ("lower half", FIRST + 16, &[0; 8], Bad::Outside),
            ("physical address", FIRST + 24, &[1], Bad::Physical),
            ("memory shorter than file", FIRST + 40, &[15], Bad::Outside),
            ("written and executed", FIRST + 4, &[7], Bad::WriteAndExecute),
            ("entry in data", 24, &(TEXT + 0x2010).to_le_bytes(), Bad::Entry),
            ("too large", second + 40, &(65u64 << 20).to_le_bytes(), Bad::TooLarge),
        ];
        for (name, at, bytes, answer) in cases {
            assert_eq!(changed(at, bytes), Err(answer), "{name}");
        }
    }

    #[test]
    fn two_segments_on_one_page_are_refused() {
        let mut file = file();
        file[FIRST + 56..FIRST + 112].copy_from_slice(&header(6, 0x1010, TEXT + 0xff8, 8, 8));
        assert_eq!(Plan::new(&file), Err(Bad::Overlap));
        // Out of order.
        file[FIRST + 56..FIRST + 112].copy_from_slice(&header(6, 0x1010, TEXT - 0x1000, 8, 8));
        assert_eq!(Plan::new(&file), Err(Bad::Overlap));
    }

    #[test]
    fn every_cut_is_refused() {
        let file = file();
        for cut in 0..file.len() {
            assert!(Plan::new(&file[..cut]).is_err(), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_plan_panic_or_load_outside(at in 0usize..176, bytes in any::<[u8; 8]>()) {
            let mut file = file();
            file[at..at + 8].copy_from_slice(&bytes);
            if let Ok(plan) = Plan::new(&file) {
                let mut image = vec![0; plan.length as usize];
                assert!(plan.load(&file, &mut image));
            }
        }
    }
}
