//! Logarithm and power of two in 32 fractional bits: what random durations need, in integers alone, because the
//! functions of floating point differ from one machine's library to the next.

/// One in 32 fractional bits.
pub(crate) const ONE: u64 = 1 << 32;
/// The natural logarithm of 2 in 32 fractional bits.
pub(crate) const LN_2: u128 = 2_977_044_472;

/// 2^(1/2), 2^(1/4), ... in 62 fractional bits, each the root of the one before: as many as bits that matter.
const ROOTS: [u128; 20] = {
    let mut roots = [0; 20];
    let mut root = 2u128 << 62;
    let mut at = 0;
    while at < roots.len() {
        root = (root << 62).isqrt();
        roots[at] = root;
        at += 1;
    }
    roots
};

/// `log2(x)` in 32 fractional bits, by squaring: one bit of the result a step. 0 for 0.
pub(crate) fn log2(x: u64) -> u64 {
    let Some(whole) = x.checked_ilog2() else { return 0 };
    // The mantissa, from 1 to 2, in 63 fractional bits.
    let mut mantissa = u128::from(x) << (63 - whole);
    let mut fraction = 0;
    for _ in 0..32 {
        mantissa = (mantissa * mantissa) >> 63;
        let bit = mantissa >> 64;
        fraction = fraction << 1 | u64::from(bit == 1);
        mantissa >>= bit;
    }
    u64::from(whole) * ONE + fraction
}

/// `value * 2^exponent`, the exponent in 32 fractional bits; capped at 64 bits, rounded down.
pub(crate) fn times_exp2(value: u64, exponent: i64) -> u64 {
    let whole = exponent >> 32;
    let fraction = exponent.rem_euclid(ONE as i64) as u64;
    let mut power = 1u128 << 62;
    for (place, root) in ROOTS.iter().enumerate() {
        if fraction >> (31 - place) & 1 == 1 {
            power = (power * root) >> 62;
        }
    }
    let product = (u128::from(value) * (power >> 31)) >> 31;
    match u32::try_from(whole) {
        Ok(up) => product.checked_mul(1u128.checked_shl(up).unwrap_or(u128::MAX)),
        Err(_) => Some(product.checked_shr(u32::try_from(-whole).unwrap_or(u32::MAX)).unwrap_or(0)),
    }
    .and_then(|product| u64::try_from(product).ok())
    .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_and_powers_agree_with_floating_point() {
        for x in [1u64, 2, 3, 10, 99, 100, 12_345, 1 << 40, u64::MAX] {
            let expected = (x as f64).log2();
            assert!((log2(x) as f64 / ONE as f64 - expected).abs() < 1e-8, "{x}");
        }
        for exponent in [-20.5, -1.0, -0.3, 0.0, 0.25, 0.999, 1.0, 7.7] {
            let expected = 1e9 * f64::exp2(exponent);
            let found = times_exp2(1_000_000_000, (exponent * ONE as f64) as i64);
            assert!((found as f64 - expected).abs() <= 1.0 + expected * 1e-5, "{exponent}: {found}, not {expected}");
        }
    }

    #[test]
    fn extremes_are_capped() {
        assert_eq!(log2(0), 0);
        assert_eq!(times_exp2(u64::MAX, i64::MAX), u64::MAX);
        assert_eq!(times_exp2(u64::MAX, i64::MIN), 0);
        assert_eq!(times_exp2(0, i64::MAX), 0);
        assert_eq!(times_exp2(7, 0), 7);
    }
}
