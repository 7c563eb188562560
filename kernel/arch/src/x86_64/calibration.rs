//! Rates: from two readings to a frequency, and from ticks to nanoseconds
//! without division.
//!
//! Pure arithmetic, tested on the host.

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// Ticks per second of a counter that made `ticks` while a counter of `reference_hz` made `reference`.
/// `None`: nothing was measured, or the result is absurd.
pub fn frequency(ticks: u64, reference: u64, reference_hz: u64) -> Option<u64> {
    let product = u128::from(ticks).checked_mul(u128::from(reference_hz))?;
    let hz = u64::try_from(product.checked_div(u128::from(reference))?).ok()?;
    (1_000_000..=100 * SECOND).contains(&hz).then_some(hz)
}

/// A rate as a fixed-point factor with 32 bits behind the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale(pub u64);

impl Scale {
    /// From ticks of `hz` to nanoseconds.
    pub fn to_ns(hz: u64) -> Scale {
        Scale((SECOND << 32).checked_div(hz).unwrap_or(1).max(1))
    }

    /// From nanoseconds to ticks of `hz`.
    pub fn from_ns(hz: u64) -> Scale {
        Scale((u128::from(hz) << 32).checked_div(u128::from(SECOND)).unwrap_or(1).max(1) as u64)
    }

    /// `value` times the factor, cut to 64 bits (of nanoseconds: 584 years).
    #[inline(always)]
    pub fn apply(self, value: u64) -> u64 {
        (u128::from(value).wrapping_mul(u128::from(self.0)) >> 32) as u64
    }
}

/// The ticks that a one-shot counter of 32 bits is set to so that it ends not before `ns` have passed,
/// as far as it reaches; at least 1.
pub fn shot(scale: Scale, ns: u64) -> u32 {
    u32::try_from(scale.apply(ns).saturating_add(1)).unwrap_or(u32::MAX)
}

/// The difference of two readings of a counter that wraps after `bits` bits.
pub fn elapsed(before: u64, after: u64, bits: u32) -> u64 {
    let mask = if bits >= 64 { u64::MAX } else { (1u64 << (bits & 63)).wrapping_sub(1) };
    after.wrapping_sub(before) & mask
}

#[cfg(test)]
mod tests;
