//! What the kernel lists of a process: its capabilities, as `caps` shows them,
//! and its account, as `quota` does.

use super::services;
use crate::tap::{works, Check, Not};
use abi::boot::Counter;
use abi::{Error, Kind};
use alloc::vec::Vec;
use scheme::process::Process;
use scheme::rt::{calls, quota};
use scheme::services::COUNTERS;

/// The two listings.
pub struct Books {
    capabilities: Vec<(u32, Kind)>,
    objects: Vec<(&'static str, u64)>,
    /// Pages used.
    pub used: u64,
    /// Pages there are.
    pub limit: u64,
}

impl Books {
    /// The listings of a process as they are now.
    pub fn of(process: &Process) -> Check<Books> {
        let mut capabilities = Vec::new();
        let mut index = 0;
        loop {
            match calls::process_capability(process.handle(), index) {
                Ok((info, next)) => {
                    capabilities.push((info.handle.0, info.kind));
                    index = next;
                }
                Err(Error::NotFound) => break,
                Err(error) => return works("listing capabilities", Err(error)),
            }
        }
        // As `quota` does: through the process, not through the account that we happen to hold.
        let account = works("its account", calls::process_quota(process.handle()))?;
        let usage = works("looking at it", quota::usage(account));
        calls::close(account);
        let usage = usage?;
        Ok(Books { capabilities, objects: usage.objects, used: usage.pages.0, limit: usage.pages.1 })
    }

    /// How many objects of a kind its account pays for.
    pub fn object(&self, name: &str) -> u64 {
        self.objects.iter().filter(|(object, _)| *object == name).map(|(_, count)| count).sum()
    }

    /// How many capabilities of a kind it holds.
    pub fn capabilities(&self, kind: Kind) -> u64 {
        self.capabilities.iter().filter(|(_, k)| *k == kind).count() as u64
    }

    /// Whether no two entries have the same handle.
    pub fn handles_are_apart(&self) -> bool {
        let mut handles: Vec<u32> = self.capabilities.iter().map(|(handle, _)| *handle).collect();
        handles.sort_unstable();
        handles.windows(2).all(|pair| pair.first() != pair.last())
    }
}

/// Frames that are free now, as `free` tells it.
pub fn free_frames() -> Check<u64> {
    let mut bytes = [0; 16 * 8];
    works("the kernel's counters", services()?.control(COUNTERS, 0, &[], &mut bytes))?;
    let at = Counter::FreeFrames as usize * 8;
    let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map(u64::from_le_bytes);
    word.ok_or_else(|| Not::Ok("there are too few counters".into()))
}
