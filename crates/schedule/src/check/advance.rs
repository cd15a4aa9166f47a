//! Whether a plan leaves reservations in advance alone: who names one stays within it, in place, time and amount; who
//! names none leaves at its beginning, and at every moment of it, what it keeps.

use std::collections::BTreeMap;

use huisuan_model::{Plan, ReservationId, TimeMs};

use crate::{
    snapshot::{CentreView, PoolView, ShapeView, Snapshot},
    violation::Violation,
};

/// Cores, memory and devices.
type Three = [i128; 3];

pub(super) fn check(snapshot: &Snapshot, now: TimeMs, plan: &Plan) -> Vec<Violation> {
    let mut found = Vec::new();
    for centre in &snapshot.centres {
        for pool in &centre.pools {
            found.extend(pool_kept(snapshot, now, plan, centre, pool));
        }
    }
    found
}

fn pool_kept(snapshot: &Snapshot, now: TimeMs, plan: &Plan, centre: &CentreView, pool: &PoolView) -> Vec<Violation> {
    let mut inside: BTreeMap<ReservationId, Three> = BTreeMap::new();
    let mut beside: Vec<(i128, Three)> = Vec::new();
    let mut found = Vec::new();
    for placement in plan.placements.iter().filter(|one| (&one.centre, &one.pool) == (&centre.id, &pool.pool.id)) {
        let named = |view: &&ShapeView| view.jobs.iter().any(|job| job.id == placement.job);
        let Some(shape) = snapshot.shapes.iter().find(named).map(|view| &view.shape) else { continue };
        let each = [placement.cores.0, shape.memory.0, placement.devices.0].map(i128::from);
        let all = each.map(|one| one * i128::from(placement.tasks.len()));
        let end = i128::from(now.0) + i128::from(shape.walltime.0);
        let Some(reservation) = shape.reservation else {
            beside.push((end, all));
            continue;
        };
        let legal = pool.reserved.iter().any(|kept| {
            let in_time = kept.from <= now && end <= i128::from(kept.until.0);
            kept.id == reservation && kept.tenant == shape.tenant && in_time
        });
        if !legal {
            found.push(Violation::OutsideReservation { job: placement.job, reservation });
        }
        let sum = inside.entry(reservation).or_default();
        (0..3).for_each(|resource| sum[resource] += all[resource]);
    }
    for kept in &pool.reserved {
        let (amounts, used) = (three(kept.amounts), three(kept.used));
        let added = inside.get(&kept.id).copied().unwrap_or_default();
        let over = (0..3).any(|resource| added[resource] > 0 && used[resource] + added[resource] > amounts[resource]);
        if over || (kept.until > now && reached_into(now, pool, kept.from.max(now), &beside)) {
            let (centre, pool) = (centre.id.clone(), pool.pool.id.clone());
            found.push(Violation::Reservation { reservation: kept.id, centre, pool });
        }
    }
    found
}

/// Whether what is placed beside reservations leaves too little of the pool at a moment.
fn reached_into(now: TimeMs, pool: &PoolView, at: TimeMs, beside: &[(i128, Three)]) -> bool {
    let mut taken = three(pool.used);
    for (end, amounts) in pool.holdings.ends() {
        if i128::from(end.0).max(i128::from(now.0) + 1) <= i128::from(at.0) {
            let gone = three(amounts);
            (0..3).for_each(|resource| taken[resource] = (taken[resource] - gone[resource]).max(0));
        }
    }
    for kept in pool.reserved.iter().filter(|kept| kept.from <= at && at < kept.until) {
        let (amounts, used) = (three(kept.amounts), three(kept.used));
        (0..3).for_each(|resource| taken[resource] += (amounts[resource] - used[resource]).max(0));
    }
    let has = [pool.pool.cores.0, pool.pool.memory.0, pool.pool.devices.0].map(i128::from);
    let mut placed = [0; 3];
    for (_, amounts) in beside.iter().filter(|(end, _)| *end > i128::from(at.0)) {
        (0..3).for_each(|resource| placed[resource] += amounts[resource]);
    }
    (0..3).any(|resource| placed[resource] > 0 && taken[resource] + placed[resource] > has[resource])
}

fn three(amounts: crate::Amounts) -> Three {
    [amounts.cores.0, amounts.memory.0, amounts.devices.0].map(i128::from)
}
