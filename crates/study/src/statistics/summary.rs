//! One list of values: its quantiles, its mean, its slowdown.

use serde::Serialize;

/// Jobs shorter than this count as if they ran so long, so that a waiting second of a job of one second does not
/// rule the mean (Feitelson et al., "Theory and Practice in Parallel Job Scheduling", JSSPP 1997).
pub const BOUND_MS: u64 = 10_000;

/// What a report says about a list of integers, in the unit of the list.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many values there are.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Half of the values are not above it.
    pub p50: u64,
    /// Nine tenths of the values are not above it.
    pub p90: u64,
    /// 95 of 100 values are not above it.
    pub p95: u64,
    /// 99 of 100 values are not above it.
    pub p99: u64,
    /// The largest value.
    pub max: u64,
}

impl Summary {
    /// Sorts the values and sums them up; `None` when there are none.
    pub fn of(values: &mut [u64]) -> Option<Summary> {
        values.sort_unstable();
        Some(Summary {
            count: values.len() as u64,
            mean: mean(values)?,
            p50: quantile(values, 500)?,
            p90: quantile(values, 900)?,
            p95: quantile(values, 950)?,
            p99: quantile(values, 990)?,
            max: quantile(values, 1000)?,
        })
    }
}

/// The smallest value that at least `per_mille` thousandths of the values do not exceed (nearest rank): always one of
/// the values, never a value between two. `None` for an empty list; above 1000 is the maximum, 0 the minimum.
pub fn quantile<T: Copy + PartialOrd>(sorted: &[T], per_mille: u32) -> Option<T> {
    debug_assert!(sorted.is_sorted(), "quantiles are taken of sorted lists");
    let rank = (sorted.len() as u128 * u128::from(per_mille)).div_ceil(1000);
    let last = sorted.len().checked_sub(1)?;
    let index = usize::try_from(rank.saturating_sub(1)).map_or(last, |index| index.min(last));
    Some(sorted[index])
}

/// The mean, from an exact sum; `None` for an empty list.
pub fn mean(values: &[u64]) -> Option<f64> {
    let sum: u128 = values.iter().map(|&value| u128::from(value)).sum();
    (!values.is_empty()).then(|| sum as f64 / values.len() as f64)
}

/// How many times longer a job took than it would have alone, at least 1: `(wait + run) / max(run, bound)`.
pub fn bounded_slowdown(wait_ms: u64, run_ms: u64, bound_ms: u64) -> f64 {
    ((wait_ms as f64 + run_ms as f64) / run_ms.max(bound_ms).max(1) as f64).max(1.0)
}

/// The mean bounded slowdown of jobs given as `(wait_ms, run_ms)`, summed in their order; `None` without jobs.
pub fn mean_bounded_slowdown(jobs: impl IntoIterator<Item = (u64, u64)>, bound_ms: u64) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_u64);
    for (wait_ms, run_ms) in jobs {
        sum += bounded_slowdown(wait_ms, run_ms, bound_ms);
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        fn check(sorted: &[u64], per_mille: u32, expected: Option<u64>) {
            assert_eq!(quantile(sorted, per_mille), expected, "{sorted:?} at {per_mille}");
        }
        check(&[], 500, None);
        check(&[7], 0, Some(7));
        check(&[7], 1000, Some(7));
        check(&[1, 2, 3, 4], 500, Some(2));
        check(&[1, 2, 3, 4], 501, Some(3));
        check(&[1, 2, 3, 4], 250, Some(1));
        check(&[1, 2, 3, 4], 0, Some(1));
        check(&[1, 2, 3, 4], 4000, Some(4));
        check(&(1..=200).collect::<Vec<_>>(), 990, Some(198));
    }

    #[test]
    fn slowdown_is_bounded_from_both_sides() {
        fn check(wait_ms: u64, run_ms: u64, expected: f64) {
            let found = bounded_slowdown(wait_ms, run_ms, BOUND_MS);
            assert!((found - expected).abs() < 1e-12, "{wait_ms} {run_ms}: {found}");
        }
        check(0, 60_000, 1.0);
        check(60_000, 60_000, 2.0);
        check(9_000, 1_000, 1.0);
        check(99_000, 1_000, 10.0);
        check(0, 0, 1.0);
        assert_eq!(mean_bounded_slowdown([], BOUND_MS), None);
        assert_eq!(mean_bounded_slowdown([(60_000, 60_000), (180_000, 60_000)], BOUND_MS), Some(3.0));
        assert_eq!(bounded_slowdown(5, 0, 0), 5.0);
    }

    proptest! {
        #[test]
        fn a_quantile_is_the_smallest_value_that_covers_its_share(
            mut values in prop::collection::vec(0..50_u64, 1..60), per_mille in 1..=1000_u32,
        ) {
            values.sort_unstable();
            let found = quantile(&values, per_mille).expect("values");
            let covered = |limit: Option<u64>| values.iter().filter(|&&value| Some(value) <= limit).count() as u64 * 1000;
            let wanted = values.len() as u64 * u64::from(per_mille);
            prop_assert!(values.contains(&found));
            prop_assert!(covered(Some(found)) >= wanted);
            prop_assert!(covered(found.checked_sub(1)) < wanted);
        }

        #[test]
        fn a_summary_is_ordered(mut values in prop::collection::vec(any::<u64>(), 1..60)) {
            let found = Summary::of(&mut values).expect("values");
            let row = [values[0], found.p50, found.p90, found.p95, found.p99, found.max];
            prop_assert!(row.is_sorted());
            prop_assert_eq!(found.count, values.len() as u64);
            prop_assert!(found.mean >= values[0] as f64 * 0.999 && found.mean <= found.max as f64 * 1.001);
        }
    }
}
