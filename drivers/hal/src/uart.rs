//! A 16550 UART, interrupt-driven both ways, over ports that are held by
//! capability.
//!
//! The crate `uart_16550` reads and writes ports itself, which user code can't do here; hence our own, on
//! [`Ports`]. Source: National Semiconductor PC16550D data sheet.

use crate::access::Ports;
use abi::{Error, Result};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Registers, from the first port.
mod register {
    pub const DATA: u16 = 0;
    pub const INTERRUPT_ENABLE: u16 = 1;
    /// Read: interrupt identity; written: FIFO control.
    pub const FIFO: u16 = 2;
    pub const LINE_CONTROL: u16 = 3;
    pub const MODEM_CONTROL: u16 = 4;
    pub const LINE_STATUS: u16 = 5;
    pub const SCRATCH: u16 = 7;
}

const RECEIVED: u8 = 1;
const EMPTIED: u8 = 2;
/// Bytes in the transmitter's FIFO.
const FIFO: usize = 16;

/// One port, 115,200 baud, 8 data bits, no parity, one stop bit.
pub struct Uart<P: Ports> {
    ports: P,
    queue: VecDeque<u8>,
    transmitting: bool,
}

impl<P: Ports> Uart<P> {
    /// Sets the port up. Errors: `NotFound` when there is none.
    pub fn new(ports: P) -> Result<Uart<P>> {
        for probe in [0x5a, 0xa5] {
            ports.write8(register::SCRATCH, probe)?;
            if ports.read8(register::SCRATCH)? != probe {
                return Err(Error::NotFound);
            }
        }
        ports.write8(register::INTERRUPT_ENABLE, 0)?;
        // Divisor 1, behind the latch bit.
        ports.write8(register::LINE_CONTROL, 0x80)?;
        ports.write8(register::DATA, 1)?;
        ports.write8(register::INTERRUPT_ENABLE, 0)?;
        ports.write8(register::LINE_CONTROL, 0x03)?;
        // FIFOs on and cleared; an interrupt at 8 bytes, or when the line pauses.
        ports.write8(register::FIFO, 0x87)?;
        // Ready to send, and the gate of the interrupt line.
        ports.write8(register::MODEM_CONTROL, 0x0b)?;
        let uart = Uart { ports, queue: VecDeque::new(), transmitting: false };
        uart.ports.write8(register::INTERRUPT_ENABLE, RECEIVED)?;
        Ok(uart)
    }

    /// Bytes that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Sends bytes; those that don't fit the FIFO now follow by interrupt. Errors: the ports'.
    pub fn send(&mut self, data: &[u8]) -> Result<()> {
        self.queue.extend(data);
        if !self.transmitting && !self.queue.is_empty() {
            self.transmitting = true;
            // Enabling it raises the interrupt at once when the FIFO is empty (data sheet 8.6).
            self.ports.write8(register::INTERRUPT_ENABLE, RECEIVED | EMPTIED)?;
        }
        Ok(())
    }

    /// An interrupt came: takes what was received and sends what waits, until the UART asks for nothing more
    /// (its line is edge-triggered: what is left now would never be told again). Errors: the ports'.
    pub fn interrupt(&mut self, received: &mut Vec<u8>) -> Result<()> {
        // Bounded, for a line that is held busy.
        for _ in 0..4096 {
            let identity = self.ports.read8(register::FIFO)?;
            if identity & 1 != 0 {
                return Ok(());
            }
            let mut status = self.ports.read8(register::LINE_STATUS)?;
            while status & 1 != 0 {
                received.push(self.ports.read8(register::DATA)?);
                status = self.ports.read8(register::LINE_STATUS)?;
            }
            if status & 0x20 != 0 && self.transmitting {
                let count = self.queue.len().min(FIFO);
                if count == 0 {
                    self.transmitting = false;
                    self.ports.write8(register::INTERRUPT_ENABLE, RECEIVED)?;
                } else {
                    let burst: Vec<u8> = self.queue.drain(..count).collect();
                    self.ports.write_burst(register::DATA, &burst)?;
                }
            }
        }
        // What is left asks again: the line falls and rises.
        self.ports.write8(register::INTERRUPT_ENABLE, 0)?;
        self.ports.write8(register::INTERRUPT_ENABLE, if self.transmitting { RECEIVED | EMPTIED } else { RECEIVED })
    }
}

#[cfg(test)]
mod tests {
    use super::Uart;
    use crate::access::Ports;
    use abi::Result;
    use std::cell::RefCell;
    use std::collections::VecDeque;

    #[derive(Default)]
    struct Chip {
        registers: [u8; 8],
        input: VecDeque<u8>,
        fifo: Vec<u8>,
        sent: Vec<u8>,
        absent: bool,
        overruns: u32,
    }

    impl Ports for &RefCell<Chip> {
        fn read8(&self, port: u16) -> Result<u8> {
            let mut chip = self.borrow_mut();
            let latch = chip.registers[3] & 0x80 != 0;
            Ok(match port {
                _ if chip.absent => 0xff,
                0 if !latch => chip.input.pop_front().unwrap_or(0),
                2 if chip.registers[1] & 1 != 0 && !chip.input.is_empty() => 0xc4,
                2 if chip.registers[1] & 2 != 0 && chip.fifo.is_empty() => 0xc2,
                2 => 0xc1,
                5 => u8::from(!chip.input.is_empty()) | if chip.fifo.is_empty() { 0x60 } else { 0 },
                port => chip.registers[usize::from(port)],
            })
        }
        fn write8(&self, port: u16, value: u8) -> Result<()> {
            let mut chip = self.borrow_mut();
            if port == 0 && chip.registers[3] & 0x80 == 0 {
                chip.overruns += u32::from(chip.fifo.len() >= 16);
                chip.fifo.push(value);
            } else {
                chip.registers[usize::from(port)] = value;
            }
            Ok(())
        }
    }

    #[test]
    fn what_is_sent_arrives_whole_and_never_overruns() {
        let chip = RefCell::new(Chip::default());
        let mut uart = Uart::new(&chip).unwrap();
        let text: Vec<u8> = (0..=255).cycle().take(1000).collect();
        uart.send(&text).unwrap();
        while uart.waiting() > 0 {
            uart.interrupt(&mut Vec::new()).unwrap();
            let mut chip = chip.borrow_mut();
            let fifo = std::mem::take(&mut chip.fifo);
            chip.sent.extend(fifo);
        }
        assert_eq!((chip.borrow().sent.clone(), chip.borrow().overruns), (text, 0));
        uart.interrupt(&mut Vec::new()).unwrap();
        assert_eq!(chip.borrow().registers[1], 1, "no more interrupts of an empty transmitter");
    }

    #[test]
    fn all_that_came_is_taken_at_one_interrupt() {
        let chip = RefCell::new(Chip::default());
        let mut uart = Uart::new(&chip).unwrap();
        chip.borrow_mut().input.extend(b"hello");
        let mut received = Vec::new();
        uart.interrupt(&mut received).unwrap();
        assert_eq!(received, b"hello");
    }

    #[test]
    fn an_absent_port_is_noticed() {
        let chip = RefCell::new(Chip { absent: true, ..Chip::default() });
        assert!(Uart::new(&chip).is_err());
    }
}
