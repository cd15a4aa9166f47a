//! The judge's own view of latency bounds: round trips are found by relaxing links until none helps (Bellman, Ford).

use huisuan_model::Shape;

use crate::snapshot::{CentreView, Snapshot};

/// Whether a shape has a latency bound that a centre does not meet.
pub(super) fn broken(snapshot: &Snapshot, shape: &Shape, centre: &CentreView) -> bool {
    let Some(bound) = shape.reach.as_ref().and_then(|reach| reach.latency.clone()) else { return false };
    let round_trip_us = match (bound.to, bound.place) {
        (Some(to), _) => {
            let users = snapshot.centres.iter().position(|known| known.id == to);
            let here = snapshot.centres.iter().position(|known| known.id == centre.id);
            users.zip(here).and_then(|(users, here)| round_trip_us(snapshot, users, here))
        }
        (None, Some(place)) => centre.place.map(|here| u128::from(place.round_trip_us_least(&here))),
        (None, None) => None,
    };
    round_trip_us.is_none_or(|us| us > u128::from(bound.round_trip_max.0) * 1_000)
}

/// Over declared links where any lead there, else along the ground between declared places.
fn round_trip_us(snapshot: &Snapshot, from: usize, to: usize) -> Option<u128> {
    let centres = &snapshot.centres;
    let mut best: Vec<Option<u128>> = vec![None; centres.len()];
    best[from] = Some(0);
    for _ in 0..centres.len() {
        for (one, other, us) in links(centres) {
            let over = best[one].map(|known| known + u128::from(us));
            best[other] = [best[other], over].into_iter().flatten().min();
        }
    }
    let ground = || Some(u128::from(centres[from].place?.round_trip_us_least(&centres[to].place?)));
    best[to].or_else(ground)
}

/// Every direction of every link: declared ones, and the way back of those whose other end declares none.
fn links(centres: &[CentreView]) -> Vec<(usize, usize, u64)> {
    let declared = |from: &CentreView, to: &CentreView| {
        let links = from.facts.as_ref().map_or(&[][..], |facts| &facts.links);
        links.iter().find(|link| link.to == to.id).map(|link| link.round_trip_us)
    };
    let mut links = Vec::new();
    for (one, from) in centres.iter().enumerate() {
        for (other, to) in centres.iter().enumerate() {
            links.extend(declared(from, to).or_else(|| declared(to, from)).map(|us| (one, other, us)));
        }
    }
    links
}
