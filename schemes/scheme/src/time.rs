//! Time: nanoseconds since boot.

use crate::rt::calls;
use spin::Once;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub const MILLISECOND: u64 = 1_000_000;

/// Nanoseconds since boot; 0 on the host.
pub fn now_ns() -> u64 {
    calls::clock().unwrap_or(0)
}

/// A deadline this far from now.
pub fn after_ns(length: u64) -> u64 {
    now_ns().saturating_add(length)
}

/// Waits this long.
pub fn sleep_ns(length: u64) {
    let _ = calls::sleep(after_ns(length));
}

/// Nanoseconds since 1970 (UTC): the spawner says in `BOOT_TIME` what time it was at boot, in seconds; without that,
/// time begins with the boot.
pub fn wall_ns() -> u64 {
    static BOOT: Once<u64> = Once::new();
    let boot = || crate::rt::start::variable("BOOT_TIME").and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    BOOT.call_once(boot).saturating_mul(SECOND).saturating_add(now_ns())
}
