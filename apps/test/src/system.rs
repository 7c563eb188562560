//! The system's own capability: who hears of faults, who stops the machine.

use crate::fork::child;
use crate::part::deadline;
use crate::raw;
use crate::roots::root;
use crate::tap::{refused, same, works, Check, Test};
use abi::boot::InitHandle;
use abi::fault::FaultReport;
use abi::{Error, Handle, Rights};
use scheme::notification::Notification;
use scheme::process::Status;
use scheme::rt::calls;

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "each-fault-is-told-to-whoever-watches", run: watched },
    Test { name: "the-machine-is-stopped-by-right", run: stopped },
];

/// SDM 3A, table 6-1: #PF.
const PAGE_FAULT: u64 = 14;
/// An address where nothing is.
const NOWHERE: u64 = 0x18;
const SYSTEM: Handle = root(InitHandle::System);

fn fault() -> Check {
    same("a process that faults", child(|| u64::from(raw::load(NOWHERE)))?, Status::Faulted(PAGE_FAULT))
}

/// The next report, and that it is of such a fault.
fn reported() -> Check {
    let report: FaultReport = works("the report", calls::fault_report(SYSTEM))?;
    let name = report.name.iter().copied().take_while(|byte| *byte != 0).collect::<alloc::vec::Vec<u8>>();
    same("what it tells", (report.vector, report.address, name.as_slice()), (PAGE_FAULT, NOWHERE, b"fork".as_slice()))
}

fn watched() -> Check {
    let (first, second) = (works("a notification", Notification::new())?, works("another", Notification::new())?);
    refused("before any fault", calls::fault_report(SYSTEM), Error::NotFound)?;
    works("watching", calls::system_watch(SYSTEM, first.handle(), 4))?;
    refused("nothing to tell", first.wait_until(1), Error::TimedOut)?;
    fault()?;
    same("the bits", works("waiting", first.wait_until(deadline()))?, 4)?;
    reported()?;
    refused("one report a fault", calls::fault_report(SYSTEM), Error::NotFound)?;
    // What is refused changes nothing of who is told.
    refused("no bits", calls::system_watch(SYSTEM, second.handle(), 0), Error::BadArgument)?;
    let listener = works("a right less", calls::derive(second.handle(), Rights::RECEIVE))?;
    refused("who may not be told", calls::system_watch(SYSTEM, listener, 1), Error::NoRight)?;
    refused("who is no notification", calls::system_watch(SYSTEM, SYSTEM, 1), Error::WrongKind)?;
    let looks = works("a right less", calls::derive(SYSTEM, Rights::INSPECT))?;
    refused("without MANAGE", calls::system_watch(looks, second.handle(), 1), Error::NoRight)?;
    fault()?;
    same("the bits", works("waiting", first.wait_until(deadline()))?, 4)?;
    reported()?;
    // There is one who is told: the last who asked.
    works("watching in its place", calls::system_watch(SYSTEM, second.handle(), 8))?;
    fault()?;
    same("the bits", works("waiting", second.wait_until(deadline()))?, 8)?;
    reported()?;
    refused("the first is told no more", first.wait_until(1), Error::TimedOut)?;
    [listener, looks].into_iter().for_each(calls::close);
    Ok(())
}

fn stopped() -> Check {
    let looks = works("a right less", calls::derive(SYSTEM, Rights::INSPECT))?;
    // Were one of them obeyed, nobody would hear of this test again.
    for (what, value) in [(0, 0), (0, 1), (0, 2), (1, 0), (9, 0)] {
        refused("without MANAGE", calls::system_control(looks, what, value), Error::NoRight)?;
    }
    refused("an order that is none", calls::system_control(SYSTEM, 9, 0), Error::BadArgument)?;
    refused("a status past 32 bits", calls::system_control(SYSTEM, 0, 1 << 32), Error::BadArgument)?;
    calls::close(looks);
    Ok(())
}
