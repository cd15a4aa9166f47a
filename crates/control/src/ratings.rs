//! Whether a rating is believed. A site may be hacked or mistaken, and what it says is sold: what cannot be true is
//! kept apart with its reason until an operator has looked or the pool is measured again.

use huisuan_model::{
    Alarm, AlarmKind, Centre, CentreId, Doubt, Event, GflopPerS, Mark, Pool, PoolId, Rating, TimeMs, quantity::mul_div,
};

use crate::{refusal::Refusal, state::State};

/// A sustained rate may pass the nameplate by this: clocks are told rounded.
const NAMEPLATE_SLACK_PERCENT: u64 = 2;
/// Fewer other pools of the part say nothing.
const PEERS_MIN: usize = 2;
/// A device may reach this much of the median of its peers; one part number is one chip, and clocks vary little.
const DEVICE_OVER_PEERS_PERCENT: u64 = 125;
/// A core may reach more: virtual machines hide clock and part, and a core may be half of one.
const CORE_OVER_PEERS_PERCENT: u64 = 250;

/// Why a new rating of a known pool is not believed; what the door found comes first.
pub(crate) fn doubt(state: &State, centre: &CentreId, pool: &Pool, rating: &Rating) -> Option<Doubt> {
    if rating.doubt.is_some() {
        return rating.doubt.clone();
    }
    let known = state.centres.get(centre)?;
    other_key(known, rating).or_else(|| above_nameplate(rating)).or_else(|| above_peers(state, centre, pool, rating))
}

/// Once a centre has signed a rating, all of its ratings are signed, and by the same key.
fn other_key(centre: &Centre, rating: &Rating) -> Option<Doubt> {
    let known = centre.rating_key.as_ref()?;
    let key = rating.certificate.as_ref().map(|certificate| &certificate.key);
    (key != Some(known)).then(|| Doubt::OtherKey { known: known.clone() })
}

fn above_nameplate(rating: &Rating) -> Option<Doubt> {
    let own = (rating.sustained, rating.nameplate);
    let certified = rating.certificate.iter().flat_map(|certificate| &certificate.rates);
    let pairs = certified.filter_map(|rate| Some((rate.sustained?, rate.nameplate?)));
    let above = |(sustained, nameplate): &(GflopPerS, GflopPerS)| {
        nameplate.0 > 0
            && u128::from(sustained.0) * 100 > u128::from(nameplate.0) * u128::from(100 + NAMEPLATE_SLACK_PERCENT)
    };
    let (sustained, nameplate) = pairs.chain([own]).find(above)?;
    (rating.mark == Mark::Measured).then_some(Doubt::AboveNameplate { sustained, nameplate })
}

/// Compares with what other centres measured on the same part by the same method.
fn above_peers(state: &State, centre: &CentreId, pool: &Pool, rating: &Rating) -> Option<Doubt> {
    let each_mflops = each_mflops(pool, rating).filter(|_| rating.mark == Mark::Measured)?;
    let others = state.centres.values().filter(|other| other.id != *centre);
    let mut peers: Vec<u64> = others
        .filter_map(|other| other.pools.get(&pool.id))
        .filter(|other| other.class == pool.class)
        .filter_map(|other| Some((other, other.rating.as_ref()?)))
        .filter(|(_, theirs)| theirs.trusted() && theirs.mark == Mark::Measured && theirs.method == rating.method)
        .filter_map(|(other, theirs)| self::each_mflops(other, theirs))
        .collect();
    if peers.len() < PEERS_MIN {
        return None;
    }
    peers.sort_unstable();
    let median_mflops = peers[peers.len() / 2];
    let percent = if pool.devices.is_zero() { CORE_OVER_PEERS_PERCENT } else { DEVICE_OVER_PEERS_PERCENT };
    let above = u128::from(each_mflops) * 100 > u128::from(median_mflops) * u128::from(percent);
    let peers = u32::try_from(peers.len()).unwrap_or(u32::MAX);
    above.then_some(Doubt::AbovePeers { each_mflops, median_mflops, peers })
}

/// The rate of one device, or of one core, in MFLOP/s. Cores and devices are counted in thousandths.
fn each_mflops(pool: &Pool, rating: &Rating) -> Option<u64> {
    let thousandths = if pool.devices.is_zero() { pool.cores.0 } else { pool.devices.0 };
    (thousandths > 0).then(|| mul_div(rating.sustained.0, 1_000_000, thousandths))
}

/// A rate that is measured again may differ from the last by this much: machines are not alone with themselves.
const CHANGE_PERCENT: u64 = 20;

/// The alarms that a new rating of a pool raises, and those that are over by it. The rate counts all the same: it is
/// what was measured. Whoever operates the network has to know why.
pub(crate) fn alarms(pool: &Pool, rating: &Rating) -> (Vec<Alarm>, Vec<(AlarmKind, String)>) {
    if rating.mark != Mark::Measured || rating.doubt.is_some() {
        return (Vec::new(), Vec::new());
    }
    let mut cleared = vec![(AlarmKind::MeasurementIgnored, pool.id.to_string())];
    let Some(detail) = pool.rating.as_ref().and_then(|before| changed(before, rating)) else {
        return (Vec::new(), cleared);
    };
    // What was said of an earlier change is old.
    cleared.push((AlarmKind::RateChanged, pool.id.to_string()));
    let alarm = Alarm { kind: AlarmKind::RateChanged, subject: pool.id.to_string(), detail, since: TimeMs(0) };
    (vec![alarm], cleared)
}

/// How far a rate is from the one before, where that was measured in the same way and the difference is large.
fn changed(before: &Rating, rating: &Rating) -> Option<String> {
    let (old, new) = (before.sustained.0, rating.sustained.0);
    // What is merely too old was believed.
    let believed = matches!(before.doubt, None | Some(Doubt::Expired { .. }));
    let alike = believed && before.mark == Mark::Measured && before.method == rating.method && old > 0;
    let percent = mul_div(old.abs_diff(new), 100, old.max(1));
    if !alike || percent <= CHANGE_PERCENT {
        return None;
    }
    let way = if new < old { "below" } else { "above" };
    let versions = (before.version, rating.version);
    Some(format!(
        "measured {new} GFLOP/s (version {}), {percent} % {way} the {old} GFLOP/s of version {}: new work is counted \
         with it",
        versions.1, versions.0
    ))
}

/// A doubt about a rating that is in force; the same doubt again changes nothing.
pub(crate) fn doubt_known(
    state: &State,
    centre: &CentreId,
    pool: &PoolId,
    doubt: &Doubt,
) -> Result<Vec<Event>, Refusal> {
    let rating = rated(state, centre, pool)?;
    if rating.is_none_or(|rating| rating.doubt.is_some()) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::RatingDoubted { centre: centre.clone(), pool: pool.clone(), doubt: doubt.clone() }])
}

/// An operator believes a rating; one that nobody doubts stays as it is.
pub(crate) fn accept(state: &State, centre: &CentreId, pool: &PoolId) -> Result<Vec<Event>, Refusal> {
    let rating = rated(state, centre, pool)?;
    if rating.is_none_or(Rating::trusted) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::RatingAccepted { centre: centre.clone(), pool: pool.clone() }])
}

fn rated<'a>(state: &'a State, centre: &CentreId, pool: &PoolId) -> Result<Option<&'a Rating>, Refusal> {
    let known = state.centres.get(centre).ok_or_else(|| Refusal::NoCentre(centre.clone()))?;
    let no_pool = || Refusal::NoPool { centre: centre.clone(), pool: pool.clone() };
    Ok(known.pools.get(pool).ok_or_else(no_pool)?.rating.as_ref())
}
