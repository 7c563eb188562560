//! FAT time stamps: local date and time from 1980, taken here as UTC.
//!
//! The engine speaks nanoseconds since 1970 to the outside. A date counts days, a time counts two
//! seconds, and a creation time has a third field of hundredths (FAT specification, "Date and Time
//! Formats").

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// A stamp as three fields of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Year since 1980 (7 bits), month (4), day (5); 0 is "none".
    pub date: u16,
    /// Hour (5 bits), minute (6), half seconds (5).
    pub time: u16,
    /// Hundredths of a second past `time`, 0 to 199.
    pub fine: u8,
}

/// Days from 1970-01-01 to a civil date, for years from 1970 on.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    // March-based years put the leap day last, so month lengths follow one formula.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era_days = year * 365 + year / 4 - year / 100 + year / 400;
    // 719468 days lie between 0000-03-01 and 1970-01-01.
    era_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The civil date of a day counted from 1970-01-01: year, month, day.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

impl Stamp {
    /// The stamp nearest below a time in nanoseconds since 1970, clamped to 1980..=2107.
    pub fn from_unix_ns(unix_ns: u64) -> Stamp {
        let seconds = unix_ns / SECOND;
        let (year, month, day) = civil_from_days(seconds / 86_400);
        if year < 1980 {
            return Stamp { date: 0x21, time: 0, fine: 0 };
        }
        if year > 2107 {
            return Stamp { date: 0xff9f, time: 0xbf7d, fine: 199 };
        }
        let of_day = seconds % 86_400;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        Stamp {
            date: ((year - 1980) << 9 | month << 5 | day) as u16,
            time: (hour << 11 | minute << 5 | (second / 2)) as u16,
            fine: (second % 2 * 100 + unix_ns % SECOND / 10_000_000) as u8,
        }
    }

    /// Nanoseconds since 1970. Fields out of range are brought into it; no date gives 0.
    pub fn to_unix_ns(self) -> u64 {
        if self.date == 0 {
            return 0;
        }
        let year = 1980 + u64::from(self.date >> 9);
        let month = u64::from(self.date >> 5 & 15).clamp(1, 12);
        let day = u64::from(self.date & 31).max(1);
        let hour = u64::from(self.time >> 11).min(23);
        let minute = u64::from(self.time >> 5 & 63).min(59);
        let second = u64::from(self.time & 31).min(29) * 2;
        let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        seconds * SECOND + u64::from(self.fine.min(199)) * 10_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::{civil_from_days, days_from_civil, Stamp, SECOND};

    #[test]
    fn known_dates_convert_both_ways() {
        // 2026-11-23 03:33:46.57 UTC, by date(1).
        let ns = 1_795_404_826 * SECOND + 570_000_000;
        let stamp = Stamp::from_unix_ns(ns);
        assert_eq!(stamp.date, 46 << 9 | 11 << 5 | 23);
        assert_eq!(stamp.to_unix_ns(), ns);
        assert_eq!(days_from_civil(2000, 2, 29), 11_016);
    }

    #[test]
    fn every_day_of_the_range_survives_the_round_trip() {
        for day in 3652..54_000 {
            let (y, m, d) = civil_from_days(day);
            assert_eq!(days_from_civil(y, m, d), day);
        }
    }

    #[test]
    fn times_outside_the_range_are_clamped() {
        assert_eq!(civil_from_days(Stamp::from_unix_ns(0).to_unix_ns() / SECOND / 86_400), (1980, 1, 1));
        let last = Stamp::from_unix_ns(u64::MAX);
        assert_eq!(civil_from_days(last.to_unix_ns() / SECOND / 86_400).0, 2107);
    }

    #[test]
    fn no_field_value_panics() {
        for date in 0..=u16::MAX {
            let stamp = Stamp { date, time: date.rotate_left(5), fine: date as u8 };
            let _ = stamp.to_unix_ns();
        }
    }
}
