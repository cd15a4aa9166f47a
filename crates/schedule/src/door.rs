//! What can never run is refused at the door, with what is missing at every centre.
//!
//! Refused is what no known centre could run even when it is empty. What may yet become possible waits: while no
//! centre of the class is known, while one of those in question has not told its pools or has an unrated one that
//! would do. Whether a centre is paused or busy does not matter here.

use std::fmt;

use huisuan_model::{
    Bytes, CentreId, Millicores, Shape,
    spec::{LatencyBound, Need},
};

use crate::{
    domain,
    fit::{self, Answer, Demand},
    load::Load,
    reach::{Near, Ways, near},
    snapshot::{CentreView, PoolView},
};

/// Why no known centre could ever run a task of a shape, or the whole gang.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct NeverFits {
    /// What every centre in question lacks, in the order of their names.
    pub centres: Vec<(CentreId, String)>,
    /// What to change.
    pub hint: String,
}

impl fmt::Display for NeverFits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (centre, text) in &self.centres {
            write!(f, "{centre}: {text}; ")?;
        }
        write!(f, "hint: {}", self.hint)
    }
}

/// The most known centres that a hint lists.
const CENTRES_LISTED_MAX: usize = 20;

/// Whether a job of this shape is to be refused because it could never run; `None` lets it in. `centres` are all
/// known ones in the order of their ids; what is used of them does not matter.
pub fn never_fits(centres: &[CentreView], shape: &Shape) -> Option<NeverFits> {
    if centres.is_empty() {
        return None;
    }
    let unknown = |name: &&CentreId| centres.iter().all(|centre| centre.id != **name);
    let reach = shape.reach.as_deref();
    let users = reach.and_then(|reach| reach.latency.as_ref()?.to.as_ref());
    let homes = reach.into_iter().flat_map(|reach| &reach.reads).map(|reading| &reading.at);
    let unknown: Vec<&CentreId> = shape.centres.iter().chain(users).chain(homes).filter(unknown).collect();
    if let Some(first) = unknown.first() {
        let hint = known(first, centres);
        return Some(NeverFits {
            centres: unknown.iter().map(|id| ((*id).clone(), "is not known".to_owned())).collect(),
            hint,
        });
    }
    let mut lacks = Vec::new();
    let bound = reach.and_then(|reach| reach.latency.as_ref());
    let ways = bound.map(|_| Ways::of(centres));
    let mut far = false;
    for (at, centre) in centres.iter().enumerate().filter(|(_, centre)| fit::named(&centre.id, shape)) {
        let away = ways.as_ref().zip(bound).and_then(|(ways, bound)| too_far(ways, at, shape, bound));
        match shape.class {
            Some(class) if class != centre.class => {
                // Without a list of centres, one of the class may join; with one, the list and the class disagree.
                if !shape.centres.is_empty() {
                    lacks.push((centre.id.clone(), format!("is of class {}, the job asks for {class}", centre.class)));
                }
            }
            _ => match (missing(centre, shape), away) {
                (Some(lack), _) => lacks.push((centre.id.clone(), lack)),
                (None, Some(away)) => {
                    far = true;
                    lacks.push((centre.id.clone(), away));
                }
                (None, None) => return None,
            },
        }
    }
    let hint = match &shape.gang {
        _ if shape.image && centres.iter().all(|centre| centre.pools.iter().all(|pool| !pool.pool.images)) => {
            "no centre runs container images: leave `image` out, or ask an operator for podman at a centre"
        }
        _ if far => "allow a longer round trip, or have the operator declare places and links (`huisuan network set`)",
        Some(_) if shape.topology.is_some() => {
            "ask for a wider domain (`topology: {required: pod}`), for none (`topology: preferred`), or for fewer tasks"
        }
        Some(_) => "ask for fewer tasks or less for each, or let them start one by one without gang",
        None => "ask for less for each task, or allow other centres or classes",
    };
    if lacks.is_empty() { None } else { Some(NeverFits { centres: lacks, hint: hint.to_owned() }) }
}

/// How far a centre is beyond a latency bound; `None` when it is within.
fn too_far(ways: &Ways, centre: usize, shape: &Shape, bound: &LatencyBound) -> Option<String> {
    let users = bound.to.as_ref().map_or_else(|| "its users".to_owned(), ToString::to_string);
    match near(ways, centre, shape) {
        Near::Within => None,
        Near::Beyond(us) => {
            let (away, most) = (thousandths(us), bound.round_trip_max.0);
            Some(format!("is {away} ms there and back from {users}, the job allows {most} ms"))
        }
        Near::Unknown => Some(format!("has no known way from {users}, and the job bounds its latency")),
    }
}

/// What a centre lacks; `None` when it could run the shape now or might once its pools are told and rated.
fn missing(centre: &CentreView, shape: &Shape) -> Option<String> {
    let mut nearest: Option<(u64, &PoolView, Demand)> = None;
    let (mut narrow, mut unconnected) = (None, None);
    for pool in &centre.pools {
        match fit::answer(&pool.pool, shape) {
            Answer::Fits(_) | Answer::Unrated => return None,
            Answer::TooSmall(demand) => {
                let share = share_ppm(pool, &demand);
                if nearest.is_none_or(|(least, ..)| share < least) {
                    nearest = Some((share, pool, demand));
                }
            }
            Answer::TooNarrow(demand) => narrow = narrow.or_else(|| Some(domain::lack(&pool.pool, shape, &demand))),
            Answer::Unconnected => unconnected = unconnected.or(Some(&pool.pool.id)),
            Answer::OtherKind | Answer::NoImages => {}
        }
    }
    let unconnected = unconnected.zip(shape.topology).map(|(id, level)| {
        format!("needs one {level} for all tasks, and does not tell which nodes of pool {id} are in one")
    });
    if let Some(lack) = narrow.or(unconnected) {
        return Some(lack);
    }
    if shape.image && !centre.pools.is_empty() && centre.pools.iter().all(|pool| !pool.pool.images) {
        return Some("runs no container images".to_owned());
    }
    match nearest {
        Some((_, pool, demand)) => Some(lack(pool, &demand, shape.gang)),
        None if centre.pools.is_empty() => None,
        None => Some(other_kind(centre, shape)),
    }
}

