//! The device manager's program: looks once, says it is ready, ends.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![deny(unsafe_code)]

extern crate alloc;

use devices::manager;
use devices::system::Machine;
use scheme::rt::{calls, start};
use scheme::server::ready_bits;

scheme::entry!(run);

fn run() -> u64 {
    let report = match manager::run(&mut Machine) {
        Ok(report) => report,
        Err(error) => {
            log::error!("the buses can't be looked at: {error}");
            return 1;
        }
    };
    log::info!("{} disks, {} partitions, {} failures", report.disks, report.partitions, report.failures);
    // A disk that failed is no reason not to go on: who needs it will be told so.
    if let Some(ready) = start::handle(abi::start::names::READY) {
        if let Err(error) = calls::notify(ready, ready_bits()) {
            log::error!("readiness can't be told: {error}");
            return 1;
        }
    }
    0
}
