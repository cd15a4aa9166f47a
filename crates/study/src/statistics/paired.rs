//! Two ways of doing the same thing, compared seed by seed.

use std::collections::BTreeMap;

use serde::Serialize;
use thiserror::Error;

/// The 0.975 quantile of Student's t for 1 to 30 degrees of freedom (any table; here to four digits).
const T_975: [f64; 30] = [
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
    2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484,
    2.0452, 2.0423,
];
/// The same quantile of the normal distribution.
const Z_975: f64 = 1.959_963_985;

/// How far the second way is from the first, on average over the seeds that both ran.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// How many seeds were compared.
    pub pairs: u64,
    /// The mean of `after - before`, in the unit of the values.
    pub mean: f64,
    /// The lower end of the 95 % confidence interval of that mean.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Difference {
    /// Whether the interval leaves zero out: the difference is more than the noise between seeds.
    pub fn clear(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// Why two sets of runs cannot be compared seed by seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnpairedError {
    /// A seed was run one way only.
    #[error("seed {0} was run only one of the two ways\nhint: run both with the same seeds")]
    Seed(u64),
    /// One run says nothing about the noise.
    #[error("{0} seeds were compared where at least 2 are needed\nhint: run more seeds")]
    TooFew(u64),
    /// A value is infinite or not a number.
    #[error("the value of seed {0} is not a finite number")]
    NotFinite(u64),
}

/// Compares values by seed with a paired t-test's 95 % interval: seeds make the same workload both ways, so most of
/// the noise cancels. Wide for few seeds (2 seeds: 12.7 standard errors), as it should be.
pub fn paired_difference(before: &BTreeMap<u64, f64>, after: &BTreeMap<u64, f64>) -> Result<Difference, UnpairedError> {
    if let Some(seed) = before.keys().find(|seed| !after.contains_key(seed)) {
        return Err(UnpairedError::Seed(*seed));
    }
    let mut differences = Vec::with_capacity(after.len());
    for (&seed, &value) in after {
        let difference = value - before.get(&seed).ok_or(UnpairedError::Seed(seed))?;
        if !difference.is_finite() {
            return Err(UnpairedError::NotFinite(seed));
        }
        differences.push(difference);
    }
    let pairs = differences.len() as u64;
    if pairs < 2 {
        return Err(UnpairedError::TooFew(pairs));
    }
    let mean = differences.iter().sum::<f64>() / pairs as f64;
    let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
    let standard_error = (squares / (pairs - 1) as f64 / pairs as f64).sqrt();
    let reach = t_975(pairs - 1) * standard_error;
    Ok(Difference { pairs, mean, low: mean - reach, high: mean + reach })
}

/// Beyond the table, the expansion around the normal quantile (Abramowitz and Stegun, 26.7.5) is exact to four digits.
fn t_975(freedom: u64) -> f64 {
    if let Some(&t) = freedom.checked_sub(1).and_then(|row| T_975.get(row as usize)) {
        return t;
    }
    let (z, freedom) = (Z_975, freedom as f64);
    z + (z.powi(3) + z) / (4.0 * freedom) + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * freedom * freedom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_seed(values: &[f64]) -> BTreeMap<u64, f64> {
        (42..).zip(values.iter().copied()).collect()
    }

    #[test]
    fn intervals_are_those_of_the_paired_t_test() {
        #[track_caller]
        fn check(before: &[f64], after: &[f64], mean: f64, reach: f64) {
            let found = paired_difference(&by_seed(before), &by_seed(after)).expect("pairs");
            assert!((found.mean - mean).abs() < 1e-3, "{found:?}");
            assert!((found.high - found.mean - reach).abs() < 1e-3, "{found:?}");
            assert!((found.mean - found.low - reach).abs() < 1e-3, "{found:?}");
        }
        check(&[1.0, 2.0], &[2.0, 3.0], 1.0, 0.0);
        // Differences 1, 2, 3: standard error 1 / sqrt(3), t = 4.3027.
        check(&[0.0, 0.0, 0.0], &[1.0, 2.0, 3.0], 2.0, 2.4842);
        // Differences 0 and 1, 20 times each: t(39) = 2.0227, deviation 0.50637.
        let halves: Vec<f64> = (0..40).map(|index| f64::from(index % 2)).collect();
        check(&[0.0; 40], &halves, 0.5, 2.0227 * 0.50637 / 40_f64.sqrt());
    }

    #[test]
    fn a_difference_is_clear_when_its_interval_leaves_zero_out() {
        let zero = by_seed(&[0.0; 4]);
        let clear = |after: &[f64]| paired_difference(&zero, &by_seed(after)).expect("pairs").clear();
        assert!(clear(&[1.0, 1.1, 0.9, 1.0]));
        assert!(clear(&[-1.0, -1.1, -0.9, -1.0]));
        assert!(!clear(&[1.0, -1.0, 1.0, -1.0]));
    }

    #[test]
    fn what_is_not_paired_is_refused() {
        let check = |before: &[f64], after: &[f64], expected| {
            assert_eq!(paired_difference(&by_seed(before), &by_seed(after)), Err(expected));
        };
        check(&[], &[], UnpairedError::TooFew(0));
        check(&[1.0], &[1.0], UnpairedError::TooFew(1));
        check(&[1.0, 2.0], &[1.0], UnpairedError::Seed(43));
        check(&[1.0], &[1.0, 2.0], UnpairedError::Seed(43));
        check(&[1.0, 2.0], &[1.0, f64::NAN], UnpairedError::NotFinite(43));
    }
}
