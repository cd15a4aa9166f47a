//! Which CPUs an attempt gets. Whole cores are given whole; parts of a core share one where they can.

use huisuan_model::Millicores;

/// A whole core in millicores.
const WHOLE: u64 = 1000;

/// The free part of every CPU of the share.
///
/// The sum of all free parts decides whether a request fits, as it does in the network's books: a
/// request is never refused because the free parts lie on different CPUs.
#[derive(Debug, Clone)]
pub(crate) struct Cores {
    /// CPU number and its free millicores, 0 to 1000, in rising order of the number.
    free: Vec<(usize, u64)>,
}

/// What an attempt holds: CPU numbers, each with millicores of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) parts: Vec<(usize, u64)>,
}

impl Share {
    /// The CPUs that it may run on.
    pub(crate) fn cpus(&self) -> Vec<usize> {
        self.parts.iter().map(|part| part.0).collect()
    }
}

impl Cores {
    pub(crate) fn new(cpus: &[usize]) -> Self {
        Cores { free: cpus.iter().map(|&cpu| (cpu, WHOLE)).collect() }
    }

    /// All millicores of the share, free or not.
    pub(crate) fn capacity(&self) -> u64 {
        self.free.len() as u64 * WHOLE
    }

    /// Free millicores of all CPUs together.
    pub(crate) fn free(&self) -> u64 {
        self.free.iter().map(|cpu| cpu.1).sum()
    }

    /// Takes `cores`; `None` when there is not that much.
    pub(crate) fn take(&mut self, cores: Millicores) -> Option<Share> {
        let mut left = cores.0;
        if left > self.free() {
            return None;
        }
        let mut share = Share::default();
        while left >= WHOLE
            && let Some(cpu) = self.free.iter_mut().find(|cpu| cpu.1 == WHOLE)
        {
            give(cpu, WHOLE, &mut share);
            left -= WHOLE;
        }
        // The fullest CPU that still holds the rest, so that whole CPUs stay whole.
        if left > 0
            && left < WHOLE
            && let Some(cpu) = self.free.iter_mut().filter(|cpu| cpu.1 >= left).min_by_key(|cpu| cpu.1)
        {
            give(cpu, left, &mut share);
            left = 0;
        }
        // What is left lies in pieces: the largest first, for the fewest CPUs.
        while left > 0 {
            let cpu =
                self.free.iter_mut().filter(|cpu| cpu.1 > 0).max_by_key(|cpu| (cpu.1, std::cmp::Reverse(cpu.0)))?;
            let part = cpu.1.min(left);
            give(cpu, part, &mut share);
            left -= part;
        }
        Some(share)
    }

    /// Takes what is there of `cores`, for an attempt that runs already.
    pub(crate) fn take_up_to(&mut self, cores: Millicores) -> Share {
        self.take(Millicores(cores.0.min(self.free()))).unwrap_or_default()
    }

    /// Gives a share back.
    pub(crate) fn give_back(&mut self, share: &Share) {
        for &(number, part) in &share.parts {
            if let Some(cpu) = self.free.iter_mut().find(|cpu| cpu.0 == number) {
                cpu.1 = (cpu.1 + part).min(WHOLE);
            }
        }
    }
}

fn give(cpu: &mut (usize, u64), part: u64, share: &mut Share) {
    cpu.1 -= part;
    share.parts.push((cpu.0, part));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_are_whole_where_they_can_be() {
        let mut cores = Cores::new(&[2, 3, 5]);
        let check = |cores: &mut Cores, wanted: u64, expected: Option<&[(usize, u64)]>| {
            let share = cores.take(Millicores(wanted));
            assert_eq!(share.as_ref().map(|share| share.parts.as_slice()), expected, "{wanted}");
            share
        };
        check(&mut cores, 500, Some(&[(2, 500)]));
        check(&mut cores, 1000, Some(&[(3, 1000)]));
        check(&mut cores, 400, Some(&[(2, 400)]));
        let split = check(&mut cores, 1100, Some(&[(5, 1000), (2, 100)]));
        check(&mut cores, 1, None);
        cores.give_back(&split.expect("taken above"));
        check(&mut cores, 600, Some(&[(5, 600)]));
        check(&mut cores, 500, Some(&[(5, 400), (2, 100)]));
        assert_eq!(cores.free(), 0);
    }

    proptest! {
        #[test]
        fn what_fits_by_sum_is_given_and_nothing_is_given_twice(
            steps in prop::collection::vec((any::<bool>(), 1u64..2500), 1..80)
        ) {
            let mut cores = Cores::new(&[0, 1, 7]);
            let mut held: Vec<Share> = Vec::new();
            for (take, amount) in steps {
                let before = cores.free();
                if take {
                    let share = cores.take(Millicores(amount));
                    prop_assert_eq!(share.is_some(), amount <= before);
                    if let Some(share) = share {
                        prop_assert_eq!(share.parts.iter().map(|part| part.1).sum::<u64>(), amount);
                        prop_assert_eq!(cores.free(), before - amount);
                        held.push(share);
                    }
                } else if !held.is_empty() {
                    let share = held.remove(usize::try_from(amount).unwrap_or(0) % held.len());
                    cores.give_back(&share);
                }
                for cpu in [0, 1, 7] {
                    let used: u64 = held.iter().flat_map(|s| &s.parts).filter(|p| p.0 == cpu).map(|p| p.1).sum();
                    prop_assert!(used <= 1000);
                }
            }
            held.iter().for_each(|share| cores.give_back(share));
            prop_assert_eq!(cores.free(), cores.capacity());
        }
    }
}
