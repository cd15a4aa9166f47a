//! Which place is best: the sum of named integer terms, larger being better.

use huisuan_model::ScoreTerm;

use crate::{load::Dimension, policy::Weights, reach::Fixed};

/// The terms of one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Score {
    wait: i64,
    /// All terms that do not change in a cycle: [`price`] and those of [`Fixed`].
    standing: i64,
    fit: i64,
}

impl Score {
    /// Of a place where the next task goes into `layer`, whose standing terms score so much, and which leaves of
    /// `resource` what is free in this layer after it.
    pub(crate) fn of(weights: &Weights, layer: u64, standing: i64, resource: &Dimension) -> Self {
        let layers = i64::try_from(layer).unwrap_or(i64::MAX);
        let left = resource.free(layer).saturating_sub(resource.need).min(resource.has);
        Score {
            wait: weights.wait.saturating_sub(weights.wait.saturating_mul(layers)),
            standing,
            fit: part(weights.fit, resource.has - left, resource.has),
        }
    }

    pub(crate) fn total(&self) -> i128 {
        i128::from(self.wait) + i128::from(self.standing) + i128::from(self.fit)
    }

    /// The terms, the largest first; `fixed` are those within the standing ones that are not the price.
    pub(crate) fn terms(&self, fixed: Option<&Fixed>) -> Vec<ScoreTerm> {
        let price = self.standing.saturating_sub(fixed.map_or(0, Fixed::total));
        let term = |term: &'static str, value| ScoreTerm { term: term.into(), value };
        let mut terms = vec![term("wait", self.wait), term("price", price), term("fit", self.fit)];
        terms.extend(fixed.into_iter().flat_map(Fixed::terms));
        terms.sort_by(|a, b| b.value.cmp(&a.value).then_with(|| a.term.cmp(&b.term)));
        terms
    }
}

/// The term `price` of a place where a task costs `hold`, the cheapest place being `cheapest`.
pub(crate) fn price(weights: &Weights, hold: i64, cheapest: i64) -> i64 {
    match hold {
        1.. => part(weights.price, cheapest.unsigned_abs(), hold.unsigned_abs()),
        _ => weights.price,
    }
}

/// `weight * numerator / denominator`; the whole weight when there is nothing to divide by.
pub(crate) fn part(weight: i64, numerator: u64, denominator: u64) -> i64 {
    if denominator == 0 {
        return weight;
    }
    let numerator = numerator.min(denominator);
    // Nearly always 64 bits are enough, and a division in 128 costs several times as much.
    if let (Ok(small), Ok(of)) = (i64::try_from(numerator), i64::try_from(denominator))
        && let Some(product) = weight.checked_mul(small)
    {
        return product / of;
    }
    let value = i128::from(weight) * i128::from(numerator) / i128::from(denominator);
    i64::try_from(value).expect("a part of a 64-bit weight fits into 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_follow_wait_price_and_fit() {
        let weights = Weights { wait: 1000, price: 500, fit: 100, ..Weights::default() };
        let check = |layer, hold, cheapest, used, expected: [i64; 3]| {
            let resource = Dimension { has: 8000, used, long: 0, need: 2000 };
            let score = Score::of(&weights, layer, price(&weights, hold, cheapest), &resource);
            assert_eq!([score.wait, score.standing, score.fit], expected);
        };
        check(0, 10, 10, 0, [1000, 500, 25]);
        check(0, 20, 10, 6000, [1000, 250, 100]);
        check(1, 30, 10, 7000, [0, 166, 12]);
        check(3, 0, 0, 30000, [-2000, 500, 100]);
    }

    #[test]
    fn extreme_weights_do_not_overflow() {
        let resource = Dimension { has: u64::MAX, used: 0, long: 0, need: 1 };
        for extreme in [i64::MIN, i64::MAX] {
            let weights = Weights { wait: extreme, price: extreme, fit: extreme, ..Weights::default() };
            let score = Score::of(&weights, u64::MAX, price(&weights, i64::MAX, i64::MAX), &resource);
            assert_eq!(score.standing, extreme);
            assert!(score.total() != 0);
        }
    }

    #[test]
    fn the_largest_term_comes_first_and_ties_by_name() {
        let order = |wait, standing, fit| {
            Score { wait, standing, fit }.terms(None).into_iter().map(|term| term.term).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(order(1, 2, 3), "fit price wait");
        assert_eq!(order(5, 5, 5), "fit price wait");
        assert_eq!(order(9, 5, -5), "wait price fit");
    }
}
