//! Seeded randomness: one named stream for each purpose, so that a draw more here changes nothing there.
//!
//! A stream is counter-based: its n-th number is a mix of key and n (the output function of SplitMix64; Steele, Lea,
//! Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014). All arithmetic is in integers, so a seed
//! gives the same numbers on every machine.

use crate::fixed;

/// The increment of SplitMix64: 2^64 divided by the golden ratio, odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// One stream of random numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    key: u64,
    count: u64,
}

impl Stream {
    /// The stream of this name under a seed.
    pub fn new(seed: u64, name: &str) -> Stream {
        let key = name.bytes().fold(mix(seed ^ STEP), |key, byte| mix(key ^ u64::from(byte)));
        Stream { key, count: 0 }
    }

    /// A stream of its own for the `number`-th thing of this stream's kind; this one is not moved.
    pub fn child(&self, number: u64) -> Stream {
        Stream { key: mix(self.key ^ mix(number.wrapping_add(1))), count: 0 }
    }

    /// The next number, uniform over all 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.count = self.count.wrapping_add(1);
        mix(self.key.wrapping_add(self.count.wrapping_mul(STEP)))
    }

    /// Uniform over `0..end`; 0 when `end` is 0. The bias is below 2^-64 of `end` (Lemire's multiplication without
    /// rejection), so that every draw costs one number.
    pub fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.bits()) * u128::from(end);
        u64::try_from(product >> 64).expect("the upper half of 128 bits")
    }

    /// True in `parts` of a million draws.
    pub fn chance(&mut self, parts_per_million: u64) -> bool {
        self.below(1_000_000) < parts_per_million
    }

    /// Exponential with this mean, rounded down: the gap between arrivals at a constant rate.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        // -ln u = ln 2 * (64 - log2 of a uniform 64-bit integer), in 32 fractional bits.
        let bits = self.bits().max(1);
        let nats = fixed::LN_2 * (u128::from(64 * fixed::ONE) - u128::from(fixed::log2(bits))) / u128::from(fixed::ONE);
        u64::try_from(u128::from(mean) * nats / u128::from(fixed::ONE)).unwrap_or(u64::MAX)
    }

    /// Log-normal with this median; 68 of 100 draws lie within a factor `spread_percent / 100` of it, up or down.
    /// The normal variable is the sum of twelve uniform ones, less six: its tails end at six deviations.
    pub fn log_normal(&mut self, median: u64, spread_percent: u64) -> u64 {
        let sum: i64 = (0..12).map(|_| i64::try_from(self.bits() >> 32).expect("32 bits")).sum();
        let deviations = i128::from(sum - 6 * fixed::ONE as i64);
        let spread = i128::from(fixed::log2(spread_percent.max(100))) - i128::from(fixed::log2(100));
        let exponent = i64::try_from(deviations * spread / i128::from(fixed::ONE)).expect("a few doublings");
        fixed::times_exp2(median, exponent)
    }

    /// The index of one of `weights`, each as likely as it is heavy; 0 when nothing weighs anything.
    pub fn pick(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, &weight) in weights.iter().enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
        }
        0
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_pinned_and_apart() {
        let mut stream = Stream::new(42, "arrivals");
        let first: Vec<u64> = (0..2).map(|_| stream.bits()).collect();
        assert_eq!(first, [17_985_399_007_942_476_337, 4_078_782_794_381_024_005], "seeds would mean another run");
        let mut others = [
            Stream::new(43, "arrivals"),
            Stream::new(42, "arrival"),
            Stream::new(42, "failures"),
            Stream::new(42, "arrivals").child(0),
            Stream::new(42, "arrivals").child(1),
        ];
        let heads: std::collections::BTreeSet<u64> = others.iter_mut().map(Stream::bits).chain(first).collect();
        assert_eq!(heads.len(), 7);
    }

    /// Draws many and compares mean and quantiles with theory; the seed is fixed, so this cannot fail by chance.
    fn check(draw: impl Fn(&mut Stream) -> u64, mean: u64, median: u64, tenth: u64) {
        let mut stream = Stream::new(7, "test");
        let mut draws: Vec<u64> = (0..100_000).map(|_| draw(&mut stream)).collect();
        draws.sort_unstable();
        let close = |found: u64, expected: u64| found.abs_diff(expected) * 50 <= expected;
        let found = draws.iter().sum::<u64>() / 100_000;
        assert!(close(found, mean), "mean {found}, not {mean}");
        assert!(close(draws[50_000], median), "median {}, not {median}", draws[50_000]);
        assert!(close(draws[10_000], tenth), "tenth {}, not {tenth}", draws[10_000]);
    }

    #[test]
    fn draws_follow_their_distribution() {
        check(|stream| stream.below(1_000_000), 500_000, 500_000, 100_000);
        check(|stream| stream.exponential(1_000_000), 1_000_000, 693_147, 105_361);
        // A factor of 2 is one deviation: mean = median * exp(ln 2 ^ 2 / 2), tenth = median * 2 ^ -1.2816.
        check(|stream| stream.log_normal(1_000_000, 200), 1_271_560, 1_000_000, 411_400);
        check(|stream| 1_000_000 * stream.pick(&[1, 0, 3]) as u64, 1_500_000, 2_000_000, 0);
        check(|stream| u64::from(stream.chance(250_000)), 0, 0, 0);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut stream = Stream::new(0, "");
        for _ in 0..1_000 {
            assert!(stream.below(0) == 0 && stream.below(1) == 0);
            assert!(stream.exponential(u64::MAX) > 0 && stream.exponential(0) == 0);
            assert_eq!(stream.log_normal(5, 0), 5);
            stream.log_normal(u64::MAX, u64::MAX);
        }
        assert_eq!(stream.pick(&[]), 0);
    }
}
