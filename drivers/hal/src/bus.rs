//! The contract between the bus manager and drivers.
//!
//! `pci:` lists functions by the names of [`FunctionName`]. Opening `pci:NAME` gives a *device session*, which is what
//! a driver's namespace holds under `device`. The driver opens `device:` and gets a *claim*: while it lives no
//! one else has the device, and when it ends (the driver died) the device is stopped and reset before anyone claims it anew.
//! Commands below are `control` calls; on a device session only [`INFO`] and [`CONFIG_READ`] work.

use abi::Result;

/// Output: an [`Info`]. Argument: 0.
pub const INFO: u64 = 1;
/// Argument: offset in configuration space, a multiple of 4. Value: the 4 bytes there.
pub const CONFIG_READ: u64 = 2;
/// Argument: number of a BAR. Value: its length in bytes; output: 8 bytes, its first port (else 0). Capability: `DeviceMemory` or
/// `IoPorts`. Errors: `NotFound`; `PermissionDenied` for pages that hold the MSI-X table (see [`BAR_PART`]).
pub const BAR: u64 = 3;
/// Argument: BAR | first page << 8 | pages << 32. As [`BAR`], for a part that does not touch the MSI-X table.
pub const BAR_PART: u64 = 4;
/// Argument: how many message interrupts, 1 to 4. Capabilities: that many `Interrupt`, for MSI-X entries 0, 1, …
/// Errors: `NotSupported` (no MSI-X, or too few entries).
pub const INTERRUPTS: u64 = 5;
/// Lets the device master the bus. Capability: its `DmaDomain`.
pub const START: u64 = 6;

/// Bytes in an [`Info`].
pub const INFO_LENGTH: usize = 16;

/// What a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Who made it.
    pub vendor: u16,
    /// Which of theirs.
    pub device: u16,
    /// Class, subclass, interface: 0xCCSSII.
    pub class: u32,
    /// Revision.
    pub revision: u8,
    /// Subsystem vendor and id.
    pub subsystem: (u16, u16),
}

impl Info {
    /// The wire form: vendor u16, device u16, class u32, subsystem vendor u16, subsystem u16, revision u8, 3 × 0.
    pub fn to_bytes(&self) -> [u8; INFO_LENGTH] {
        let mut out = [0; INFO_LENGTH];
        let parts = self.vendor.to_le_bytes().into_iter().chain(self.device.to_le_bytes());
        let parts = parts.chain(self.class.to_le_bytes()).chain(self.subsystem.0.to_le_bytes());
        let parts = parts.chain(self.subsystem.1.to_le_bytes()).chain([self.revision]);
        out.iter_mut().zip(parts).for_each(|(o, p)| *o = p);
        out
    }

    /// From the wire form.
    pub fn from_bytes(b: &[u8; INFO_LENGTH]) -> Info {
        let [v0, v1, d0, d1, c0, c1, c2, c3, s0, s1, i0, i1, revision, ..] = *b;
        Info {
            vendor: u16::from_le_bytes([v0, v1]),
            device: u16::from_le_bytes([d0, d1]),
            class: u32::from_le_bytes([c0, c1, c2, c3]),
            revision,
            subsystem: (u16::from_le_bytes([s0, s1]), u16::from_le_bytes([i0, i1])),
        }
    }
}

/// A function's place, written `SSSS.BB.DD.F` in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionName {
    /// Segment group.
    pub segment: u16,
    /// Bus.
    pub bus: u8,
    /// Device, below 32.
    pub device: u8,
    /// Function, below 8.
    pub function: u8,
}

impl core::fmt::Display for FunctionName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:04x}.{:02x}.{:02x}.{:x}", self.segment, self.bus, self.device, self.function)
    }
}

impl FunctionName {
    /// Reads the written form.
    pub fn parse(text: &str) -> Option<FunctionName> {
        let mut parts = text.split('.');
        let mut next = |digits: usize| {
            let part = parts.next().filter(|p| p.len() == digits && p.bytes().all(|b| b.is_ascii_hexdigit()))?;
            u16::from_str_radix(part, 16).ok()
        };
        let name = FunctionName {
            segment: next(4)?,
            bus: u8::try_from(next(2)?).ok()?,
            device: u8::try_from(next(2)?).ok().filter(|d| *d < 32)?,
            function: u8::try_from(next(1)?).ok().filter(|f| *f < 8)?,
        };
        parts.next().is_none().then_some(name)
    }
}

/// Reads the configuration space of the driver's own device. Errors: the bus manager's.
pub type ConfigRead<'a> = &'a mut dyn FnMut(u16) -> Result<u32>;

#[cfg(test)]
mod tests {
    use super::{FunctionName, Info};

    #[test]
    fn names_read_back_and_nonsense_does_not() {
        let name = FunctionName { segment: 0, bus: 0xa, device: 31, function: 7 };
        assert_eq!(name.to_string(), "0000.0a.1f.7");
        assert_eq!(FunctionName::parse("0000.0a.1f.7"), Some(name));
        for bad in ["", "0.0.0.0", "0000.00.20.0", "0000.00.00.8", "0000.00.00.0.0", "0000.00.00.+", "00g0.00.00.0"] {
            assert_eq!(FunctionName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn info_reads_back() {
        let info = Info { vendor: 0x1af4, device: 0x1042, class: 0x01_0000, revision: 1, subsystem: (2, 3) };
        assert_eq!(Info::from_bytes(&info.to_bytes()), info);
    }
}
