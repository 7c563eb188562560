//! The PCI transport of modern virtio devices (virtio 1.2, sections 3.1 and
//! 4.1).

use crate::access::Mmio;
use abi::error::{Error, Result};

/// One of the structures that a vendor capability points at (4.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    /// The BAR that holds it.
    pub bar: u8,
    /// Its offset there.
    pub offset: u32,
    /// Its length.
    pub length: u32,
}

/// Where a device's structures lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structures {
    /// Common configuration.
    pub common: Structure,
    /// Notifications.
    pub notify: Structure,
    /// Bytes between the notification addresses of queues, per unit of `queue_notify_off`.
    pub notify_multiplier: u32,
    /// Device-specific configuration.
    pub device: Option<Structure>,
}

/// Finds the structures in a device's configuration space, read through `read32` (offset a multiple of 4).
/// Errors: `NotSupported` for a device without the modern interface.
pub fn structures(read32: &mut dyn FnMut(u16) -> Result<u32>) -> Result<Structures> {
    let status = read32(4)? >> 16;
    if status & (1 << 4) == 0 {
        return Err(Error::NotSupported);
    }
    let (mut common, mut notify, mut device) = (None, None, None);
    let mut multiplier = 0;
    let mut at = (read32(0x34)? & 0xfc) as u16;
    // 48 capabilities fit the space: more is a loop.
    for _ in 0..48 {
        if at < 0x40 {
            break;
        }
        let head = read32(at)?;
        if head & 0xff == 0x09 {
            let kind = (head >> 24) as u8;
            let structure = Structure {
                bar: read32(at.saturating_add(4))? as u8,
                offset: read32(at.saturating_add(8))?,
                length: read32(at.saturating_add(12))?,
            };
            // The first of a kind is the one preferred by the device (4.1.4.1).
            if structure.bar < 6 {
                match kind {
                    1 if common.is_none() => common = Some(structure),
                    2 if notify.is_none() => {
                        notify = Some(structure);
                        multiplier = read32(at.saturating_add(16))?;
                    }
                    4 if device.is_none() => device = Some(structure),
                    _ => {}
                }
            }
        }
        at = ((head >> 8) & 0xfc) as u16;
    }
    match (common, notify) {
        (Some(common), Some(notify)) => Ok(Structures { common, notify, notify_multiplier: multiplier, device }),
        _ => Err(Error::NotSupported),
    }
}

/// The common configuration structure (4.1.4.3): offsets.
mod common {
    pub const DEVICE_FEATURE_SELECT: usize = 0x00;
    pub const DEVICE_FEATURE: usize = 0x04;
    pub const DRIVER_FEATURE_SELECT: usize = 0x08;
    pub const DRIVER_FEATURE: usize = 0x0c;
    pub const CONFIG_MSIX_VECTOR: usize = 0x10;
    pub const NUM_QUEUES: usize = 0x12;
    pub const DEVICE_STATUS: usize = 0x14;
    pub const CONFIG_GENERATION: usize = 0x15;
    pub const QUEUE_SELECT: usize = 0x16;
    pub const QUEUE_SIZE: usize = 0x18;
    pub const QUEUE_MSIX_VECTOR: usize = 0x1a;
    pub const QUEUE_ENABLE: usize = 0x1c;
    pub const QUEUE_NOTIFY_OFF: usize = 0x1e;
    pub const QUEUE_DESC: usize = 0x20;
    pub const QUEUE_DRIVER: usize = 0x28;
    pub const QUEUE_DEVICE: usize = 0x30;
}

/// Device status bits (2.1).
mod status {
    pub const ACKNOWLEDGE: u8 = 1;
    pub const DRIVER: u8 = 2;
    pub const DRIVER_OK: u8 = 4;
    pub const FEATURES_OK: u8 = 8;
    pub const NEEDS_RESET: u8 = 64;
    pub const FAILED: u8 = 128;
}

/// The feature bit that every modern device offers and every driver takes.
pub const VERSION_1: u64 = 1 << 32;
/// The vector number that means "no interrupt".
pub const NO_VECTOR: u16 = 0xffff;

/// A virtio device over its register windows.
pub struct Transport<R: Mmio> {
    common: R,
    notify: R,
    device: R,
    multiplier: u32,
}

impl<R: Mmio> Transport<R> {
    /// A device whose structures are mapped: common, notify, device-specific.
    pub fn new(common: R, notify: R, device: R, multiplier: u32) -> Transport<R> {
        Transport { common, notify, device, multiplier }
    }

    /// Resets the device and waits until it says so, at most `tries` reads. Errors: `Io`.
    pub fn reset(&self, tries: u32) -> Result<()> {
        self.common.write8(common::DEVICE_STATUS, 0);
        for _ in 0..tries {
            if self.common.read8(common::DEVICE_STATUS) == 0 {
                return Ok(());
            }
        }
        Err(Error::Io)
    }

