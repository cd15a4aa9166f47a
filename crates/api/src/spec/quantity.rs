//! Quantities as people write them: `4GiB`, `1h30m`, `0.5` cores, `2 TFLOP/s`, and Slurm's times and sizes.
//!
//! Everything is read exactly, in integers; what is finer than the fixed unit is rounded up, because a
//! quantity is a need. A size or time of a job file carries its unit: a bare number would be bytes to
//! one reader and megabytes to the next.

use huisuan_model::{Bytes, DurationMs, GflopPerS, MilliDevices, Millicores, Money, spec::limits};

/// A text that is not the quantity it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not {expected}")]
pub struct QuantityError {
    /// What was found, cut to a readable length.
    pub value: String,
    /// What would be accepted.
    pub expected: &'static str,
}

/// What [`bytes`] accepts.
pub const BYTES: &str = "a size with its unit, such as 512MiB, 4GiB or 1.5GB";
/// What [`slurm_bytes`] accepts.
pub const SLURM_BYTES: &str = "a whole number of megabytes, or with K, M, G or T";
/// What [`duration`] accepts.
pub const DURATION: &str = "a time with its units, such as 90s, 1h30m or 2d, or D-HH:MM:SS";
/// What [`slurm_duration`] accepts.
pub const SLURM_DURATION: &str = "MM, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS";
/// What [`cores`] accepts.
pub const CORES: &str = "a number of cores, such as 2, 0.5 or 250m";
/// What [`devices`] accepts.
pub const DEVICES: &str = "a number of devices, such as 1 or 0.5";
/// What [`rate`] accepts.
pub const RATE: &str = "a rate with its unit, such as 20 GFLOP/s, 2 TFLOP/s or 0.002 P";
/// What [`money`] accepts.
pub const MONEY: &str = "an amount with at most six decimals, such as 12.5";
/// What [`money`] accepts at most: all amounts are counted in 64 bits.
pub const MONEY_MOST: &str = "an amount of at most 9223372036854.775807";
/// What [`priority`] accepts.
pub const PRIORITY: &str = "a whole number, or one of low, normal, high, urgent";

/// A size: a number and one of B, KiB MiB GiB TiB PiB (or K M G T P, the same: powers of 1024, as in
/// Slurm), KB MB GB TB PB (powers of 1000). Case does not matter.
pub fn bytes(text: &str) -> Result<Bytes, QuantityError> {
    let (number, unit) = split_unit(text);
    let scale: u128 = match unit.to_ascii_lowercase().as_str() {
        "b" => 1,
        "k" | "ki" | "kib" => 1 << 10,
        "m" | "mi" | "mib" => 1 << 20,
        "g" | "gi" | "gib" => 1 << 30,
        "t" | "ti" | "tib" => 1 << 40,
        "p" | "pi" | "pib" => 1 << 50,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "pb" => 1_000_000_000_000_000,
        _ => return Err(error(text, BYTES)),
    };
    scaled_up(number, scale).map(Bytes).ok_or_else(|| error(text, BYTES))
}

/// A size as Slurm reads it: a whole number of mebibytes, or with a suffix K, M, G or T.
pub fn slurm_bytes(text: &str) -> Result<Bytes, QuantityError> {
    let (number, unit) = split_unit(text);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "k" | "kb" => 10,
        "" | "m" | "mb" => 20,
        "g" | "gb" => 30,
        "t" | "tb" => 40,
        _ => return Err(error(text, SLURM_BYTES)),
    };
    let size = whole(number).and_then(|count| count.checked_mul(1 << shift));
    size.map(Bytes).ok_or_else(|| error(text, SLURM_BYTES))
}

/// A time: numbers with w, d, h, m or min, s, ms, added up; or Slurm's forms with `:` or `D-`.
pub fn duration(text: &str) -> Result<DurationMs, QuantityError> {
    if text.contains([':', '-']) {
        return slurm_duration(text).map_err(|_| error(text, DURATION));
    }
    let mut total = 0u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(error(text, DURATION));
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let scale: u128 = match unit.to_ascii_lowercase().as_str() {
            "ms" => 1,
            "s" | "sec" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return Err(error(text, DURATION)),
        };
        let part = scaled_up(number, scale);
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(|| error(text, DURATION))?;
        rest = after.trim_start();
    }
    Ok(DurationMs(total))
}

