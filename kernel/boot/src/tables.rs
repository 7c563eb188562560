//! The page tables the kernel starts on.
//!
//! Four levels (SDM volume 3, 4.5). All tables come from one pool, a run of physical pages handed in
//! as a slice, so that building them needs no pointer: a table's address less the pool's is its place
//! in the slice. Low memory is mapped one to one, writable and not executable; the one page that turns
//! the new tables on is executable; the kernel's segments are mapped as their flags say.

use crate::kernel::Plan;
use crate::{pages, LARGE_PAGE, PAGE};

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// One table: 512 entries.
pub type Table = [u64; 512];
/// A table of nothing.
pub const EMPTY: Table = [0; 512];

/// What a mapping allows besides reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Read,
    /// Stores.
    Write,
    /// Instruction fetches.
    Execute,
}

/// The pool is used up. The pool was counted too small: a defect of [`needed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolEmpty;

/// Tables that [`Tables::identity`] up to `end`, one executable page anywhere and the kernel use.
pub fn needed(end: u64, kernel: &Plan) -> u64 {
    let gib = end.div_ceil(1 << 30);
    let kernel = kernel.length.div_ceil(LARGE_PAGE).saturating_add(1);
    // Root; one third-level table; the trampoline's own three; the kernel's two upper levels, where
    // the image may cross a border once.
    gib.saturating_add(kernel).saturating_add(8)
}

/// Tables in the making.
#[derive(Debug)]
pub struct Tables<'a> {
    pool: &'a mut [Table],
    address: u64,
    used: usize,
    no_execute: bool,
}