    /// Begins set-up: takes of the device's features those in `wanted`, and answers what was taken.
    /// Errors: `NotSupported` when the device does not agree.
    pub fn negotiate(&self, wanted: u64) -> Result<u64> {
        let set = |bits: u8| self.common.write8(common::DEVICE_STATUS, bits);
        set(status::ACKNOWLEDGE);
        set(status::ACKNOWLEDGE | status::DRIVER);
        let mut offered = 0u64;
        for half in 0..2u32 {
            self.common.write32(common::DEVICE_FEATURE_SELECT, half);
            offered |= u64::from(self.common.read32(common::DEVICE_FEATURE)) << half.saturating_mul(32);
        }
        let taken = offered & (wanted | VERSION_1);
        for half in 0..2u32 {
            self.common.write32(common::DRIVER_FEATURE_SELECT, half);
            self.common.write32(common::DRIVER_FEATURE, (taken >> half.saturating_mul(32)) as u32);
        }
        set(status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK);
        let agreed = self.common.read8(common::DEVICE_STATUS) & status::FEATURES_OK != 0;
        if !agreed || taken & VERSION_1 == 0 {
            set(status::FAILED);
            return Err(Error::NotSupported);
        }
        Ok(taken)
    }

    /// How many queues the device has.
    pub fn queues(&self) -> u16 {
        self.common.read16(common::NUM_QUEUES)
    }

    /// The most entries queue `index` can have; 0 where it is not there.
    pub fn queue_size(&self, index: u16) -> u16 {
        self.common.write16(common::QUEUE_SELECT, index);
        self.common.read16(common::QUEUE_SIZE)
    }

    /// Sets a queue up and enables it, with its own MSI-X vector. Errors: `Io` when the device refuses the vector.
    pub fn enable_queue(&self, index: u16, size: u16, addresses: (u64, u64, u64), vector: u16) -> Result<()> {
        self.common.write16(common::QUEUE_SELECT, index);
        self.common.write16(common::QUEUE_SIZE, size);
        self.common.write16(common::QUEUE_MSIX_VECTOR, vector);
        if self.common.read16(common::QUEUE_MSIX_VECTOR) != vector {
            return Err(Error::Io);
        }
        self.common.write64(common::QUEUE_DESC, addresses.0);
        self.common.write64(common::QUEUE_DRIVER, addresses.1);
        self.common.write64(common::QUEUE_DEVICE, addresses.2);
        self.common.write16(common::QUEUE_ENABLE, 1);
        Ok(())
    }

    /// Sets the vector of configuration changes ([`NO_VECTOR`]: none).
    pub fn set_config_vector(&self, vector: u16) {
        self.common.write16(common::CONFIG_MSIX_VECTOR, vector);
    }

    /// Set-up is done: the device may go.
    pub fn start(&self) {
        let bits = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK | status::DRIVER_OK;
        self.common.write8(common::DEVICE_STATUS, bits);
    }

    /// Whether the device asks to be reset.
    pub fn needs_reset(&self) -> bool {
        self.common.read8(common::DEVICE_STATUS) & status::NEEDS_RESET != 0
    }

    /// Where in the notify window queue `index` is notified.
    pub fn notify_offset(&self, index: u16) -> usize {
        self.common.write16(common::QUEUE_SELECT, index);
        let units = usize::from(self.common.read16(common::QUEUE_NOTIFY_OFF));
        units.saturating_mul(self.multiplier as usize)
    }

    /// Tells the device that queue `index` has new entries; `offset` from [`Transport::notify_offset`].
    pub fn notify(&self, offset: usize, index: u16) {
        self.notify.write16(offset, index);
    }

    /// Reads 8 bytes of device-specific configuration, whole: the device may change it meanwhile (2.5.1).
    pub fn config64(&self, offset: usize) -> Result<u64> {
        for _ in 0..16 {
            let before = self.common.read8(common::CONFIG_GENERATION);
            let low = u64::from(self.device.read32(offset));
            let high = u64::from(self.device.read32(offset.saturating_add(4)));
            if self.common.read8(common::CONFIG_GENERATION) == before {
                return Ok(low | (high << 32));
            }
        }
        Err(Error::Io)
    }

    /// Reads 4 bytes of device-specific configuration.
    pub fn config32(&self, offset: usize) -> u32 {
        self.device.read32(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::{structures, Structure};
    use abi::error::Error;

    fn space(words: &[(u16, u32)]) -> impl FnMut(u16) -> Result<u32, Error> + '_ {
        |at| Ok(words.iter().find(|w| w.0 == at).map_or(0, |w| w.1))
    }

    #[test]
    fn the_first_structure_of_each_kind_is_taken() {
        let words = [
            (4, 0x0010_0000),
            (0x34, 0x40),
            (0x40, 0x0110_5009),
            (0x44, 4),
            (0x48, 0x1000),
            (0x4c, 0x38),
            (0x50, 0x0214_6409),
            (0x54, 4),
            (0x58, 0x3000),
            (0x5c, 0x100),
            (0x60, 4),
            (0x64, 0x0110_0009),
            (0x68, 1),
        ];
        let found = structures(&mut space(&words)).unwrap();
        assert_eq!(found.common, Structure { bar: 4, offset: 0x1000, length: 0x38 });
        assert_eq!((found.notify.offset, found.notify_multiplier, found.device), (0x3000, 4, None));
    }

    #[test]
    fn loops_and_devices_without_the_structures_are_refused() {
        assert_eq!(structures(&mut space(&[(4, 0x0010_0000), (0x34, 0x40), (0x40, 0x4005)])), Err(Error::NotSupported));
        assert_eq!(structures(&mut space(&[])), Err(Error::NotSupported));
    }
}
