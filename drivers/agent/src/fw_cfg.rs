//! The emulator's fw_cfg device: named files that the host hands to the guest
//! at boot.
//!
//! Source: QEMU's docs/specs/fw_cfg. A 16-bit selector, little-endian at its port, chooses an item; the data port then gives
//! its bytes in turn. Item 0 is the signature, item 0x19 the directory (big-endian).

use alloc::string::String;
use alloc::vec::Vec;
use hal::port::PortRange;
use scheme::{Error, Result};

/// The selector's port; the data port follows.
pub const FIRST_PORT: u16 = 0x510;
const SIGNATURE: u16 = 0;
const DIRECTORY: u16 = 0x19;
/// More files than any machine has: a directory that tells more is not one.
const MOST_FILES: u32 = 4096;

/// The device's two ports.
pub trait Device {
    /// Chooses an item; reading begins at its first byte.
    fn select(&mut self, item: u16) -> Result<()>;
    /// The next bytes of the item.
    fn read(&mut self, out: &mut [u8]) -> Result<()>;
}

impl Device for PortRange {
    fn select(&mut self, item: u16) -> Result<()> {
        self.write(0, 2, u32::from(item))
    }
    fn read(&mut self, out: &mut [u8]) -> Result<()> {
        self.read_bytes(1, out)
    }
}

/// A file that was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handout {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u32,
    item: u16,
}

/// The device and its directory.
#[derive(Debug)]
pub struct FwCfg<D: Device> {
    device: D,
    files: Vec<Handout>,
}

impl<D: Device> FwCfg<D> {
    /// Looks for the device. Errors: `NotFound` when there is none, `Corrupt`, those of the ports.
    pub fn new(mut device: D) -> Result<FwCfg<D>> {
        let mut signature = [0; 4];
        device.select(SIGNATURE)?;
        device.read(&mut signature)?;
        if &signature != b"QEMU" {
            return Err(Error::NotFound);
        }
        let mut count = [0; 4];
        device.select(DIRECTORY)?;
        device.read(&mut count)?;
        let count = u32::from_be_bytes(count);
        if count > MOST_FILES {
            return Err(Error::Corrupt);
        }
        let mut files = Vec::new();
        for _ in 0..count {
            let mut entry = [0; 64];
            device.read(&mut entry)?;
            let [s0, s1, s2, s3, i0, i1, _, _, name @ ..] = entry;
            let name: Vec<u8> = name.into_iter().take_while(|b| *b != 0).collect();
            files.push(Handout {
                name: String::from_utf8_lossy(&name).into_owned(),
                size: u32::from_be_bytes([s0, s1, s2, s3]),
                item: u16::from_be_bytes([i0, i1]),
            });
        }
        Ok(FwCfg { device, files })
    }

    /// The file with this name.
    pub fn find(&self, name: &str) -> Option<Handout> {
        self.files.iter().find(|file| file.name == name).cloned()
    }

    /// Hands a file's bytes to `take`, piece by piece. Errors: the ports', and `take`'s.
    pub fn each_piece(&mut self, file: &Handout, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        const PIECE: usize = 64 * 1024;
        self.device.select(file.item)?;
        let mut left = file.size as usize;
        let mut piece = alloc::vec![0; left.min(PIECE)];
        while left > 0 {
            let length = left.min(PIECE);
            let part = piece.get_mut(..length).ok_or(Error::Corrupt)?;
            self.device.read(part)?;
            take(part)?;
            left -= length;
        }
        Ok(())
    }

    /// The whole of a small file. Errors: `NotFound`, `FileTooLarge`, the ports'.
    pub fn read(&mut self, name: &str, limit: usize) -> Result<Vec<u8>> {
        let file = self.find(name).ok_or(Error::NotFound)?;
        if file.size as usize > limit {
            return Err(Error::FileTooLarge);
        }
        let mut all = Vec::new();
        self.each_piece(&file, |piece| {
            all.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(all)
    }
}

/// A file to be added to the command's directory: the number behind `add/`, and its name there.
///
/// Errors: `Corrupt` for a line that is none, `InvalidName` for a name that leaves the directory.
pub fn added(line: &str) -> Result<(u32, &str)> {
    let mut parts = line.splitn(3, ' ');
    let (Some(number), Some("x" | "-"), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Error::Corrupt);
    };
    scheme::path::check_name(name)?;
    Ok((number.parse().map_err(|_| Error::Corrupt)?, name))
}

#[cfg(test)]
mod tests {
    use super::{added, Device, FwCfg};
    use scheme::{Error, Result};

    struct Fake {
        items: Vec<(u16, Vec<u8>)>,
        at: (u16, usize),
    }

    impl Device for Fake {
        fn select(&mut self, item: u16) -> Result<()> {
            self.at = (item, 0);
            Ok(())
        }
        fn read(&mut self, out: &mut [u8]) -> Result<()> {
            let data = self.items.iter().find(|(item, _)| *item == self.at.0);
            for slot in out {
                // Past the end, and of an item that is not there, zeroes are read.
                *slot = data.and_then(|(_, bytes)| bytes.get(self.at.1)).copied().unwrap_or(0);
                self.at.1 += 1;
            }
            Ok(())
        }
    }

    fn fake(files: &[(&str, &[u8])]) -> Fake {
        let mut directory = (files.len() as u32).to_be_bytes().to_vec();
        let mut items = vec![(0, b"QEMU".to_vec())];
        for (item, (name, data)) in (0x20u16..).zip(files) {
            directory.extend((data.len() as u32).to_be_bytes());
            directory.extend(item.to_be_bytes());
            directory.extend([0, 0]);
            let mut field = name.as_bytes().to_vec();
            field.resize(56, 0);
            directory.extend(field);
            items.push((item, data.to_vec()));
        }
        items.push((0x19, directory));
        Fake { items, at: (0, 0) }
    }

    #[test]
    fn files_are_found_by_name_and_read_whole() {
        let big: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
        let mut device = FwCfg::new(fake(&[("etc/x", b"1"), ("opt/a", b"two"), ("opt/big", &big)])).unwrap();
        assert_eq!(device.read("opt/a", 10), Ok(b"two".to_vec()));
        assert_eq!(device.read("opt/a", 2), Err(Error::FileTooLarge));
        assert_eq!(device.read("opt/b", 10), Err(Error::NotFound));
        assert_eq!(device.read("opt/big", 1 << 20), Ok(big));
    }

    #[test]
    fn a_machine_without_the_device_is_noticed() {
        assert_eq!(FwCfg::new(Fake { items: vec![], at: (0, 0) }).err(), Some(Error::NotFound));
        let mut odd = fake(&[]);
        odd.items[1].1 = vec![0xff; 4];
        assert_eq!(FwCfg::new(odd).err(), Some(Error::Corrupt));
    }

    #[test]
    fn lines_of_the_index_are_checked() {
        assert_eq!(added("3 x my prog"), Ok((3, "my prog")));
        assert_eq!(added("0 - a"), Ok((0, "a")));
        for bad in ["", "x", "1 y a", "1 x", "-1 x a", "1 x ../a", "1 x a/b", "1 x ."] {
            assert!(added(bad).is_err(), "{bad}");
        }
    }
}
