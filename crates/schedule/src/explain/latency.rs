//! What a latency bound has to do with waiting.

use std::{collections::BTreeSet, ops::Range};

use huisuan_model::Reason;

use super::Case;
use crate::{
    fit::{self, Answer},
    load::Load,
    reach::{Near, near},
    translate::Place,
};

/// A pool that could take the shape but for its bound.
struct Beyond {
    near: Near,
    centre: usize,
    /// Whether it has room now.
    open: bool,
}

/// The bound as the reason, where some of these pools could take the shape and none is within it.
pub(super) fn none_within(case: &Case<'_>, pools: &Range<usize>) -> Option<Reason> {
    let (within, beyond) = split(case, pools)?;
    let nearest = beyond.iter().min_by_key(|beyond| (beyond.near, beyond.centre)).filter(|_| within.is_empty())?;
    reason(case, 0, nearest)
}

/// The bound as the reason, where a pool beyond it has room now.
pub(super) fn open_beyond(case: &Case<'_>) -> Option<Reason> {
    let (within, beyond) = split(case, &(0..case.problem.pools.len()))?;
    let open = beyond.iter().filter(|beyond| beyond.open).min_by_key(|beyond| (beyond.near, beyond.centre))?;
    reason(case, within.len(), open)
}

fn reason(case: &Case<'_>, within: usize, found: &Beyond) -> Option<Reason> {
    let bound = case.view.shape.reach.as_ref()?.latency.as_ref()?;
    let round_trip_us = match found.near {
        Near::Beyond(us) => Some(us),
        Near::Within | Near::Unknown => None,
    };
    Some(Reason::Latency {
        round_trip_max: bound.round_trip_max,
        within: u32::try_from(within).unwrap_or(u32::MAX),
        centre: case.problem.snapshot.centres[found.centre].id.clone(),
        round_trip_us,
    })
}

/// The centres within the bound that could take the shape, and the pools beyond it; `None` without a bound.
fn split(case: &Case<'_>, pools: &Range<usize>) -> Option<(BTreeSet<usize>, Vec<Beyond>)> {
    let problem = case.problem;
    let shape = &case.view.shape;
    shape.reach.as_ref()?.latency.as_ref()?;
    let ways = problem.ways.as_ref()?;
    let (mut within, mut beyond) = (BTreeSet::new(), Vec::new());
    for (centre, own) in problem.pools_of.iter().enumerate() {
        for number in own.clone().filter(|number| pools.contains(number)) {
            let Place { centre: view, pool } = problem.pools[number];
            let Answer::Fits(demand) = fit::answer(&pool.pool, shape) else { continue };
            if !fit::allowed(view, shape) {
                continue;
            }
            match near(ways, centre, shape) {
                Near::Within => _ = within.insert(centre),
                near => {
                    let takes_work =
                        view.active && !view.absent && problem.pools[number].closed(problem.now, case.view).is_none();
                    let tasks = u64::from(shape.gang.unwrap_or(1));
                    let load: &Load = &case.state.loads[number];
                    beyond.push(Beyond { near, centre, open: takes_work && load.takes(&demand, 0, tasks) });
                }
            }
        }
    }
    Some((within, beyond))
}
