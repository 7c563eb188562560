//! The sleep types of S5, found in the DSDT without an interpreter.
//!
//! `\_S5_` is a package of small constants on every machine we know: `NameOp "_S5_" PackageOp PkgLength
//! count element element …`. This looks for those bytes and takes the first two elements. It is a
//! scan, not AML: a table that computes `_S5_` is not understood, and then power off is not offered by
//! the kernel. References: ACPI 6.4, 20.2.5 (names, packages), 20.2.3 (constants), 7.4.2 (`_S5`).

use super::table::{Table, HEADER};

const NAME_OP: u8 = 0x08;
const ROOT_CHAR: u8 = 0x5c;
const PACKAGE_OP: u8 = 0x12;
const BYTE_PREFIX: u8 = 0x0a;
const WORD_PREFIX: u8 = 0x0b;
const ONES_OP: u8 = 0xff;

/// Where the scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// This many bytes of the name were seen.
    Name(usize),
    /// The package's opcode should follow.
    Package,
    /// The first byte of the package's length should follow.
    Length,
    /// This many more bytes of the length.
    LengthRest(u8),
    /// The count of elements.
    Count,
    /// An element.
    Element,
    /// The low byte of an element, and whether a high byte follows.
    Low(bool),
    /// The high byte of an element: ignored (three bits count).
    High,
}

/// A scan, one byte at a time.
#[derive(Clone, Copy, Debug)]
struct Scan {
    state: State,
    before: [u8; 2],
    values: [Option<u8>; 2],
}

impl Scan {
    /// At the start.
    const fn new() -> Scan {
        Scan { state: State::Name(0), before: [0; 2], values: [None; 2] }
    }

    fn value(&mut self, value: u8) -> State {
        match &mut self.values {
            [first @ None, _] => *first = Some(value & 7),
            [_, second] => *second = Some(value & 7),
        }
        State::Element
    }

    /// Takes a byte; the two types once both are known.
    fn byte(&mut self, byte: u8) -> Option<(u8, u8)> {
        const NAME: &[u8; 4] = b"_S5_";
        let restart = if byte == NAME[0] { State::Name(1) } else { State::Name(0) };
        self.state = match self.state {
            State::Name(seen) if NAME.get(seen) == Some(&byte) => match seen {
                // The name must stand in a definition: after NameOp, or NameOp and a root character.
                0 if self.before[1] == NAME_OP || self.before == [NAME_OP, ROOT_CHAR] => State::Name(1),
                0 => State::Name(0),
                3 => State::Package,
                _ => State::Name(seen.saturating_add(1)),
            },
            State::Package if byte == PACKAGE_OP => State::Length,
            State::Length if byte >> 6 == 0 => State::Count,
            State::Length => State::LengthRest(byte >> 6),
            State::LengthRest(1) => State::Count,
            State::LengthRest(left) => State::LengthRest(left.saturating_sub(1)),
            State::Count if byte >= 2 => State::Element,
            State::Element => match byte {
                0 | 1 => self.value(byte),
                ONES_OP => self.value(7),
                BYTE_PREFIX => State::Low(false),
                WORD_PREFIX => State::Low(true),
                _ => restart,
            },
            State::Low(false) => self.value(byte),
            State::Low(true) => {
                self.value(byte);
                State::High
            }
            State::High => State::Element,
            _ => State::Name(0),
        };
        if matches!(self.state, State::Name(_)) {
            self.values = [None; 2];
        }
        self.before = [self.before[1], byte];
        match self.values {
            [Some(a), Some(b)] => Some((a, b)),
            _ => None,
        }
    }
}

/// The sleep types of S5 in a DSDT.
pub fn find(dsdt: &Table) -> Option<(u8, u8)> {
    let mut scan = Scan::new();
    let mut found = None;
    dsdt.bytes(HEADER, &mut |byte| {
        found = scan.byte(byte);
        found.is_none()
    })?;
    found
}

#[cfg(test)]
mod tests;