impl<'a> Tables<'a> {
    /// Starts an empty root table in `pool`, which lies at the physical `address`. `no_execute`
    /// says whether the processor knows that bit; where it doesn't, the bit is reserved.
    pub fn new(pool: &'a mut [Table], address: u64, no_execute: bool) -> Result<Tables<'a>, PoolEmpty> {
        pool.fill(EMPTY);
        let mut tables = Tables { pool, address, used: 0, no_execute };
        tables.take()?;
        Ok(tables)
    }

    /// The physical address of the root.
    pub fn root(&self) -> u64 {
        self.address
    }

    fn take(&mut self) -> Result<usize, PoolEmpty> {
        let table = self.used;
        if table >= self.pool.len() {
            return Err(PoolEmpty);
        }
        self.used = table.saturating_add(1);
        Ok(table)
    }

    fn bits(&self, access: Access) -> u64 {
        let no_execute = if self.no_execute { NO_EXECUTE } else { 0 };
        match access {
            Access::Read => PRESENT | no_execute,
            Access::Write => PRESENT | WRITE | no_execute,
            Access::Execute => PRESENT,
        }
    }

    fn address_of(&self, table: usize) -> u64 {
        self.address.saturating_add((table as u64).saturating_mul(PAGE))
    }

    fn place_of(&self, entry: u64) -> usize {
        ((entry & ADDRESS).saturating_sub(self.address) / PAGE) as usize
    }

    fn entry(&mut self, table: usize, index: usize) -> Result<&mut u64, PoolEmpty> {
        self.pool.get_mut(table).and_then(|table| table.get_mut(index)).ok_or(PoolEmpty)
    }

    /// The table below `index` of `table`, made where there is none, and made of the same pages
    /// where there is a large one.
    fn below(&mut self, table: usize, index: usize) -> Result<usize, PoolEmpty> {
        let entry = *self.entry(table, index)?;
        if entry & PRESENT != 0 && entry & LARGE == 0 {
            return Ok(self.place_of(entry));
        }
        let new = self.take()?;
        if entry & PRESENT != 0 {
            let small = entry & !LARGE;
            for (slot, offset) in
                self.pool.get_mut(new).ok_or(PoolEmpty)?.iter_mut().zip((0u64..).step_by(PAGE as usize))
            {
                *slot = small.saturating_add(offset);
            }
        }
        // Upper levels allow everything; the last one decides (SDM volume 3, 4.6).
        *self.entry(table, index)? = self.address_of(new) | PRESENT | WRITE;
        Ok(new)
    }

    /// The index of `address` in a table of this level, 0 being the last.
    fn index(address: u64, level: u32) -> usize {
        ((address >> level.saturating_mul(9).saturating_add(12)) & 511) as usize
    }

    fn walk(&mut self, address: u64, last: u32) -> Result<usize, PoolEmpty> {
        let mut table = 0;
        for level in (last.saturating_add(1)..=3).rev() {
            table = self.below(table, Self::index(address, level))?;
        }
        Ok(table)
    }

    /// Maps one page.
    pub fn map(&mut self, address: u64, physical: u64, access: Access) -> Result<(), PoolEmpty> {
        let table = self.walk(address, 0)?;
        let bits = self.bits(access);
        *self.entry(table, Self::index(address, 0))? = (physical & ADDRESS) | bits;
        Ok(())
    }

    /// Maps everything below `end` one to one in large pages, writable, not executable.
    pub fn identity(&mut self, end: u64) -> Result<(), PoolEmpty> {
        let bits = self.bits(Access::Write) | LARGE;
        for page in 0..end.div_ceil(LARGE_PAGE) {
            let address = page.saturating_mul(LARGE_PAGE);
            let table = self.walk(address, 1)?;
            *self.entry(table, Self::index(address, 1))? = address | bits;
        }
        Ok(())
    }

    /// Maps the kernel, which was loaded at `physical`.
    pub fn kernel(&mut self, plan: &Plan, physical: u64) -> Result<(), PoolEmpty> {
        for segment in &plan.segments {
            let access = match (segment.write, segment.execute) {
                (true, _) => Access::Write,
                (false, true) => Access::Execute,
                (false, false) => Access::Read,
            };
            let (start, end) = segment.pages();
            for page in 0..pages(end.saturating_sub(start)) {
                let address = start.saturating_add(page.saturating_mul(PAGE));
                let at = physical.saturating_add(address.saturating_sub(plan.start));
                self.map(address, at, access)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{needed, Access, PoolEmpty, Table, Tables, ADDRESS, EMPTY, LARGE, NO_EXECUTE, PRESENT, WRITE};
    use crate::kernel::{Plan, Segment, BASE, LARGEST};
    use crate::IDENTITY_END;

    const POOL: u64 = 0x7654_3000;

    /// Walks as the processor does: physical address, and the bits of the last entry.
    fn look(pool: &[Table], address: u64) -> Option<(u64, u64)> {
        let mut table = 0;
        for level in (0..4).rev() {
            let entry = pool[table][(address >> (12 + 9 * level)) as usize & 511];
            if entry & PRESENT == 0 {
                return None;
            }
            if level == 0 || entry & LARGE != 0 {
                let inside = (1u64 << (12 + 9 * level)) - 1;
                return Some(((entry & ADDRESS & !inside) | (address & inside), entry & !ADDRESS));
            }
            table = ((entry & ADDRESS) - POOL) as usize / 4096;
        }
        None
    }

    fn segment(address: u64, length: u64, write: bool, execute: bool) -> Segment {
        Segment { address, offset: 0, file_length: 0, length, write, execute }
    }

    fn plan(start: u64, length: u64) -> Plan {
        let segments = vec![
            segment(start, 0x1000, false, true),
            segment(start + 0x1000, 0x10, false, false),
            segment(start + 0x2800, length - 0x2800, true, false),
        ];
        Plan { start, length, entry: start, segments }
    }

    fn built(plan: &Plan, trampoline: u64, no_execute: bool) -> Vec<Table> {
        let mut pool = vec![[u64::MAX; 512]; needed(IDENTITY_END, plan) as usize];
        let mut tables = Tables::new(&mut pool, POOL, no_execute).unwrap();
        tables.identity(IDENTITY_END).unwrap();
        tables.map(trampoline, trampoline, Access::Execute).unwrap();
        tables.kernel(plan, 0x1230_0000).unwrap();
        assert_eq!(tables.root(), POOL);
        pool
    }

    #[test]
    fn segments_are_mapped_as_their_flags_say_and_nothing_else_is() {
        let start = BASE + 0x10_0000;
        let pool = built(&plan(start, 0x5000), 0x7000_1000, true);
        assert_eq!(look(&pool, start + 0xabc), Some((0x1230_0abc, PRESENT)));
        assert_eq!(look(&pool, start + 0x1000), Some((0x1230_1000, PRESENT | NO_EXECUTE)));
        for page in [0x2000, 0x3000, 0x4000] {
            assert_eq!(look(&pool, start + page), Some((0x1230_0000 + page, PRESENT | WRITE | NO_EXECUTE)));
        }
        assert_eq!(look(&pool, start - 1), None);
        assert_eq!(look(&pool, start + 0x5000), None);
    }

    #[test]
    fn low_memory_is_one_to_one_and_only_the_trampoline_runs() {
        let trampoline = 0x7000_1000;
        let pool = built(&plan(BASE, 0x5000), trampoline, true);
        let data = PRESENT | WRITE | NO_EXECUTE;
        for address in [0, 0x1000, trampoline - 1, trampoline + 0x1000, 0x8123_4567, IDENTITY_END - 1] {
            let (physical, bits) = look(&pool, address).unwrap();
            assert_eq!((physical, bits & !LARGE), (address, data), "{address:#x}");
        }
        assert_eq!(look(&pool, trampoline + 5), Some((trampoline + 5, PRESENT)));
        assert_eq!(look(&pool, IDENTITY_END), None);
    }

    #[test]
    fn a_trampoline_above_low_memory_is_mapped_too() {
        let trampoline = 0x12_3456_7000;
        let pool = built(&plan(BASE, 0x5000), trampoline, true);
        assert_eq!(look(&pool, trampoline), Some((trampoline, PRESENT)));
        assert_eq!(look(&pool, trampoline + 0x1000), None);
    }

    #[test]
    fn without_the_no_execute_bit_it_is_never_set() {
        let pool = built(&plan(BASE, 0x5000), 0x1000, false);
        assert!(pool.iter().flatten().all(|entry| entry & NO_EXECUTE == 0));
    }

    #[test]
    fn the_pool_is_counted_right_for_the_largest_kernel_anywhere() {
        for start in [BASE, BASE + 0x1f_f000, BASE + (1 << 30) - 0x20_1000, u64::MAX - LARGEST - 0xfff] {
            built(&plan(start & !0xfff, LARGEST), 0x7f_ffff_f000, true);
        }
    }

    #[test]
    fn an_empty_pool_is_an_error_and_not_a_wild_write() {
        assert_eq!(Tables::new(&mut [], POOL, true).err(), Some(PoolEmpty));
        let mut pool = [EMPTY; 3];
        let mut tables = Tables::new(&mut pool, POOL, true).unwrap();
        assert_eq!(tables.map(0x1000, 0x1000, Access::Read), Err(PoolEmpty));
        assert_eq!(tables.identity(1 << 40), Err(PoolEmpty));
    }
}
