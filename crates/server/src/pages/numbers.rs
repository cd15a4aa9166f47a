//! Quantities for eyes: units always beside the number, times relative with the exact moment behind.

use huisuan_api::wire::{Amount, Timestamp};
use huisuan_model::{TimeMs, quantity::GFLOP_PER_P_H};
use maud::{Markup, html};

use super::words::{self, Language};

/// A span: `850 ms`, `12.3 s`, `4 min 5 s`, `2 h 10 min`, `3 d 4 h`.
pub(super) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{}.{} s", seconds, ms % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// How far away a moment is, in its largest unit: tenths of a second would only flicker.
pub(super) fn distance(ms: u64, language: Language) -> String {
    let seconds = ms / 1000;
    let (unit, number) = match seconds {
        0..60 => (words::TIME_SECONDS, seconds),
        60..3600 => (words::TIME_MINUTES, seconds / 60),
        3600..86_400 => (words::TIME_HOURS, seconds / 3600),
        _ => (words::TIME_DAYS, seconds / 86_400),
    };
    unit.with(language, &[&number.to_string()])
}

/// A moment relative to `now`, with the exact one in its title.
pub(super) fn moment(at: Timestamp, now: TimeMs, language: Language) -> Markup {
    let text = match at.0.0.abs_diff(now.0) {
        0..1000 => words::JUST_NOW.text(language).to_owned(),
        far if at.0 <= now => words::TIME_BEFORE.with(language, &[&distance(far, language)]),
        far => words::TIME_AFTER.with(language, &[&distance(far, language)]),
    };
    html! { time datetime=(at) title=(at) { (text) } }
}

/// A moment, or a dash where there is none.
pub(super) fn moment_or_dash(at: Option<Timestamp>, now: TimeMs, language: Language) -> Markup {
    match at {
        Some(at) => moment(at, now, language),
        None => dash(),
    }
}

/// Stands where there is nothing to say.
pub(super) fn dash() -> Markup {
    html! { span.none { "–" } }
}

/// Memory: `512 B`, `256 MiB`, `1.5 GiB`.
pub(super) fn memory(bytes: u64) -> String {
    let mut unit = 0;
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut scaled = bytes as f64;
    while scaled >= 1024.0 && unit + 1 < units.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{} {}", short(scaled), units[unit])
}

/// Cores or devices, to the thousandth: `2`, `0.25`, `12,504`.
pub(super) fn count(number: f64) -> String {
    let text = format!("{number:.3}");
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    match part.trim_end_matches('0') {
        "" => whole,
        part => format!("{whole}.{part}"),
    }
}

/// `1 core`, `0.25 cores`.
pub(super) fn cores(number: f64, language: Language) -> String {
    let word = if number == 1.0 { words::CORES_ONE } else { words::CORES_MANY };
    word.with(language, &[&count(number)])
}

/// `1 device`, `2 devices`.
pub(super) fn devices(number: f64, language: Language) -> String {
    let word = if number == 1.0 { words::DEVICES_ONE } else { words::DEVICES_MANY };
    word.with(language, &[&count(number)])
}

/// Work as it is counted: `80 GFLOP`.
pub(super) fn gflop(gflop: u64) -> String {
    format!("{} GFLOP", grouped(gflop))
}

/// The least work whose figure is in P·h first: a thousandth of one.
const P_H_FIRST: u64 = GFLOP_PER_P_H / 1000;

/// Work in the unit that suits its size, and in the other one.
pub(super) fn work(work_gflop: u64) -> (String, String) {
    let (counted, shown) = (gflop(work_gflop), p_h(work_gflop));
    if work_gflop < P_H_FIRST { (counted, shown) } else { (shown, counted) }
}

/// Work in P·h, with three digits that mean something: `12.3 P·h`, `0.0213 P·h`, `4.51×10⁻⁶ P·h`.
pub(super) fn p_h(gflop: u64) -> String {
    let value = gflop as f64 / GFLOP_PER_P_H as f64;
    if value == 0.0 {
        return "0 P·h".to_owned();
    }
    if value >= 0.001 {
        let text = if value < 1.0 { format!("{value:.4}") } else { short(value) };
        return format!("{text} P·h");
    }
    let exponent = value.log10().floor();
    // Rounding may carry into the next power of ten.
    let (digits, exponent) = match value / 10f64.powf(exponent) {
        digits if digits >= 9.995 => (1.0, exponent + 1.0),
        digits => (digits, exponent),
    };
    let power: String = format!("{:.0}", -exponent).chars().map(superscript).collect();
    format!("{digits:.2}×10⁻{power} P·h")
}

