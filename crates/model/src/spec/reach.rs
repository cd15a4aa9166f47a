//! Where in the network a job may and wants to run: what is near to it, and what it minds.

use serde::{Deserialize, Serialize};

use super::{JobSpec, SpecError, check, limits};
use crate::{
    ids::CentreId,
    place::Place,
    quantity::{Bytes, DurationMs},
};

/// Data that lies at a centre.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Where it lies.
    pub at: CentreId,
    /// How much of it each task reads.
    pub bytes: Bytes,
}

/// The longest round trip to a centre or a place: one of both is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyBound {
    /// Milliseconds of round trip.
    pub round_trip_max: DurationMs,
    /// The centre next to the users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<CentreId>,
    /// Where the users are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// What to prefer among feasible places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// A compromise of all.
    #[default]
    Balanced,
    /// The earliest end.
    Soonest,
    /// The lowest cost.
    Cheapest,
    /// The least carbon.
    Greenest,
}

/// What does not depend on a network.
pub(super) fn validate(spec: &JobSpec) -> Result<(), SpecError> {
    if let Some(LatencyBound { round_trip_max, to, place }) = &spec.latency {
        let ends = usize::from(to.is_some()) + usize::from(place.is_some());
        check(ends == 1, "latency", format_args!("to {ends} ends"), "either `to` a centre or from a `place`")?;
        let good = (1..=60_000).contains(&round_trip_max.0);
        check(good, "latency.round_trip", format_args!("{} ms", round_trip_max.0), "1 ms to a minute")?;
        check(place.is_none_or(|place| place.valid()), "latency.place", "off the globe", "-90 to 90 and -180 to 180")?;
    }
    let readings = spec.reads.len();
    check(readings <= limits::READS_MAX, "reads", format_args!("{readings} entries"), "at most 16 centres")?;
    let sorted = spec.reads.windows(2).all(|pair| pair[0].at < pair[1].at);
    check(sorted, "reads", "centres out of order", "each centre once, in the order of names")?;
    let bytes = spec.reads.iter().map(|reading| reading.bytes.0).max().unwrap_or(0);
    check(bytes <= limits::READ_BYTES_MAX, "reads", format_args!("{bytes} bytes"), "at most 1 EiB from one centre")
}
