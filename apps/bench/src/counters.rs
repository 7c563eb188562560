//! The kernel's counters, and measuring with them.
//!
//! They are read with a capability of the system where there is one (in init's place), else through init.

use crate::raw;
use crate::row::{Bound, Row, Sample};
use abi::boot::Counter;
use abi::{Error, Handle, Result};
use scheme::client::File;
use scheme::rt::{calls, start};
use scheme::services;

/// The name of the capability of the system that a program in init's place grants.
pub const SYSTEM: &str = "system";

/// A way to the kernel's counters.
pub enum Counters {
    /// Init answers.
    Init(File),
    /// The kernel answers.
    System(Handle),
}

impl Counters {
    /// Opens the way to them. Errors: init's.
    pub fn new() -> Result<Counters> {
        match start::handle(SYSTEM) {
            Some(system) => Ok(Counters::System(system)),
            None => Ok(Counters::Init(File::root_of("services:")?.0)),
        }
    }

    /// All of them. Errors: init's, the kernel's.
    pub fn words(&self) -> Result<[u64; 16]> {
        let mut words = [0; 16];
        match self {
            Counters::System(system) => {
                calls::system_info(*system, 1, &mut words)?;
            }
            Counters::Init(init) => {
                let mut bytes = [0; 128];
                init.control(services::COUNTERS, 0, &[], &mut bytes)?;
                for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
                    *word = chunk.try_into().map_or(0, u64::from_le_bytes);
                }
            }
        }
        Ok(words)
    }

    fn sample(&self) -> Result<Sample> {
        let words = self.words()?;
        let at = |c: Counter| words.get(c as usize).copied().unwrap_or(0);
        Ok(Sample {
            entries: at(Counter::KernelEntries),
            loads: at(Counter::RootLoads),
            flushes: at(Counter::TlbFlushes),
            tsc: 0,
        })
    }

    /// Does something `count` times, one after another, and tells what it took. Errors: those of what is done.
    pub fn run(&self, name: &'static str, count: u64, mut act: impl FnMut() -> Result<()>) -> Result<Row> {
        // Once for everything that is slow only the first time.
        act()?;
        let before = self.sample()?;
        let start = raw::tsc();
        for _ in 0..count {
            act()?;
        }
        let tsc = raw::tsc().wrapping_sub(start);
        let total = Sample { tsc, ..self.sample()?.since(&before) };
        Ok(Row { name, total, count, bound: Bound::None, copy: 0 })
    }

    /// Does something `count` times, undone after each, and tells what the doing took. Only with the kernel's own answers
    /// (`WrongState`): asking init in between would be most of what is counted. Errors: those of what is done.
    pub fn each(
        &self,
        name: &'static str,
        count: u64,
        mut act: impl FnMut() -> Result<()>,
        mut undo: impl FnMut() -> Result<()>,
    ) -> Result<Row> {
        if !matches!(self, Counters::System(_)) {
            return Err(Error::WrongState);
        }
        act()?;
        undo()?;
        // What reading the counter itself takes.
        let idle = raw::tsc();
        let idle = raw::tsc().wrapping_sub(idle);
        let mut total = Sample::default();
        for _ in 0..count {
            let before = self.sample()?;
            let start = raw::tsc();
            act()?;
            let tsc = raw::tsc().wrapping_sub(start).saturating_sub(idle);
            let one = self.sample()?.since(&before);
            undo()?;
            // The second sample entered the kernel too.
            total.add(&Sample { tsc, entries: one.entries.saturating_sub(1), ..one });
        }
        Ok(Row { name, total, count, bound: Bound::None, copy: 0 })
    }

    /// What a sum over `count` events makes, with the counters since `before`. Errors: as [`Counters::words`].
    pub fn summed(&self, name: &'static str, count: u64, tsc: u64, before: &Sample) -> Result<Row> {
        let total = Sample { tsc, ..self.sample()?.since(before) };
        Ok(Row { name, total, count, bound: Bound::None, copy: 0 })
    }

    /// The counters now, for [`Counters::summed`]. Errors: as [`Counters::words`].
    pub fn now(&self) -> Result<Sample> {
        self.sample()
    }
}
