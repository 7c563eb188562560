//! The time of day at boot, from the CMOS clock.
//!
//! Registers as the Motorola MC146818 data sheet has them; the century register is ignored (its place differs between
//! firmwares): years are 2000 to 2099.

use abi::boot::InitHandle;
use abi::Result;
use scheme::rt::calls;

/// Registers: seconds, minutes, hours, day, month, year, status B.
const REGISTERS: [u64; 7] = [0, 2, 4, 7, 8, 9, 0x0b];

fn register(number: u64) -> Result<u8> {
    let ports = InitHandle::IoPorts.handle();
    calls::port_write(ports, 0x70, 1, number)?;
    Ok(calls::port_read(ports, 0x71, 1)? as u8)
}

fn raw() -> Result<[u8; 7]> {
    let mut values = [0; 7];
    for (value, number) in values.iter_mut().zip(REGISTERS) {
        *value = register(number)?;
    }
    Ok(values)
}

/// Seconds since 1970 (UTC, if the clock is set so); `None` where it says nonsense. Errors: the kernel's.
pub fn seconds() -> Result<Option<u64>> {
    // While the clock changes, what is read is mixed: two equal readings are a time.
    let mut before = raw()?;
    for _ in 0..1000 {
        let again = raw()?;
        if again == before {
            return Ok(decode(&again));
        }
        before = again;
    }
    Ok(None)
}

/// The time that register values mean.
fn decode(values: &[u8; 7]) -> Option<u64> {
    let [second, minute, hour, day, month, year, mode] = *values;
    // Status B: bit 2 binary instead of BCD, bit 1 a 24-hour clock; bit 7 of the hour is PM in a 12-hour one.
    let number = |v: u8| match mode & 4 {
        0 if v & 0x0f < 10 && v >> 4 < 10 => Some(u64::from((v >> 4).wrapping_mul(10).wrapping_add(v & 0x0f))),
        0 => None,
        _ => Some(u64::from(v)),
    };
    let (second, minute, day, month, year) =
        (number(second)?, number(minute)?, number(day)?, number(month)?, number(year)?);
    let hour = match (mode & 2, hour & 0x80) {
        (0, pm) => number(hour & 0x7f)?.checked_rem(12)?.checked_add(if pm == 0 { 0 } else { 12 })?,
        _ => number(hour)?,
    };
    let sound =
        second < 60 && minute < 60 && hour < 24 && (1..=31).contains(&day) && (1..=12).contains(&month) && year < 100;
    if !sound {
        return None;
    }
    // Days to a date by years that begin in March (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let (y, m) = if month > 2 { (2000 + year, month - 3) } else { (1999 + year, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn both_encodings_of_a_date_are_read() {
        // 2026-11-23 16:05:09 UTC
        let expected = Some(1_795_449_909);
        assert_eq!(decode(&[0x09, 0x05, 0x16, 0x23, 0x11, 0x26, 2]), expected);
        assert_eq!(decode(&[9, 5, 16, 23, 11, 26, 6]), expected);
        assert_eq!(decode(&[9, 5, 0x84, 23, 11, 26, 4]), expected);
        assert_eq!(decode(&[0, 0, 0, 1, 1, 0, 6]), Some(946_684_800));
        assert_eq!(decode(&[0, 0, 0, 29, 2, 24, 6]), Some(1_709_164_800));
    }

    #[test]
    fn nonsense_is_no_time() {
        for bad in [[0xff; 7], [0, 0, 0, 0, 1, 1, 6], [0, 61, 0, 1, 1, 1, 6], [0x0a, 0, 0, 1, 1, 1, 2]] {
            assert_eq!(decode(&bad), None);
        }
    }
}
