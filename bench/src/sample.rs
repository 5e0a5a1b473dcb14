//! Points of time that two processes can compare, and what many samples say.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds. The system's clock and not the monotonic one: only that one is the same number in
/// two processes. A step of the clock shows as one wild sample.
pub fn wall_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The quantile of samples in nanoseconds, as whole microseconds.
pub fn quantile_us(samples: &mut [u64], quantile: f64) -> u64 {
    samples.sort_unstable();
    let index = (samples.len() as f64 * quantile) as usize;
    samples.get(index.min(samples.len().saturating_sub(1))).map_or(0, |ns| ns / 1_000)
}

#[cfg(test)]
mod tests {
    use super::quantile_us;

    #[test]
    fn a_quantile_is_one_of_the_samples() {
        let mut samples = [3_000, 1_000, 2_000, 4_000];
        assert_eq!(quantile_us(&mut samples, 0.5), 3);
        assert_eq!(quantile_us(&mut samples, 0.0), 1);
        assert_eq!(quantile_us(&mut samples, 1.0), 4);
        assert_eq!(quantile_us(&mut [], 0.5), 0);
    }
}
