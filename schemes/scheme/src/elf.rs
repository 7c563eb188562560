//! Program files: what of an ELF64 has to be in memory, checked before
//! anything is mapped.
//!
//! Takes static x86_64 executables (`ET_EXEC`) whose loadable segments lie in the user half, in order, on pages of
//! their own, none both writable and executable. The file is hostile until this module has said otherwise. Headers are read by
//! `goblin`; the checks are ours. (ELF-64 Object File Format 1.5; System V ABI, chapter 5.)

use abi::memory::{Protection, PAGE_SIZE, USER_START};
use abi::start::layout;
use abi::{Error, Result};
use alloc::vec::Vec;
use core::ops::Range;
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, EM_X86_64, ET_EXEC};
use goblin::elf::program_header::{ProgramHeader, PF_R, PF_W, PF_X, PT_INTERP, PT_LOAD};
use goblin::elf::Elf;
use goblin::elf64::header::SIZEOF_EHDR;

/// The most program headers looked at.
pub const MAX_HEADERS: usize = 64;
/// The largest image in memory.
pub const MAX_IMAGE: u64 = 1 << 30;

/// A part of a program in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its first byte in memory.
    pub address: u64,
    /// Bytes in memory; what the file doesn't give is zero.
    pub memory_size: u64,
    /// Where in the file its beginning is.
    pub file: Range<usize>,
    /// What its pages allow.
    pub protection: Protection,
}

impl Segment {
    /// The first page's address.
    pub fn first_page(&self) -> u64 {
        self.address & !(PAGE_SIZE - 1)
    }
    /// Whole pages it takes.
    pub fn pages(&self) -> u64 {
        let end = self.address.saturating_add(self.memory_size);
        end.saturating_sub(self.first_page()).div_ceil(PAGE_SIZE)
    }
}

/// A checked program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Where its first thread starts.
    pub entry: u64,
    /// Its segments, by address, sharing no page.
    pub segments: Vec<Segment>,
}

/// Checks a program file. Errors: `NotExecutable` for anything that is not a program as described above.
pub fn parse(file: &[u8]) -> Result<Program> {
    parse_headers(file).ok_or(Error::NotExecutable)
}

fn parse_headers(file: &[u8]) -> Option<Program> {
    let head: &[u8; SIZEOF_EHDR] = file.first_chunk()?;
    // Checked before goblin looks, which also takes other classes and byte orders.
    if head.get(..4)? != b"\x7fELF" || head[EI_CLASS] != ELFCLASS64 || head[EI_DATA] != ELFDATA2LSB {
        return None;
    }
    let header = Elf::parse_header(head).ok()?;
    let count = usize::from(header.e_phnum);
    let right = header.e_machine == EM_X86_64 && header.e_type == ET_EXEC && header.e_phentsize == 56;
    if !right || count == 0 || count > MAX_HEADERS {
        return None;
    }
    let start = usize::try_from(header.e_phoff).ok()?;
    file.get(start..start.checked_add(count.checked_mul(56)?)?)?;
    let context = Ctx::new(Container::Big, Endian::Little);
    let headers = ProgramHeader::parse(file, start, count, context).ok()?;
    let mut segments: Vec<Segment> = Vec::new();
    let mut total = 0u64;
    for header in &headers {
        match header.p_type {
            PT_INTERP => return None,
            PT_LOAD if header.p_memsz > 0 => {
                let segment = segment(header, file.len())?;
                if let Some(last) = segments.last() {
                    if segment.first_page() < last.first_page().checked_add(last.pages().checked_mul(PAGE_SIZE)?)? {
                        return None;
                    }
                }
                total = total.checked_add(segment.pages().checked_mul(PAGE_SIZE)?)?;
                segments.push(segment);
            }
            _ => {}
        }
    }
    let entry = header.e_entry;
    let executable = |segment: &&Segment| segment.protection.contains(Protection::EXECUTE);
    let mut entered = segments.iter().filter(executable);
    if total > MAX_IMAGE || !entered.any(|s| entry >= s.address && entry - s.address < s.memory_size) {
        return None;
    }
    Some(Program { entry, segments })
}

fn segment(header: &ProgramHeader, file_length: usize) -> Option<Segment> {
    let ProgramHeader { p_flags, p_offset, p_vaddr: address, p_filesz, p_memsz: memory_size, .. } = *header;
    let end = address.checked_add(memory_size)?;
    let start = usize::try_from(p_offset).ok()?;
    let file = start..start.checked_add(usize::try_from(p_filesz).ok()?)?;
    // Everything the spawner and the runtime place themselves lies from HEAP on.
    if p_filesz > memory_size || file.end > file_length || address < USER_START || end > layout::HEAP {
        return None;
    }
    if p_flags & (PF_W | PF_X) == (PF_W | PF_X) {
        return None;
    }
    let mut protection = Protection::empty();
    protection.set(Protection::READ, p_flags & (PF_R | PF_W | PF_X) != 0);
    protection.set(Protection::WRITE, p_flags & PF_W != 0);
    protection.set(Protection::EXECUTE, p_flags & PF_X != 0);
    Some(Segment { address, memory_size, file, protection })
}
