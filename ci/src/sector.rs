//! A boot sector that plays the system, to test the harness before and without
//! one.
//!
//! A [`Script`] is put together from a few acts (write bytes to a port, wait for a byte, end,
//! hang) and becomes 512 bytes of 16-bit code that a PC's old firmware runs. So deadlines,
//! kills, exit statuses and the agent's channel are tried on a real emulator in a second.

use std::path::Path;

use crate::agent::MAGIC;
use crate::error::{Error, Result};

/// The debug console: the kernel's log.
pub const LOG: u16 = 0xe9;
/// The first serial port: the console.
pub const CONSOLE: u16 = 0x3f8;
/// The second serial port: the agent's channel.
pub const AGENT: u16 = 0x2f8;
/// `isa-debug-exit`.
const EXIT: u16 = 0xf4;

/// 16-bit code in the making.
#[derive(Default)]
pub struct Script {
    code: Vec<u8>,
}

impl Script {
    /// Does nothing yet.
    pub fn new() -> Self {
        // cli: the firmware's handlers have no part in this.
        Self { code: vec![0xfa] }
    }

    /// Writes `bytes` to `port`.
    #[must_use]
    pub fn write(mut self, port: u16, bytes: &[u8]) -> Self {
        self.set_dx(port);
        for &byte in bytes {
            self.code.extend([0xb0, byte, 0xee]); // mov al, byte; out dx, al
        }
        self
    }

    /// Sends one frame of the agent's.
    #[must_use]
    pub fn frame(self, kind: u8, payload: &[u8]) -> Self {
        let [low, high] = (payload.len() as u16).to_le_bytes();
        self.write(AGENT, &[MAGIC, kind, low, high]).write(AGENT, payload)
    }

    /// Waits for `count` bytes on the agent's channel and sends them back as output, one frame
    /// a byte; with `count` = 4, a frame's header.
    #[must_use]
    pub fn echo(mut self, count: u8) -> Self {
        self.code.extend([0xb9, count, 0]); // mov cx, count
        let top = self.code.len();
        self.read_byte();
        self.code.extend([0x88, 0xc3]); // mov bl, al
        self = self.write(AGENT, &[MAGIC, b'O', 1, 0]);
        self.code.extend([0x88, 0xd8, 0xee, 0x49]); // mov al, bl; out dx, al; dec cx
        self.jump_back(0x75, top); // jnz top
        self
    }

    /// Waits for `count` bytes on the agent's channel and drops them.
    #[must_use]
    pub fn skip(mut self, count: u8) -> Self {
        self.code.extend([0xb9, count, 0]);
        let top = self.code.len();
        self.read_byte();
        self.code.push(0x49);
        self.jump_back(0x75, top);
        self
    }

    /// Ends the emulator with status 2 × `value` + 1.
    #[must_use]
    pub fn exit(self, value: u8) -> Self {
        self.write(EXIT, &[value]).hang()
    }

    /// Resets the machine by a triple fault: an interrupt without a table to look it up in.
    #[must_use]
    pub fn triple_fault(mut self) -> Self {
        let at = self.code.len() as u16 + 0x7c00;
        let table = at + 8;
        let [low, high] = table.to_le_bytes();
        // xor ax, ax; mov ds, ax would be needed were ds not 0: the firmware enters with ds = 0.
        self.code.extend([0x0f, 0x01, 0x1e, low, high]); // lidt [table]
        self.code.extend([0xcd, 0x03]); // int 3
        self.code.push(0x90);
        self.code.extend([0; 6]); // table: limit 0, base 0
        self
    }

    /// Does nothing for ever.
    #[must_use]
    pub fn hang(mut self) -> Self {
        self.code.extend([0xf4, 0xeb, 0xfd]); // hlt; jmp to it
        self
    }

    /// The boot sector, as a disk image in `path`.
    ///
    /// # Errors
    /// When the code does not fit or the file can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        if self.code.len() > 510 {
            return Err(Error::Protocol(format!("{} bytes do not fit a boot sector", self.code.len())));
        }
        // One mebibyte: some controllers refuse a disk of a single sector.
        let mut image = vec![0; 1 << 20];
        image[..self.code.len()].copy_from_slice(&self.code);
        image[510..512].copy_from_slice(&[0x55, 0xaa]);
        std::fs::write(path, image).map_err(Error::host(format!("writing {}", path.display())))
    }

    fn set_dx(&mut self, port: u16) {
        let [low, high] = port.to_le_bytes();
        self.code.extend([0xba, low, high]); // mov dx, port
    }

    /// al = the next byte on the agent's channel; dx = its port.
    fn read_byte(&mut self) {
        self.set_dx(AGENT + 5); // line status
        let top = self.code.len();
        self.code.extend([0xec, 0xa8, 0x01]); // in al, dx; test al, 1
        self.jump_back(0x74, top); // jz top
        self.set_dx(AGENT);
        self.code.push(0xec); // in al, dx
    }

    fn jump_back(&mut self, opcode: u8, target: usize) {
        let distance = self.code.len() + 2 - target;
        self.code.extend([opcode, (distance as u8).wrapping_neg()]);
    }
}
