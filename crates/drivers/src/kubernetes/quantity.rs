//! Kubernetes quantities: `32`, `500m`, `256Gi`, `1.5`, `2e3`, `123456789n`.

/// A quantity in thousandths, rounded up; `None` when it is no quantity, is negative or is beyond 64 bits.
pub(super) fn thousandths(text: &str) -> Option<u64> {
    let (digits, factor, divisor) = parts(text)?;
    let value = digits.value.checked_mul(factor)?.checked_mul(1_000)?;
    let divisor = divisor.checked_mul(10u128.checked_pow(digits.decimals)?)?;
    u64::try_from(value.div_ceil(divisor)).ok()
}

/// A quantity in whole units, rounded down, as for what there is to give away.
pub(super) fn units(text: &str) -> Option<u64> {
    let (digits, factor, divisor) = parts(text)?;
    let divisor = divisor.checked_mul(10u128.checked_pow(digits.decimals)?)?;
    u64::try_from(digits.value.checked_mul(factor)? / divisor).ok()
}

/// A number without its decimal point, and how many of its digits were behind it.
struct Digits {
    value: u128,
    decimals: u32,
}

/// The number, what it is multiplied with and what it is divided by.
fn parts(text: &str) -> Option<(Digits, u128, u128)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit() && b != b'.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // More than 27 digits are no amount of anything; the limit also keeps every product below within 128 bits.
    if whole.len() + fraction.len() == 0 || whole.len() + fraction.len() > 27 || fraction.contains('.') {
        return None;
    }
    let digits =
        Digits { value: format!("{whole}{fraction}").parse().ok()?, decimals: fraction.len().try_into().ok()? };
    let (factor, divisor) = match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        exponent => match exponent.strip_prefix(['e', 'E'])?.parse::<i32>().ok()? {
            power @ 0..=18 => (10u128.pow(power.unsigned_abs()), 1),
            power @ -18..0 => (1, 10u128.pow(power.unsigned_abs())),
            _ => return None,
        },
    };
    Some((digits, factor, divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        let check = |text: &str, expected: Option<(u64, u64)>| {
            assert_eq!(thousandths(text).zip(units(text)), expected, "{text}");
        };
        check("0", Some((0, 0)));
        check("32", Some((32_000, 32)));
        check("500m", Some((500, 0)));
        check("1.5", Some((1_500, 1)));
        check("123456789n", Some((124, 0)));
        check("250u", Some((1, 0)));
        check("2e3", Some((2_000_000, 2_000)));
        check("15E-1", Some((1_500, 1)));
        check("1Ki", Some((1_024_000, 1_024)));
        check("256Gi", Some((274_877_906_944_000, 274_877_906_944)));
        check("1k", Some((1_000_000, 1_000)));
        for wrong in ["", "-1", "1x", ".", "1..2", "1.2.3", "e3", "1e99", "9999999999999999999999999999", "1 Gi"] {
            check(wrong, None);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in ".{0,40}") {
            if let Some(value) = thousandths(&text) {
                proptest::prop_assert!(units(&text).is_some_and(|units| units <= value / 1_000));
            }
        }

        #[test]
        fn whole_numbers_stay(value in 0u64..1 << 40) {
            proptest::prop_assert_eq!(units(&value.to_string()), Some(value));
            proptest::prop_assert_eq!(thousandths(&format!("{value}m")), Some(value));
        }
    }
}
