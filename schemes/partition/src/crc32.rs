//! CRC-32 as GPT uses it: ISO 3309, polynomial 0x04C11DB7 reflected, all ones
//! before and after.

/// The checksum of some bytes.
pub fn checksum(bytes: &[u8]) -> u32 {
    !update(!0, bytes)
}

/// Goes on with a checksum (that starts as all ones and is inverted at the end).
pub fn update(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_of_the_standard_comes_out() {
        assert_eq!(super::checksum(b"123456789"), 0xcbf4_3926);
        assert_eq!(super::checksum(b""), 0);
    }
}
