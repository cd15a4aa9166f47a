//! Decides what operators and agents say of centres.

use huisuan_model::{
    Centre, CentreId, CentreState, Event, Facts, Place, PoolId, Presence, Rating, TimeMs, tenant::TokenHash,
};

use crate::{Refusal, State, alarms, books, ratings};

/// Declares a centre, or declares it anew: what its agent said stays.
pub(crate) fn set(state: &State, centre: &Centre) -> Result<Vec<Event>, Refusal> {
    books::check(&centre.tariff)?;
    let mut centre = Box::new(centre.clone());
    if let Some(known) = state.centres.get(&centre.id) {
        centre.pools = known.pools.clone();
        centre.reported_seq = known.reported_seq;
        centre.reported_at = known.reported_at;
        centre.state = known.state;
        centre.absent_since = known.absent_since;
        centre.windows = known.windows.clone();
        centre.window_last = known.window_last;
        centre.reservations = known.reservations.clone();
        centre.reservation_last = known.reservation_last;
        // A door that does not tell place and facts leaves them as they were declared.
        centre.place = centre.place.or(known.place);
        centre.facts = centre.facts.or_else(|| known.facts.clone());
        centre.token = known.token;
        centre.alarms = known.alarms.clone();
        centre.rating_key = known.rating_key.clone();
        centre.rating_versions = known.rating_versions.clone();
        centre.starts = known.starts.clone();
        centre.odd = known.odd.clone();
    }
    Ok(vec![Event::CentreSet(centre)])
}

/// Declares a centre whose name must be free.
pub(crate) fn add(state: &State, centre: &Centre) -> Result<Vec<Event>, Refusal> {
    books::check(&centre.tariff)?;
    match state.centres.contains_key(&centre.id) {
        true => Err(Refusal::CentreExists(centre.id.clone())),
        false => Ok(vec![Event::CentreSet(Box::new(centre.clone()))]),
    }
}

pub(crate) fn set_token(state: &State, centre: &CentreId, token: TokenHash) -> Result<Vec<Event>, Refusal> {
    known(state, centre)?;
    Ok(vec![Event::CentreTokenSet { centre: centre.clone(), token }])
}

pub(crate) fn set_state(state: &State, centre: &CentreId, wanted: CentreState) -> Result<Vec<Event>, Refusal> {
    if known(state, centre)?.state == wanted {
        return Ok(Vec::new());
    }
    Ok(vec![Event::CentreStateSet { centre: centre.clone(), state: wanted }])
}

pub(crate) fn set_presence(
    state: &State,
    centre: &CentreId,
    presence: Presence,
    now: TimeMs,
) -> Result<Vec<Event>, Refusal> {
    if known(state, centre)?.presence() == presence {
        return Ok(Vec::new());
    }
    Ok(vec![Event::PresenceSet { centre: centre.clone(), presence, at: now }])
}

/// Takes a rating with the version that follows; one that cannot be true is taken with its doubt, one that is far from
/// the last with an alarm.
pub(crate) fn rate(
    state: &State,
    centre: &CentreId,
    pool: &PoolId,
    rating: &Rating,
    now: TimeMs,
) -> Result<Vec<Event>, Refusal> {
    let no_pool = || Refusal::NoPool { centre: centre.clone(), pool: pool.clone() };
    let centre_known = known(state, centre)?;
    let known = centre_known.pools.get(pool).ok_or_else(no_pool)?;
    let mut rating = rating.clone();
    let before = known.rating.as_ref().map(|old| old.version);
    rating.version = before.or(centre_known.rating_versions.get(pool).copied()).map_or(1, |last| last + 1);
    rating.doubt = ratings::doubt(state, centre, known, &rating);
    let (raised, cleared) = ratings::alarms(known, &rating);
    let alarms = alarms::set(state, centre, &raised, &cleared, now)?;
    let rated = Event::Rated { centre: centre.clone(), pool: pool.clone(), rating };
    Ok([rated].into_iter().chain(alarms).collect())
}

/// A link may name a centre that is not known yet: networks grow. It leads nowhere until then.
pub(crate) fn set_facts(
    state: &State,
    centre: &CentreId,
    place: Option<Place>,
    facts: &Facts,
) -> Result<Vec<Event>, Refusal> {
    let known = state.centres.get(centre).ok_or_else(|| Refusal::NoCentre(centre.clone()))?;
    let off = place.filter(|place| !place.valid()).map(|_| "its place is not on the globe".to_owned());
    if let Some(why) = off.or_else(|| facts.fault(centre)) {
        return Err(Refusal::Facts { centre: centre.clone(), why });
    }
    let same = known.facts.as_deref().map_or_else(|| facts.is_empty(), |known| known == facts);
    if same && known.place == place {
        return Ok(Vec::new());
    }
    Ok(vec![Event::FactsSet { centre: centre.clone(), place, facts: facts.clone() }])
}

fn known<'a>(state: &'a State, centre: &CentreId) -> Result<&'a Centre, Refusal> {
    state.centres.get(centre).ok_or_else(|| Refusal::NoCentre(centre.clone()))
}
