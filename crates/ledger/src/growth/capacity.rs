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
    /// False while the centre takes no work: paused, its agent away, or the server itself.
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
            if let Event::Unseen { from, until } = event {
                unseen(&mut centres, (*from, *until), &mut done);
            }
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

/// What nobody saw belongs to nobody: the pools were as before, and could not be used.
fn unseen(centres: &mut BTreeMap<CentreId, (Centre, TimeMs)>, (from, until): (TimeMs, TimeMs), done: &mut Vec<Piece>) {
    for (centre, since) in centres.values_mut() {
        let from = from.max(*since);
        cut(centre, *since, from, done);
        let begin = done.len();
        cut(centre, from, until, done);
        done[begin..].iter_mut().for_each(|piece| piece.open = false);
        *since = until.max(from);
    }
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

#[cfg(test)]
mod tests {
    use huisuan_model::{Bytes, EngineKind, GflopPerS, Mark, MilliDevices, Millicores, Money, Pool, Rating, Tariff};

    use super::*;

    fn centre() -> Centre {
        let rating = Rating::plain(GflopPerS(10), GflopPerS(20), "test/1", Mark::Measured, TimeMs(0));
        let pool = Pool {
            id: PoolId::new("cpu:x").expect("a name"),
            class: Class::Hpc,
            cores: Millicores(1_000),
            memory: Bytes(1),
            devices: MilliDevices::ZERO,
            device_memory: Bytes::ZERO,
            rating: Some(rating),
            images: false,
            topology: None,
        };
        let tariff = Tariff { currency: "CNY".into(), price_per_p_h: Money(1) };
        let id = CentreId::new("hpc-1").expect("a name");
        let mut centre = Centre::new(id, Class::Hpc, EngineKind::Local, "Asia/Shanghai", tariff);
        centre.pools.insert(pool.id.clone(), pool);
        centre
    }

    /// From, until and whether it could be used, of every piece until 1,000.
    fn check(events: &[(i64, Event)], expected: &[(i64, i64, bool)]) {
        let entries = events.iter().map(|(at, event)| (TimeMs(*at), std::slice::from_ref(event)));
        let found = pieces(entries, TimeMs(1_000));
        let spans: Vec<_> = found.iter().map(|piece| (piece.from.0, piece.until.0, piece.open)).collect();
        assert_eq!(spans, expected);
    }

    #[test]
    fn while_the_server_was_away_nothing_could_be_used() {
        let set = |at| (at, Event::CentreSet(Box::new(centre())));
        let unseen = |from, until| (until, Event::Unseen { from: TimeMs(from), until: TimeMs(until) });
        check(&[set(100)], &[(100, 1_000, true)]);
        check(
            &[set(100), unseen(300, 500), unseen(700, 800)],
            &[(100, 300, true), (300, 500, false), (500, 700, true), (700, 800, false), (800, 1_000, true)],
        );
        // Who was set up since the last note was seen until then.
        check(&[set(400), unseen(300, 500)], &[(400, 500, false), (500, 1_000, true)]);
        check(&[unseen(300, 500), set(600)], &[(600, 1_000, true)]);
        // It was away before, and is heard again after.
        let paused = Event::CentreStateSet { centre: centre().id, state: CentreState::Paused };
        check(
            &[set(100), (200, paused), unseen(300, 500)],
            &[(100, 200, true), (200, 300, false), (300, 500, false), (500, 1_000, false)],
        );
    }
}
