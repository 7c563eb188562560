//! The agent's program: looks whether the host wants anything, then serves its
//! commands.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![deny(unsafe_code)]

extern crate alloc;

use abi::Handle;
use agent::frame::arguments;
use agent::fw_cfg::{FwCfg, FIRST_PORT};
use agent::server::{Agent, UART};
use agent::system::{add_files, make_directory, Machine, PREFIX};
use alloc::string::ToString;
use hal::interrupt::Interrupt;
use hal::port::PortRange;
use hal::uart::Uart;
use scheme::notification::Notification;
use scheme::rt::{calls, start};
use scheme::{Error, Result};

/// The second serial port.
const COM2: u16 = 0x2f8;
/// The longest command line handed out.
const LONGEST: usize = 64 * 1024;

scheme::entry!(run);

fn run() -> u64 {
    match handouts() {
        None => 0,
        Some(device) => match serve(device) {
            Ok(code) => code,
            Err(error) => {
                log::error!("the agent can't begin: {error}");
                1
            }
        },
    }
}

/// The host's files, if there is a host that wants an agent.
fn handouts() -> Option<FwCfg<PortRange>> {
    let ports = start::handle("fw-cfg")?;
    let device = FwCfg::new(PortRange::new(ports, FIRST_PORT)).ok()?;
    let wanted = ["agent", "command"].iter().any(|name| device.find(&[PREFIX, name].concat()).is_some());
    wanted.then_some(device)
}

fn serve(mut device: FwCfg<PortRange>) -> Result<u64> {
    let endpoint = calls::endpoint_create(Handle::SELF_QUOTA)?;
    let notification = Notification::new()?;
    calls::notification_bind(notification.handle(), endpoint)?;
    let ports = start::handle("com2").ok_or(Error::NotFound)?;
    let interrupt = Interrupt::new(start::handle("irq3").ok_or(Error::NotFound)?);
    interrupt.bind(notification.handle(), UART)?;
    let uart = Uart::new(PortRange::new(ports, COM2))?;
    let directory = make_directory();
    let added = match &directory {
        Ok(directory) => add_files(&mut device, directory),
        Err(error) => Err(alloc::format!("no directory to start in: {error}")),
    };
    let directory = directory.unwrap_or_else(|_| "/".to_string());
    let command = device.read(&[PREFIX, "command"].concat(), LONGEST);
    let mut agent = Agent::new(uart, Machine::new(endpoint, notification, directory));
    match (command, added) {
        (Err(Error::NotFound), Ok(())) => {}
        (_, Err(reason)) => agent.refuse(&reason),
        (Err(error), Ok(())) => agent.refuse(&alloc::format!("the command: {error}")),
        (Ok(command), Ok(())) => agent.run(&arguments(&command)),
    }
    Ok(scheme::server::serve_at(endpoint, agent))
}
