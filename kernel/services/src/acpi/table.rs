//! One ACPI table in physical memory, with its length and checksum verified.

/// Reads bytes of physical memory; `false` where that can't be done.
pub type Read<'a> = &'a dyn Fn(u64, &mut [u8]) -> bool;

/// Bytes in the header that all tables begin with.
pub const HEADER: u64 = 36;
/// The largest table taken for real.
pub const LARGEST: u64 = 4 << 20;

/// A table.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    read: Read<'a>,
    address: u64,
    length: u64,
    signature: [u8; 4],
}

impl<'a> Table<'a> {
    /// The table at an address, if its length is sane and its bytes add up to 0.
    pub fn open(read: Read<'a>, address: u64) -> Option<Table<'a>> {
        let mut head = [0; 8];
        if address == 0 || !read(address, &mut head) {
            return None;
        }
        let signature = [head[0], head[1], head[2], head[3]];
        let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
        if !(HEADER..=LARGEST).contains(&length) || address.checked_add(length).is_none() {
            return None;
        }
        let table = Table { read, address, length, signature };
        let mut sum = 0u8;
        table.bytes(0, &mut |byte| {
            sum = sum.wrapping_add(byte);
            true
        })?;
        (sum == 0).then_some(table)
    }

    /// Its four letters.
    pub fn signature(&self) -> [u8; 4] {
        self.signature
    }

    /// Its length, header included.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// First and one past the last physical byte.
    pub fn range(&self) -> (u64, u64) {
        (self.address, self.address.saturating_add(self.length))
    }

    /// A little-endian number of `width` bytes (at most 8); `None` past the end.
    pub fn number(&self, at: u64, width: u64) -> Option<u64> {
        if at.checked_add(width)? > self.length {
            return None;
        }
        let mut bytes = [0; 8];
        let part = bytes.get_mut(..usize::try_from(width).ok()?)?;
        (self.read)(self.address.checked_add(at)?, part).then(|| u64::from_le_bytes(bytes))
    }

    /// Hands every byte from `from` on to `each`, until it answers `false`. `None`: memory could not be read.
    pub fn bytes(&self, from: u64, each: &mut dyn FnMut(u8) -> bool) -> Option<()> {
        let mut at = from;
        let mut buffer = [0; 256];
        while at < self.length {
            let length = self.length.saturating_sub(at).min(buffer.len() as u64);
            let part = buffer.get_mut(..length as usize)?;
            if !(self.read)(self.address.checked_add(at)?, part) {
                return None;
            }
            for byte in part.iter() {
                if !each(*byte) {
                    return Some(());
                }
            }
            at = at.saturating_add(length);
        }
        Some(())
    }
}