fn superscript(digit: char) -> char {
    let all = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    digit.to_digit(10).map_or(digit, |value| all[value as usize])
}

/// A rate: `42 GFLOP/s`, `1.3 TFLOP/s`, `2.5 PFLOP/s`.
pub(super) fn rate(gflop_per_s: u64) -> String {
    match gflop_per_s {
        0..1_000 => format!("{gflop_per_s} GFLOP/s"),
        1_000..1_000_000 => format!("{} TFLOP/s", short(gflop_per_s as f64 / 1e3)),
        _ => format!("{} PFLOP/s", short(gflop_per_s as f64 / 1e6)),
    }
}

/// Money: two digits after the point, more only where there are any.
pub(super) fn money(amount: &Amount) -> String {
    let sign = if amount.amount < 0 { "-" } else { "" };
    let millionths = amount.amount.unsigned_abs();
    let mut part = format!("{:06}", millionths % 1_000_000);
    while part.len() > 2 && part.ends_with('0') {
        part.pop();
    }
    format!("{} {sign}{}.{part}", amount.currency, grouped(millionths / 1_000_000))
}

/// A count with thousands apart: `10,000`.
pub(super) fn grouped(number: u64) -> String {
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

/// At most three significant digits, without trailing zeros.
fn short(value: f64) -> String {
    let text = match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => return grouped(value.round() as u64),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: impl AsRef<str>, expected: &str) {
        assert_eq!(found.as_ref(), expected);
    }

    #[test]
    fn spans_and_sizes_are_short() {
        check(span(999), "999 ms");
        check(span(12_345), "12.3 s");
        check(span(245_000), "4 min 5 s");
        check(span(7_800_000), "2 h 10 min");
        check(span(273_600_000), "3 d 4 h");
        check(memory(3 << 29), "1.5 GiB");
        check(memory(u64::MAX), "16 EiB");
        check(count(0.25), "0.25");
        check(count(64.0), "64");
        check(count(5_028.25), "5,028.25");
    }

    #[test]
    fn work_keeps_three_digits_however_small() {
        check(p_h(0), "0 P·h");
        check(p_h(1), "2.78×10⁻¹⁰ P·h");
        check(p_h(36), "1.00×10⁻⁸ P·h");
        check(p_h(3_599_999), "1.00×10⁻³ P·h");
        check(p_h(36_000_000), "0.0100 P·h");
        check(p_h(5_400_000_000), "1.5 P·h");
        check(p_h(u64::MAX), "5,124,095,576 P·h");
        check(gflop(12_345), "12,345 GFLOP");
        check(rate(1_300), "1.3 TFLOP/s");
        check(work(3_600_000).0, "0.0010 P·h");
        check(work(3_599_999).0, "3,599,999 GFLOP");
    }

    #[test]
    fn money_keeps_every_millionth() {
        let text = |amount| money(&Amount { amount, currency: "CNY".to_owned() });
        check(text(1_234_500_000), "CNY 1,234.50");
        check(text(1), "CNY 0.000001");
        check(text(i64::MIN), "CNY -9,223,372,036,854.775808");
    }

    #[test]
    fn moments_are_relative_and_exact() {
        let text = |at, now, language| moment(Timestamp(TimeMs(at)), TimeMs(now), language).into_string();
        let exact = "1970-01-01T00:00:01.000Z";
        let tag = |text| format!("<time datetime=\"{exact}\" title=\"{exact}\">{text}</time>");
        check(text(1000, 1999, Language::En), &tag("now"));
        check(text(1000, 62_000, Language::En), &tag("1 min ago"));
        check(text(1000, 62_000, Language::Zh), &tag("1 分钟前"));
        check(text(1000, -9000, Language::En), &tag("in 10 s"));
    }
}
