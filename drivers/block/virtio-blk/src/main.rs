//! The virtio block driver's wiring: the device from the bus manager,
//! interrupt, server.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use abi::{Handle, Result};
use hal::device::PciDevice;
use scheme::rt::{calls, start};
use virtio_blk::server::{VirtioBlk, INTERRUPT_BIT};

scheme::entry!(run);

fn run() -> u64 {
    match set_up() {
        Ok(server) => scheme::server::serve(server),
        Err(error) => {
            log::error!("the device can't be set up: {error}");
            1
        }
    }
}

fn set_up() -> Result<VirtioBlk> {
    let endpoint = start::handle(abi::start::names::ENDPOINT).ok_or(abi::Error::NotFound)?;
    let device = PciDevice::claim("device:")?;
    let notification = calls::notification_create(Handle::SELF_QUOTA)?;
    calls::notification_bind(notification, endpoint)?;
    let interrupts = device.interrupts(1)?;
    for interrupt in &interrupts {
        interrupt.bind(notification, INTERRUPT_BIT)?;
    }
    let domain = device.start()?;
    let transport = device.virtio()?;
    let server = VirtioBlk::new(transport, domain)?;
    // The claim, the interrupt and the notification are held for as long as the driver lives.
    core::mem::forget((device, interrupts));
    Ok(server)
}
