//! Spans of time in words as short as they are clear.

use std::time::{SystemTime, UNIX_EPOCH};

use hostler_wire::json::Time;

/// How long ago: `3 s`, `12 min`, `5 h`, `2 d`.
pub fn age(at: Time) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    span(i64::try_from(now.as_millis()).unwrap_or(i64::MAX).saturating_sub(at.0.0))
}

/// Milliseconds in the unit that fits.
pub fn span(ms: i64) -> String {
    let ms = ms.max(0);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        10_000..100_000 => format!("{} s", ms / 1_000),
        100_000..6_000_000 => format!("{} min", ms / 60_000),
        6_000_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_one_unit() {
        let table = [
            (-5, "0 ms"),
            (999, "999 ms"),
            (3_250, "3.2 s"),
            (99_999, "99 s"),
            (100_000, "1 min"),
            (6_000_000, "1 h"),
            (172_800_000, "2 d"),
        ];
        for (ms, text) in table {
            assert_eq!(span(ms), text);
        }
    }
}
