//! Numbers and times as exports write them: exact, with a point, in UTC.

use huisuan_model::{TimeMs, quantity::GFLOP_PER_P_H};

/// An integer count of `10^-digits` as a decimal: 1234567 with 6 digits is `1.234567`.
pub fn decimal(count: i128, digits: u32) -> String {
    let unit = 10_u128.pow(digits);
    let sign = if count < 0 { "-" } else { "" };
    let (whole, part) = (count.unsigned_abs() / unit, count.unsigned_abs() % unit);
    format!("{sign}{whole}.{part:0width$}", width = digits as usize)
}

/// Work in P·h with twelve digits, cut: enough that every GFLOP shows.
pub(super) fn p_h(gflop: i128) -> String {
    decimal(gflop * 10_i128.pow(12) / i128::from(GFLOP_PER_P_H), 12)
}

/// RFC 3339 in UTC to the second: `2026-11-22T14:00:00Z`.
pub fn moment(at: TimeMs) -> String {
    let nearest = if at.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let time = jiff::Timestamp::from_millisecond(at.0).unwrap_or(nearest);
    format!("{time:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (count, digits, text) in [
            (1_234_567, 6, "1.234567"),
            (-5, 6, "-0.000005"),
            (0, 6, "0.000000"),
            (i128::from(i64::MIN), 6, "-9223372036854.775808"),
            (7, 1, "0.7"),
        ] {
            assert_eq!(decimal(count, digits), text);
        }
        assert_eq!(p_h(3_600_000_000), "1.000000000000");
        assert_eq!(p_h(1), "0.000000000277");
        assert_eq!(moment(TimeMs(1_793_282_400_250)), "2026-10-29T14:00:00Z");
    }
}
