//! Quantities as people read them. Everything here is for eyes; machines get the API's JSON.

use huisuan_api::wire::short;
use huisuan_model::quantity::GFLOP_PER_P_H;

/// A span: `850 ms`, `12.3 s`, `4 min 5 s`, `2 h 10 min`, `3 d 4 h`.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{}.{} s", seconds, ms % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Memory: `512 B`, `256 MiB`, `1.5 GiB`.
pub(crate) fn memory(bytes: u64) -> String {
    let mut unit = 0;
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut scaled = bytes as f64;
    while scaled >= 1024.0 && unit + 1 < units.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{} {}", short(scaled), units[unit])
}

/// Thousandths of a core as cores: `2`, `0.25`.
pub(crate) fn cores(millicores: u64) -> String {
    let text = format!("{}.{:03}", millicores / 1000, millicores % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Work: `80 GFLOP`, `12.5 TFLOP`, `3.2 PFLOP`, and in P·h from a hundredth on.
pub(crate) fn work(gflop: u64) -> String {
    match gflop {
        0..10_000 => format!("{gflop} GFLOP"),
        10_000..10_000_000 => format!("{} TFLOP", short(gflop as f64 / 1e3)),
        10_000_000..36_000_000 => format!("{} PFLOP", short(gflop as f64 / 1e6)),
        _ => format!("{:.3} P·h", gflop as f64 / GFLOP_PER_P_H as f64),
    }
}

/// A rate: `42 GFLOP/s`, `1.3 TFLOP/s`, `2.5 P`.
pub(crate) fn rate(gflop_per_s: u64) -> String {
    match gflop_per_s {
        0..1_000 => format!("{gflop_per_s} GFLOP/s"),
        1_000..1_000_000 => format!("{} TFLOP/s", short(gflop_per_s as f64 / 1e3)),
        _ => format!("{} P", short(gflop_per_s as f64 / 1e6)),
    }
}

/// Money from millionths: two digits after the point, more only where there are any.
pub(crate) fn money(millionths: i64, currency: &str) -> String {
    let sign = if millionths < 0 { "-" } else { "" };
    let whole = millionths.unsigned_abs() / 1_000_000;
    let mut part = format!("{:06}", millionths.unsigned_abs() % 1_000_000);
    while part.len() > 2 && part.ends_with('0') {
        part.pop();
    }
    format!("{currency} {sign}{}.{part}", grouped(whole))
}

/// A count with thousands apart: `10,000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 job`, `2 jobs`.
pub(crate) fn count(number: u64, singular: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {singular}{plural}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: String, expected: &str) {
        assert_eq!(found, expected);
    }

    #[test]
    fn spans_keep_two_units() {
        check(span(0), "0 ms");
        check(span(999), "999 ms");
        check(span(12_345), "12.3 s");
        check(span(245_000), "4 min 5 s");
        check(span(7_800_000), "2 h 10 min");
        check(span(273_600_000), "3 d 4 h");
    }

    #[test]
    fn sizes_and_shares_are_short() {
        check(memory(512), "512 B");
        check(memory(256 << 20), "256 MiB");
        check(memory(3 << 29), "1.5 GiB");
        check(memory(u64::MAX), "16 EiB");
        check(cores(2000), "2");
        check(cores(250), "0.25");
        check(cores(0), "0");
    }

    #[test]
    fn work_and_rates_name_their_unit() {
        check(work(80), "80 GFLOP");
        check(work(12_500), "12.5 TFLOP");
        check(work(36_000_000), "0.010 P·h");
        check(rate(42), "42 GFLOP/s");
        check(rate(1_300), "1.3 TFLOP/s");
        check(rate(2_500_000), "2.5 P");
    }

    #[test]
    fn money_keeps_every_millionth() {
        check(money(1_234_500_000, "CNY"), "CNY 1,234.50");
        check(money(1, "CNY"), "CNY 0.000001");
        check(money(-2_500_000, "CNY"), "CNY -2.50");
        check(money(i64::MIN, "CNY"), "CNY -9,223,372,036,854.775808");
        check(count(1, "job"), "1 job");
        check(count(12_000, "job"), "12,000 jobs");
    }
}
