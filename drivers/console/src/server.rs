//! The scheme `console:`: one stream of bytes in, one out.

use crate::discipline::{Discipline, Mode};
use crate::keyboard::Keyboard;
use crate::paint::{cells, Painter, Surface};
use crate::screen::Screen;
use abi::Error;
use alloc::boxed::Box;
use alloc::vec::Vec;
use hal::access::Ports;
use hal::interrupt::Interrupt;
use hal::port::PortRange;
use hal::uart::Uart;
use scheme::lease::{Source, Target};
use scheme::scheme::{Caller, Control, Controlled, Opened, Outcome, Scheme, Stop};
use scheme::stat::{FileKind, Stat};
use scheme::wire::{OpenFlags, Whence};

/// `control`: argument 1 for raw input, 0 for lines with echo.
pub const SET_MODE: u64 = 1;
/// `control`: the size in characters: columns | rows << 32; 80 × 24 where there is only a serial line.
pub const SIZE: u64 = 2;

/// The serial line's bit in the server's notification.
pub const SERIAL_BIT: u64 = 1;
/// The keyboard's.
pub const KEYBOARD_BIT: u64 = 2;

/// Bytes that may wait for the serial line before writers wait.
const BACKLOG: usize = 64 * 1024;
/// Bytes taken of one write at a time.
const CHUNK: usize = 4096;

/// The framebuffer's side.
pub struct Display {
    screen: Screen,
    painter: Painter,
    surface: Box<dyn Surface>,
}

impl Display {
    /// The terminal that is shown.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// A display that fills a surface with cells.
    pub fn new(surface: Box<dyn Surface>) -> Display {
        let (columns, rows) = cells(surface.size());
        Display { screen: Screen::new(columns, rows), painter: Painter::default(), surface }
    }
}

/// The keyboard controller's side.
pub struct Keys {
    /// Data at port 0 of the range.
    pub data: PortRange,
    /// Status at port 0 of the range.
    pub status: PortRange,
    /// Its interrupt.
    pub interrupt: Interrupt,
    /// What the codes mean.
    pub keyboard: Keyboard,
}

/// The server.
#[derive(Default)]
pub struct Console {
    /// The serial line and its interrupt, where there is one.
    pub serial: Option<(Uart<PortRange>, Interrupt)>,
    /// The framebuffer, where there is one.
    pub display: Option<Display>,
    /// The keyboard, where there is one.
    pub keys: Option<Keys>,
    /// What is typed.
    pub discipline: Discipline,
}

impl Console {
    /// Shows bytes everywhere; a line feed begins a new line at its start.
    fn show(&mut self, bytes: &[u8]) {
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if *byte == b'\n' {
                out.push(b'\r');
            }
            out.push(*byte);
        }
        if let Some((uart, _)) = &mut self.serial {
            if let Err(error) = uart.send(&out) {
                log::warn!("the serial line is lost: {error}");
                self.serial = None;
            }
        }
        if let Some(display) = &mut self.display {
            display.screen.write(&out);
            display.painter.paint(&mut display.screen, &mut *display.surface);
            // Only one terminal answers queries: the one on the line, if there is one.
            let replies = display.screen.take_replies();
            if self.serial.is_none() {
                self.typed(&replies);
            }
        }
    }

    /// Takes bytes that were typed, wherever.
    pub fn typed(&mut self, bytes: &[u8]) {
        let mut echo = Vec::new();
        for byte in bytes {
            self.discipline.input(*byte, &mut echo);
        }
        if !echo.is_empty() {
            self.show(&echo);
        }
    }

    fn backlog(&self) -> usize {
        self.serial.as_ref().map_or(0, |(uart, _)| uart.waiting())
    }

    fn keys(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(keys) = &mut self.keys else { return out };
        // Bit 0: a byte waits; bit 5: the mouse's, not ours. Bounded, as the controller is not trusted to end.
        for _ in 0..64 {
            match keys.status.read8(0) {
                Ok(status) if status & 1 != 0 => {
                    let Ok(code) = keys.data.read8(0) else { break };
                    if status & 0x20 == 0 {
                        keys.keyboard.code(code, &mut out);
                    }
                }
                _ => break,
            }
        }
        if let Err(error) = keys.interrupt.acknowledge() {
            log::debug!("keyboard: {error}");
        }
        out
    }
}

impl Scheme for Console {
    fn open(&mut self, _caller: &Caller, path: &str, _flags: OpenFlags) -> Outcome<Opened> {
        if path.is_empty() {
            Ok(Opened::new(1))
        } else {
            Err(Error::NotFound.into())
        }
    }

    fn read(&mut self, _caller: &Caller, _offset: u64, target: &mut Target<'_>) -> Outcome<usize> {
        if target.is_empty() {
            return Ok(0);
        }
        let input = self.discipline.read(target.len()).ok_or(Stop::Later)?;
        target.write(0, &input)?;
        Ok(input.len())
    }

    fn write(&mut self, _caller: &Caller, _offset: u64, source: &mut Source<'_>) -> Outcome<usize> {
        if self.backlog() >= BACKLOG {
            return Err(Stop::Later);
        }
        let mut chunk = [0; CHUNK];
        let length = source.len().min(CHUNK);
        let part = chunk.get_mut(..length).ok_or(Error::BadArgument)?;
        source.read(0, part)?;
        self.show(part);
        Ok(length)
    }

    fn seek(&mut self, _caller: &Caller, _position: u64, _whence: Whence, _distance: i64) -> Outcome<u64> {
        Err(Error::NotSupported.into())
    }

    fn stat(&mut self, _caller: &Caller, path: &str) -> Outcome<Stat> {
        if !path.is_empty() {
            return Err(Error::NotFound.into());
        }
        Ok(Stat { kind: FileKind::Stream, permissions: 0o600, links: 1, id: 1, ..Stat::default() })
    }

    fn control(&mut self, _caller: &Caller, control: &mut Control<'_, '_>) -> Outcome<Controlled> {
        match (control.command, control.argument) {
            (SET_MODE, 0) => self.discipline.set_mode(Mode::Line),
            (SET_MODE, 1) => self.discipline.set_mode(Mode::Raw),
            (SET_MODE, _) => return Err(Error::BadArgument.into()),
            (SIZE, _) => {
                let (columns, rows) = self.display.as_ref().map_or((80, 24), |d| d.screen.size());
                return Ok(Controlled::value((columns as u64) | ((rows as u64) << 32)));
            }
            _ => return Err(Error::NotSupported.into()),
        }
        Ok(Controlled::default())
    }

    fn event(&mut self, bits: u64) {
        if bits & SERIAL_BIT != 0 {
            let mut input = Vec::new();
            if let Some((uart, interrupt)) = &mut self.serial {
                let outcome = uart.interrupt(&mut input).and_then(|()| interrupt.acknowledge());
                if let Err(error) = outcome {
                    log::warn!("serial line: {error}");
                }
            }
            self.typed(&input);
        }
        if bits & KEYBOARD_BIT != 0 {
            let input = self.keys();
            self.typed(&input);
        }
    }
}
