//! Which functions are virtio disks that our driver can drive, by number and
//! configuration space.

use hal::bus::{FunctionName, Info};
use scheme::Result;

/// The vendor of all virtio devices (virtio 1.2, 4.1.2).
const VIRTIO: u16 = 0x1af4;
/// A block device that has only the modern interface: 0x1040 and its type, 2 (4.1.2.1).
const BLOCK: u16 = 0x1042;
/// A block device that has the old interface, and perhaps the modern one beside it.
const TRANSITIONAL_BLOCK: u16 = 0x1001;
/// Status register's bit: there is a capability list (PCI 3.0, 6.2.3); command is the lower half.
const HAS_CAPABILITIES: u32 = 1 << 20;
/// A vendor's own capability (PCI 3.0, appendix H): virtio's structures are told there.
const VENDOR: u32 = 0x09;
/// The common configuration, which only the modern interface has (virtio 1.2, 4.1.4).
const COMMON: u32 = 1;

/// Whether a function is a virtio block device of either kind.
pub fn is_disk(info: &Info) -> bool {
    info.vendor == VIRTIO && matches!(info.device, BLOCK | TRANSITIONAL_BLOCK)
}

/// Whether a function says it has the modern interface. Errors: those of reading.
pub fn is_modern(info: &Info, mut config: impl FnMut(u16) -> Result<u32>) -> Result<bool> {
    if info.device == BLOCK {
        return Ok(true);
    }
    if config(0x04)? & HAS_CAPABILITIES == 0 {
        return Ok(false);
    }
    let mut at = config(0x34)? as u8 & 0xfc;
    // 48 capabilities fill the space that holds them: a longer list is a loop.
    for _ in 0..48 {
        if at < 0x40 {
            break;
        }
        let head = config(u16::from(at))?;
        if head & 0xff == VENDOR && head >> 24 == COMMON {
            return Ok(true);
        }
        at = (head >> 8) as u8 & 0xfc;
    }
    Ok(false)
}

/// The disks among functions, in the order that numbers them. One that can't be driven has its number all the same, so that
/// the others' don't depend on it.
pub fn disks(mut functions: alloc::vec::Vec<(FunctionName, Info)>) -> alloc::vec::Vec<(u32, FunctionName, Info)> {
    functions.retain(|(_, info)| is_disk(info));
    functions.sort_by_key(|(name, _)| *name);
    (1..).zip(functions).map(|(number, (name, info))| (number, name, info)).collect()
}

#[cfg(test)]
mod tests {
    use super::{disks, is_modern};
    use hal::bus::{FunctionName, Info};
    use scheme::Error;

    fn info(vendor: u16, device: u16) -> Info {
        Info { vendor, device, class: 0x01_0000, revision: 0, subsystem: (0, 0) }
    }

    fn name(device: u8) -> FunctionName {
        FunctionName { segment: 0, bus: 0, device, function: 0 }
    }

    #[test]
    fn disks_are_numbered_by_address_and_others_are_not() {
        let all = vec![
            (name(5), info(0x1af4, 0x1042)),
            (name(1), info(0x1af4, 0x1041)),
            (name(3), info(0x1af4, 0x1001)),
            (name(2), info(0x8086, 0x1042)),
        ];
        let found: Vec<(u32, u8)> = disks(all).iter().map(|(n, name, _)| (*n, name.device)).collect();
        assert_eq!(found, [(1, 3), (2, 5)]);
    }

    fn modern(words: &[(u16, u32)]) -> Result<bool, Error> {
        is_modern(&info(0x1af4, 0x1001), |at| {
            Ok(words.iter().find(|(known, _)| *known == at).map_or(0, |(_, word)| *word))
        })
    }

    #[test]
    fn a_transitional_disk_is_modern_when_it_says_so() {
        assert_eq!(is_modern(&info(0x1af4, 0x1042), |_| Err(Error::Io)), Ok(true));
        assert_eq!(modern(&[]), Ok(false));
        let list = [(0x04, 1 << 20), (0x34, 0x40), (0x40, 0x0000_5011), (0x50, 0x0100_0009)];
        assert_eq!(modern(&list), Ok(true));
        assert_eq!(modern(&list[..3]), Ok(false));
        // MSI-X and another structure of virtio's are not enough; a list that bites its tail ends.
        assert_eq!(modern(&[(0x04, 1 << 20), (0x34, 0x40), (0x40, 0x0200_4009)]), Ok(false));
        assert_eq!(is_modern(&info(0x1af4, 0x1001), |_| Err(Error::Io)), Err(Error::Io));
    }
}
