//! Named random streams: equal name and seed give equal numbers, and no stream moves another one.

/// One stream; its numbers are a hash of key and position (SplitMix64, Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub(super) struct Stream {
    state: u64,
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Stream {
    /// The stream of a name under a seed.
    pub(super) fn new(name: &str, seed: u64) -> Self {
        let key = name.bytes().fold(mixed(seed.wrapping_add(STEP)), |key, byte| mixed(key ^ u64::from(byte)));
        Stream { state: key }
    }

    /// A number below `end`, which is not zero; every one is equally likely.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // Numbers of the last, incomplete round would favour small results.
        let rest = (u64::MAX % end + 1) % end;
        loop {
            self.state = self.state.wrapping_add(STEP);
            let number = mixed(self.state);
            if number <= u64::MAX - rest {
                return number % end;
            }
        }
    }

    /// Shuffles (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

fn mixed(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_name_and_seed() {
        let numbers = |name, seed| {
            let mut stream = Stream::new(name, seed);
            [(); 8].map(|()| stream.below(1_000_000))
        };
        assert_eq!(numbers("a", 1), numbers("a", 1));
        assert_ne!(numbers("a", 1), numbers("b", 1));
        assert_ne!(numbers("a", 1), numbers("a", 2));
    }

    #[test]
    fn numbers_are_spread_evenly() {
        let mut stream = Stream::new("even", 7);
        let mut counts = [0; 10];
        for _ in 0..10_000 {
            counts[stream.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| (900..1100).contains(&count)), "{counts:?}");
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Stream::new("shuffle", 3).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
