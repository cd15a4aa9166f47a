//! What every pool had at a time, folded from the journal's entries about centres.

use std::collections::BTreeMap;

use huisuan_model::{Centre, CentreId, CentreState, Class, Event, PoolId, TimeMs};

/// A span in which a pool and all that is known of it stayed the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
    /// The class of the pool.
    pub class: Class,
    /// The first moment.
    pub from: TimeMs,
    /// The first moment after it.
    pub until: TimeMs,
    /// Thousandths of devices; of cores where the pool has no devices.
    pub capacity: u64,
    /// True when that is devices.
    pub devices: bool,
    /// Sustained rate of the whole pool in GFLOP/s; 0 while it is not rated.
    pub rate: u64,
    /// False while the centre takes no work: paused, or its agent away.
    pub open: bool,
    /// True when its cores are also another centre's.
    pub overlapping: bool,
    /// Maintenance as it was declared then, which may lie outside of the span.
    pub closed: Vec<(TimeMs, TimeMs)>,
}

/// The pieces of every pool until a moment, by centre, pool and time.
///
/// Entries come in their order; events about anything else are left out.
pub fn pieces<'a>(entries: impl IntoIterator<Item = (TimeMs, &'a [Event])>, until: TimeMs) -> Vec<Piece> {
    let mut centres: BTreeMap<CentreId, (Centre, TimeMs)> = BTreeMap::new();
    let mut done = Vec::new();
    for (at, events) in entries {
        for event in events {
            let Some(id) = concerned(event) else { continue };
            if let Some((centre, since)) = centres.get_mut(id) {
                cut(centre, *since, at, &mut done);
                *since = at.max(*since);
                change(centre, event);
            } else if let Event::CentreSet(centre) = event {
                centres.insert(id.clone(), ((**centre).clone(), at));
            }
        }
    }
    for (centre, since) in centres.values() {
        cut(centre, *since, until, &mut done);
    }
    done.sort_by(|a: &Piece, b: &Piece| (&a.centre, &a.pool, a.from).cmp(&(&b.centre, &b.pool, b.from)));
    done
}

fn concerned(event: &Event) -> Option<&CentreId> {
    match event {
        Event::CentreSet(centre) => Some(&centre.id),
        Event::CentreStateSet { centre, .. }
        | Event::PresenceSet { centre, .. }
        | Event::WindowAdded { centre, .. }
        | Event::WindowRemoved { centre, .. }
        | Event::InventorySet { centre, .. }
        | Event::Rated { centre, .. } => Some(centre),
        _ => None,
    }
}

fn change(known: &mut Centre, event: &Event) {
    match event {
        Event::CentreSet(centre) => *known = (**centre).clone(),
        Event::CentreStateSet { state, .. } => known.state = *state,
        Event::PresenceSet { presence, at, .. } => {
            known.absent_since = (*presence == huisuan_model::Presence::Absent).then_some(*at);
        }
        Event::WindowAdded { window, .. } => known.windows.push(window.clone()),
        Event::WindowRemoved { id, .. } => known.windows.retain(|window| window.id != *id),
        Event::InventorySet { pools, .. } => {
            known.pools = pools.iter().map(|pool| (pool.id.clone(), pool.clone())).collect();
        }
        Event::Rated { pool, rating, .. } => {
            if let Some(pool) = known.pools.get_mut(pool) {
                pool.rating = Some(rating.clone());
            }
        }
        _ => {}
    }
}

fn cut(centre: &Centre, from: TimeMs, until: TimeMs, done: &mut Vec<Piece>) {
    if until <= from {
        return;
    }
    for pool in centre.pools.values() {
        let devices = !pool.devices.is_zero();
        let windows = centre.windows.iter().filter(|window| window.pool.as_ref().is_none_or(|only| *only == pool.id));
        done.push(Piece {
            centre: centre.id.clone(),
            pool: pool.id.clone(),
            class: pool.class,
            from,
            until,
            capacity: if devices { pool.devices.0 } else { pool.cores.0 },
            devices,
            rate: pool.rating.as_ref().map_or(0, |rating| rating.sustained.0),
            open: centre.state == CentreState::Active && centre.absent_since.is_none(),
            overlapping: centre.overlapping,
            closed: windows.map(|window| (window.from, window.until)).collect(),
        });
    }
}

/// What was there in a span of time, in GFLOP by class: rate times time, whether it could be used or not. Centres
/// whose cores are another one's too are left out, as such capacities are never added.
pub fn capacity(pieces: &[Piece], from: TimeMs, until: TimeMs) -> BTreeMap<Class, i128> {
    let mut capacity = BTreeMap::new();
    for piece in pieces.iter().filter(|piece| piece.rate > 0 && !piece.overlapping) {
        let ms = piece.until.min(until).since(piece.from.max(from)).0;
        *capacity.entry(piece.class).or_default() += i128::from(piece.rate) * i128::from(ms);
    }
    capacity.values_mut().for_each(|work| *work /= 1000);
    capacity
}
