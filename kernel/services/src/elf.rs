//! A program file, checked, as a plan: which bytes go where, with which rights.
//!
//! For init alone: every other program is loaded by user code. Fixed-address 64-bit x86 programs whose
//! segments have pages of their own. goblin's header structures, read through `plain` so that nothing
//! is assumed about alignment. References: ELF-64 Object File Format 1.5; System V ABI, AMD64.

use abi::memory::{Protection, PAGE_SIZE, USER_END, USER_START};
use abi::{Error, Result};
use goblin::elf64::header::{Header, EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, ELFMAG, EM_X86_64, ET_EXEC};
use goblin::elf64::program_header::{ProgramHeader, PF_R, PF_W, PF_X, PT_LOAD, SIZEOF_PHDR};

/// One loadable segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The first page.
    pub page: u64,
    /// Pages.
    pub pages: u64,
    /// Where in them the file's bytes begin.
    pub offset: u64,
    /// The file's bytes; what follows is zero.
    pub data: &'a [u8],
    /// What the program may do there.
    pub protection: Protection,
}

/// A checked program.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    file: &'a [u8],
    headers: usize,
    count: u16,
    /// Where it begins.
    pub entry: u64,
}

/// The most program headers.
const HEADERS: u16 = 32;

fn load(file: &[u8], header: &ProgramHeader) -> Option<(u64, u64, Protection)> {
    let first = header.p_vaddr & !PAGE_SIZE.wrapping_sub(1);
    let end = header.p_vaddr.checked_add(header.p_memsz)?.checked_add(PAGE_SIZE.wrapping_sub(1))?
        & !PAGE_SIZE.wrapping_sub(1);
    let bytes = header.p_offset.checked_add(header.p_filesz)?;
    let right = |flag: u32, right: Protection| if header.p_flags & flag != 0 { right } else { Protection::empty() };
    let protection = right(PF_R, Protection::READ) | right(PF_W, Protection::WRITE) | right(PF_X, Protection::EXECUTE);
    let sound = first >= USER_START
        && end <= USER_END
        && header.p_memsz >= header.p_filesz
        && bytes <= file.len() as u64
        && !protection.contains(Protection::WRITE | Protection::EXECUTE);
    sound.then_some((first, end, protection))
}

impl<'a> Program<'a> {
    /// Checks a file. Errors: `NotExecutable`.
    pub fn new(file: &'a [u8]) -> Result<Program<'a>> {
        let bad = Error::NotExecutable;
        let mut header = Header::default();
        plain::copy_from_bytes(&mut header, file).map_err(|_| bad)?;
        let class = header.e_ident.get(EI_CLASS).copied();
        let data = header.e_ident.get(EI_DATA).copied();
        let right = header.e_ident.starts_with(ELFMAG)
            && class == Some(ELFCLASS64)
            && data == Some(ELFDATA2LSB)
            && header.e_machine == EM_X86_64
            && header.e_type == ET_EXEC
            && usize::from(header.e_phentsize) == SIZEOF_PHDR
            && (1..=HEADERS).contains(&header.e_phnum);
        if !right {
            return Err(bad);
        }
        let headers = usize::try_from(header.e_phoff).map_err(|_| bad)?;
        let program = Program { file, headers, count: header.e_phnum, entry: header.e_entry };
        let (mut last, mut entered) = (0, false);
        for i in 0..header.e_phnum {
            let header = program.header(i).ok_or(bad)?;
            if header.p_type != PT_LOAD || header.p_memsz == 0 {
                continue;
            }
            let (first, end, protection) = load(file, &header).ok_or(bad)?;
            if first < last {
                return Err(bad);
            }
            last = end;
            entered |= protection.contains(Protection::EXECUTE) && (first..end).contains(&program.entry);
        }
        entered.then_some(program).ok_or(bad)
    }

    fn header(&self, index: u16) -> Option<ProgramHeader> {
        let at = usize::from(index).checked_mul(SIZEOF_PHDR)?.checked_add(self.headers)?;
        let mut header = ProgramHeader::default();
        plain::copy_from_bytes(&mut header, self.file.get(at..)?).ok()?;
        Some(header)
    }

    /// The segments, in order of address.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + '_ {
        (0..self.count).filter_map(|i| {
            let header = self.header(i)?;
            if header.p_type != PT_LOAD || header.p_memsz == 0 {
                return None;
            }
            let (page, end, protection) = load(self.file, &header)?;
            let from = usize::try_from(header.p_offset).ok()?;
            let to = from.checked_add(usize::try_from(header.p_filesz).ok()?)?;
            Some(Segment {
                page,
                pages: end.saturating_sub(page) / PAGE_SIZE,
                offset: header.p_vaddr.saturating_sub(page),
                data: self.file.get(from..to)?,
                protection,
            })
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
