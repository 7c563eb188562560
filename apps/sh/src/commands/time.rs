//! `sleep`, `uptime`, `clear`.

use crate::context::{Context, Options};
use core::fmt::Write;

/// Nanoseconds in a number of seconds with at most nine decimals; `s`, `m`, `h`, `d` may follow.
fn nanoseconds(word: &str) -> Option<u64> {
    let (number, unit) = match word.char_indices().last()? {
        (at, 's') => (word.get(..at)?, 1),
        (at, 'm') => (word.get(..at)?, 60),
        (at, 'h') => (word.get(..at)?, 3600),
        (at, 'd') => (word.get(..at)?, 86_400),
        _ => (word, 1u64),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 9 || (whole.is_empty() && part.is_empty()) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos: u64 = if part.is_empty() { 0 } else { part.parse().ok()? };
    for _ in part.len()..9 {
        nanos *= 10;
    }
    whole.checked_mul(1_000_000_000)?.checked_add(nanos)?.checked_mul(unit)
}

/// `sleep`.
pub fn sleep(cx: &mut Context<'_>, options: &Options<'_>) {
    let mut length = 0u64;
    for word in options.operands.iter().copied() {
        match nanoseconds(word) {
            Some(more) => length = length.saturating_add(more),
            None => return cx.complain(format_args!("invalid time interval '{word}'")),
        }
    }
    cx.system.sleep_ns(length);
}

/// `uptime`.
pub fn uptime(cx: &mut Context<'_>, _: &Options<'_>) {
    let ms = cx.system.now_ns() / 1_000_000;
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let _ = writeln!(cx.out, "up {} days {:02}:{minutes:02}:{seconds:02}.{ms:03}", hours / 24, hours % 24);
}

/// `clear`.
pub fn clear(cx: &mut Context<'_>, _: &Options<'_>) {
    cx.out.bytes(b"\x1b[H\x1b[2J");
}

#[cfg(test)]
mod tests {
    use super::nanoseconds;

    #[test]
    fn intervals_are_read_exactly_and_nonsense_is_refused() {
        for (word, ns) in
            [("1", 1_000_000_000), ("0.25", 250_000_000), (".5", 500_000_000), ("2m", 120_000_000_000), ("0", 0)]
        {
            assert_eq!(nanoseconds(word), Some(ns), "{word}");
        }
        for bad in ["", ".", "s", "1x", "-1", "1.0000000001", "99999999999999999999", "99999999999d"] {
            assert_eq!(nanoseconds(bad), None, "{bad}");
        }
    }
}