/// A time as Slurm reads it: `MM`, `MM:SS`, `HH:MM:SS`, `D-HH`, `D-HH:MM`, `D-HH:MM:SS`.
pub fn slurm_duration(text: &str) -> Result<DurationMs, QuantityError> {
    let fail = || error(text, SLURM_DURATION);
    let (days, clock) = match text.trim().split_once('-') {
        Some((days, clock)) => (Some(whole(days).ok_or_else(fail)?), clock),
        None => (None, text.trim()),
    };
    let parts: Option<Vec<u64>> = clock.split(':').take(4).map(whole).collect();
    let parts = parts.ok_or_else(fail)?;
    let (hours, minutes, seconds) = match (days.is_some(), parts.as_slice()) {
        (false, &[minutes]) => (0, minutes, 0),
        (false, &[minutes, seconds]) => (0, minutes, seconds),
        (true, &[hours]) => (hours, 0, 0),
        (true, &[hours, minutes]) => (hours, minutes, 0),
        (_, &[hours, minutes, seconds]) => (hours, minutes, seconds),
        _ => return Err(fail()),
    };
    let sum = [(days.unwrap_or(0), 86_400_000), (hours, 3_600_000), (minutes, 60_000), (seconds, 1_000)]
        .into_iter()
        .try_fold(0u64, |sum, (count, scale)| sum.checked_add(u64::checked_mul(count, scale)?));
    sum.map(DurationMs).ok_or_else(fail)
}

/// Cores: `2`, `0.5`, or thousandths as `250m`.
pub fn cores(text: &str) -> Result<Millicores, QuantityError> {
    let text = text.trim();
    let cores = match text.strip_suffix('m') {
        Some(thousandths) => whole(thousandths),
        None => scaled_up(text, 1000),
    };
    cores.map(Millicores).ok_or_else(|| error(text, CORES))
}

/// Devices: `1`, `0.5`.
pub fn devices(text: &str) -> Result<MilliDevices, QuantityError> {
    scaled_up(text.trim(), 1000).map(MilliDevices).ok_or_else(|| error(text, DEVICES))
}

/// A rate: a number and MFLOP/s, GFLOP/s, TFLOP/s, PFLOP/s (also as MFLOPS ...), or P for PFLOP/s.
pub fn rate(text: &str) -> Result<GflopPerS, QuantityError> {
    let (number, unit) = split_unit(text);
    let unit = unit.to_ascii_lowercase();
    let prefix = unit.strip_suffix("flop/s").or_else(|| unit.strip_suffix("flops")).unwrap_or(&unit);
    let scale = match (prefix, prefix.len() == unit.len()) {
        ("m", false) => {
            let thousandths = scaled_up(number, 1).map(|mega| mega.div_ceil(1000));
            return thousandths.map(GflopPerS).ok_or_else(|| error(text, RATE));
        }
        ("g", false) => 1,
        ("t", false) => 1_000,
        ("p", _) => 1_000_000,
        _ => return Err(error(text, RATE)),
    };
    scaled_up(number, scale).map(GflopPerS).ok_or_else(|| error(text, RATE))
}

/// An amount of money in a currency that is known from elsewhere: `12`, `12.5`. Never rounded.
pub fn money(text: &str) -> Result<Money, QuantityError> {
    let amount = scaled(text.trim(), 1_000_000).filter(|&(_, exact)| exact);
    let wrong = || error(text, if decimal(text.trim(), 6) { MONEY_MOST } else { MONEY });
    amount.and_then(|(amount, _)| i64::try_from(amount).ok()).map(Money).ok_or_else(wrong)
}

/// Whether it is written as a number with so many decimals at most, however large.
fn decimal(text: &str, decimals: usize) -> bool {
    let (before, after) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    before.len() + after.len() > 0 && digits(before) && digits(after) && after.trim_end_matches('0').len() <= decimals
}

