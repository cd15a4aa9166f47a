//! The best way between any two centres.
//!
//! Over declared links the round trips add up, and the way of the least is taken. A link goes both ways unless its
//! other end declares its own. Where no links lead, the distance of two declared places gives the least round trip
//! that fibre along the ground could have ([`Place::round_trip_us_least`]): a bound, not a promise, and marked so.

use huisuan_model::{CentreId, Facts, Mark, Place};

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
    /// Over how many links it leads; none along the ground.
    pub links: u32,
    /// `declared` over links, `modelled` along the ground.
    pub mark: Mark,
}

impl Way {
    const HERE: Way = Way { round_trip_us: 0, bytes_per_s: None, price_per_gb: 0, links: 0, mark: Mark::Declared };

    /// This way and then another.
    fn then(&self, next: &Way) -> Way {
        let narrowest = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Way {
            round_trip_us: self.round_trip_us + next.round_trip_us,
            bytes_per_s: narrowest(self.bytes_per_s, next.bytes_per_s),
            price_per_gb: self.price_per_gb.saturating_add(next.price_per_gb),
            links: self.links + next.links,
            mark: Mark::Declared,
        }
    }

    /// What makes one way better than another. With the links in it every part of a best way is a best way, and the
    /// rest of it is better than the whole: so [`Ways::path`] ends.
    fn rank(&self) -> (u64, i64, u32) {
        (self.round_trip_us, self.price_per_gb, self.links)
    }
}

/// A centre with what is declared of it.
pub type Declared<'a> = (&'a CentreId, Option<Place>, Option<&'a Facts>);

/// The ways between all centres of a network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ways {
    ids: Vec<CentreId>,
    places: Vec<Option<Place>>,
    /// `between[from * centres + to]`.
    between: Vec<Option<Way>>,
    /// The centre at the end of the first link of the way, in the same order.
    first: Vec<Option<usize>>,
}

impl Ways {
    /// Of the centres of a snapshot.
    pub fn of(centres: &[CentreView]) -> Self {
        let sites = centres.iter().map(|centre| (&centre.id, centre.place, centre.facts.as_deref()));
        Ways::new(&sites.collect::<Vec<_>>())
    }

    /// Of these centres, which are in the order of their ids.
    pub fn new(sites: &[Declared<'_>]) -> Self {
        let count = sites.len();
        let ids: Vec<CentreId> = sites.iter().map(|(id, ..)| (*id).clone()).collect();
        let (mut between, mut first) = (vec![None; count * count], vec![None; count * count]);
        for (from, (id, _, facts)) in sites.iter().enumerate() {
            between[from * count + from] = Some(Way::HERE);
            for link in facts.iter().flat_map(|facts| &facts.links) {
                // A link to a centre that is not known leads nowhere yet.
                let Ok(to) = ids.binary_search(&link.to) else { continue };
                let way = Way {
                    round_trip_us: link.round_trip_us,
                    bytes_per_s: Some(link.bytes_per_s),
                    price_per_gb: link.price_per_gb.0,
                    links: 1,
                    mark: Mark::Declared,
                };
                (between[from * count + to], first[from * count + to]) = (Some(way), Some(to));
                let own = sites[to].2.iter().flat_map(|facts| &facts.links).any(|back| back.to == **id);
                if !own {
                    (between[to * count + from], first[to * count + from]) = (Some(way), Some(from));
                }
            }
        }
        let places = sites.iter().map(|(_, place, _)| *place).collect();
        let mut ways = Ways { ids, places, between, first };
        ways.join();
        ways.bridge();
        ways
    }

    /// The way from one centre to another, by their places in the order of ids.
    pub fn between(&self, from: usize, to: usize) -> Option<Way> {
        self.between[from * self.ids.len() + to]
    }

    /// The centres on the way from one to another, both of them included, by their places in the order of ids; `None`
    /// where no links lead. Each link of it is the best way between its two ends.
    pub fn path(&self, from: usize, to: usize) -> Option<Vec<usize>> {
        let mut path = vec![from];
        let mut at = from;
        while at != to {
            at = self.first[at * self.ids.len() + to]?;
            path.push(at);
        }
        Some(path)
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
                        self.first[from * count + to] = self.first[from * count + through];
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
                    *way =
                        Some(Way { round_trip_us, bytes_per_s: None, price_per_gb: 0, links: 0, mark: Mark::Modelled });
                }
            }
        }
    }
}
