//! The FAT server's wiring: the disk from its namespace, a timer, the server.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use abi::{Error, Result};
use alloc::boxed::Box;
use alloc::rc::Rc;
use fat::server::{FatServer, IDLE_BIT, IDLE_NS};
use scheme::block_client::SchemeDevice;
use scheme::notification::Notification;
use scheme::rt::calls;
use scheme::time;
use scheme::wire::OpenFlags;

fn run() -> u64 {
    match timer() {
        Ok(timer) => {
            let arm = move || {
                if let Err(error) = timer.timer(IDLE_BIT, time::after_ns(IDLE_NS)) {
                    log::warn!("timer: {error}");
                }
            };
            scheme::server::serve(FatServer::new(Box::new(disk), Box::new(arm), time::wall_ns))
        }
        Err(error) => {
            log::error!("no timer: {error}");
            1
        }
    }
}

fn disk() -> Result<SchemeDevice> {
    match SchemeDevice::open("disk:", OpenFlags::READ | OpenFlags::WRITE) {
        Err(Error::ReadOnly | Error::PermissionDenied) => SchemeDevice::open("disk:", OpenFlags::READ),
        other => other,
    }
}

fn timer() -> Result<Rc<Notification>> {
    let timer = Notification::new()?;
    calls::notification_bind(timer.handle(), scheme::server::endpoint()?)?;
    Ok(Rc::new(timer))
}

scheme::entry!(run);
