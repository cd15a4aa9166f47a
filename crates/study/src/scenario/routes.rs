//! The way between two centres over links.

/// The best way between two centres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Route {
    /// There and back, in milliseconds.
    pub(super) round_trip_ms: f64,
    /// What the narrowest link of the way carries.
    pub(super) gbit_per_s: f64,
}

/// The way of the least latency between every two centres (Floyd and Warshall); `None` where there is none.
pub(super) struct Routes(Vec<Vec<Option<Route>>>);

impl Routes {
    /// Of so many centres and these links, which go both ways.
    pub(super) fn new(centres: usize, links: &[(usize, usize, Route)]) -> Self {
        let mut best = vec![vec![None; centres]; centres];
        for (at, row) in best.iter_mut().enumerate() {
            row[at] = Some(Route { round_trip_ms: 0.0, gbit_per_s: f64::INFINITY });
        }
        for &(from, to, route) in links {
            for (from, to) in [(from, to), (to, from)] {
                best[from][to] = shorter(best[from][to], Some(route));
            }
        }
        for through in 0..centres {
            for from in 0..centres {
                for to in 0..centres {
                    let (first, second) = (best[from][through], best[through][to]);
                    let joined = first.zip(second).map(|(first, second)| Route {
                        round_trip_ms: first.round_trip_ms + second.round_trip_ms,
                        gbit_per_s: first.gbit_per_s.min(second.gbit_per_s),
                    });
                    best[from][to] = shorter(best[from][to], joined);
                }
            }
        }
        Routes(best)
    }

    /// The way from one centre to another.
    pub(super) fn between(&self, from: usize, to: usize) -> Option<Route> {
        self.0[from][to]
    }
}

fn shorter(old: Option<Route>, new: Option<Route>) -> Option<Route> {
    match (old, new) {
        (Some(old), Some(new)) if old.round_trip_ms <= new.round_trip_ms => Some(old),
        (old, None) => old,
        (_, new) => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_that_of_the_least_latency() {
        let route = |round_trip_ms, gbit_per_s| Route { round_trip_ms, gbit_per_s };
        let links = [(0, 1, route(10.0, 100.0)), (1, 2, route(5.0, 40.0)), (0, 2, route(30.0, 400.0))];
        let routes = Routes::new(4, &links);
        assert_eq!(routes.between(0, 2), Some(route(15.0, 40.0)));
        assert_eq!(routes.between(2, 0), Some(route(15.0, 40.0)));
        assert_eq!(routes.between(1, 1).map(|route| route.round_trip_ms), Some(0.0));
        assert_eq!(routes.between(0, 3), None);
    }
}
