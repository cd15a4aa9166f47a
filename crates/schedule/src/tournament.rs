//! The smallest share among many holders that change one at a time.
//!
//! A binary heap would do, but each step down it waits for the comparison before it. Here the path from a holder to
//! the top is known beforehand, so that memory answers for all of it at once and nothing is guessed (Knuth, The Art of
//! Computer Programming 3, 5.4.1: trees of winners).

use crate::share::Share;

/// Holders numbered from 0, some of which take part with their shares.
#[derive(Debug, Clone)]
pub(crate) struct Tournament {
    /// The winner of each pair, the root being 1; the second half are the holders themselves.
    winners: Vec<(Share, usize)>,
}

/// No share is that large: the largest is 64 bits of rate, shifted by 64.
const VACANT: Share = Share::MAX;

impl Tournament {
    /// Of so many holders, none of which takes part.
    pub(crate) fn new(holders: usize) -> Self {
        Tournament { winners: vec![(VACANT, 0); holders.next_power_of_two() * 2] }
    }

    /// The smallest share and whose it is, the first of equals.
    pub(crate) fn first(&self) -> Option<(Share, usize)> {
        Some(self.winners[1]).filter(|winner| winner.0 != VACANT)
    }

    /// Lets a holder take part with a share, or no more.
    pub(crate) fn set(&mut self, holder: usize, share: Option<Share>) {
        let mut at = self.winners.len() / 2 + holder;
        self.winners[at] = (share.unwrap_or(VACANT), holder);
        while at > 1 {
            let left = at & !1;
            let right_wins = self.winners[left + 1].0 < self.winners[left].0;
            at /= 2;
            self.winners[at] = self.winners[left + usize::from(right_wins)];
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_is_the_smallest_of_those_that_take_part(
            steps in prop::collection::vec((0usize..7, prop::option::of(0u128..5)), 1..40),
        ) {
            let mut tournament = Tournament::new(7);
            let mut shares = [None; 7];
            for (holder, share) in steps {
                tournament.set(holder, share);
                shares[holder] = share;
                let naive = (0..7).filter_map(|holder| shares[holder].map(|share| (share, holder))).min();
                prop_assert_eq!(tournament.first(), naive);
            }
        }
    }

    #[test]
    fn one_holder_or_none_will_do() {
        assert_eq!(Tournament::new(0).first(), None);
        let mut one = Tournament::new(1);
        one.set(0, Some(VACANT - 1));
        assert_eq!(one.first(), Some((VACANT - 1, 0)));
        one.set(0, None);
        assert_eq!(one.first(), None);
    }
}