/// A priority as a number or as one of four words. Limits are the spec's matter.
pub fn priority(text: &str) -> Result<i32, QuantityError> {
    match text.trim() {
        "low" => Ok(-500),
        "normal" => Ok(0),
        "high" => Ok(500),
        "urgent" => Ok(limits::PRIORITY_MAX),
        number => number.parse().map_err(|_| error(text, PRIORITY)),
    }
}

/// A size as [`bytes`] reads it, in the largest unit that holds it exactly.
pub fn bytes_text(bytes: Bytes) -> String {
    let units = [(50, "PiB"), (40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.into_iter().find(|(shift, _)| bytes.0 != 0 && bytes.0.trailing_zeros() >= *shift);
    unit.map_or_else(|| format!("{}B", bytes.0), |(shift, name)| format!("{}{name}", bytes.0 >> shift))
}

/// A time as [`duration`] reads it: `1h30m`.
pub fn duration_text(duration: DurationMs) -> String {
    let mut left = duration.0;
    let mut text = String::new();
    for (scale, unit) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")] {
        if left >= scale {
            text.push_str(&format!("{}{unit}", left / scale));
            left %= scale;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// An amount as [`money`] reads it.
pub fn money_text(money: Money) -> String {
    let (sign, amount) = (if money.0 < 0 { "-" } else { "" }, money.0.unsigned_abs());
    let text = format!("{sign}{}.{:06}", amount / 1_000_000, amount % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn error(value: &str, expected: &'static str) -> QuantityError {
    QuantityError { value: super::problem::shorten(value), expected }
}

/// The number and the unit after it, without spaces around either.
fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

fn whole(text: &str) -> Option<u64> {
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if good { text.parse().ok() } else { None }
}

/// A decimal number times `scale`, rounded up.
fn scaled_up(text: &str, scale: u128) -> Option<u64> {
    let (floor, exact) = scaled(text, scale)?;
    u64::try_from(floor + u128::from(!exact)).ok()
}

/// The most digits before and after the point: with every `scale` the product stays below 2^127.
const DIGITS_MAX: usize = 18;

/// A decimal number (`12`, `0.5`, `.5`) times `scale`, rounded down, and whether that is exact.
fn scaled(text: &str, scale: u128) -> Option<(u128, bool)> {
    let (before, after) = text.split_once('.').unwrap_or((text, ""));
    let after = after.trim_end_matches('0');
    let before = before.trim_start_matches('0');
    let digits = |part: &str| part.len() <= DIGITS_MAX && part.bytes().all(|byte| byte.is_ascii_digit());
    if !text.bytes().any(|byte| byte.is_ascii_digit()) || !digits(before) || !digits(after) {
        return None;
    }
    let value = |part: &str| if part.is_empty() { Some(0) } else { part.parse::<u128>().ok() };
    let ten = 10u128.pow(u32::try_from(after.len()).ok()?);
    let fraction = value(after)?.checked_mul(scale)?;
    let floor = value(before)?.checked_mul(scale)?.checked_add(fraction / ten)?;
    Some((floor, fraction % ten == 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<T: PartialEq + std::fmt::Debug>(
        read: fn(&str) -> Result<T, QuantityError>,
        good: &[(&str, T)],
        bad: &[&str],
    ) {
        for (text, expected) in good {
            assert_eq!(read(text).as_ref(), Ok(expected), "{text}");
        }
        for text in bad {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        check(
            bytes,
            &[
                ("512M", Bytes(512 << 20)),
                ("4GiB", Bytes(4 << 30)),
                (" 4 gib ", Bytes(4 << 30)),
                ("1.5GiB", Bytes(3 << 29)),
                ("1.5GB", Bytes(1_500_000_000)),
                ("0.1KiB", Bytes(103)),
                ("7B", Bytes(7)),
            ],
            &["", "4", "GiB", "4 potatoes", "-4GiB", "4Gb/s", "1e3MiB", "1.2.3GiB", "999999999PiB", ".GiB", "4GiB 2"],
        );
        check(
            slurm_bytes,
            &[("512", Bytes(512 << 20)), ("4G", Bytes(4 << 30)), ("100K", Bytes(100 << 10)), ("1t", Bytes(1 << 40))],
            &["", "G", "1.5G", "4GiB", "-1", "99999999999T"],
        );
    }

    #[test]
    fn times() {
        let s = |seconds: u64| DurationMs(seconds * 1000);
        check(
            duration,
            &[
                ("90s", s(90)),
                ("1h30m", s(5400)),
                ("1h 30min", s(5400)),
                ("1.5h", s(5400)),
                ("2d", s(172_800)),
                ("1w", s(604_800)),
                ("250ms", DurationMs(250)),
                ("01:30:00", s(5400)),
                ("2-12", s(216_000)),
            ],
            &["", "90", "h", "1h30", "1x", "-1h", "1:2:3:4", "999999999999999999w", "1h,2m"],
        );
        check(
            slurm_duration,
            &[
                ("90", s(5400)),
                ("1:30", s(90)),
                ("01:30:00", s(5400)),
                ("1-0", s(86_400)),
                ("1-02:03", s(86_400 + 7380)),
                ("1-02:03:04", s(86_400 + 7384)),
            ],
            &["", ":", "-", "1-", "1-2:3:4:5", "1:2:3:4", "1h", "a:b", "99999999999999999999", "99999999999999999-0"],
        );
    }

    #[test]
    fn an_amount_that_is_too_large_is_told_from_one_that_is_none() {
        assert_eq!(money("9223372036854.775807").map(|money| money.0), Ok(i64::MAX));
        for (text, expected) in [
            ("9223372036854.775808", MONEY_MOST),
            ("99999999999999999999999999.5", MONEY_MOST),
            ("1.0000001", MONEY),
            ("-1", MONEY),
            ("1e30", MONEY),
            (".", MONEY),
            ("", MONEY),
        ] {
            assert_eq!(money(text).map_err(|error| error.expected), Err(expected), "{text}");
        }
    }

    #[test]
    fn cores_rates_and_money() {
        check(
            cores,
            &[("2", Millicores(2000)), ("0.5", Millicores(500)), ("250m", Millicores(250)), ("0.0001", Millicores(1))],
            &["", "two", "-1", "1.5m", "1e3", "0.5.5", "99999999999999999999"],
        );
        check(devices, &[("1", MilliDevices(1000)), ("0.25", MilliDevices(250))], &["", "a", "-1"]);
        check(
            rate,
            &[
                ("20 GFLOP/s", GflopPerS(20)),
                ("20gflops", GflopPerS(20)),
                ("2 TFLOP/s", GflopPerS(2000)),
                ("0.002 P", GflopPerS(2000)),
                ("1PFLOP/s", GflopPerS(1_000_000)),
                ("500 MFLOP/s", GflopPerS(1)),
                ("0.5 GFLOP/s", GflopPerS(1)),
            ],
            &["", "20", "20 G", "20 T", "P", "20 GFLOP", "-1 P", "99999999999999999 P"],
        );
        check(
            money,
            &[("12", Money(12_000_000)), ("0.5", Money(500_000)), ("0.000001", Money(1))],
            &["", "-1", "0.0000001", "1 CNY", "9999999999999999"],
        );
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,40}", near in "[0-9a-zA-Z.:/ -]{0,12}") {
            for text in [&text, &near] {
                let _ = (bytes(text), slurm_bytes(text), duration(text), slurm_duration(text));
                let _ = (cores(text), devices(text), rate(text), money(text));
            }
        }

        #[test]
        fn what_is_written_is_read_back(amount in any::<u64>(), small in 0u64..10_000_000_000) {
            for amount in [amount, small, small << 20] {
                if amount < 1_000_000_000_000_000_000 {
                    prop_assert_eq!(bytes(&bytes_text(Bytes(amount))), Ok(Bytes(amount)));
                    prop_assert_eq!(duration(&duration_text(DurationMs(amount))), Ok(DurationMs(amount)));
                    let amount = Money(amount as i64);
                    prop_assert_eq!(money(&money_text(amount)), Ok(amount));
                }
            }
        }
    }
}
