//! A sum in shares, to the last unit.

/// Shares of `sum` in proportion to `weights`, by the largest remainder: they add up to `sum` exactly, none is more
/// than a unit from its exact share, and of equal remainders the first gets the unit. Nothing for everybody when all
/// weights are zero.
pub fn shares(sum: u64, weights: &[u64]) -> Vec<u64> {
    let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if total == 0 {
        return vec![0; weights.len()];
    }
    // 64 bits each: the product fits, and a share is never above the sum.
    let exact = |weight: &u64| u128::from(sum) * u128::from(*weight);
    let floor = |weight: &u64| u64::try_from(exact(weight) / total).expect("a share is at most the sum");
    let mut shares: Vec<u64> = weights.iter().map(floor).collect();
    let left = sum - shares.iter().sum::<u64>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|&index| (std::cmp::Reverse(exact(&weights[index]) % total), index));
    let count = usize::try_from(left).expect("less is left than there are shares");
    order.into_iter().take(count).for_each(|index| shares[index] += 1);
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_units_go_to_the_largest_remainders() {
        fn check(sum: u64, weights: &[u64], expected: &[u64]) {
            assert_eq!(shares(sum, weights), expected, "{sum} {weights:?}");
        }
        check(10, &[1, 1, 1], &[4, 3, 3]);
        check(10, &[1, 2, 3], &[2, 3, 5]);
        check(0, &[1, 2], &[0, 0]);
        check(7, &[0, 0], &[0, 0]);
        check(7, &[], &[]);
        check(u64::MAX, &[u64::MAX, u64::MAX], &[1 << 63, (1 << 63) - 1]);
    }

    proptest! {
        #[test]
        fn they_add_up_and_are_near(sum in any::<u64>(), weights in prop::collection::vec(any::<u64>(), 0..20)) {
            let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            let shares = shares(sum, &weights);
            let all: u128 = shares.iter().map(|share| u128::from(*share)).sum();
            prop_assert_eq!(all, if total == 0 { 0 } else { u128::from(sum) });
            for (share, weight) in shares.iter().zip(&weights) {
                let exact = u128::from(sum) * u128::from(*weight);
                prop_assert!((u128::from(*share) * total).abs_diff(exact) < total.max(1));
            }
        }
    }
}
