//! Registers of devices: which physical pages a range of them reaches, and which
//! never.

use crate::raw;
use crate::roots::root;
use crate::tap::{refused, works, Check, Test};
use abi::boot::InitHandle;
use abi::memory::{Protection, PAGE_SIZE};
use abi::{Error, Handle, Result, Rights};
use scheme::rt::calls;

/// The tests.
pub const TESTS: &[Test] =
    &[Test { name: "a-register-range-reaches-no-memory-and-nothing-of-the-kernels", run: reach }];

/// A page of the screen's old window: no RAM, and nothing that the kernel keeps.
pub const WINDOW: u64 = 0xa_0000;
/// RAM on every machine, and the local interrupt controller's registers (SDM 3A, 11.4.1).
const RAM: u64 = 0x20_0000;
const CONTROLLER: u64 = 0xfee0_0000;

/// A range of one page.
pub fn page(address: u64) -> Result<Handle> {
    calls::derive_range(root(InitHandle::DeviceMemory), Rights::all(), address, PAGE_SIZE)
}

fn reach() -> Check {
    for (what, address) in [("memory", RAM), ("the interrupt controller", CONTROLLER)] {
        // A range is only a number; what it does not reach it does not map.
        let range = works("a range", page(address))?;
        refused(what, raw::map(range, 0, PAGE_SIZE, Protection::READ), Error::NoRight)?;
        calls::close(range);
    }
    let window = works("a range", page(WINDOW))?;
    let place = works("registers", raw::map(window, 0, PAGE_SIZE, Protection::READ | Protection::WRITE))?;
    works("unmapping", raw::unmap(place, PAGE_SIZE))?;
    refused("more than the range", raw::map(window, 0, 2 * PAGE_SIZE, Protection::READ), Error::BadArgument)?;
    refused("behind it", raw::map(window, PAGE_SIZE, PAGE_SIZE, Protection::READ), Error::BadArgument)?;
    refused("code there", raw::map(window, 0, PAGE_SIZE, Protection::EXECUTE), Error::NoRight)?;
    let reads = works("a right less", calls::derive(window, Rights::READ))?;
    let both = Protection::READ | Protection::WRITE;
    refused("stores without WRITE", raw::map(reads, 0, PAGE_SIZE, both), Error::NoRight)?;
    [reads, window].into_iter().for_each(calls::close);
    Ok(())
}
