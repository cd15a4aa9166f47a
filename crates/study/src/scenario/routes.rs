//! The way between two centres over links.

/// The least round trip over links between every two centres, in milliseconds (Floyd and Warshall); `None` where no links
/// lead.
pub(super) struct Routes(Vec<Vec<Option<f64>>>);

impl Routes {
    /// Of so many centres and these links, which go both ways.
    pub(super) fn new(centres: usize, links: &[(usize, usize, f64)]) -> Self {
        let mut best = vec![vec![None; centres]; centres];
        for (at, row) in best.iter_mut().enumerate() {
            row[at] = Some(0.0);
        }
        for &(from, to, round_trip_ms) in links {
            for (from, to) in [(from, to), (to, from)] {
                best[from][to] = shorter(best[from][to], Some(round_trip_ms));
            }
        }
        for through in 0..centres {
            for from in 0..centres {
                for to in 0..centres {
                    let (first, second) = (best[from][through], best[through][to]);
                    let joined = first.zip(second).map(|(first, second)| first + second);
                    best[from][to] = shorter(best[from][to], joined);
                }
            }
        }
        Routes(best)
    }

    /// There and back between two centres.
    pub(super) fn between(&self, from: usize, to: usize) -> Option<f64> {
        self.0[from][to]
    }
}

fn shorter(old: Option<f64>, new: Option<f64>) -> Option<f64> {
    match (old, new) {
        (Some(old), Some(new)) => Some(old.min(new)),
        (old, new) => old.or(new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_that_of_the_least_latency() {
        let routes = Routes::new(4, &[(0, 1, 10.0), (1, 2, 5.0), (0, 2, 30.0)]);
        assert_eq!((routes.between(0, 2), routes.between(2, 0)), (Some(15.0), Some(15.0)));
        assert_eq!((routes.between(1, 1), routes.between(0, 3)), (Some(0.0), None));
    }
}
