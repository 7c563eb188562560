//! The console's wiring: what of serial line, framebuffer and keyboard there
//! is, and the server.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use abi::memory::PAGE_SIZE;
use abi::{Handle, Result};
use alloc::boxed::Box;
use console::framebuffer::{Framebuffer, Shape};
use console::keyboard::Keyboard;
use console::server::{Console, Display, Keys, KEYBOARD_BIT, SERIAL_BIT};
use hal::interrupt::Interrupt;
use hal::port::PortRange;
use hal::uart::Uart;
use hal::window::Window;
use scheme::rt::{calls, start};

scheme::entry!(run);

fn run() -> u64 {
    let notification = match notification() {
        Ok(notification) => notification,
        Err(error) => {
            log::error!("no notification: {error}");
            return 1;
        }
    };
    let mut console = Console::default();
    match serial(notification) {
        Ok(serial) => console.serial = serial,
        Err(error) => log::warn!("no serial line: {error}"),
    }
    match display() {
        Ok(display) => console.display = display,
        Err(error) => log::warn!("no framebuffer: {error}"),
    }
    match keys(notification) {
        Ok(keys) => console.keys = keys,
        Err(error) => log::warn!("no keyboard: {error}"),
    }
    scheme::server::serve(console)
}

fn notification() -> Result<Handle> {
    let notification = calls::notification_create(Handle::SELF_QUOTA)?;
    calls::notification_bind(notification, scheme::server::endpoint()?)?;
    Ok(notification)
}

fn bound(name: &str, notification: Handle, bits: u64) -> Result<Option<Interrupt>> {
    let Some(handle) = start::handle(name) else { return Ok(None) };
    let interrupt = Interrupt::new(handle);
    interrupt.bind(notification, bits)?;
    Ok(Some(interrupt))
}

fn serial(notification: Handle) -> Result<Option<(Uart<PortRange>, Interrupt)>> {
    let Some(ports) = start::handle("com1") else { return Ok(None) };
    let Some(interrupt) = bound("irq4", notification, SERIAL_BIT)? else { return Ok(None) };
    let uart = Uart::new(PortRange::new(ports, 0x3f8))?;
    interrupt.acknowledge()?;
    Ok(Some((uart, interrupt)))
}

fn display() -> Result<Option<Display>> {
    let Some(memory) = start::handle("framebuffer") else { return Ok(None) };
    let arguments = start::arguments();
    let Some(shape) = arguments.iter().find_map(|a| Shape::parse(a.strip_prefix("framebuffer=")?)) else {
        return Ok(None);
    };
    let window = Window::map(memory, shape.address % PAGE_SIZE, shape.length(), true)?;
    Ok(Some(Display::new(Box::new(Framebuffer::new(window, shape)))))
}

fn keys(notification: Handle) -> Result<Option<Keys>> {
    let (Some(data), Some(status)) = (start::handle("keyboard-data"), start::handle("keyboard-status")) else {
        return Ok(None);
    };
    let Some(interrupt) = bound("irq1", notification, KEYBOARD_BIT)? else { return Ok(None) };
    let keys = Keys {
        data: PortRange::new(data, 0x60),
        status: PortRange::new(status, 0x64),
        interrupt,
        keyboard: Keyboard::default(),
    };
    // Whatever was typed before waits in the controller and would hold its interrupt.
    while keys.status.read(0, 1)? & 1 != 0 && keys.status.read(0, 1)? != 0xff {
        keys.data.read(0, 1)?;
    }
    keys.interrupt.acknowledge()?;
    Ok(Some(keys))
}
