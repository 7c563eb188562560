//! Memory whose pages this program supplies; being told when memory runs short.

use super::syscall;
use abi::memory::PagerFlags;
use abi::{Error, Handle, Result};

/// What pages that are supplied may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// They are read; the first store to one is asked for.
    Read = 1,
    /// They are written: the pager takes note of them with [`clean`].
    Write = 3,
}

/// A Memory whose absent pages are asked for at `endpoint`, under `key` ([`Received::PageRequest`](abi::message::Received)).
/// Errors: the kernel's.
pub fn create(endpoint: Handle, quota: Handle, key: u64, pages: u64, flags: PagerFlags) -> Result<Handle> {
    // SAFETY: no address of ours.
    unsafe { syscall::pager_create(endpoint, quota, key, pages, u64::from(flags.bits())) }
}

/// Moves pages out of an ordinary Memory, which then has them no more, and lets those who wait go on; answers how many.
/// Errors: the kernel's.
pub fn supply(memory: Handle, page: u64, pages: u64, source: Handle, source_page: u64, to: Supply) -> Result<u64> {
    // SAFETY: as `create`. Who has the source mapped sees zeros there from now on.
    unsafe { syscall::pager_supply(memory, page, pages, source, source_page, to as u64) }
}

/// Those who wait for these pages will not get them. Errors: the kernel's.
pub fn fail(memory: Handle, page: u64, pages: u64, why: Error) -> Result<()> {
    // SAFETY: as `create`.
    unsafe { syscall::pager_fail(memory, page, pages, u64::from(why.number())) }
}

/// Makes pages clean: the next store to each is asked for again. Answers how many it looked at, and a bit for each that was
/// dirty. Errors: the kernel's.
pub fn clean(memory: Handle, page: u64, pages: u64) -> Result<(u64, u64)> {
    // SAFETY: as `create`.
    unsafe { syscall::pager_take(memory, page, pages, 0) }
}

/// Takes clean pages back. Answers how many it looked at, and a bit for each that is still there. Errors: the kernel's.
pub fn discard(memory: Handle, page: u64, pages: u64) -> Result<(u64, u64)> {
    // SAFETY: as `create`; what was there is asked for again.
    unsafe { syscall::pager_take(memory, page, pages, 1) }
}

/// Sets bits in a notification whenever an account's free pages fall below a number; in place of who watched before.
/// Errors: the kernel's.
pub fn watch_pressure(quota: Handle, notification: Handle, bits: u64, free_pages: u64) -> Result<()> {
    // SAFETY: as `create`.
    unsafe { syscall::pressure_watch(quota, notification, bits, free_pages) }
}
