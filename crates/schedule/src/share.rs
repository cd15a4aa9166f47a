//! What tenants and projects hold, in units, and whose share of what they are due is the smallest.
//!
//! Weighted dominant resource fairness (Ghodsi et al., NSDI 2011) with the three classes of compute as the
//! resources: the share of a holder is the largest part that it holds of the network's rate in any class, divided by
//! its weight. Shares are integers in 2^-64, rounded down, so that they order alike on every machine.

use huisuan_model::Class;

/// Rates by class, in GFLOP/s, in the order of [`Class::ALL`].
pub(crate) type Rates = [u64; 3];

/// A share in 2^-64 of the network's rate for each unit of weight.
pub(crate) type Share = u128;

/// Where a class stands in [`Rates`].
pub(crate) fn index(class: Class) -> usize {
    class as usize
}

/// A tenant or a project while a cycle goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    held: Rates,
    /// The network's rate times the weight, by class. At most 96 bits long.
    divisors: [u128; 3],
    share: Share,
}

impl Holder {
    /// A holder of nothing in a network of these rates. A weight of 0 counts as 1.
    pub(crate) fn new(network: &Rates, weight: u32) -> Self {
        let divisors = network.map(|rate| u128::from(rate) * u128::from(weight.max(1)));
        Holder { held: [0; 3], divisors, share: 0 }
    }

    /// Its weighted dominant share.
    pub(crate) fn share(&self) -> Share {
        self.share
    }

    /// Its share if it held so much more of a class.
    pub(crate) fn share_with(&self, class: usize, more: u64) -> Share {
        let held = u128::from(self.held[class].saturating_add(more)) << 64;
        held.checked_div(self.divisors[class]).unwrap_or(0).max(self.share)
    }

    /// Its share if it held so much less of a class.
    pub(crate) fn share_without(&self, class: usize, less: u64) -> Share {
        let mut left = *self;
        left.take(class, less);
        left.share
    }

    /// Counts out what was taken from it.
    pub(crate) fn take(&mut self, class: usize, rate: u64) {
        self.held[class] = self.held[class].saturating_sub(rate);
        self.settle();
    }

    /// Counts in what it holds without a new share: [`settle`](Self::settle) makes it once for many of these.
    pub(crate) fn hold(&mut self, class: usize, rate: u64) {
        self.held[class] = self.held[class].saturating_add(rate);
    }

    /// Makes the share anew from what it holds.
    pub(crate) fn settle(&mut self) {
        self.share = 0;
        self.share = (0..self.held.len()).map(|class| self.share_with(class, 0)).max().unwrap_or(0);
    }

    /// Counts in what it was given.
    pub(crate) fn add(&mut self, class: usize, rate: u64) {
        self.share = self.share_with(class, rate);
        self.held[class] = self.held[class].saturating_add(rate);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holding(network: Rates, weight: u32, held: Rates) -> Holder {
        let mut holder = Holder::new(&network, weight);
        held.into_iter().enumerate().for_each(|(class, rate)| holder.add(class, rate));
        holder
    }

    #[test]
    fn the_dominant_class_counts_and_weight_divides() {
        let check = |weight, held, numerator: u128, denominator: u128| {
            assert_eq!(holding([100, 10, 0], weight, held).share(), (numerator << 64) / denominator);
        };
        check(1, [0, 0, 0], 0, 1);
        check(1, [50, 0, 0], 1, 2);
        check(1, [50, 8, 0], 8, 10);
        check(4, [50, 8, 0], 2, 10);
        check(0, [50, 0, 0], 1, 2);
        // Nothing of a class that the network lacks.
        check(1, [0, 0, 7], 0, 1);
        check(2, [200, 0, 0], 1, 1);
    }

    #[test]
    fn what_is_taken_no_longer_counts() {
        let mut holder = holding([100, 10, 0], 1, [50, 8, 0]);
        assert_eq!(holder.share_without(1, 6), (1 << 64) / 2);
        holder.take(1, 6);
        holder.take(0, 50);
        assert_eq!(holder, holding([100, 10, 0], 1, [0, 2, 0]));
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let mut holder = holding([u64::MAX; 3], u32::MAX, [u64::MAX; 3]);
        holder.add(0, u64::MAX);
        assert_eq!(holder.share(), (1 << 64) / u128::from(u32::MAX));
        assert_eq!(holding([1; 3], 1, [u64::MAX; 3]).share(), u128::from(u64::MAX) << 64);
    }

    proptest! {
        /// Against the definition, by cross-multiplication.
        #[test]
        fn shares_order_as_fractions_do(
            network in prop::array::uniform3(1u64..1 << 40),
            (a, b) in (prop::array::uniform3(0u64..1 << 40), prop::array::uniform3(0u64..1 << 40)),
            weights in (1u32..1000, 1u32..1000),
        ) {
            // Fractions held / (network x weight) of up to 2^12, brought to a common denominator of one class.
            let largest = |held: Rates, weight: u32| {
                let mut best = (0u128, 1u128);
                for (held, network) in held.into_iter().zip(network) {
                    let (numerator, denominator) = (u128::from(held), u128::from(network) * u128::from(weight));
                    if numerator * best.1 > best.0 * denominator {
                        best = (numerator, denominator);
                    }
                }
                best
            };
            let (one, other) = (largest(a, weights.0), largest(b, weights.1));
            let exact = (one.0 * other.1).cmp(&(other.0 * one.1));
            let shares = holding(network, weights.0, a).share().cmp(&holding(network, weights.1, b).share());
            prop_assert!(shares == exact || shares.is_eq(), "only fractions closer than 2^-64 may look equal");
        }
    }
}