/// The scarcest resource: what one task needs, in millionths of the whole pool.
fn share_ppm(pool: &PoolView, demand: &Demand) -> u64 {
    let dimensions = Load::of(pool).dimensions(demand);
    let share = |need, has: u64| huisuan_model::quantity::mul_div(need, 1_000_000, has.max(1));
    dimensions.iter().map(|one| share(one.need, one.has)).max().unwrap_or(0)
}

/// The first resource that an empty pool has too little of.
fn lack(pool: &PoolView, demand: &Demand, gang: Option<u32>) -> String {
    let times = gang.map_or_else(String::new, |tasks| format!("{tasks} x "));
    let tasks = u64::from(gang.unwrap_or(1));
    let (id, has) = (&pool.pool.id, &pool.pool);
    let short = |need: u64, has: u64| need.saturating_mul(tasks) > has;
    if short(demand.devices.0, has.devices.0) {
        let (need, has) = (thousandths(demand.devices.0), thousandths(has.devices.0));
        return format!("needs {times}{need} devices, pool {id} has {has}");
    }
    if short(demand.cores.0, has.cores.0) {
        let (need, has) = (cores(demand.cores), cores(has.cores));
        return format!("needs {times}{need} cores, pool {id} has {has}");
    }
    format!("needs {times}{} of memory, pool {id} has {}", memory(demand.memory), memory(has.memory))
}

fn other_kind(centre: &CentreView, shape: &Shape) -> String {
    let pools: Vec<&str> = centre.pools.iter().map(|pool| pool.pool.id.as_str()).collect();
    let wants = match &shape.need {
        Need::Rate { class, .. } => format!("a pool rated in class {class}{}", device_memory(&shape.need)),
        Need::Hardware { devices: None, .. } => "a pool without devices".to_owned(),
        Need::Hardware { devices: Some(need), .. } if need.any_of.is_empty() => {
            format!("devices{}", device_memory(&shape.need))
        }
        Need::Hardware { devices: Some(need), .. } => {
            let names: Vec<&str> = need.any_of.iter().map(|id| id.as_str()).collect();
            format!("devices {}{}", names.join(" or "), device_memory(&shape.need))
        }
    };
    format!("needs {wants}, has pool {}", pools.join(", "))
}

fn device_memory(need: &Need) -> String {
    let least = match need {
        Need::Rate { device_memory_min, .. } => *device_memory_min,
        Need::Hardware { devices, .. } => devices.as_ref().map_or(Bytes::ZERO, |need| need.memory_min),
    };
    if least.is_zero() { String::new() } else { format!(" with {} of memory each", memory(least)) }
}

/// `did you mean ...` where a known name is near, and the known names.
fn known(name: &CentreId, centres: &[CentreView]) -> String {
    let near = |centre: &&CentreView| distance(name.as_str(), centre.id.as_str());
    let nearest = centres.iter().min_by_key(near).filter(|centre| near(centre) <= 2);
    let question = nearest.map_or_else(String::new, |centre| format!("did you mean `{}`? ", centre.id));
    let names: Vec<&str> = centres.iter().take(CENTRES_LISTED_MAX).map(|centre| centre.id.as_str()).collect();
    let more = centres.len().saturating_sub(CENTRES_LISTED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{question}known centres: {}{more}", names.join(", "))
}

/// How many characters must be put in, taken out or changed to make one name the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, a) in one.chars().enumerate() {
        let mut corner = row[0];
        row[0] = above + 1;
        for (left, b) in other.iter().enumerate() {
            let changed = corner + usize::from(a != *b);
            corner = row[left + 1];
            row[left + 1] = changed.min(corner + 1).min(row[left] + 1);
        }
    }
    row[other.len()]
}

fn cores(amount: Millicores) -> String {
    thousandths(amount.0)
}

/// A number of thousandths as a decimal number without trailing zeros.
fn thousandths(amount: u64) -> String {
    let text = format!("{}.{:03}", amount / 1000, amount % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Bytes in the largest unit that gives at least one, with one decimal digit, rounded down.
fn memory(amount: Bytes) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        let whole = amount.0 >> shift;
        if whole > 0 {
            let tenths = ((amount.0 >> (shift - 10)) & 1023) * 10 / 1024;
            return if tenths == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenths} {unit}") };
        }
    }
    format!("{} bytes", amount.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_for_people() {
        for (amount, text) in [(0, "0"), (64_000, "64"), (500, "0.5"), (1_001, "1.001"), (10_010, "10.01")] {
            assert_eq!(thousandths(amount), text);
        }
        for (amount, text) in [(17, "17 bytes"), (2 << 30, "2 GiB"), (3 << 29, "1.5 GiB"), (1 << 50, "1024 TiB")] {
            assert_eq!(memory(Bytes(amount)), text);
        }
    }

    #[test]
    fn distance_counts_edits() {
        for (one, other, edits) in
            [("", "", 0), ("hpc-1", "hpc-1", 0), ("hpc1", "hpc-1", 1), ("pch-1", "hpc-1", 2), ("", "abc", 3)]
        {
            assert_eq!(distance(one, other), edits, "{one} {other}");
            assert_eq!(distance(other, one), edits, "{other} {one}");
        }
    }
}
