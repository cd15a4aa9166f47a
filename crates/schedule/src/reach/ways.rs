//! The best way between any two centres.
//!
//! Over declared links the round trips add up, and the way of the least is taken. A link goes both ways unless its
//! other end declares its own. Where no links lead, the distance of two declared places gives the least round trip
//! that fibre along the ground could have ([`Place::round_trip_us_least`]): a bound, not a promise, and marked so.

use huisuan_model::{CentreId, Mark, Place};

use crate::snapshot::CentreView;

/// How one gets from a centre to another and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// There and back, in microseconds.
    pub round_trip_us: u64,
    /// What its narrowest link carries, in bytes a second; `None` where no links lead, and at the centre itself.
    pub bytes_per_s: Option<u64>,
    /// What 10^9 bytes cost over it, in millionths.
    pub price_per_gb: i64,
    /// `declared` over links, `modelled` along the ground.
    pub mark: Mark,
}

impl Way {
    const HERE: Way = Way { round_trip_us: 0, bytes_per_s: None, price_per_gb: 0, mark: Mark::Declared };

    /// This way and then another; the order in which equal ways are told apart is that of round trips alone.
    fn then(&self, next: &Way) -> Way {
        let narrowest = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Way {
            round_trip_us: self.round_trip_us + next.round_trip_us,
            bytes_per_s: narrowest(self.bytes_per_s, next.bytes_per_s),
            price_per_gb: self.price_per_gb.saturating_add(next.price_per_gb),
            mark: Mark::Declared,
        }
    }

    fn rank(&self) -> (u64, i64) {
        (self.round_trip_us, self.price_per_gb)
    }
}

/// The ways between all centres of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ways {
    ids: Vec<CentreId>,
    places: Vec<Option<Place>>,
    /// `between[from * centres + to]`.
    between: Vec<Option<Way>>,
}

impl Ways {
    /// Of these centres, which are in the order of their ids.
    pub fn new(centres: &[CentreView]) -> Self {
        let count = centres.len();
        let ids: Vec<CentreId> = centres.iter().map(|centre| centre.id.clone()).collect();
        let mut between = vec![None; count * count];
        for (from, centre) in centres.iter().enumerate() {
            between[from * count + from] = Some(Way::HERE);
            for link in centre.facts.iter().flat_map(|facts| &facts.links) {
                // A link to a centre that is not known leads nowhere yet.
                let Ok(to) = ids.binary_search(&link.to) else { continue };
                let way = Way {
                    round_trip_us: link.round_trip_us,
                    bytes_per_s: Some(link.bytes_per_s),
                    price_per_gb: link.price_per_gb.0,
                    mark: Mark::Declared,
                };
                between[from * count + to] = Some(way);
                let own = centres[to].facts.iter().flat_map(|facts| &facts.links).any(|back| back.to == centre.id);
                if !own {
                    between[to * count + from] = Some(way);
                }
            }
        }
        let places = centres.iter().map(|centre| centre.place).collect();
        let mut ways = Ways { ids, places, between };
        ways.join();
        ways.bridge();
        ways
    }

    /// The way from one centre to another, by their places in the order of ids.
    pub fn between(&self, from: usize, to: usize) -> Option<Way> {
        self.between[from * self.ids.len() + to]
    }

    /// The place of a centre in the order of ids.
    pub fn index(&self, id: &CentreId) -> Option<usize> {
        self.ids.binary_search(id).ok()
    }

    /// The least round trip from a place to a centre, in microseconds; `None` where the centre's place is not known.
    pub fn from_place(&self, place: &Place, to: usize) -> Option<u64> {
        self.places[to].map(|there| place.round_trip_us_least(&there))
    }

    /// Ways over several links (Floyd and Warshall): a network has dozens of centres.
    fn join(&mut self) {
        let count = self.ids.len();
        for through in 0..count {
            for from in 0..count {
                let Some(first) = self.between[from * count + through].filter(|_| from != through) else { continue };
                for to in 0..count {
                    let Some(second) = self.between[through * count + to].filter(|_| to != through) else { continue };
                    let joined = first.then(&second);
                    let known = &mut self.between[from * count + to];
                    if known.is_none_or(|known| joined.rank() < known.rank()) {
                        *known = Some(joined);
                    }
                }
            }
        }
    }

    /// Where no links lead, the distance.
    fn bridge(&mut self) {
        let count = self.ids.len();
        for (from, one) in self.places.iter().enumerate() {
            for (to, other) in self.places.iter().enumerate() {
                let way = &mut self.between[from * count + to];
                if let (None, Some(one), Some(other)) = (*way, one, other) {
                    let round_trip_us = one.round_trip_us_least(other);
                    *way = Some(Way { round_trip_us, bytes_per_s: None, price_per_gb: 0, mark: Mark::Modelled });
                }
            }
        }
    }
}
