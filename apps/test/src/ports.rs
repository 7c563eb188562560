//! I/O ports: what a range of them reaches. The second serial port is the device.

use crate::raw;
use crate::roots::root;
use crate::tap::{refused, same, works, Check, Test};
use abi::boot::InitHandle;
use abi::call::Call;
use abi::memory::PAGE_SIZE;
use abi::{Error, Handle, Rights};
use scheme::rt::calls;

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "a-port-is-read-and-written-inside-its-range", run: inside },
    Test { name: "bytes-go-through-a-port-one-after-another", run: bytes },
];

/// Where the ports of the second serial port begin, and how many they are (a 16550; its registers by their names there).
const FIRST: u64 = 0x2f8;
const COUNT: u64 = 8;
/// Data in and out.
const DATA: u64 = FIRST;
/// Which interrupts are wanted.
const IER: u64 = FIRST + 1;
/// Which there is; written: the FIFOs.
const IIR: u64 = FIRST + 2;
/// The line's format.
const LCR: u64 = FIRST + 3;
/// The modem's lines.
const MCR: u64 = FIRST + 4;
/// The line's state: bit 0 says that a byte is there.
const LSR: u64 = FIRST + 5;
/// A register that holds a byte and does nothing.
const SCRATCH: u64 = FIRST + 7;

/// Its ports.
pub struct Serial(Handle);

impl Serial {
    /// Takes them.
    pub fn new() -> Check<Serial> {
        let ports = calls::derive_range(root(InitHandle::IoPorts), Rights::all(), FIRST, COUNT);
        Ok(Serial(works("the ports", ports)?))
    }

    fn write(&self, port: u64, value: u64) -> Check {
        works("writing a port", calls::port_write(self.0, port, 1, value))
    }

    fn read(&self, port: u64) -> Check<u64> {
        works("reading a port", calls::port_read(self.0, port, 1))
    }

    /// Has it ask for an interrupt: it wants bytes to send, and says so from now on.
    pub fn ask(&self) -> Check {
        self.write(MCR, 0x08)?;
        self.write(IER, 2)
    }

    /// Has it ask no more.
    pub fn be_quiet(&self) -> Check {
        self.write(IER, 0)?;
        self.read(IIR).map(|_| ())
    }
}

impl Drop for Serial {
    fn drop(&mut self) {
        calls::close(self.0);
    }
}

fn inside() -> Check {
    let serial = Serial::new()?;
    for value in [0x5a, 0xa5] {
        serial.write(SCRATCH, value)?;
        same("what it holds", serial.read(SCRATCH)?, value)?;
    }
    let ports = serial.0;
    for (what, port, width) in [
        ("the port below", FIRST - 1, 1),
        ("the port above", FIRST + COUNT, 1),
        ("two bytes at the end", SCRATCH, 2),
        ("four bytes near the end", FIRST + 5, 4),
        ("three bytes", FIRST, 3),
        ("no bytes", FIRST, 0),
        ("a port that is none", FIRST + (1 << 16), 1),
    ] {
        refused(what, calls::port_read(ports, port, width), Error::BadArgument)?;
        refused(what, calls::port_write(ports, port, width, 0), Error::BadArgument)?;
    }
    // A narrower range reaches less, and no wider one can be made of it.
    let narrow = works("one port", calls::derive_range(ports, Rights::all(), SCRATCH, 1))?;
    same("through it", works("reading", calls::port_read(narrow, SCRATCH, 1))?, 0xa5)?;
    refused("its neighbour", calls::port_read(narrow, SCRATCH - 1, 1), Error::BadArgument)?;
    refused("more", calls::derive_range(narrow, Rights::all(), SCRATCH - 1, 2), Error::BadArgument)?;
    let (reads, writes) = (
        works("a right less", calls::derive(narrow, Rights::READ))?,
        works("the other", calls::derive(narrow, Rights::WRITE))?,
    );
    refused("writing without WRITE", calls::port_write(reads, SCRATCH, 1, 1), Error::NoRight)?;
    refused("reading without READ", calls::port_read(writes, SCRATCH, 1), Error::NoRight)?;
    works("writing with it", calls::port_write(writes, SCRATCH, 1, 0x77))?;
    same("reading with it", works("reading", calls::port_read(reads, SCRATCH, 1))?, 0x77)?;
    [reads, writes, narrow].into_iter().for_each(calls::close);
    Ok(())
}

fn bytes() -> Check {
    let serial = Serial::new()?;
    let ports = serial.0;
    serial.write(IER, 0)?;
    // Eight bits, no parity; FIFOs on and empty; what is sent comes back in.
    serial.write(LCR, 0x03)?;
    serial.write(IIR, 0x07)?;
    serial.write(MCR, 0x10)?;
    same("a byte is there", serial.read(LSR)? & 1, 0)?;
    // What can't be read is not sent.
    let from = |address: u64, length: u64| {
        raw::any_call(Call::PortWriteBytes, [ports.word(), DATA, address, length, 0, 0]).map(|_| ())
    };
    refused("bytes of the kernel", from(0xffff_ffff_8000_0000, 8), Error::BadAddress)?;
    refused("bytes of nobody", from(PAGE_SIZE, 8), Error::BadAddress)?;
    let page = alloc::vec![0; PAGE_SIZE as usize + 1];
    refused("more than a page", calls::port_write_bytes(ports, DATA, &page), Error::BadArgument)?;
    refused("a port outside", calls::port_write_bytes(ports, FIRST + COUNT, b"x"), Error::BadArgument)?;
    same("a byte was sent", serial.read(LSR)? & 1, 0)?;
    let sent: [u8; 16] = *b"0123456789abcdef";
    works("sending", calls::port_write_bytes(ports, DATA, &sent))?;
    let mut out = [0; 16];
    let into = |address: u64, length: u64| {
        raw::any_call(Call::PortReadBytes, [ports.word(), DATA, address, length, 0, 0]).map(|_| ())
    };
    refused("into the kernel", into(0xffff_ffff_8000_0000, 8), Error::BadAddress)?;
    refused("more than a page", into(page.as_ptr() as u64, PAGE_SIZE + 1), Error::BadArgument)?;
    refused("a port outside", calls::port_read_bytes(ports, FIRST - 1, &mut out), Error::BadArgument)?;
    works("receiving", calls::port_read_bytes(ports, DATA, &mut out))?;
    same("what was received", out, sent)?;
    same("a byte is left", serial.read(LSR)? & 1, 0)?;
    let reads = works("a right less", calls::derive(ports, Rights::READ))?;
    refused("sending without WRITE", calls::port_write_bytes(reads, DATA, &sent), Error::NoRight)?;
    let writes = works("the other", calls::derive(ports, Rights::WRITE))?;
    refused("receiving without READ", calls::port_read_bytes(writes, DATA, &mut out), Error::NoRight)?;
    [reads, writes].into_iter().for_each(calls::close);
    serial.write(MCR, 0)
}
