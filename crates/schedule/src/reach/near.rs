//! Whether a centre is near enough to those who use a job.

use huisuan_model::{Shape, spec::LatencyBound};

use super::Ways;

/// What a latency bound says of a centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Near {
    /// It is within it, or there is none.
    Within,
    /// It is farther, by the round trip in microseconds.
    Beyond(u64),
    /// No way is known.
    Unknown,
}

/// Whether `centre`, by its place in the order of ids, is within the bound of a shape.
pub fn near(ways: &Ways, centre: usize, shape: &Shape) -> Near {
    let Some(bound) = shape.reach.as_ref().and_then(|reach| reach.latency.as_ref()) else { return Near::Within };
    match round_trip_us(ways, centre, bound) {
        None => Near::Unknown,
        Some(us) if us > bound.round_trip_max.0.saturating_mul(1_000) => Near::Beyond(us),
        Some(_) => Near::Within,
    }
}

fn round_trip_us(ways: &Ways, centre: usize, bound: &LatencyBound) -> Option<u64> {
    match (&bound.to, &bound.place) {
        (Some(to), _) => Some(ways.between(ways.index(to)?, centre)?.round_trip_us),
        (None, Some(place)) => ways.from_place(place, centre),
        (None, None) => None,
    }
}
